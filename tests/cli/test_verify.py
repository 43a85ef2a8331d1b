"""plumbline verify: statuses, formats, lists, certificates, bad input."""
import csv
import os
import unittest

from cli.support import DATA, SystemTest, load, plumbline


class Verify(SystemTest):
    def setUp(self):
        super().setUp()
        self.assertEqual(plumbline("init", self.folder / "s", "--kind", "network")[2], 0)
        self.model = self.folder / "s/network.onnx"
        self.near = self.folder / "s/near.vnnlib"
        self.far = self.folder / "s/far.vnnlib"

    def test_json_says_everything(self):
        out, _, code = plumbline("verify", self.model, self.near, "--json")
        self.assertEqual(code, 0)
        got = load(out)
        self.assertEqual(got["verdict"], "holds")
        self.assertAlmostEqual(got["certificate"]["margin"], 0.25, places=9)
        self.assertTrue(got["reproducible"])
        out, _, code = plumbline("verify", self.model, self.far, "--json")
        self.assertEqual(code, 1)
        got = load(out)
        self.assertEqual(got["verdict"], "violated")
        self.assertGreaterEqual(sum(abs(x) for x in got["witness"]), 1.75)
        self.assertAlmostEqual(got["output"][0], sum(abs(x) for x in got["witness"]))

    def test_list_repeats_its_cells_and_keeps_going(self):
        self.write("s/list.csv", "network.onnx,./near.vnnlib,10\r\nnetwork.onnx,missing.vnnlib,10\n\nnetwork.onnx,far.vnnlib, 10 \n")
        _, err, code = plumbline("verify", "--instances", self.folder / "s/list.csv", "--csv", self.folder / "out.csv")
        self.assertEqual(code, 2, err)
        with open(self.folder / "out.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(r["onnx"], r["vnnlib"], r["verdict"]) for r in rows],
                         [("network.onnx", "./near.vnnlib", "holds"), ("network.onnx", "missing.vnnlib", "unknown"),
                          ("network.onnx", "far.vnnlib", "violated")])
        self.assertTrue(all(float(r["seconds"]) >= 0 for r in rows))
        self.write("s/list.csv", "network.onnx,near.vnnlib,10\n")
        self.assertEqual(plumbline("verify", "--instances", self.folder / "s/list.csv")[2], 0)
        # The cap of the command line counts, and zero seconds prove nothing.
        out, _, code = plumbline("verify", "--instances", self.folder / "s/list.csv", "--timeout", "0", "--json")
        self.assertEqual((code, load(out)[0]["verdict"]), (3, "unknown"))

    def test_certificates_belong_to_their_files(self):
        path = self.folder / "near.cert"
        self.assertEqual(plumbline("verify", self.model, self.near, "--certificate", path)[2], 0)
        self.assertEqual(plumbline("verify", self.model, self.near, "--check", path)[2], 0)
        _, err, code = plumbline("verify", self.model, self.far, "--check", path)
        self.assertEqual(code, 2)
        self.assertIn("certificate for another property", err)
        whole = path.read_bytes()
        for cut in (0, 8, 50, len(whole) - 1):
            path.write_bytes(whole[:cut])
            self.assertEqual(plumbline("verify", self.model, self.near, "--check", path)[2], 2)

    def test_bad_input_ends_with_status_2(self):
        cases = [
            ((self.model,), "expected MODEL and PROPERTY"),
            ((self.model, self.folder / "none.vnnlib"), "none.vnnlib"),
            ((self.near, self.near), "near.vnnlib"),
            ((self.model, self.write("p.vnnlib", "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 1))(assert (<= Y_0 0))")),
             "speaks of 1 inputs and 1 outputs, the network has 2 and 1"),
            ((self.model, self.write("q.vnnlib", "(assert (<= Z 1))")), "q.vnnlib:1"),
            ((self.model, self.write("r.vnnlib", self.near.read_text().replace("X_0 -0.5", "X_0 0.75"))), "contradict each other"),
            ((self.model, self.near, "--csv", "x.csv"), "--csv belongs to --instances"),
            ((self.model, self.near, "--timeout", "-1"), "--timeout"),
            (("--instances", self.write("bad.csv", "onnx,vnnlib,timeout\n")), "bad.csv:1"),
            (("--instances", self.write("empty.csv", "\n")), "names no instance"),
            (("--instances", self.write("short.csv", "a,b\n")), "expected model,property,seconds"),
        ]
        for words, text in cases:
            _, err, code = plumbline("verify", *words, cwd=self.folder)
            self.assertEqual(code, 2, f"{words}: {err}")
            self.assertIn(text, err)

    @unittest.skipUnless(DATA, "set PLUMBLINE_DATA to a folder that holds vnncomp")
    def test_the_competitions_own_smoke_tests(self):
        out, err, code = plumbline("verify", "--instances", os.path.join(DATA, "vnncomp/test/test_instances.csv"), "--json")
        self.assertEqual(code, 1, err)
        got = [entry["verdict"] for entry in load(out)]
        self.assertEqual(got, ["holds", "holds", "holds", "violated", "holds"])


if __name__ == "__main__":
    unittest.main()
