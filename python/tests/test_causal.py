"""The causal part from Python: conversion, outcomes and errors. Its mathematics is tested beside the C++ code."""
import pathlib
import tempfile
import unittest

import numpy as np
import plumbline

SIRENS = """network sirens { }
variable weather  { type discrete [ 2 ] { good, bad }; }
variable accident { type discrete [ 2 ] { no, yes }; }
variable sirens   { type discrete [ 2 ] { no, yes }; }
probability ( weather ) { table 0.8, 0.2; }
probability ( accident | weather ) { (good) 0.95, 0.05; (bad) 0.7, 0.3; }
probability ( sirens | weather, accident ) {
  (good, no) 0.95, 0.05; (good, yes) 0.2, 0.8; (bad, no) 0.85, 0.15; (bad, yes) 0.1, 0.9;
}
"""


class Causal(unittest.TestCase):
    def test_seeing_and_doing(self):
        done = plumbline.causal_query(SIRENS, ["sirens"], do={"weather": "bad", "accident": "no"})
        self.assertEqual(done["outcome"], "answered")
        self.assertAlmostEqual(done["distribution"]["yes"], 0.15)
        # Weather given an accident: 0.2 * 0.3 / (0.2 * 0.3 + 0.8 * 0.05).
        seen = plumbline.causal_query(SIRENS, ["weather"], evidence={"accident": "yes"})
        self.assertAlmostEqual(seen["distribution"]["bad"], 0.6)
        both = plumbline.causal_query(SIRENS, ["weather", "accident"])["distribution"]
        self.assertAlmostEqual(both["bad", "yes"], 0.06)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "sirens.bif")
            path.write_text(SIRENS)
            self.assertEqual(plumbline.causal_query(str(path), ["weather"], evidence={"accident": "yes"}), seen)

    def test_samples_have_bounds_and_marginals_agree(self):
        exact = plumbline.causal_marginals(SIRENS, evidence={"sirens": "yes"})["distribution"]
        sampled = plumbline.causal_marginals(SIRENS, evidence={"sirens": "yes"}, samples=50000, seed=3)["distribution"]
        for variable, states in exact.items():
            for state, p in states.items():
                self.assertLessEqual(sampled[variable][state].lower[0.9999], p + 1e-12)
                self.assertGreaterEqual(sampled[variable][state].upper[0.9999], p - 1e-12)
        one = plumbline.causal_query(SIRENS, ["weather"], samples=20000, seed=1)
        self.assertAlmostEqual(one["estimates"]["bad"].value, one["distribution"]["bad"])

    def test_what_would_have_been(self):
        got = plumbline.causal_counterfactual(SIRENS, ["sirens"], do={"accident": "no"},
                                              evidence={"weather": "bad", "accident": "yes", "sirens": "yes"}, noise="independent")
        self.assertAlmostEqual(got["distribution"]["yes"], 0.15)
        with self.assertRaisesRegex(ValueError, "sirens"):
            plumbline.causal_counterfactual(SIRENS, ["sirens"], do={"accident": "no"})

    def test_identify(self):
        got = plumbline.causal_identify("x -> m\nm -> y\nx <-> y", ["x"], ["y"])
        self.assertTrue(got["identified"])
        self.assertIn("sum_{m}", got["formula"])
        self.assertIsNone(got["hedge"])
        bow = plumbline.causal_identify("x -> y\nx <-> y", ["x"], ["y"])
        self.assertFalse(bow["identified"])
        self.assertIsNone(bow["formula"])
        self.assertEqual(sorted(bow["hedge"][0]), ["x", "y"])

    def test_learn(self):
        rng = np.random.default_rng(1)
        a, b = rng.normal(size=(2, 2000))
        c = a + b + rng.normal(size=2000)
        for method in ("pc", "ges", "exact"):
            edges = set(plumbline.causal_learn({"a": a, "b": b, "c": c}, method=method))
            self.assertEqual(edges, {("a", "c", True), ("b", "c", True)}, method)

    def test_errors_are_exceptions_and_cannot_say_is_a_value(self):
        with self.assertRaisesRegex(ValueError, "sirns"):
            plumbline.causal_query(SIRENS, ["sirns"])
        with self.assertRaises(OSError):
            plumbline.causal_query("/nowhere.bif", ["a"])
        with self.assertRaisesRegex(ValueError, "method|pc"):
            plumbline.causal_learn({"a": np.arange(20.0), "b": np.arange(20.0) ** 2}, method="guess")
        certain = SIRENS.replace("0.8, 0.2", "1.0, 0.0")
        got = plumbline.causal_query(certain, ["sirens"], evidence={"weather": "bad"})
        self.assertEqual(got["outcome"], "impossible evidence")
        self.assertEqual(got["distribution"], {})


if __name__ == "__main__":
    unittest.main()
