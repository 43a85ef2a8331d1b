"""replicate through the program: the list, one and all, JSON, the page, bad usage, interruption."""
import json
import re
import signal
import subprocess
import time
import unittest

from cli.support import BIN, SOURCE, SystemTest, plumbline

NAMES = ["off_switch", "lavaland", "implicit_preferences", "side_effects", "quantilizer", "treacherous_turn", "interruption",
         "double_integrator", "air3d", "obfuscated_gradients", "attack_ranking", "acas_xu", "lalonde", "counterfactual_oversight", "change_points"]


class Replicate(SystemTest):
    def test_the_page_walks(self):
        """docs/user/replicate.md: every command, as it stands there, but for where it writes."""
        page = (SOURCE / "docs/user/replicate.md").read_text()
        ran = 0
        for block in re.findall(r"```sh\n(.*?)```", page, re.S):
            for line in block.strip().splitlines():
                words = line.replace("build/replicate-page", str(self.folder / "page")).split()[1:]
                out, err, code = plumbline(*words)
                self.assertEqual(code, 0, f"{line}\n{out}\n{err}")
                self.assertTrue(out.strip(), line)
                ran += 1
        self.assertGreaterEqual(ran, 5)
        self.assertTrue((self.folder / "page/replicate.html").exists())
        for name in NAMES:
            self.assertIn(f"`{name}`", page)

    def test_the_list(self):
        out, _, code = plumbline("replicate")
        self.assertEqual(code, 0)
        for name in NAMES:
            self.assertRegex(out, rf"(?m)^{name} ")
        listed = json.loads(plumbline("replicate", "--json")[0])
        self.assertEqual([r["id"] for r in listed], NAMES)
        for r in listed:
            self.assertEqual(set(r), {"id", "title", "paper", "where", "compares", "seconds"})

    def test_all_as_json_and_page(self):
        out, err, code = plumbline("replicate", "--all", "--json", "--out", self.folder / "page")
        self.assertEqual(code, 0, err)
        self.assertIn("side_effects", err)  # progress goes to standard error
        done = json.loads(out)
        self.assertEqual([r["id"] for r in done], NAMES)
        self.assertEqual(json.loads((self.folder / "page/replicate.json").read_text()), done)
        for r in done:
            self.assertEqual(r["status"], 0, r["id"])
            self.assertEqual(sum(r["counts"].values()), len(r["rows"]))
            self.assertEqual(r["counts"]["differs"], 0)
            self.assertTrue(r["pictures"])
            for row in r["rows"]:
                self.assertIn(row["agreement"], r["counts"])
                published = row["published"]
                self.assertTrue(published["text"] and published["origin"] and published["source"], row["label"])
                if published["origin"] == "none":
                    self.assertIsNone(published["low"])
                if row["agreement"] == "not_run":
                    self.assertIsNone(row["ours"])
                    self.assertTrue(row["not_run"])
                    continue
                ours = row["ours"]
                self.assertIsNotNone(ours["low"], row["label"])
                self.assertLessEqual(ours["low"], ours["value"] + 1e-12)
                self.assertGreaterEqual(ours["high"], ours["value"] - 1e-12)
                self.assertEqual(ours["level"], None if ours["exactness"] == "exact" else 0.95)
                if row["agreement"] == "explained":
                    self.assertTrue(row["deviation"]["why"])
        page = (self.folder / "page/replicate.html").read_text()
        for r in done:
            self.assertIn(r["title"], page)
        self.assertLess(len(page), 5_000_000)

    def test_text_shows_published_beside_ours(self):
        out, _, code = plumbline("replicate", "off_switch")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"published +ours +difference")
        self.assertRegex(out, r"deviation 1, suboptimality 0 +0\.287 +0\.2863 +-0\.00066 +explained")
        self.assertIn("not verified against the paper's text", out)
        self.assertIn("12 rows: 10 agree, 2 differ as explained", out)

    def test_same_seed_same_bits(self):
        first = plumbline("replicate", "interruption", "--json", "--seed", 3)[0]
        self.assertEqual(first, plumbline("replicate", "interruption", "--json", "--seed", 3)[0])
        self.assertEqual(json.loads(first)[0]["seed"], 3)

    def test_bad_usage(self):
        for words, said in [
            (["replicate", "of_switch"], "did you mean 'off_switch'"),
            (["replicate", "everything"], "they are off_switch"),
            (["replicate", "lavaland", "--all"], "--all"),
            (["replicate", "lavaland", "--seed", "x"], "--seed"),
            (["replicate", "off_switch", "--out", "/proc/nowhere"], "/proc/nowhere"),
        ]:
            _, err, code = plumbline(*words)
            self.assertEqual(code, 2, words)
            self.assertIn(said, err, words)

    def test_interrupted_says_so(self):
        done = subprocess.Popen([BIN / "plumbline", "replicate", "side_effects"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.7)
        done.send_signal(signal.SIGINT)
        _, err = done.communicate(timeout=60)
        self.assertEqual(done.returncode, 130, err)
        self.assertIn("stopped on request", err)


if __name__ == "__main__":
    unittest.main()
