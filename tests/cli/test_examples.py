"""The examples on real data, with the figures that their READMEs state."""
import functools
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from cli.support import DATA, SOURCE, TORCH, load, plumbline

EXAMPLES = pathlib.Path(os.environ.get("PLUMBLINE_EXAMPLES", ""))


class Example(unittest.TestCase):
    """One folder for what the examples make, shared by a class of tests."""

    needs = ()

    @classmethod
    def setUpClass(cls):
        if not DATA:
            raise unittest.SkipTest("PLUMBLINE_DATA is not set: the examples read real data")
        for path in cls.needs:
            if not (pathlib.Path(DATA) / path).exists():
                raise unittest.SkipTest(f"PLUMBLINE_DATA has no {path}")
        cls._folder = tempfile.TemporaryDirectory(prefix="plumbline-examples-")
        cls.addClassCleanup(cls._folder.cleanup)
        cls.made = pathlib.Path(cls._folder.name) / "made"
        cls.made.mkdir()

    @classmethod
    def make(cls, program, manifest, *words):
        done = subprocess.run([str(EXAMPLES / program), str(SOURCE / "examples" / manifest), str(cls.made), *map(str, words)], capture_output=True,
                              text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    @classmethod
    def assess(cls, manifest, *words):
        """The parsed evidence, and the exit status. Runs of one class share a store."""
        out, err, status = plumbline("assess", SOURCE / "examples" / manifest, "--root", f"made={cls.made}", "--store",
                                     pathlib.Path(cls._folder.name) / "store.db", "--json", "--quiet", *words)
        if not out:
            raise AssertionError(err)
        return load(out), status

    @staticmethod
    def value(result, metric, check="", **where):
        found = [e["value"] for e in result["evidence"] if e["metric"] == metric and check in ("", e["check"]) and all(e["where"].get(k) == v for k, v in where.items())]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} pieces of evidence on {metric} {where}")
        return found[0]

    @staticmethod
    def statuses(result):
        out = {}
        for line in result["ledger"]:
            out.setdefault(line["check"], set()).add(line["status"])
        return out

    @staticmethod
    def verdicts(result):
        return {claim["id"]: claim["verdict"] for claim in result["claims"]}


class Digits(Example):
    needs = ("images/mnist", "images/fashion-mnist", "vnncomp/mnistfc/onnx/mnist-net_256x2.onnx")

    def test_scores_without_calibration_rows(self):
        result, status = self.assess("digits/system.toml")
        self.assertEqual(status, 1)
        statuses = self.statuses(result)
        # No probabilities; nothing is rewarded, decided, asked or asserted here.
        without = {check for check in statuses if check.startswith("caution.")}
        without |= {check for check in statuses if check.startswith(("reward.", "counterfactual.", "system.", "oversight."))}
        without.add("probe.assertions")
        if not TORCH:
            without |= {"methodology.gradient", "self-test.parity"}
        checked = {e["check"] for e in result["evidence"]}
        for check, found in statuses.items():
            with self.subTest(check):
                if check in without:
                    self.assertEqual(found, {"not_applicable"})
                else:
                    self.assertEqual(found, {"ok"})
                    if not check.startswith("self-test."):
                        self.assertIn(check, checked)
        self.assertGreaterEqual(len(statuses), 12)
        self.assertEqual(self.value(result, "accuracy", data="test"), 0.9808)
        self.assertEqual(self.value(result, "exact_share", data="test"), 0.0)
        self.assertEqual(self.verdicts(result), {"reads-digits": "supported", "nothing-leaked": "supported", "notices-clothes": "refuted"})

        start = time.monotonic()
        again, _ = self.assess("digits/system.toml")
        self.assertTrue(all(line["cached"] for line in again["ledger"] if line["status"] == "ok"))
        self.assertLess(time.monotonic() - start, 10)  # a cache that works; the figure itself is measured elsewhere
        self.assertEqual([e["id"] for e in again["evidence"]], [e["id"] for e in result["evidence"]])

    @unittest.skipUnless(TORCH, "built without LibTorch: no convolutional network can be trained")
    def test_convolutional_network(self):
        self.make("example_digits_cnn", "digits/system-cnn.toml", 1, 10000)
        only = [w for check in ("probe.accuracy", "caution") for w in ("--only", check)]
        result, _ = self.assess("digits/system-cnn.toml", *only)
        self.assertGreater(self.value(result, "accuracy", check="probe.accuracy", data="test"), 0.93)
        self.assertEqual(self.statuses(result)["caution.conformal"], {"ok"})
        coverage = self.value(result, "coverage", data="test", method="lac", level="0.9")
        # Over 3000 calibration and 7000 test rows the deviation of coverage at 0.9 is 0.0065.
        self.assertAlmostEqual(coverage, 0.9, delta=5 * 0.0065)


class FashionOod(Example):
    needs = ("images/mnist", "images/fashion-mnist")

    def test_table(self):
        self.make("example_linear", "fashion-ood/system.toml", 2000)
        result, status = self.assess("fashion-ood/system.toml", "--only", "robustness.ood")
        self.assertEqual(status, 0)
        auroc = functools.partial(self.value, result, "auroc", data="digits")
        # Exact: scikit-learn with its full solver. Published: its randomised solver under seed 0, whose figures run over `spread` with the
        # seed (both by bench/peers/fashion_ood.py); the published figure must lie where the solver alone can put it.
        for detector, exact, published, spread in (("mahalanobis", 0.95614, 0.955, (0.95380, 0.95716)),
                                                   ("relative_mahalanobis", 0.93584, 0.937, (0.93517, 0.94099)),
                                                   ("knn", 0.95600, 0.956, (0.95557, 0.95600)),
                                                   ("pca_residual", 0.96687, 0.968, (0.96680, 0.96789))):
            with self.subTest(detector):
                self.assertAlmostEqual(auroc(detector=detector), exact, delta=1e-4)
                self.assertTrue(spread[0] - 1e-4 <= auroc(detector=detector) <= spread[1] + 1e-4)
                self.assertTrue(spread[0] - 5e-4 <= published <= spread[1] + 5e-4)


class OpenBandit(Example):
    needs = ("bandit/obd_men",)

    def test_both_directions(self):
        subprocess.run(["/usr/bin/python3", str(SOURCE / "examples/open-bandit/thompson.py"), f"{DATA}/bandit/obd_men/bts_beta_priors.yaml",
                        str(self.made / "thompson.csv"), "5000"], check=True, timeout=300)
        result, status = self.assess("open-bandit/system.toml", "--only", "counterfactual")
        self.assertEqual(status, 0)
        value = functools.partial(self.value, result, "value")
        # Without simulation the reference figures come out to all digits; the table of 5,000 simulations moves the others by about 7e-5.
        self.assertAlmostEqual(value(data="thompson", estimator="ips"), 0.003009, delta=5e-7)
        self.assertAlmostEqual(value(data="thompson", estimator="snips"), 0.003189, delta=5e-7)
        self.assertAlmostEqual(value(data="random", estimator="ips"), 0.004534, delta=3e-4)
        self.assertAlmostEqual(value(data="random", estimator="snips"), 0.004604, delta=3e-4)


class Income(Example):
    needs = ("tabular/adult.data", "tabular/adult.test", "tabular/elec2.csv")

    def test_groups(self):
        self.make("example_linear", "income/system.toml")
        only = [w for check in ("probe.accuracy", "caution.calibration", "methodology.leakage") for w in ("--only", check)]
        result, status = self.assess("income/system.toml", *only)
        self.assertEqual(status, 1)
        # Published for logistic regression: 15.24 % errors on the rows without missing cells.
        self.assertAlmostEqual(1 - self.value(result, "accuracy", data="test", slice=None), 0.1524, delta=0.008)
        slices = {e["where"]["slice"] for e in result["evidence"] if "slice" in e["where"]}
        self.assertLessEqual({"sex=Female", "sex=Male", "race=White", "race=Black"}, slices)
        self.assertGreater(self.value(result, "slice_error_lift", data="test", slice="sex=Male"), 0.08)
        self.assertGreater(self.value(result, "exact_share", data="test"), 0)
        self.assertEqual(self.verdicts(result), {"right-five-times-in-six": "supported", "honest-confidence": "supported", "as-good-for-men": "refuted"})

    def test_drift_in_time(self):
        rows = (pathlib.Path(DATA) / "tabular/elec2.csv").read_text().splitlines(keepends=True)
        (self.made / "earlier.csv").write_text("".join(rows[:15105]))
        (self.made / "later.csv").write_text("".join(rows[:1] + rows[15105:]))
        self.make("example_linear", "income/elec2.toml")
        result, status = self.assess("income/elec2.toml", "--only", "robustness.drift", "--only", "probe.accuracy")
        self.assertEqual(status, 1)
        # Published: 71.9 % on what comes after the first third.
        self.assertAlmostEqual(self.value(result, "accuracy", data="test", slice=None), 0.719, delta=0.001)
        self.assertGreater(self.value(result, "classifier_auroc", data="test"), 0.85)
        self.assertGreaterEqual(self.value(result, "features_moved", data="test"), 4)
        self.assertEqual(set(self.verdicts(result).values()), {"refuted"})


class Arct(Example):
    needs = ("redteam/artifacts/arct_train.tsv", "redteam/artifacts/arct_test.tsv")

    def test_warrants_alone(self):
        result, _ = self.assess("arct/system.toml", "--only", "methodology.shortcut")
        warrants = "fields warrant0 against warrant1"
        for data, accuracy, delta in (("written", 0.60, 0.02), ("mirrored", 0.5, 1e-12)):
            majority = self.value(result, "majority_accuracy", data=data)
            gain = self.value(result, "baseline_gain", data=data, baseline=warrants)
            self.assertAlmostEqual(majority + gain, accuracy, delta=delta)
        self.assertTrue(any("warrant0 against warrant1" in f["title"] for f in result["findings"]))


if __name__ == "__main__":
    unittest.main()
