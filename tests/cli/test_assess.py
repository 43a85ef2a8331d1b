"""assess and the commands around the store, from files on disk to exit status."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from cli.support import BIN, TORCH, SystemTest, idx_images, idx_labels, plumbline, write_torchscript


class Assess(SystemTest):
    def test_exit_status_follows_the_verdict(self):
        for claim, status, verdict in (("at_least = 0.8", 0, "supported"), ("at_least = 0.99", 1, "refuted"), ("at_least = 0.95", 3, "undetermined")):
            self.write_predictions_system(claim=claim)
            out, err, code = self.assess("--json", "--store", self.folder / f"{verdict}.db")
            self.assertEqual(code, status, err)
            self.assertEqual(json.loads(out)["claims"][0]["verdict"], verdict)
        self.write_predictions_system(claim="at_least = 0.95")
        _, _, code = self.assess("--fail-on", "refuted", "--store", self.folder / "x.db")
        self.assertEqual(code, 0)

    def test_outputs_are_written_and_agree(self):
        self.write_predictions_system(claim="at_least = 0.99")
        out, _, code = self.assess("--json", "--out", self.folder / "report")
        self.assertEqual(code, 1)
        names = sorted(p.name for p in (self.folder / "report").iterdir())
        for name in ("evidence.json", "report.html", "junit.xml", "results.sarif", "summary.md", "case.gsn.yaml", "artifacts"):
            self.assertIn(name, names)
        stored = json.loads((self.folder / "report/evidence.json").read_text())
        self.assertEqual(sorted(stored), ["argument", "claims", "evidence", "findings", "ledger", "run", "schema"])
        self.assertEqual(stored["evidence"], json.loads(out)["evidence"])
        self.assertIn("refuted", (self.folder / "report/summary.md").read_text())
        self.assertIn("<failure", (self.folder / "report/junit.xml").read_text())

    def test_every_check_has_a_ledger_line(self):
        self.write_predictions_system()
        out, _, _ = plumbline("assess", self.folder / "system.toml", "--json")
        listed, _, _ = plumbline("checks", "list", "--json")
        self.assertEqual({line["check"] for line in json.loads(out)["ledger"]}, {c["id"] for c in json.loads(listed)})
        for line in json.loads(out)["ledger"]:
            self.assertTrue(line["status"] == "ok" or line["reason"], line)

    def test_an_upgraded_shared_library_computes_anew(self):
        """Another build of a library that the worker is given: the same figures, but nothing from the cache."""
        self.write_predictions_system()
        listing = subprocess.run(["ldd", str(BIN / "plumbline-worker")], capture_output=True, text=True, check=True).stdout
        library = pathlib.Path(next(words[2] for words in map(str.split, listing.splitlines()) if words[0].startswith("libtbb.so")))
        data = bytearray(library.read_bytes())
        mark = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0"  # the note that holds the build id
        (self.folder / "lib").mkdir()

        def run(upgraded):
            env = {"LD_LIBRARY_PATH": str(self.folder / "lib")} if upgraded else {}
            out, err, code = self.assess("--json", env=env)
            self.assertEqual(code, 0, err)
            record = json.loads(out)
            line = next(line for line in record["ledger"] if line["check"] == "probe.accuracy")
            return line["cached"], record["run"]["build"], [e["id"] for e in record["evidence"]]

        first = run(False)
        self.assertFalse(first[0])
        self.assertIn("Eigen 3", first[1])
        self.assertEqual("LibTorch 1" in first[1], TORCH)
        (self.folder / "lib" / library.name).write_bytes(data)
        self.assertEqual(run(True), (True, *first[1:]))  # the same build from another folder
        data[data.index(mark) + len(mark)] ^= 1
        (self.folder / "lib" / library.name).write_bytes(data)
        upgraded = run(True)
        self.assertFalse(upgraded[0])
        self.assertNotEqual(upgraded[1], first[1])
        self.assertEqual(upgraded[2], first[2])
        self.assertEqual(run(False), (True, *first[1:]))

    def test_every_kind_of_model_has_a_self_test_line(self):
        (self.folder / "images.idx").write_bytes(idx_images([[i * 6] * 16 for i in range(40)], 4, 4))
        (self.folder / "labels.idx").write_bytes(idx_labels([i % 2 for i in range(40)]))
        data = '[data.test]\nimages = "images.idx"\nlabels = "labels.idx"\n[data.train]\nimages = "images.idx"\nlabels = "labels.idx"\n'
        data += '[data.elsewhere]\nimages = "images.idx"\nrole = "out-of-distribution"\n'
        shape = 'output = "logits"\nclasses = 2\ninput_shape = [1, 4, 4]\n'
        self.write("reader.py", "import numpy\n\ndef honest(rows):\n    x = rows.reshape(len(rows), -1)\n    return numpy.stack([x[:, 0], 1 - x[:, 0]], axis=1)\n\n"
                   "def drawn(rows):\n    return honest(rows) + numpy.random.rand(len(rows), 2)\n")
        write_torchscript(self.folder / "honest.pt", "y = torch.reshape(x, [-1, 16])\nreturn torch.slice(y, 1, 0, 2)")
        write_torchscript(self.folder / "drawn.pt", "y = torch.reshape(x, [-1, 16])\nreturn torch.add(torch.slice(y, 1, 0, 2), torch.rand([torch.size(x, 0), 2]))")
        models = {"callable, honest": 'callable = "reader:honest"', "callable, drawn": 'callable = "reader:drawn"'}
        if TORCH:
            models |= {"torchscript, honest": 'path = "honest.pt"\ntrusted = true', "torchscript, drawn": 'path = "drawn.pt"\ntrusted = true'}
        for name, model in models.items():
            with self.subTest(name):
                self.write("system.toml", f'[system]\nname = "x"\n[model.m]\n{model}\n{shape}{data}')
                out, err, code = self.assess("--json", only=("robustness.ood",))
                lines = [line for line in json.loads(out)["ledger"] if line["check"] == "self-test.repetition"]
                self.assertEqual(len(lines), 1, err)
                if name.endswith("honest"):
                    self.assertEqual((lines[0]["status"], code), ("ok", 0), out)
                    self.assertIn("40 rows of test; no second implementation, so the model against itself", lines[0]["rows"])
                else:
                    self.assertEqual((lines[0]["status"], code), ("error", 4), lines)
                    ood = next(line for line in json.loads(out)["ledger"] if line["check"] == "robustness.ood")
                    self.assertIn("no robustness figure counts", ood["reason"])

    def test_cached_run_gives_the_same_evidence_and_is_no_new_look(self):
        self.write_predictions_system()
        first, _, _ = self.assess("--json")
        second, _, _ = self.assess("--json")
        a, b = json.loads(first), json.loads(second)
        self.assertEqual([e["id"] for e in a["evidence"]], [e["id"] for e in b["evidence"]])
        self.assertTrue(all(line["cached"] for line in b["ledger"] if line["status"] == "ok"))
        self.assertEqual(b["claims"][0]["looks"], 1)
        manifest = self.folder / "system.toml"
        manifest.write_text(manifest.read_text().replace("seed = 1", "seed = 2"))
        third, _, _ = self.assess("--json")
        self.assertEqual(json.loads(third)["claims"][0]["looks"], 2)

    def test_same_bits_for_any_number_of_workers(self):
        self.write_predictions_system()
        runs = []
        for jobs in (1, 3):
            out, _, _ = plumbline("assess", self.folder / "system.toml", "--json", "--jobs", jobs, "--no-cache", "--store", self.folder / f"{jobs}.db")
            runs.append([e["id"] for e in json.loads(out)["evidence"]])
        self.assertEqual(runs[0], runs[1])
        self.assertGreater(len(runs[0]), 0)

    def test_store_commands(self):
        self.write_predictions_system()
        self.assess("--name", "first")
        self.write_predictions_system(errors=40)
        self.assess("--name", "second")
        store = ("--store", self.folder / ".plumbline/store.db")
        runs = json.loads(plumbline("runs", "--json", *store)[0])
        self.assertEqual([r["name"] for r in runs], ["second", "first"])
        out, _, code = plumbline("show", "first", *store)
        self.assertEqual(code, 0)
        self.assertIn("pets", out)
        self.assertEqual(plumbline("diff", "first", "second", *store)[2], 1)
        self.assertEqual(plumbline("diff", "first", "first", *store)[2], 0)
        answer = json.loads(plumbline("trend", "probe.accuracy", "accuracy", "--json", *store)[0])
        trend = answer["points"]
        self.assertEqual(answer["changes"], [])
        self.assertIsNone(answer["series"][0]["p"], "two runs are too few to look for a change")
        shown, _, code = plumbline("trend", "probe.accuracy", "accuracy", *store)
        self.assertEqual(code, 0)
        self.assertIn("changes not looked for", shown)
        table = self.folder / "accuracy.csv"
        one = ("--where", "data=test", "--where", "slice=")
        self.assertEqual(plumbline("trend", "probe.accuracy", "accuracy", *one, "--csv", table, *store)[2], 0)
        self.assertEqual([len(table.read_text().splitlines()), table.read_text()[:16]], [3, "time,value,error"])
        for wrong in (("--where", "data"), ("--where", "data=none", "--csv", table), ("--false-alarms", "2")):
            self.assertEqual(plumbline("trend", "probe.accuracy", "accuracy", *wrong, *store)[2], 2)
        self.assertEqual([round(p["evidence"]["value"], 3) for p in trend if p["evidence"]["where"] == {"data": "test"}], [0.9, 0.95])
        self.assertEqual(plumbline("verify-store", *store)[2], 0)
        out, err, code = plumbline("reproduce", trend[0]["evidence"]["id"][:12], *store)
        self.assertEqual(code, 0, out + err)
        self.assertIn("the same bits", out)
        self.assertEqual(plumbline("export", "first", "--out", self.folder / "exported", *store)[2], 0)
        self.assertTrue((self.folder / "exported/report.html").exists())
        self.assertEqual(plumbline("prune", "--keep", "1", *store)[2], 0)
        self.assertEqual(plumbline("show", "first", *store)[2], 2)
        self.assertEqual(plumbline("verify-store", *store)[2], 0)

    def test_dry_run_runs_nothing(self):
        self.write_predictions_system()
        out, _, code = plumbline("assess", self.folder / "system.toml", "--dry-run")
        self.assertEqual(code, 0)
        self.assertIn("Would not run", out)
        self.assertFalse((self.folder / ".plumbline").exists())

    def test_a_waiver_changes_the_exit_status_and_not_the_verdict(self):
        waiver = '[waiver.w]\nclaim = "right"\nowner = "ann"\nreason = "known, fixed in the next release"\nexpires = "{}"\n'
        self.write_predictions_system(claim="at_least = 0.99", extra=waiver.format("2999-01-01"))
        out, _, code = self.assess("--json")
        self.assertEqual((json.loads(out)["claims"][0]["verdict"], code), ("refuted", 0))
        self.write_predictions_system(claim="at_least = 0.99", extra=waiver.format("2001-01-01"))
        out, _, code = self.assess("--json")
        self.assertEqual((json.loads(out)["claims"][0]["verdict"], code), ("refuted", 1))

    def test_no_worse_than_a_named_run(self):
        self.write_predictions_system()
        self.assess("--name", "champion")
        self.write_predictions_system(errors=200, claim='no_worse_than = "champion"\nmargin = 0.02')
        out, _, code = self.assess("--json")
        self.assertEqual((json.loads(out)["claims"][0]["verdict"], code), ("refuted", 1))

    def test_no_worse_than_compares_row_by_row(self):
        # 30 of 1000 rows wrong, then the same 30 and one more: unpaired bounds could not exclude a loss of 1 %, paired ones do.
        self.write_predictions_system(rows=1000, errors=30)
        self.assess("--name", "champion")
        self.write_predictions_system(rows=1000, errors=31, claim='no_worse_than = "champion"\nmargin = 0.01')
        out, _, code = self.assess("--json")
        claim = json.loads(out)["claims"][0]
        self.assertEqual((claim["verdict"], code), ("supported", 0), claim["reason"])

    def test_interrupt_keeps_finished_evidence_and_the_next_run_resumes(self):
        self.write_predictions_system(rows=4000)
        process = subprocess.Popen([str(BIN / "plumbline"), "assess", str(self.folder / "system.toml"), "--jobs", "1"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        # A fast machine may have finished first; both ends are honest.
        self.assertIn(process.returncode, (130, 0, 1, 3))
        out, _, code = plumbline("assess", self.folder / "system.toml", "--json")
        self.assertNotIn(code, (2, 130))
        runs = json.loads(plumbline("runs", "--json", "--store", self.folder / ".plumbline/store.db")[0])
        self.assertEqual(runs[0]["status"], "success")
        if process.returncode == 130:
            self.assertEqual(runs[1]["status"], "cancelled")
        self.assertEqual(plumbline("verify-store", "--store", self.folder / ".plumbline/store.db")[2], 0)
        self.assertTrue(json.loads(out)["evidence"])

    def test_measured_alone_a_check_leaves_the_other_rows_of_the_table(self):
        stamped = (pathlib.Path(os.environ["PLUMBLINE_SOURCE"]) / "docs/checks/rates.md").read_text().splitlines()
        table = self.folder / "rates.md"
        table.write_text("\n".join(stamped) + "\n")
        # Three runs are too few for the full rule, so it says no; the table is written all the same.
        _, err, code = plumbline("checks", "verify", "--only", "probe.accuracy", "--full", "--runs", "3", "--write", table)
        self.assertEqual(code, 1, err)
        rows = table.read_text().splitlines()
        changed = [(old, new) for old, new in zip(stamped, rows) if old != new]
        self.assertEqual(len(rows), len(stamped))
        self.assertEqual([new.split("|")[1].strip() for _, new in changed], ["probe.accuracy"])
        self.assertEqual(changed[0][1].split("|")[3].strip(), "3")
        _, err, code = plumbline("checks", "verify", "--only", "probe.accuracy", "--full", "--runs", "3", "--write", self.folder / "none.md")
        self.assertEqual(code, 2)
        self.assertIn("none.md", err)

    def test_checks_verify_on_one_check(self):
        out, err, code = plumbline("checks", "verify", "--only", "probe.accuracy", "--json")
        self.assertEqual(code, 0, err)
        row = json.loads(out)[0]
        self.assertEqual(sorted(row), ["abstention", "check", "detection", "false_alarm"])
        self.assertEqual(row["detection"]["n"], 20)


class Demo(SystemTest):
    def test_every_planted_weakness_is_named_and_the_executor_agrees_with_the_reference(self):
        out, err, code = plumbline("demo", self.folder / "demo")
        self.assertEqual(code, 0, out + err)
        self.assertNotIn("MISSED", out)
        ledger = json.loads((self.folder / "demo/report/evidence.json").read_text())["ledger"]
        [parity] = [line for line in ledger if line["check"] == "self-test.parity"]
        if TORCH:
            self.assertEqual(parity["status"], "ok", parity)
        else:
            self.assertEqual(parity["status"], "not_applicable", parity)
            self.assertIn("the reference interpreter itself runs this model", parity["reason"])


if __name__ == "__main__":
    unittest.main()
