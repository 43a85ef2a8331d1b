"""plumbline train: the page's manifest from data to verdict, interruption and going on, and what is wrong with input."""
import json
import os
import random
import re
import signal
import struct
import subprocess
import time
import unittest

from cli.support import BIN, SOURCE, TORCH, SystemTest, plumbline


@unittest.skipUnless(TORCH, "training needs LibTorch")
class Train(SystemTest):
    def setUp(self):
        super().setUp()
        for name, rows, seed in (("train", 400, 1), ("test", 60, 2)):
            draw = random.Random(seed)
            pixels, labels = bytearray(), bytearray()
            for _ in range(rows):
                label = draw.randrange(3)
                labels.append(label)
                pixels += bytes((220 if y // 2 == label else 30) + draw.randrange(20) for y in range(6) for _ in range(6))
            (self.folder / f"{name}-images.idx").write_bytes(struct.pack(">IIII", 0x803, rows, 6, 6) + bytes(pixels))
            (self.folder / f"{name}-labels.idx").write_bytes(struct.pack(">II", 0x801, rows) + bytes(labels))
        page = (SOURCE / "docs/user/train.md").read_text()
        self.manifest = self.write("system.toml", re.search(r"```toml\n(.*?)```", page, re.S).group(1))

    def edit(self, before, after):
        text = self.manifest.read_text()
        self.assertIn(before, text)
        self.manifest.write_text(text.replace(before, after))

    def test_the_page_from_data_to_verdict(self):
        out, err, code = plumbline("train", self.manifest, "--json")
        self.assertEqual(code, 0, err)
        trained = json.loads(out)[0]
        self.assertEqual((trained["method"], trained["rows"], trained["epochs"]), ("ibp", 400, 12))
        self.assertLess(trained["losses"][-1], trained["losses"][0])
        self.assertTrue((self.folder / "reader.onnx").exists())
        out, err, code = plumbline("assess", self.manifest, "--only", "robustness.certificate", "--out", self.folder / "report")
        self.assertEqual(code, 0, out + err)
        self.assertIn("supported", out)
        page = (self.folder / "report/report.html").read_text()
        self.assertIn("Certified and attacked accuracy against epsilon", page)
        # Once more: the checkpoint is finished, and the file the same.
        before = (self.folder / "reader.onnx").read_bytes()
        out, err, code = plumbline("train", self.manifest)
        self.assertEqual(code, 0, err)
        self.assertIn("method ibp, 400 rows, 12 epochs", out)
        self.assertEqual((self.folder / "reader.onnx").read_bytes(), before)

    def test_interrupted_and_resumed_has_the_same_bits(self):
        self.edit("epochs = 12", "epochs = 15\nbatch = 16")
        self.edit('method = "ibp"', 'method = "pgd"\nsteps = 10')
        checkpoint = self.folder / "reader.plnet"
        started = subprocess.Popen([str(BIN / "plumbline"), "train", str(self.manifest)], stderr=subprocess.PIPE, text=True)
        while not checkpoint.exists() and started.poll() is None:
            time.sleep(0.01)
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=300)
        self.assertEqual(started.returncode, 130, err)
        self.assertIn("goes on from there", err)
        self.assertFalse((self.folder / "reader.onnx").exists())
        self.assertEqual(plumbline("train", self.manifest)[2], 0)
        resumed = (self.folder / "reader.onnx").read_bytes()
        checkpoint.unlink()
        self.assertEqual(plumbline("train", self.manifest)[2], 0)
        self.assertEqual((self.folder / "reader.onnx").read_bytes(), resumed)

    def fails(self, *words):
        out, err, code = plumbline("train", self.manifest, *words)
        self.assertEqual(code, 2, out + err)
        return err

    def test_bad_input_is_named(self):
        self.assertIn("Did you mean 'reader'", self.fails("--only", "readr"))
        good = self.manifest.read_text()
        for before, after, words in (
            ('method = "ibp"', 'method = "ibpp"', "method"),
            ("epsilon = 0.05\nepochs", "epsilon = -1\nepochs", "epsilon is -1"),
            ("epochs = 12", "epochs = 0", "epochs is 0"),
            ("hidden = [64]", "hidden = [1.5]", "whole numbers"),
            ('network = "mlp"', 'network = "cnn"\nchannels = [4]', "channels"),
            ('[train.reader]', '[train.writer]', "[model.writer]"),
            ('path = "reader.onnx"', 'path = "reader.pt"\ntrusted = true', ".onnx or .plnet"),
            ('hidden = [64]', 'hidden = [64]\ndata = "nothing"', "nothing"),
            ('hidden = [64]', 'hiden = [64]', "hidden"),
        ):
            self.manifest.write_text(good)
            self.edit(before, after)
            self.assertIn(words, self.fails())
            self.assertFalse((self.folder / "reader.onnx").exists())
        self.manifest.write_text(good)
        self.edit("epochs = 12", "epochs = 1")
        self.assertEqual(plumbline("train", self.manifest)[2], 0)
        self.edit("epsilon = 0.05\nepochs", "epsilon = 0.04\nepochs")
        self.assertIn("other settings", self.fails())
        (self.folder / "reader.plnet").write_bytes(b"junk")
        self.fails()
        os.remove(self.folder / "train-labels.idx")
        self.assertIn("train-labels.idx", self.fails())


if __name__ == "__main__":
    unittest.main()
