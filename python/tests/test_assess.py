"""Whole cases and single checks from Python: what run() writes, that it agrees with assess(), and the page's examples."""
import os
import pathlib
import re
import tempfile
import unittest

import numpy as np
import plumbline

SOURCE = pathlib.Path(os.environ["PLUMBLINE_SOURCE"])
RNG = np.random.default_rng(11)
LABELS = RNG.integers(0, 2, 400)
P = np.where(RNG.random(400) < 0.9, 0.9, 0.1)
OUTPUTS = np.where(np.arange(2)[None, :] == LABELS[:, None], P[:, None], 1 - P[:, None])


def field(number, value):
    """One field of a protobuf message: a number, or text and messages as bytes."""
    def varint(n):
        return bytes([n]) if n < 128 else bytes([n % 128 + 128]) + varint(n // 128)
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number * 8 + 2) + varint(len(value)) + value


def linear_onnx(weights, bias, shape=None):
    """An ONNX file with one dense layer: logits = rows weights + bias. Rows of another shape are flattened first."""
    inputs, outputs = weights.shape

    def port(name, axes):
        dims = b"".join(field(1, field(2, "n") if axis is None else field(1, axis)) for axis in axes)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    def tensor(name, values):
        return b"".join(field(1, n) for n in values.shape) + field(2, 1) + field(8, name) + field(9, values.astype("<f4").tobytes())

    def node(op, given, made):
        return b"".join(field(1, name) for name in given) + field(2, made) + field(3, op) + field(4, op)

    nodes = [node("Gemm", ["flat" if shape else "rows", "weights", "bias"], "logits")]
    if shape:
        nodes.insert(0, node("Flatten", ["rows"], "flat"))
    graph = b"".join(field(1, n) for n in nodes) + field(2, "linear") + field(5, tensor("weights", weights)) + field(5, tensor("bias", bias))
    graph += field(11, port("rows", [None, *(shape or [inputs])])) + field(12, port("logits", [None, outputs]))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


class Folder(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="plumbline-python-")
        self.folder = pathlib.Path(self._folder.name)

    def tearDown(self):
        self._folder.cleanup()


class Run(Folder):
    def test_agrees_with_assess(self):
        units = np.arange(400) // 2
        ran = plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS, units=units, seed=5, folder=self.folder)
        assessed = plumbline.assess(self.folder / "system.toml", store=self.folder / "other.db", only=["probe.accuracy"], jobs=1)
        self.assertGreater(len(ran["evidence"]), 2)
        self.assertEqual([e["id"] for e in ran["evidence"]], [e["id"] for e in assessed["evidence"]])
        figure = ran.figure("accuracy")
        direct = plumbline.proportion(OUTPUTS.argmax(1) == LABELS, units)
        self.assertEqual(figure["value"], direct.value)

    def test_every_check_on_stored_outputs(self):
        p = {"outputs": OUTPUTS, "labels": LABELS}
        half = {key: value[200:] for key, value in p.items()}
        first = {key: value[:200] for key, value in p.items()}
        for check, sets in (("probe.accuracy", p), ("caution.calibration", {**first, "calibration": half}), ("caution.conformal", {**first, "calibration": half}),
                            ("methodology.adequacy", p), ("methodology.evaluation_aa", p), ("methodology.determinism", {**p, "again": OUTPUTS})):
            with self.subTest(check):
                report = plumbline.run(check, **sets)
                self.assertTrue(report["evidence"])
                self.assertTrue(all(e["check"] == check for e in report["evidence"]))

    def test_rows_that_are_not_given_are_not_sliced(self):
        report = plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS)
        self.assertFalse([e for e in report["evidence"] if "slice" in e["where"]])
        self.assertFalse(report["findings"])

    def test_checks_that_read_rows(self):
        train = {"inputs": RNG.normal(size=(300, 4)), "labels": RNG.integers(0, 2, 300)}
        rows = RNG.normal(size=(250, 4))
        for check, sets in (("robustness.drift", {"inputs": rows, "train": train, "permutations": 39}),
                            ("methodology.leakage", {"inputs": rows, "labels": RNG.integers(0, 2, 250), "train": train}),
                            ("robustness.ood", {"inputs": rows, "labels": RNG.integers(0, 2, 250), "outputs": RNG.normal(size=(250, 2)), "output": "logits",
                                                "train": train, "ood": {"elsewhere": {"inputs": rows + 6, "outputs": RNG.normal(size=(250, 2))}}})):
            with self.subTest(check):
                self.assertTrue(plumbline.run(check, **sets)["evidence"])

    def test_claim_is_judged(self):
        for threshold, status, verdict in ((0.5, 0, "supported"), (0.99, 1, "refuted")):
            report = plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS, claim={"metric": "accuracy", "at_least": threshold})
            self.assertEqual((report.exit_status, report["claims"][0]["verdict"]), (status, verdict))
            self.assertIn(verdict if status else "supported", report.text)

    # Sixteenths, so that float32 holds every product and sum as it is.
    WEIGHTS = np.array([[3, -2], [-1, 4], [0, 1]]) / 16
    BIAS = np.array([1, -1]) / 16
    ROWS = np.round(RNG.normal(size=(400, 3)) * 16) / 16

    def write_model(self):
        path = self.folder / "net.onnx"
        path.write_bytes(linear_onnx(self.WEIGHTS, self.BIAS))
        return path

    def test_a_model_gives_what_its_stored_outputs_give(self):
        model = self.write_model()
        logits = self.ROWS @ self.WEIGHTS + self.BIAS
        labels = np.where(RNG.random(400) < 0.85, logits.argmax(1), 1 - logits.argmax(1))
        claim = {"metric": "accuracy", "at_least": 0.5}
        ran = plumbline.run("probe.accuracy", model=model, output="logits", inputs=self.ROWS, labels=labels, train={"inputs": self.ROWS, "labels": labels}, claim=claim)
        stored = plumbline.run("probe.accuracy", outputs=logits, output="logits", inputs=self.ROWS, labels=labels, claim=claim)
        self.assertEqual(ran.exit_status, 0, ran.text)
        for metric in ("accuracy",):
            a, b = ran.figure(metric, data="test"), stored.figure(metric, data="test")
            self.assertEqual((a["value"], a["low"], a["high"], a["n"]), (b["value"], b["low"], b["high"], b["n"]))
        self.assertEqual(ran.figure("accuracy", data="test")["value"], (logits.argmax(1) == labels).mean())

    def test_robustness_of_a_model_that_runs(self):
        images = RNG.integers(0, 256, (120, 8, 8), dtype=np.uint8)
        weights = RNG.normal(size=(64, 2)) / 8
        (self.folder / "net.onnx").write_bytes(linear_onnx(weights, np.zeros(2), [1, 8, 8]))
        labels = (images.reshape(120, -1) / 255 @ weights).argmax(1)
        report = plumbline.run("robustness.corruption", model=self.folder / "net.onnx", output="logits", inputs=images, labels=labels)
        self.assertTrue(report["evidence"])
        tests = [line for line in report["ledger"] if line["check"] == "self-test.parity"]
        self.assertEqual([line["status"] for line in tests], ["ok"])

    def test_a_model_that_does_not_fit_says_why(self):
        model = self.write_model()
        labels = RNG.integers(0, 2, 400)
        wide = RNG.normal(size=(400, 5))
        run = {"check_id": "probe.accuracy", "model": model, "output": "logits", "labels": labels}
        with self.assertRaisesRegex(ValueError, "5"):
            plumbline.run(**run, inputs=wide)
        with self.assertRaisesRegex(ValueError, "not both"):
            plumbline.run(**run, inputs=self.ROWS, outputs=OUTPUTS)
        with self.assertRaisesRegex(ValueError, "nonsense"):
            plumbline.run(**run, inputs=self.ROWS, model_options={"nonsense": 1})
        with self.assertRaises(FileNotFoundError):
            plumbline.run(**{**run, "model": self.folder / "none.onnx"}, inputs=self.ROWS)
        (self.folder / "text.onnx").write_text("hello")
        with self.assertRaisesRegex(ValueError, "model.onnx"):
            plumbline.run(**{**run, "model": self.folder / "text.onnx"}, inputs=self.ROWS)
        with self.assertRaisesRegex(ValueError, "probabilities"):  # logits are none
            plumbline.run(**{**run, "output": "probabilities"}, inputs=self.ROWS)

    def test_what_cannot_run_says_why(self):
        for call, words in ((lambda: plumbline.run("probe.nothing", outputs=OUTPUTS, labels=LABELS), "there is no check"),
                            (lambda: plumbline.run("robustness.drift", train=OUTPUTS, outputs=OUTPUTS), "give inputs"),
                            (lambda: plumbline.run("probe.accuracy", labels=LABELS), "needs outputs"),
                            (lambda: plumbline.run("probe.accuracy", outputs=OUTPUTS), "label"),
                            (lambda: plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS[:9]), "one entry a row"),
                            (lambda: plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS, nonsense=1), "nonsense"),
                            (lambda: plumbline.run("caution.calibration", outputs=2 * OUTPUTS, labels=LABELS), ""),
                            (lambda: plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS, train={"rows": OUTPUTS}), "unknown key 'rows'")):
            with self.assertRaisesRegex(ValueError, words):
                call()

    def test_texts_cannot_break_the_manifest(self):
        claim = {"metric": "accuracy", "at_least": 0.5, "text": 'quote " newline \n and \\ é \x7f'}
        self.assertEqual(plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS, claim=claim).exit_status, 0)


class Assess(Folder):
    def test_reports_errors_and_facts(self):
        plumbline.run("probe.accuracy", outputs=OUTPUTS, labels=LABELS, folder=self.folder)
        manifest = self.folder / "system.toml"
        report = plumbline.assess(manifest, out=self.folder / "out", only=["probe"], jobs=1)
        self.assertEqual(sorted(report), ["argument", "claims", "evidence", "findings", "ledger", "run", "schema"])
        self.assertTrue((self.folder / "out/report.html").exists())
        self.assertEqual({line["check"] for line in report["ledger"]}, {check["id"] for check in plumbline.checks()})
        with self.assertRaisesRegex(LookupError, "accuracy"):
            report.figure("accuracy", slice="none")
        with self.assertRaisesRegex(ValueError, "probe.accuracy"):
            plumbline.assess(manifest, only=["probe.acuracy"])
        with self.assertRaises(OSError):
            plumbline.assess(self.folder / "nothing.toml")
        with self.assertRaises(TypeError):
            plumbline.assess(manifest, only="probe")

    def test_data_sets_as_arrays(self):
        images = RNG.integers(0, 256, (400, 8, 8), dtype=np.uint8)
        plumbline.run("probe.accuracy", inputs=images, outputs=OUTPUTS, labels=LABELS, folder=self.folder)
        loaded = plumbline.load_dataset(self.folder / "system.toml", "test")
        np.testing.assert_array_equal(loaded["inputs"], images[:, None])
        np.testing.assert_array_equal(loaded["labels"], LABELS)
        self.assertFalse(loaded["inputs"].flags.writeable)
        np.testing.assert_array_equal(plumbline.load_predictions(str(self.folder / "system.toml"), "test"), OUTPUTS)

    def test_missing_worker(self):
        known = os.environ.pop("PLUMBLINE_WORKER")
        try:
            os.environ["PLUMBLINE_WORKER"] = "/nowhere/plumbline-worker"
            with self.assertRaisesRegex(FileNotFoundError, "PLUMBLINE_WORKER"):
                plumbline.worker()
        finally:
            os.environ["PLUMBLINE_WORKER"] = known

    def test_facts(self):
        facts = {check["id"]: check for check in plumbline.checks()}
        self.assertLessEqual(plumbline._OUTPUTS_ALONE, set(facts))
        self.assertEqual(plumbline.manifest_schema()["$schema"], "https://json-schema.org/draft/2020-12/schema")


class Page(unittest.TestCase):
    def test_examples_run(self):
        page = (SOURCE / "docs/user/python.md").read_text()
        names = {}
        blocks = re.findall(r"```python\n(.*?)```", page, re.S)
        self.assertGreaterEqual(len(blocks), 5)
        for block in blocks:
            exec(compile(block, "docs/user/python.md", "exec"), names)


if __name__ == "__main__":
    unittest.main()
