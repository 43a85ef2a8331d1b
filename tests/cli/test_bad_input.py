"""Bad input: a clear message, exit status 2 or a ledger error as fits, nothing lost, nothing written elsewhere."""
import json
import os
import signal
import subprocess
import time
import unittest

from cli.support import BIN, TORCH, SystemTest, gz, idx_images, idx_labels, plumbline, write_torchscript


class BadInput(SystemTest):
    def refused(self, *needles, words=()):
        out, err, code = plumbline("assess", self.folder / "system.toml", *words)
        self.assertEqual(code, 2, err + out)
        for needle in needles:
            self.assertIn(needle, err)
        self.assertFalse((self.folder / ".plumbline").exists(), "nothing is stored for a refused manifest")

    def test_manifest_problems(self):
        self.write_predictions_system(claim="at_leest = 0.9")
        self.refused("at_leest", "at_least")
        self.write_predictions_system(claim='at_least = 0.9\nseverity = "fatal"')
        self.refused("severity")
        self.write_predictions_system()
        path = self.folder / "system.toml"
        path.write_text(path.read_text().replace('"predictions.csv"', '"../elsewhere.csv"'))
        self.refused("../elsewhere.csv")
        self.write_predictions_system(extra='[[claim]]\nid = "right"\ntext = "again"\ncheck = "probe.accuracy"\nmetric = "accuracy"\nat_least = 0.1\n')
        self.refused("right")
        self.write_predictions_system()
        path.write_text(path.read_text().replace('metric = "accuracy"', 'metric = "acuracy"'))
        self.refused("acuracy", "accuracy")
        path.write_text("this is [not toml")
        self.refused("system.toml")
        path.unlink()
        self.refused("system.toml")

    def test_nothing_selected(self):
        self.write_predictions_system()
        self.refused("no check", words=("--only", "probe.acuracy"))
        self.refused("no check applies", words=("--skip", "probe", "--skip", "caution", "--skip", "methodology", "--skip", "robustness"))

    def test_labels_out_of_range_and_shapes_that_disagree(self):
        self.write_predictions_system()
        (self.folder / "predictions.csv").write_text("cat,dog\n0.5,0.5\n")
        out, err, code = self.assess("--json")
        self.assertEqual(code, 4, err)
        line = next(l for l in json.loads(out)["ledger"] if l["check"] == "probe.accuracy")
        self.assertEqual(line["status"], "error")
        self.assertIn("predictions", line["reason"])

    def test_nan_in_predictions_is_named(self):
        self.write_predictions_system()
        text = (self.folder / "predictions.csv").read_text().splitlines()
        text[3] = "nan,0.5"
        (self.folder / "predictions.csv").write_text("\n".join(text) + "\n")
        out, _, code = self.assess("--json")
        self.assertEqual(code, 4)
        self.assertEqual(json.loads(out)["claims"][0]["verdict"], "not_evaluated")

    def test_damaged_image_files(self):
        good = idx_images([[0] * 16] * 3, 4, 4)
        cases = {
            "truncated": good[:-5],
            "header only": good[:16],
            "empty": b"",
            "promises more than it holds": good[:4] + (2**31 - 1).to_bytes(4, "big") + good[8:],
            "wrong endian": good[:4][::-1] + good[4:],
            "truncated gzip": gz(good)[:-6],
            "not idx": b"hello, this is a text file\n" * 10,
        }
        for name, data in cases.items():
            with self.subTest(name):
                (self.folder / "images.bin").write_bytes(data)
                (self.folder / "labels.bin").write_bytes(idx_labels([0, 1, 0]))
                self.write("system.toml", '[system]\nname = "x"\n[data.train]\nimages = "images.bin"\nlabels = "labels.bin"\n[data.test]\nimages = "images.bin"\nlabels = "labels.bin"\n')
                out, err, code = plumbline("assess", self.folder / "system.toml", "--json")
                self.assertIn(code, (2, 4), err)
                self.assertIn("images.bin", err + out)

    def test_models_that_are_not_models(self):
        (self.folder / "images.idx").write_bytes(idx_images([[i] * 16 for i in range(20)], 4, 4))
        (self.folder / "labels.idx").write_bytes(idx_labels([i % 2 for i in range(20)]))
        self.write("system.toml", '[system]\nname = "x"\n[model.m]\npath = "m.onnx"\noutput = "logits"\n[data.test]\nimages = "images.idx"\nlabels = "labels.idx"\n')
        for data in (b"", b"\x08\x07garbage" * 50, b"\xff" * 100):
            (self.folder / "m.onnx").write_bytes(data)
            out, err, code = plumbline("assess", self.folder / "system.toml", "--json", "--no-cache", "--only", "probe.accuracy")
            self.assertEqual(code, 4, err)
            self.assertIn("m.onnx", json.loads(out)["ledger"][-1]["reason"] + out)

    def test_untrusted_torchscript_is_not_opened(self):
        (self.folder / "images.idx").write_bytes(idx_images([[i] * 16 for i in range(20)], 4, 4))
        (self.folder / "labels.idx").write_bytes(idx_labels([i % 2 for i in range(20)]))
        (self.folder / "m.pt").write_bytes(b"PK\x03\x04")
        self.write("system.toml", '[system]\nname = "x"\n[model.m]\npath = "m.pt"\noutput = "logits"\n[data.test]\nimages = "images.idx"\nlabels = "labels.idx"\n')
        out, err, code = plumbline("assess", self.folder / "system.toml", "--json", "--only", "probe.accuracy")
        self.assertIn(code, (2, 4))
        self.assertIn("trusted", out + err)

    def write_callable_system(self, body):
        (self.folder / "images.idx").write_bytes(idx_images([[i] * 16 for i in range(40)], 4, 4))
        (self.folder / "labels.idx").write_bytes(idx_labels([i % 2 for i in range(40)]))
        self.write("reader.py", "import os, signal, time\nimport numpy\n\ndef predict(rows):\n    " + body + "\n")
        self.write("system.toml", """[system]
name = "x"
[model.m]
callable = "reader:predict"
output = "logits"
classes = 2
input_shape = [1, 4, 4]
[data.test]
images = "images.idx"
labels = "labels.idx"
""")

    def ledger(self, *words):
        out, err, code = plumbline("assess", self.folder / "system.toml", "--json", *words)
        return {line["check"]: line for line in json.loads(out)["ledger"]}, code, err

    def test_a_callable_that_works_and_one_that_fails(self):
        self.write_callable_system("return numpy.stack([1 - rows[:, 0, 0, 0], rows[:, 0, 0, 0]], axis=1)")
        lines, _, err = self.ledger("--only", "probe.accuracy", "--only", "methodology.adequacy")
        self.assertEqual(lines["probe.accuracy"]["status"], "ok", err)
        self.write_callable_system("raise ValueError('no such digit')")
        lines, code, _ = self.ledger("--only", "probe.accuracy")
        self.assertEqual((lines["probe.accuracy"]["status"], code), ("error", 4))
        self.assertIn("no such digit", lines["probe.accuracy"]["reason"])

    def test_a_worker_that_crashes_fails_its_task_alone(self):
        self.write_callable_system("os.kill(os.getppid(), signal.SIGSEGV); time.sleep(5)")
        self.add_stored_predictions()
        manifest = self.folder / "system.toml"
        # A sanitizer would catch the signal and end the worker by itself.
        uncaught = {f"{s}SAN_OPTIONS": os.environ.get(f"{s}SAN_OPTIONS", "") + ":handle_segv=0" for s in ("A", "T", "UB")}
        out, err, code = plumbline("assess", manifest, "--json", "--only", "probe.accuracy", env=uncaught)
        lines = {line["subject"]: line for line in json.loads(out)["ledger"] if line["check"] == "probe.accuracy"}
        self.assertEqual(code, 4, err)
        self.assertIn("the worker crashed", lines["m@test"]["reason"])
        self.assertEqual(lines["stored@table"]["status"], "ok")

    STORED = """
[data.table]
table = "test.csv"
label = "label"
role = "test"
[predictions.p]
model = "stored"
data = "table"
path = "p.csv"
output = "probabilities"
"""

    def add_stored_predictions(self):
        """A second subject beside the model, to see that the others go on."""
        self.write("test.csv", "x,label\n" + "".join(f"{i},{i % 2}\n" for i in range(100)))
        self.write("p.csv", "a,b\n" + "".join(f"{1 - i % 2},{i % 2}\n" for i in range(100)))
        manifest = self.folder / "system.toml"
        manifest.write_text(manifest.read_text() + self.STORED)

    def assess_torchscript(self, body, *words):
        """The lines of the model and of the stored predictions beside it."""
        (self.folder / "images.idx").write_bytes(idx_images([[i] * 16 for i in range(40)], 4, 4))
        (self.folder / "labels.idx").write_bytes(idx_labels([i % 2 for i in range(40)]))
        write_torchscript(self.folder / "m.pt", body)
        self.write("system.toml", '''[system]
name = "x"
[model.m]
path = "m.pt"
trusted = true
output = "logits"
input_shape = [1, 4, 4]
[data.test]
images = "images.idx"
labels = "labels.idx"
''')
        self.add_stored_predictions()
        out, err, code = plumbline("assess", self.folder / "system.toml", "--json", "--only", "probe.accuracy", *words)
        lines = {line["subject"]: line for line in json.loads(out)["ledger"] if line["check"] == "probe.accuracy"}
        self.assertEqual(lines["stored@table"]["status"], "ok", err)
        return lines["m@test"], code

    @unittest.skipUnless(TORCH, "this build has no LibTorch")
    def test_torchscript_that_takes_all_memory_crashes_or_never_ends_fails_alone(self):
        flat = "torch.reshape(x, [-1, 16])"
        line, _ = self.assess_torchscript(f"return {flat}")
        self.assertEqual(line["status"], "ok", line)
        cases = {
            "one tensor that doubles without end": ("y = torch.reshape(x, [-1])\nwhile True:\n  y = torch.cat([y, y])\nreturn y", ("--memory", 2), "ran out of memory"),
            "a list of small objects that doubles": ("y = [0]\nwhile True:\n  y = torch.add(y, y)\nreturn x", ("--memory", 2), "ran out of memory"),
            "a view of memory that is not there": ("return torch.sum(torch._reshape_alias(x, [1099511627776], [1]))", (), "the worker crashed (Segmentation fault)"),
            "a loop without end": ("y = x\nwhile True:\n  y = torch.add(y, 1)\nreturn y", ("--timeout", 2), "time: stopped after 2 s"),
            "its own exception": (f"ops.prim.RaiseException(\"no such digit\")\nreturn {flat}", (), "no such digit"),
        }
        for name, (body, words, reason) in cases.items():
            with self.subTest(name):
                line, code = self.assess_torchscript(body, *words)
                self.assertEqual((line["status"], code), ("error", 4), line)
                self.assertIn(reason, line["reason"])

    @unittest.skipUnless(TORCH, "this build has no LibTorch")
    def test_torchscript_files_that_are_none(self):
        good = "return torch.reshape(x, [-1, 16])"
        self.assess_torchscript(good)
        archive = (self.folder / "m.pt").read_bytes()
        for name, data in {"empty": b"", "cut": archive[:-40], "text": b"hello", "another archive": gz(archive)}.items():
            with self.subTest(name):
                (self.folder / "m.pt").write_bytes(data)
                out, err, code = plumbline("assess", self.folder / "system.toml", "--json", "--only", "probe.accuracy")
                lines = {line["subject"]: line for line in json.loads(out)["ledger"] if line["check"] == "probe.accuracy"}
                self.assertEqual((code, lines["m@test"]["status"], lines["stored@table"]["status"]), (4, "error", "ok"), err)
                self.assertIn("m.pt", lines["m@test"]["reason"])

    def test_a_task_that_never_ends_is_stopped(self):
        self.write_callable_system("time.sleep(600)")
        lines, code, _ = self.ledger("--only", "probe.accuracy", "--timeout", "2")
        self.assertEqual(code, 4)
        self.assertIn("time: stopped after 2", lines["probe.accuracy"]["reason"])

    def test_two_runs_on_one_store_at_once(self):
        self.write_predictions_system()
        words = [str(BIN / "plumbline"), "assess", str(self.folder / "system.toml"), "--json", "-q"]
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for process in both:
            out, err = process.communicate(timeout=120)
            self.assertEqual(json.loads(out)["claims"][0]["verdict"], "supported", err)
        store = ("--store", self.folder / ".plumbline/store.db")
        self.assertEqual(plumbline("verify-store", *store)[2], 0)
        self.assertEqual(len(json.loads(plumbline("runs", "--json", *store)[0])), 2)

    def test_killed_at_random_moments_nothing_stored_is_lost(self):
        self.write_predictions_system(rows=1500)
        store = ("--store", self.folder / ".plumbline/store.db")
        for attempt in range(12):
            process = subprocess.Popen([str(BIN / "plumbline"), "assess", str(self.folder / "system.toml"), "-q", "--no-cache"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(0.02 * (attempt + 1))
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.assertNotIn(plumbline("assess", self.folder / "system.toml")[2], (2, 130))
        self.assertEqual(plumbline("verify-store", *store)[2], 0)
        for run in json.loads(plumbline("runs", "--json", *store)[0]):
            self.assertIn(run["status"], ("success", "cancelled"))

    def test_output_and_store_that_cannot_be_written(self):
        self.write_predictions_system()
        blocked = self.write("file", "a file, not a folder")
        _, err, code = self.assess("--out", blocked)
        self.assertEqual(code, 2)
        self.assertIn("output folder", err)
        _, err, code = self.assess("--store", blocked / "store.db")
        self.assertEqual(code, 2)
        self.assertIn("store", err)
        if os.path.exists("/dev/full"):
            _, err, code = self.assess("--store", "/dev/full")
            self.assertEqual(code, 2, err)

    def test_hostile_names_do_no_harm(self):
        self.write_predictions_system()
        path = self.folder / "system.toml"
        path.write_text(path.read_text().replace('"pets"\nseed', '"<script>alert(1)</script>\\u001b[31m\\u202e`|x`"\nseed'))
        out, err, _ = self.assess("--out", self.folder / "report")
        self.assertNotIn("\x1b[31m", out + err)
        page = (self.folder / "report/report.html").read_text()
        self.assertNotIn("<script>alert(1)", page)

    def test_usage(self):
        for words in ((), ("assess",), ("frobnicate",), ("checks", "show", "probe.acuracy"), ("show", "nothing-here"), ("init", self.folder / "a", "--kind", "boat")):
            with self.subTest(words):
                _, err, code = plumbline(*words, cwd=self.folder)
                self.assertEqual(code, 2)
                self.assertTrue(err)

    def test_init_never_overwrites(self):
        self.assertEqual(plumbline("init", self.folder / "new", "--kind", "images")[2], 0)
        _, err, code = plumbline("init", self.folder / "new", "--kind", "images")
        self.assertEqual(code, 2)
        self.assertIn("exists already", err)


if __name__ == "__main__":
    unittest.main()
