"""Runs the programs as a user would and makes small systems for them."""
import gzip
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest
import zipfile

BIN = pathlib.Path(os.environ["PLUMBLINE_BIN"])
SOURCE = pathlib.Path(os.environ["PLUMBLINE_SOURCE"])
TORCH = os.environ.get("PLUMBLINE_TORCH", "1") == "1"
DATA = os.environ.get("PLUMBLINE_DATA", "")


def plumbline(*words, cwd=None, env=None, timeout=600):
    """Standard output, standard error and exit status of one call."""
    done = subprocess.run([str(BIN / "plumbline"), *map(str, words)], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True,
                          text=True, timeout=timeout, check=False)
    return done.stdout, done.stderr, done.returncode


class SystemTest(unittest.TestCase):
    """A test with a folder of its own."""

    def listening(self, command, scheme="http", **how):
        """A program that has said where it listens, and that address; it ends with the test."""
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
        self.addCleanup(self.end, process)
        line = process.stdout.readline()
        match = re.match(rf"listening on {scheme}://(\S+)", line)
        self.assertTrue(match, f"{line}{process.stderr.read() if process.poll() is not None else ''}")
        return process, match[1]

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="plumbline-cli-")
        self.folder = pathlib.Path(self._folder.name)

    def tearDown(self):
        self._folder.cleanup()

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def write_predictions_system(self, rows=400, errors=20, claim="at_least = 0.8", extra=""):
        """A table of stored predictions: `errors` of `rows` are wrong, confidences honest."""
        table = "x,label\n" + "".join(f"{i},{'cat' if i % 2 else 'dog'}\n" for i in range(rows))
        self.write("test.csv", table)
        lines = []
        for i in range(rows):
            label = 0 if i % 2 else 1
            predicted = label if i >= errors else 1 - label
            p = 1 - errors / rows
            lines.append(f"{p if predicted == 0 else 1 - p:.4f},{p if predicted == 1 else 1 - p:.4f}")
        self.write("predictions.csv", "cat,dog\n" + "\n".join(lines) + "\n")
        return self.write("system.toml", f"""[system]
name = "pets"
seed = 1

[data.test]
table = "test.csv"
label = "label"

[predictions.test]
model = "pets"
data = "test"
path = "predictions.csv"
output = "probabilities"

[[claim]]
id = "right"
text = "It is right."
check = "probe.accuracy"
metric = "accuracy"
where = {{data = "test"}}
{claim}
{extra}
""")

    def assess(self, *words, only=("probe.accuracy",), **kwargs):
        selection = [w for name in only for w in ("--only", name)]
        return plumbline("assess", self.folder / "system.toml", *selection, *words, **kwargs)


def write_torchscript(path, body):
    """A TorchScript file without weights whose forward(x) has this body: the archive is a zip file with the code as text."""
    code = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n"
    code += "".join(f"    {line}\n" for line in body.splitlines())
    # M(), then its one attribute `training` = False, in the pickle opcodes that LibTorch reads.
    module = b"\x80\x02c__torch__\nM\n)\x81}(X\x08\x00\x00\x00training\x89ub."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (("data.pkl", module), ("code/__torch__.py", code), ("constants.pkl", b"\x80\x02)."), ("version", "3\n")):
            archive.writestr("m/" + name, data)


def idx_images(images, height, width):
    return struct.pack(">4i", 2051, len(images), height, width) + b"".join(bytes(image) for image in images)


def idx_labels(labels):
    return struct.pack(">2i", 2049, len(labels)) + bytes(labels)


def gz(data):
    return gzip.compress(data, mtime=0)


def load(text):
    return json.loads(text)
