"""The methods on arrays: names, conversion, errors and the lock. Their mathematics is tested beside the C++ code."""
import inspect
import pathlib
import re
import threading
import time
import unittest
import warnings

import numpy as np
import plumbline

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 3, 300)
LOGITS = RNG.normal(size=(300, 3)) + 2.0 * np.eye(3)[LABELS]


class Names(unittest.TestCase):
    def test_everything_offered_is_there_and_documented(self):
        for name in plumbline.__all__:
            thing = getattr(plumbline, name)
            if name != "__version__":
                self.assertTrue(inspect.getdoc(thing), name)

    def test_stubs_name_the_same(self):
        stub = pathlib.Path(plumbline.__file__).with_suffix(".pyi").read_text()
        declared = set(re.findall(r"^(?:def|class) (\w+)", stub, re.M)) | set(re.findall(r"^(__version__): ", stub, re.M))
        self.assertEqual(declared, set(plumbline.__all__))

    def test_stub_parameters_are_the_real_ones(self):
        stub = pathlib.Path(plumbline.__file__).with_suffix(".pyi").read_text()
        for name, written in re.findall(r"^def (\w+)\((.*?)\) ->", stub, re.M | re.S):
            wanted = [word.split(":")[0].split("=")[0].strip(" *") for word in re.split(r",\s*(?![^\[]*\])", written)]
            wanted = [word for word in wanted if word]
            doc = getattr(plumbline, name).__doc__.splitlines()[0]
            if doc.startswith(name + "("):  # compiled: the signature is the first line
                real = re.findall(r"(\w+): ", doc.split(" -> ")[0])
            else:
                real = list(inspect.signature(getattr(plumbline, name)).parameters)
            self.assertEqual(wanted, real, name)


class Conversion(unittest.TestCase):
    def test_layouts_and_types_give_the_same_figure(self):
        reference = plumbline.fit_temperature(LOGITS, LABELS).temperature
        for other in (np.asfortranarray(LOGITS), np.repeat(LOGITS, 2, axis=1)[:, ::2], LOGITS.astype(">f8"), LOGITS.tolist()):
            self.assertEqual(plumbline.fit_temperature(other, LABELS).temperature, reference)
        for labels in (LABELS.astype(np.uint8), LABELS.astype(">i4"), LABELS.tolist(), LABELS[::-1][::-1]):
            self.assertEqual(plumbline.fit_temperature(LOGITS, labels).temperature, reference)
        self.assertEqual(plumbline.fit_temperature(LOGITS.astype(np.float32), LABELS).temperature,
                         plumbline.fit_temperature(LOGITS.astype(np.float32).astype(float), LABELS).temperature)

    def test_inputs_are_not_written_to(self):
        logits = LOGITS.copy()
        logits.setflags(write=False)
        plumbline.apply_temperature(logits, 2.0)
        np.testing.assert_array_equal(logits, LOGITS)

    def test_results_own_their_memory(self):
        p = plumbline.apply_temperature(LOGITS, 1.0)
        self.assertTrue(p.flags.owndata and p.flags.writeable and p.flags.c_contiguous)
        np.testing.assert_allclose(p, np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True), rtol=1e-12)

    def test_units_may_be_names(self):
        names = np.array(["a", "b", "c", "d"])[np.arange(300) % 4]
        codes = np.arange(300) % 4
        values = LOGITS[:, 0]
        self.assertEqual(plumbline.mean(values, names).low(), plumbline.mean(values, codes).low())
        self.assertNotEqual(plumbline.mean(values, names).low(), plumbline.mean(values).low())

    def test_large_copies_are_reported(self):
        wide = np.zeros((9 << 20, 2), dtype=np.float64)[:, 0]  # 72 MiB once it is copied
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            plumbline.mean(wide)
        self.assertTrue(any("copied (72 MiB)" in str(w.message) for w in caught), caught)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plumbline.mean(np.ascontiguousarray(wide))

    def test_estimate(self):
        e = plumbline.clopper_pearson(0, 10)
        self.assertEqual((e.value, e.n, e.lower[0.95], e.exactness), (0.0, 10.0, 0.0, "sampled"))
        self.assertAlmostEqual(e.upper[0.95], 1 - 0.05 ** 0.1, places=12)
        self.assertAlmostEqual(e.high(0.95), 1 - 0.025 ** 0.1, places=12)
        self.assertEqual(float(e), e.value)
        self.assertIn("clopper", repr(e).lower())
        self.assertIsNone(plumbline.mean(np.ones(5)).low())

    def test_images(self):
        for shape in ((2, 28, 28), (2, 3, 32, 32)):
            images = RNG.integers(0, 256, shape, dtype=np.uint8)
            name = next(iter(plumbline.corruptions("common")))
            made = plumbline.corrupt_images(images, name, 5, family="common", seed=1)
            self.assertEqual((made.shape, made.dtype), (images.shape, np.uint8))
            self.assertFalse(np.array_equal(made, images))
            np.testing.assert_array_equal(made, plumbline.corrupt_images(np.asfortranarray(images), name, 5, "common", 1))

    def test_scores(self):
        rows = RNG.normal(size=(300, 4)).astype(np.float32)
        far = rows + 20
        fitted = plumbline.fit_mahalanobis(rows, LABELS)
        self.assertLess(fitted.score(rows).max(), fitted.score(far).min())
        self.assertEqual(fitted.means.shape, (3, 4))
        near = plumbline.NearestNeighbours(rows, k=5)
        self.assertLess(near.score(rows).max(), near.score(far).min())
        self.assertEqual(plumbline.ood_output_score("energy", LOGITS).shape, (300,))
        self.assertGreater(plumbline.auroc(near.score(far), near.score(rows)).value, 0.99)
        found, similarity = plumbline.nearest_rows(rows, rows[5:6])
        self.assertEqual((found.tolist(), similarity.tolist()), ([5], [1.0]))

    def test_conformal(self):
        p = plumbline.apply_temperature(LOGITS, 1.0)
        model = plumbline.fit_conformal(p[:150], LABELS[:150], level=0.9)
        sets = model.sets(p[150:])
        self.assertEqual((model.outcome, sets.shape, sets.dtype), ("ready", (150, 3), bool))
        short = plumbline.fit_conformal(p[:5], LABELS[:5], level=0.9)
        self.assertEqual((short.outcome, short.rows_needed), ("too_few_rows", 9))
        np.testing.assert_allclose(plumbline.conformal_p_values([1.0, 2.0, 3.0], [2.5]), [0.5])

    def test_reports(self):
        predicted = plumbline.predicted_labels(LOGITS)
        report = plumbline.accuracy_report(LABELS, predicted, 3)
        self.assertEqual(report["confusion"].sum(), 300)
        self.assertEqual(report["accuracy"].value, (predicted == LABELS).mean())
        self.assertEqual(plumbline.assess_adequacy(LABELS, predicted)["units"], 300)
        self.assertEqual(plumbline.compare_runs(LOGITS, LOGITS)["first_flip"], None)
        self.assertEqual(plumbline.tests_needed(0.01), 299)
        np.testing.assert_allclose(plumbline.holm([0.01, 0.04]), [0.02, 0.04])
        self.assertEqual(plumbline.roc_curve([2.0, 3.0], [1.0, 2.5])["tpr"][-1], 1.0)
        self.assertEqual(plumbline.bootstrap_mean(LOGITS[:, 0], seed=3).low(), plumbline.bootstrap_mean(LOGITS[:, 0], seed=3).low())


class Errors(unittest.TestCase):
    def test_values_and_shapes(self):
        for call, words in ((lambda: plumbline.clopper_pearson(5, 3), "successes"),
                            (lambda: plumbline.fit_temperature(LOGITS, LABELS[:5]), "labels"),
                            (lambda: plumbline.fit_temperature(LOGITS[0], LABELS), "logits has 1 axis, expected 2"),
                            (lambda: plumbline.apply_temperature(LOGITS, -1.0), "temperature"),
                            (lambda: plumbline.mean([1.0, float("nan")]), "values"),
                            (lambda: plumbline.fit_temperature(LOGITS, [2 ** 40] * 300), "does not fit"),
                            (lambda: plumbline.proportion([0, 1, 3]), "hits"),
                            (lambda: plumbline.ood_output_score("nothing", LOGITS), "nothing"),
                            (lambda: plumbline.corrupt_images(np.zeros((1, 28, 28), np.uint8), "nothing", 1), "nothing"),
                            (lambda: plumbline.fit_conformal(LOGITS, LABELS), "")):
            with self.assertRaisesRegex(ValueError, words):
                call()

    def test_wrong_kinds_of_array(self):
        for call in (lambda: plumbline.mean(["a", "b"]), lambda: plumbline.mean(np.array([1j, 2j])), lambda: plumbline.mean([object()]),
                     lambda: plumbline.fit_temperature(LOGITS, LABELS.astype(float)), lambda: plumbline.corrupt_images(np.zeros((1, 28, 28)), "fog", 1),
                     lambda: plumbline.clopper_pearson(1.5, 3), lambda: plumbline.clopper_pearson(-1, 3)):
            with self.assertRaises(TypeError):
                call()

    def test_unsupported(self):
        with self.assertRaises(NotImplementedError):
            plumbline.ood_output_score("energy", np.full((2, 2), 0.5), "probabilities")

    def test_missing_file(self):
        with self.assertRaises(OSError):
            plumbline.load_dataset("/nowhere/system.toml", "test")


class Lock(unittest.TestCase):
    def test_other_threads_run_meanwhile(self):
        values = np.random.default_rng(1).normal(size=4000)
        ticks, stop = [], threading.Event()

        def tick():
            while not stop.is_set():
                ticks.append(time.perf_counter())
                time.sleep(0.001)

        thread = threading.Thread(target=tick)
        thread.start()
        start = time.perf_counter()
        plumbline.bootstrap_mean(values, replicates=20000)
        end = time.perf_counter()
        stop.set()
        thread.join()
        during = [t for t in ticks if start + 0.005 < t < end - 0.005]
        self.assertTrue(during or end - start < 0.05, f"no tick in {end - start:.3f} s")

    def test_policy_value(self):
        rng = np.random.default_rng(4)
        n, k = 4000, 3
        context = rng.normal(size=(n, 2))
        logging = np.full((n, k), 1 / k)
        target = np.tile([0.8, 0.1, 0.1], (n, 1))
        action = rng.integers(0, k, n)
        mean = 0.3 + 0.2 * (action == 0) + 0.1 * np.tanh(context[:, 0])
        reward = (rng.random(n) < mean).astype(float)
        propensity = logging[np.arange(n), action]
        weight = target[np.arange(n), action] / propensity
        ips = plumbline.policy_value(action, reward, propensity, target, estimator="ips", ci="normal")
        self.assertAlmostEqual(ips["estimate"].value, float(np.mean(weight * reward)), places=12)
        snips = plumbline.policy_value(action, reward, propensity, target, estimator="snips", ci="normal")
        self.assertAlmostEqual(snips["estimate"].value, float(np.sum(weight * reward) / np.sum(weight)), places=12)
        dr = plumbline.policy_value(action, reward, propensity, target, context=context)
        self.assertEqual(dr["outcome"], "says")
        self.assertLess(dr["estimate"].low(0.99), 0.46)
        self.assertGreater(dr["estimate"].high(0.99), 0.46)
        self.assertAlmostEqual(dr["support"]["effective_size"], float(np.sum(weight)**2 / np.sum(weight**2)), places=6)
        never = plumbline.policy_value(action % 2, reward, np.full(n, 0.5), target, estimator="ips")
        self.assertEqual(never["outcome"], "cannot say")
        self.assertIn("cannot have taken", never["reasons"][0])
        for wrong, words in ((dict(estimator="best"), "no estimator"), (dict(propensity=propensity * 0), "propensity is 0"),
                             (dict(target=target[:, :2]), "action"), (dict(target=target * 2), "target")):
            arguments = dict(action=action, reward=reward, propensity=propensity, target=target)
            with self.assertRaisesRegex(ValueError, words):
                plumbline.policy_value(**{**arguments, **wrong})

    def test_estimate_log(self):
        import json
        import tempfile
        rng = np.random.default_rng(5)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "log.jsonl"
            path.write_text("".join(json.dumps({"action": "ab"[int(a)], "propensity": 0.5, "reward": int(a)}) + "\n"
                                    for a in rng.integers(0, 2, 400)))
            got = plumbline.estimate_log(str(path), "fixed:b", estimator="snips")
            self.assertEqual(got["estimate"].value, 1.0)
            with self.assertRaisesRegex(ValueError, "is not in the log"):
                plumbline.estimate_log(str(path), "fixed:c")
            with self.assertRaises(OSError):
                plumbline.estimate_log(str(path) + ".jsonl", "uniform")

    def test_calls_from_several_threads_agree(self):
        results = [None] * 4

        def work(i):
            results[i] = plumbline.fit_temperature(LOGITS, LABELS).temperature

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(results)), 1)

    def test_interrupt_stops_a_long_call(self):
        import os
        import signal
        values = np.random.default_rng(1).normal(size=100000)
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        start = time.perf_counter()
        with self.assertRaises(KeyboardInterrupt):
            plumbline.bootstrap_mean(values, replicates=2_000_000)
            time.sleep(5)  # not reached
        self.assertLess(time.perf_counter() - start, 60)


if __name__ == "__main__":
    unittest.main()
