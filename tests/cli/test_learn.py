"""plumbline learn: shapes of the answers, propensities and policies that fit together, and what is said of bad input."""
import random
import unittest

from cli.support import SystemTest, load, plumbline


class Learn(SystemTest):
    def setUp(self):
        super().setUp()
        rng = random.Random(5)
        rows = []
        for _ in range(700):
            label = rng.choice("abc")
            rows.append(f"{rng.gauss('abc'.index(label) * 2, 1):.3f},{rng.choice('xy')},{label}")
        self.table = self.write("rows.csv", "u,kind,label\n" + "\n".join(rows) + "\n")

    def learn(self, *words, file=None):
        return plumbline("learn", file or self.table, *words)

    def test_every_rule_learns_and_its_log_is_clean(self):
        for name in ("epsilon_greedy", "softmax", "linucb", "thompson", "squarecb", "bagging"):
            log = self.folder / f"{name}.npz"
            out, err, status = self.learn("--label", "label", "--algorithm", name, "--epsilon", "0.2", "--log-out", log, "--json")
            self.assertEqual(status, 0, err)
            found = load(out)
            self.assertEqual(found["rows"], 700)
            self.assertGreater(found["earned"]["expected"], found["best_fixed"]["value"])
            self.assertAlmostEqual(found["uniform"], 1 / 3)
            self.assertEqual(found["curve"][-1]["rows"], 700)
            out, err, status = plumbline("estimate", log, "--policy", "logged", "--estimators", "ips", "--json")
            self.assertEqual(status, 0, err)
            self.assertAlmostEqual(load(out)["support"]["mean_weight"], 1, places=12)

    def test_conservative_keeps_and_says_so(self):
        out, err, status = self.learn("--label", "label", "--keep", "0.8", "--baseline", "fixed:a", "--json")
        self.assertEqual(status, 0, err)
        kept = load(out)["conservative"]
        self.assertGreater(kept["excess"], 0)
        self.assertGreaterEqual(kept["excess"], kept["excess_low"])
        self.assertGreater(kept["learner_share"], 0.2)

    def test_two_halves_are_the_whole(self):
        half, rest, whole = (self.folder / name for name in ("half.json", "rest.json", "whole.json"))
        self.learn("--label", "label", "--limit", "300", "--save", half, "--shuffle", "--seed", "4")
        out, err, status = self.learn("--label", "label", "--resume", half, "--skip", "300", "--save", rest, "--shuffle", "--seed", "4")
        self.assertEqual(status, 0, err)
        self.assertIn("400 after 300", out)
        self.learn("--label", "label", "--save", whole, "--shuffle", "--seed", "4")
        self.assertEqual(rest.read_bytes(), whole.read_bytes())

    def test_pessimistic_is_judged_on_rows_kept_apart(self):
        log = self.folder / "log.jsonl"
        self.learn("--label", "label", "--algorithm", "epsilon_greedy", "--epsilon", "0.8", "--log-out", log)
        out, err, status = self.learn("--algorithm", "pessimistic", "--save", self.folder / "shy.json", "--json", file=log)
        self.assertEqual(status, 0, err)
        found = load(out)
        self.assertEqual(found["fitted"] + found["judged"], 700)
        self.assertTrue(found["shown_better"])
        self.assertGreater(found["gains"][1]["low"], 0)
        out, err, status = plumbline("estimate", log, "--policy", f"model:{self.folder / 'shy.json'}", "--estimators", "snips", "--json")
        self.assertEqual(status, 0, err)

    def test_bad_input(self):
        log = self.folder / "log.jsonl"
        self.learn("--label", "label", "--log-out", log)
        policy = self.folder / "p.json"
        self.learn("--label", "label", "--save", policy)
        broken = self.write("broken.json", policy.read_text()[:300])
        other = self.write("other.csv", "v,label\n1,a\n2,b\n3,a\n")
        for words, file, said in (
                (["--label", "lable"], None, "did you mean 'label'?"),
                (["--label", "label", "--keep", "0.9"], None, "--keep and --baseline belong together"),
                (["--label", "label", "--keep", "0.9", "--baseline", "fixed:z"], None, "'z' is not in the log"),
                (["--label", "label", "--log-out", "x.txt"], None, "ends neither in"),
                (["--label", "label", "--resume", broken], None, "is no learned policy"),
                (["--label", "label", "--resume", policy, "--algorithm", "linucb"], None, "keeps its algorithm"),
                (["--label", "label", "--resume", policy, "--skip", "700"], None, "rows 701 to 700"),
                (["--label", "label", "--resume", policy], other, "reads 'u', which the context lacks"),
                (["--log-out", "x.npz"], log, "another policy's"),
                (["--keep", "0.9", "--baseline", "uniform"], log, "must decide itself"),
                (["--shuffle"], log, "are for tables"),
                (["--algorithm", "pessimistic", "--label", "label"], None, "learns at once from a log"),
                ([], self.table, "column")):
            _, err, status = self.learn(*words, file=file)
            self.assertEqual(status, 2, (words, err))
            self.assertIn(said, err, words)
        _, err, status = plumbline("estimate", log, "--policy", f"model:{self.table}")
        self.assertEqual(status, 2)
        self.assertIn("is no learned policy", err)


class Episodes(SystemTest):
    def test_words_that_do_not_fit(self):
        log = self.write("log.jsonl", "".join(
            f'{{"unit":"u{i // 2}","context":{{"s":{i % 2}}},"actions":["a","b"],"probabilities":[0.5,0.5],"action":"{"ab"[i % 3 % 2]}",'
            f'"propensity":0.5,"reward":{i % 5}}}\n' for i in range(400)))
        ask = lambda *words: plumbline("estimate", log, "--policy", "fixed:a", "--epsilon", "0.5", *words)
        out, err, status = ask("--episodes", "--state", "s", "--json")
        self.assertEqual(status, 0, err)
        found = load(out)
        self.assertEqual(found["episodes"], 200)
        self.assertEqual([v["estimator"] for v in found["values"]], ["per_decision", "weighted", "dr", "fitted_q", "marginal"])
        for words, said in ((["--episodes", "--estimators", "dr"], "reads the state"),
                            (["--episodes", "--estimators", "ips"], "is no estimator of episodes"),
                            (["--episodes", "--state", "t"], "no context column 't'"),
                            (["--episodes", "--against", "uniform"], "logged policy alone"),
                            (["--episodes", "--ci", "normal"], "bootstrap alone"),
                            (["--stream"], "not in column form")):
            _, err, status = ask(*words)
            self.assertEqual(status, 2, words)
            self.assertIn(said, err)


if __name__ == "__main__":
    unittest.main()
