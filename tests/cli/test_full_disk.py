"""A disk that fills in the middle of `plumbline assess`: a clear message, exit status 2 or a ledger error, nothing that was
finished is lost, the store still verifies, and the next run takes up what is there. Two ways to make it: a limit on the size
of files, which everybody may set, and a real file system of a few megabytes, where this user may mount one."""
import functools
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

from cli.support import BIN, SystemTest, plumbline

WORDS = ("disk is full", "disk I/O error", "No space left on device", "File too large", "cannot write")
CALLABLE = """
[model.m]
callable = "reader:predict"
output = "probabilities"
classes = 2
input_shape = [1]
"""


class FullDisk(SystemTest):
    """What both ways share: one run that may fail, and what must hold after it."""

    def make_system(self):
        """Stored predictions for many checks, and a model whose predictions go into files of their own."""
        manifest = self.write_predictions_system(rows=1500, errors=75)
        self.write("reader.py", "import numpy\n\ndef predict(rows):\n    p = rows[:, :1] * 0 + 0.5\n    return numpy.concatenate([p, 1 - p], axis=1)\n")
        self.write("train.csv", "x,label\n" + "".join(f"{i},{'cat' if i % 2 else 'dog'}\n" for i in range(9000)))
        manifest.write_text(manifest.read_text() + CALLABLE + '[data.train]\ntable = "train.csv"\nlabel = "label"\n')
        self.store = self.folder / ".plumbline/store.db"
        out, err, self.status = plumbline("assess", manifest, "--json", "-q")
        self.assertIn(self.status, (0, 1), err)
        self.reference = {e["id"] for e in json.loads(out)["evidence"]}

    def runs(self):
        out, err, code = plumbline("runs", "--json", "--store", self.store)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def evidence(self, run):
        out, err, _ = plumbline("show", run, "--json", "--store", self.store)  # its status is that of the run
        self.assertTrue(out, err)
        return {e["id"] for e in json.loads(out)["evidence"]}

    def check_after(self, out, err, code):
        """The run is over and the disk is roomy again. Returns whether the run had met its end."""
        if code == 2:
            self.assertTrue(any(word in err for word in WORDS), err)
            self.assertEqual(out, "")
        elif code == 4:
            reasons = [line["reason"] for line in json.loads(out)["ledger"] if line["status"] == "error"]
            self.assertTrue(reasons)
            for reason in reasons:
                self.assertTrue(any(word in reason for word in WORDS), reason)
        else:
            self.assertEqual(code, self.status, err)
        self.assertNotIn("defect in Plumbline", err)
        if self.store.exists():
            self.assertEqual(plumbline("verify-store", "--store", self.store)[2], 0)
        before = {run["id"]: self.evidence(run["id"]) for run in self.runs() if run["status"] != "started"} if self.store.exists() else {}
        kept = set().union(*before.values())
        again, words, status = plumbline("assess", self.folder / "system.toml", "--json", "-q")
        self.assertEqual(status, self.status, words)
        record = json.loads(again)
        self.assertEqual({e["id"] for e in record["evidence"]}, self.reference)
        self.assertEqual(plumbline("verify-store", "--store", self.store)[2], 0)
        # All that was finished is in the store still, is part of the next run, and was not computed again.
        for run, ids in before.items():
            self.assertEqual(self.evidence(run), ids)
        self.assertLessEqual(kept, self.reference)
        cached = {(line["check"], line["subject"]) for line in record["ledger"] if line["cached"]}
        for e in record["evidence"]:
            if e["id"] in kept:
                self.assertIn((e["check"], e["subject"]), cached)
        for run in self.runs():
            self.assertIn(run["status"], ("success", "cancelled"))
        self.assertEqual([p.name for p in self.folder.rglob("*.part")], [], "a half-written file was left")
        met = code != self.status
        return met, met and bool(kept)

    def forget(self):
        shutil.rmtree(self.folder / ".plumbline", ignore_errors=True)
        shutil.rmtree(self.folder / "out", ignore_errors=True)


class FileSizeLimit(FullDisk):
    """Every file may grow to so many bytes and no further."""

    def assess_within(self, size, *words):
        done = subprocess.run([str(BIN / "plumbline"), "assess", str(self.folder / "system.toml"), "--json", "-q", *map(str, words)],
                              capture_output=True, text=True, timeout=120, check=False,
                              preexec_fn=functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size)))
        return done.stdout, done.stderr, done.returncode

    def test_predictions_that_do_not_fit_fail_their_model_alone(self):
        manifest = self.write_predictions_system(rows=1500, errors=75)
        self.write("reader.py", "import numpy\n\ndef predict(rows):\n    return numpy.ones((len(rows), 200)) / 200\n")
        manifest.write_text(manifest.read_text() + CALLABLE.replace("classes = 2", "classes = 200") + '[data.train]\ntable = "test.csv"\nlabel = "label"\n')
        words = ("--only", "probe.accuracy", "--only", "caution.calibration")
        out, err, code = self.assess_within(1_000_000, *words)  # 1500 rows of 200 numbers need 2.4 MB
        self.assertEqual(code, 4, err)
        lines = {(line["check"], line["subject"]): line for line in json.loads(out)["ledger"]}
        self.assertEqual(lines["probe.accuracy", "m@test"]["status"], "error")
        self.assertIn("File too large", lines["probe.accuracy", "m@test"]["reason"])
        self.assertEqual(lines["probe.accuracy", "pets@test"]["status"], "ok")
        self.assertEqual([p.name for p in self.folder.rglob("*.part")], [])
        out, err, _ = plumbline("assess", manifest, "--json", "-q", *words)
        lines = {(line["check"], line["subject"]): line for line in json.loads(out)["ledger"]}
        self.assertTrue(lines["probe.accuracy", "pets@test"]["cached"])
        self.assertEqual(lines["probe.accuracy", "m@test"]["status"], "ok", lines)

    def test_a_limit_met_at_many_places(self):
        self.make_system()
        failed = resumed = 0
        sizes = (0, 60_000, 135_000, 280_000, 400_000, 600_000, 10_000_000)
        for size in sizes:
            with self.subTest(bytes=size):
                self.forget()
                met, kept = self.check_after(*self.assess_within(size, "--out", self.folder / "out"))
                failed += met
                resumed += kept
        self.assertGreaterEqual(failed, 5, "the sizes no longer end a run in its middle")
        self.assertLess(failed, len(sizes))
        self.assertGreaterEqual(resumed, 1, "no run ended after its first finished evidence")


SMALL = os.environ.get("PLUMBLINE_SMALL_DISK", "")


@unittest.skipUnless(SMALL, "runs inside SmallDisk, which mounts the file system")
class InsideSmallDisk(FullDisk):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(dir=SMALL)
        self.folder = pathlib.Path(self._folder.name)

    def free(self):
        stat = os.statvfs(SMALL)
        return stat.f_bavail * stat.f_frsize

    def test_a_disk_that_fills_at_many_moments(self):
        self.make_system()
        fill = pathlib.Path(SMALL) / "fill"
        failed = resumed = 0
        sizes = (0, 16, 200, 400, 520, 640, 800, 4000)
        for kilobytes in sizes:
            with self.subTest(kilobytes=kilobytes):
                self.forget()
                fill.write_bytes(b"x" * (self.free() - kilobytes * 1024))
                out, err, code = plumbline("assess", self.folder / "system.toml", "--json", "-q", "--out", self.folder / "out")
                fill.unlink()
                met, kept = self.check_after(out, err, code)
                failed += met
                resumed += kept
        self.assertGreaterEqual(failed, 5, "the sizes no longer end a run in its middle")
        self.assertLess(failed, len(sizes))
        self.assertGreaterEqual(resumed, 1, "no run ended after its first finished evidence")


class SmallDisk(unittest.TestCase):
    """The same on a file system of eight megabytes, in a mount namespace of its own."""

    @unittest.skipIf(SMALL, "already inside")
    def test_in_a_namespace(self):
        with tempfile.TemporaryDirectory(prefix="plumbline-disk-") as folder:
            mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"', folder]
            if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode != 0:
                self.skipTest("this user may not mount a small file system in a namespace (unshare --user --mount); the limit on file sizes is tested anyway")
            done = subprocess.run([*mount, sys.executable, "-m", "unittest", "-v", "cli.test_full_disk.InsideSmallDisk"], capture_output=True, text=True,
                                  env={**os.environ, "PLUMBLINE_SMALL_DISK": folder}, timeout=600, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("OK", done.stderr)
            self.assertNotIn("skipped", done.stderr)


if __name__ == "__main__":
    unittest.main()
