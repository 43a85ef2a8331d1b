"""plumbline causal: shapes of the answers, exit statuses, and what is said of bad input."""
import csv
import json
import math
import pathlib
import random
import unittest

from cli.support import DATA, SystemTest, load, plumbline

NETWORK = """network alarm { }
variable burglary { type discrete [ 2 ] { yes, no }; }
variable alarm { type discrete [ 2 ] { on, off }; }
probability ( burglary ) { table 0.01, 0.99; }
probability ( alarm | burglary ) {
  (yes) 1, 0;
  (no) 0.05, 0.95;
}
"""


class Causal(SystemTest):
    def setUp(self):
        super().setUp()
        self.network = self.write("alarm.bif", NETWORK)

    def ask(self, command, *words, file=None):
        return plumbline("causal", command, file or self.network, *words)

    def test_a_formula_from_data_and_sampled_marginals(self):
        self.write("g.txt", "z -> x\nz -> y\nx -> y\n")
        rows = ["z,x,y"] + [f"{i % 2},{i // 2 % 2},{i % 3 // 2}" for i in range(120)]
        self.write("d.csv", "\n".join(rows) + "\n")
        words = ("causal", "identify", self.folder / "g.txt", "--treatment", "x", "--outcome", "y", "--data")
        out, err, code = plumbline(*words, self.folder / "d.csv", "--json")
        self.assertEqual(code, 0, err)
        estimates = json.loads(out)["estimates"]
        self.assertEqual([e["given"] for e in estimates], ["do(x=0)", "do(x=1)"])
        cell = estimates[1]["distribution"]["y=1"]
        self.assertLessEqual(cell["low"], cell["value"])
        # Where z = 1 nobody has x = 1, and where z = 0 everybody has: the formula has nothing to go by.
        self.write("apart.csv", "\n".join(["z,x,y"] + [f"{i % 2},{1 - i % 2},{i % 3 // 2}" for i in range(60)]) + "\n")
        out, err, code = plumbline(*words, self.folder / "apart.csv")
        self.assertEqual(code, 3, err)
        self.assertIn("cannot say", out)
        self.write("short.csv", "z,x\n" + "0,1\n1,0\n" * 10)
        _, err, code = plumbline(*words, self.folder / "short.csv")
        self.assertEqual(code, 2)
        self.assertIn("node 'y' has no column", err)

    def test_distributions_are_objects(self):
        out, _, status = self.ask("query", "--target", "burglary", "--evidence", "alarm=on", "--json")
        self.assertEqual(status, 0)
        self.assertEqual(list(load(out)), ["yes", "no"])
        self.assertAlmostEqual(load(out)["yes"], 0.01 / (0.01 + 0.99 * 0.05), places=12)
        out, _, _ = self.ask("query", "--target", "burglary", "--do", "alarm=on", "--json")
        self.assertAlmostEqual(load(out)["yes"], 0.01, places=12)
        out, _, _ = self.ask("query", "--target", "burglary,alarm", "--json")
        self.assertAlmostEqual(load(out)["burglary=no,alarm=off"], 0.99 * 0.95, places=12)
        out, _, _ = self.ask("marginals", "--json")
        self.assertAlmostEqual(load(out)["alarm"]["on"], 0.01 + 0.99 * 0.05, places=12)

    def test_impossible_evidence_is_an_answer_of_its_own(self):
        for words in (["query", "--target", "alarm", "--evidence", "burglary=yes,alarm=off"],
                      ["marginals", "--evidence", "burglary=yes,alarm=off"],
                      ["counterfactual", "--target", "alarm", "--evidence", "burglary=yes,alarm=off", "--do", "burglary=no", "--noise", "quantile"]):
            out, _, status = self.ask(*words)
            self.assertEqual(status, 3)
            self.assertIn("cannot say: burglary=yes, alarm=off has probability zero", out)
            out, _, status = self.ask(*words, "--json")
            self.assertEqual(status, 3)
            self.assertIsNone(load(out)["distribution"])
            self.assertEqual(load(out)["outcome"], "impossible evidence")

    def test_counterfactuals_need_stated_noise(self):
        words = ["counterfactual", "--target", "alarm", "--evidence", "burglary=yes,alarm=on", "--do", "burglary=no"]
        _, err, status = self.ask(*words)
        self.assertEqual(status, 2)
        self.assertIn("the noise of 'alarm' is not stated", err)
        out, _, status = self.ask(*words, "--noise", "quantile", "--json")
        self.assertEqual(status, 0)
        self.assertAlmostEqual(load(out)["on"], 0.05, places=12)

    def test_effects_by_every_design_as_json(self):
        rng = random.Random(4)
        rows = ["t,y,x,z,run,unit,time,late,one\n"]
        for i in range(400):
            x, u, z, run = rng.gauss(0, 1), rng.gauss(0, 1), rng.randint(0, 1), rng.uniform(-1, 1)
            t = int(rng.random() < 1 / (1 + math.exp(-x)))
            rows.append(f"{t},{x + t + rng.gauss(0, 1)},{x},{z},{run},{i // 4},{i % 4},{int(i // 4 % 2 == 0 and i % 4 > 1)},1\n")
        table = self.write("rows.csv", "".join(rows))
        asked = {
            "measured confounders": ["--treatment", "t", "--covariates", "x"],
            "regression discontinuity": ["--running", "run", "--cutoff", "0"],
            "instrument": ["--treatment", "x", "--instrument", "z"],
            "differences in differences": ["--treatment", "late", "--unit", "unit", "--time", "time"]}
        for design, words in asked.items():
            out, err, status = plumbline("causal", "effect", table, "--outcome", "y", *words, "--json")
            self.assertIn(status, (0, 3), err)
            got = load(out)
            self.assertEqual(got["design"], design)
            self.assertEqual(status == 3, got["answer"]["outcome"] == "cannot say")
            self.assertEqual(status == 3, got["answer"]["value"] is None)
            self.assertTrue(got["assumptions"] and got["experiment"])
            again = plumbline("causal", "effect", table, "--outcome", "y", *words, "--json")[0]
            self.assertEqual(out, again)
            text, _, same = plumbline("causal", "effect", table, "--outcome", "y", *words)
            self.assertEqual(same, status)
            self.assertIn("It assumes", text)
        self.assertIn("region", load(plumbline("causal", "effect", table, "--outcome", "y", *asked["instrument"], "--json")[0]))
        _, _, status = plumbline("causal", "effect", table, "--outcome", "y", "--treatment", "one")
        self.assertEqual(status, 3)

    def test_bad_questions_about_effects(self):
        table = self.write("rows.csv", "t,y,w\n" + "".join(f"{i % 2},{i},a{i}\n" for i in range(30)))
        for words, message in ((["--treatment", "tt", "--outcome", "y"], "no column 'tt'"),
                               (["--treatment", "t", "--outcome", "w"], "holds words"),
                               (["--treatment", "y", "--outcome", "t"], "more than two values"),
                               (["--treatment", "t", "--outcome", "y", "--cutoff", "3"], "go together"),
                               (["--treatment", "t", "--outcome", "y", "--method", "ipv"], "unknown method 'ipv'"),
                               (["--treatment", "t", "--outcome", "y", "--running", "w", "--cutoff", "1"], "not numbers"),
                               (["--treatment", "t", "--outcome", "y", "--separator", ";;"], "one character"),
                               (["--outcome", "y"], "no treatment")):
            _, err, status = plumbline("causal", "effect", table, *words)
            self.assertEqual(status, 2, words)
            self.assertIn(message, err)

    def test_samples_come_with_bounds_and_a_seed(self):
        words = ["query", "--target", "burglary", "--evidence", "alarm=on", "--samples", "50000", "--details", "--json"]
        first, _, status = self.ask(*words, "--seed", "1")
        self.assertEqual(status, 0)
        self.assertEqual(first, self.ask(*words, "--seed", "1")[0])
        self.assertNotEqual(first, self.ask(*words, "--seed", "2")[0])
        self.assertLess(load(first)["low"]["yes"], load(first)["high"]["yes"])

    def test_bad_input_is_named(self):
        def says(text, *words, file=None):
            _, err, status = self.ask(*words, file=file)
            self.assertEqual(status, 2, err)
            self.assertIn(text, err)
            self.assertLess(len(err.splitlines()), 3)

        says("there is no variable 'buglary'. did you mean 'burglary'?", "query", "--target", "buglary")
        says("'alarm' has no state 'loud'. its states are on and off", "query", "--target", "burglary", "--evidence", "alarm=loud")
        says("'alarm' is given twice", "query", "--target", "burglary", "--evidence", "alarm=on,alarm=off")
        says("is not of the form VARIABLE=STATE", "query", "--target", "burglary", "--do", "alarm")
        says("cannot be read", "marginals", file=self.folder / "none.bif")
        says("short.bif:6: the text ends inside a block", "marginals", file=self.write("short.bif", NETWORK[: NETWORK.index("0;")]))
        says("off.bif:4: the probabilities sum to 1.99, expected 1", "marginals",
             file=self.write("off.bif", NETWORK.replace("table 0.01", "table 1")))
        says("the graph has a cycle: burglary -> alarm -> burglary", "marginals",
             file=self.write("cycle.bif", NETWORK.replace("( burglary ) { table 0.01, 0.99; }", "( burglary | alarm ) { default 0.5, 0.5; }")))
        says("the graph has a cycle: a -> b -> a", "identify", "--treatment", "a", "--outcome", "b", file=self.write("g.txt", "a -> b\nb -> a\n"))
        says("'u' is latent", "identify", "--treatment", "u", "--outcome", "b", file=self.write("h.txt", "u -> b\nlatent u\n"))

    def test_identification_as_json(self):
        file = self.write("iv.dot", "digraph { z -> x; x -> y; u [latent]; u -> x; u -> y }")
        out, _, status = self.ask("identify", "--treatment", "x", "--outcome", "y", "--json", file=file)
        self.assertEqual(status, 1)
        self.assertEqual(load(out)["instruments"], [{"node": "z", "given": []}])
        self.assertEqual(load(out)["hedge"], {"outer": ["x", "y"], "inner": ["y"]})
        file = self.write("back.txt", "w -> x -> y; w -> v -> y")
        out, _, status = self.ask("identify", "--treatment", "x", "--outcome", "y", "--json", file=file)
        self.assertEqual(status, 0)
        self.assertEqual(load(out)["backdoor"], {"sets": [["w"], ["v"]], "complete": True})
        self.assertEqual(load(out)["adjustment"], "sum_{w} P(w) P(y | w, x)")

    def test_graphs_and_tables(self):
        rows = "a,b,c\n" + "".join(f"{i % 7 * 1.5 + i % 3 * 0.1},{i % 7 * 3.1 + i % 5 * 0.7},{i % 11 * 0.3}\n" for i in range(200))
        table = self.write("rows.csv", rows)
        graph = self.write("graph.txt", "a -> b; c\n")
        out, _, status = plumbline("causal", "test", graph, table, "--json")
        self.assertEqual(status, 0, out)
        self.assertEqual({(t["a"], t["b"]) for t in load(out)["implied"]}, {("a", "c"), ("b", "c")})
        out, _, status = plumbline("causal", "test", self.write("none.txt", "a; b; c\n"), table)
        self.assertEqual(status, 1)
        self.assertIn("a depends on b", out)
        out, _, status = plumbline("causal", "test", self.write("full.txt", "a -> b -> c; a -> c\n"), table)
        self.assertEqual(status, 3)
        self.assertIn("cannot say", out)
        for method in ("pc", "ges", "exact"):
            out, _, status = plumbline("causal", "learn", table, "--method", method, "--json")
            self.assertEqual(status, 0)
            self.assertEqual([(e["from"], e["to"], e["directed"]) for e in load(out)["edges"]], [("a", "b", False)])
        for words, text in ((["test", self.write("other.txt", "a -> z\n"), table], "node 'z' has no column in the data"),
                            (["learn", self.write("one.csv", "a,b\n1,2\n")], "1 rows, at least 10 are needed"),
                            (["learn", self.write("gap.csv", rows + "1,,2\n")], "row 201 of column 'b' is missing"),
                            (["learn", table, "--separator", "ab"], "--separator takes one character"),
                            (["learn", table, "--score", "bdeu", "--method", "ges"], "BDeu is a score for states"),
                            (["learn", table, "--alpha", "0"], "alpha")):
            _, err, status = plumbline("causal", *words)
            self.assertEqual(status, 2)
            self.assertIn(text, err)

    def test_reference_marginals(self):
        folder = pathlib.Path(DATA) / "causal/bayesnets"
        if not DATA:
            self.skipTest("PLUMBLINE_DATA is not set")
        for name in ("asia", "alarm"):
            answers = {}
            with open(folder / f"{name}.marginals.csv", encoding="utf-8") as rows:
                for row in csv.DictReader(rows):
                    evidence = row["evidence"].replace(";", ",")
                    if evidence not in answers:
                        words = ["--evidence", evidence] if evidence else []
                        answers[evidence] = load(self.ask("marginals", *words, "--json", file=folder / f"{name}.bif")[0])
                    self.assertAlmostEqual(answers[evidence][row["variable"]][row["state"]], float(row["probability"]), delta=1e-9)


if __name__ == "__main__":
    unittest.main()
