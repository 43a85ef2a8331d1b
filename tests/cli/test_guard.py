"""plumbline-guard as its users meet it: over HTTP, with tokens, with people, with hostile input, going up and down."""
import http.client
import http.server
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest
import unittest.mock
import urllib.parse
import warnings

from cli.support import BIN, SystemTest, plumbline

SURE = [0.0, 0.0]      # in the middle of the letters
TORN = [1.5, 0.5]      # half-way between letters and parcels
FOREIGN = [40.0, -40.0]
PARCEL = [2.0, 1.2]    # a parcel, and not heavy


class Client:
    def __init__(self, address, token=None):
        self.address, self.token = address, token

    def call(self, method, path, body=None, token=None, timeout=60):
        """Status and body; the body as JSON where it is."""
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        headers = {}
        if token or self.token:
            headers["Authorization"] = f"Bearer {token or self.token}"
        raw = body if isinstance(body, (str, bytes)) or body is None else json.dumps(body)
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text) if answer.getheader("Content-Type") == "application/json" else text

    def decide(self, name, row, **more):
        return self.call("POST", "/v1/decide", {"id": name, "input": row, **more})


class GuardTest(SystemTest):
    def setUp(self):
        super().setUp()
        _, err, code = plumbline("init", self.folder / "parcels", "--kind", "guard")
        self.assertEqual(code, 0, err)
        self.manifest = self.folder / "parcels/system.toml"

    def edit(self, **keys):
        """Keys of [guard], the manifest's last section, set to these."""
        text = self.manifest.read_text()
        for key, value in keys.items():
            text = re.sub(rf"(?m)^{key} = .*\n", "", text)
            text += f"{key} = {json.dumps(value)}\n"
        self.manifest.write_text(text)

    def start(self, *words, accept=("case",), scheme="http"):
        command = [str(BIN / "plumbline"), "guard", str(self.manifest), "--listen", "127.0.0.1:0", *words]
        for claim in accept:
            command += ["--accept", claim]
        process, address = self.listening(command, scheme)
        client = Client(address)
        client.process = process
        return client

    def refused(self, *accept):
        command = [str(BIN / "plumbline"), "guard", str(self.manifest), "--listen", "127.0.0.1:0"]
        done = subprocess.run(command + [w for a in accept for w in ("--accept", a)], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stderr

    def stop(self, client):
        client.process.send_signal(signal.SIGTERM)
        self.assertEqual(client.process.wait(60), 0)


class Deciding(GuardTest):
    def test_it_acts_doubts_falls_back_and_says_why(self):
        client = self.start()
        status, sure = client.decide("sure", SURE, unit="ann")
        self.assertEqual(status, 200, sure)
        self.assertEqual(sure["detail"]["carry_out"], "letter")
        self.assertEqual(sure["record"]["unit"], "ann")
        self.assertGreater(sure["record"]["propensity"], 0.9)
        self.assertEqual(sure["record"]["accepted"], ["case"])
        self.assertEqual(set(sure["detail"]["uncertainty"]), {"aleatoric", "model", "distributional"})
        self.assertTrue(sure["detail"]["uncertainty"]["model"]["estimator"])
        self.assertTrue(sure["record"]["reason"])
        status, again = client.decide("sure", SURE, unit="ann")
        self.assertEqual(again, {"again": True, **sure})
        status, other = client.decide("sure", TORN)
        self.assertEqual((status, other["error"]["code"]), (409, "id_reused"))
        foreign = client.decide("foreign", FOREIGN, deadline_ms=600)[1]
        self.assertEqual(foreign["detail"]["carry_out"], "by hand")
        self.assertIn("unlike the training data", foreign["record"]["reason"])

    def test_a_table_overrules_where_a_state_is_unsafe(self):
        """Weight and size as place and speed before a wall at 0: what matters here is which action comes out."""
        game = self.folder / "wall.toml"
        game.write_text("""[game]
name = "wall"
horizon = 2.5
[grid]
x = { low = -1, high = 3, points = 21 }
v = { low = -2, high = 2, points = 21 }
[control]
u = [-1, 1]
[dynamics]
x = "v"
v = "u"
[avoid]
distance = "x"
""")
        _, err, code = plumbline("reach", game, "--table", self.folder / "parcels/wall.table")
        self.assertEqual(code, 0, err)
        self.edit(table="wall.table", table_margin=0.05, controls=["letter: -1", "pallet: 1"])
        client = self.start()
        near = client.decide("near", [0.2, -1.0])[1]
        self.assertEqual((near["record"]["rung"], near["detail"]["carry_out"]), ("table", "pallet"))
        self.assertEqual((near["record"]["kind"], near["record"]["propensity"]), ("fall_back", 1))
        self.assertIn("at most the margin", near["record"]["reason"])
        far = client.decide("far", [1.0, 0.5])[1]
        self.assertNotEqual(far["record"].get("rung"), "table")
        beyond = client.decide("beyond", FOREIGN)[1]
        self.assertEqual((beyond["record"]["rung"], beyond["detail"]["carry_out"]), ("table", "pallet"))
        self.stop(client)
        for keys, words in (({"controls": ["letter: -2"]}, "the game allows -1 to 1"),
                            ({"controls": ["letter: -1", "fly: 1"]}, "the actions are"),
                            ({"controls": ["letter"]}, "action: number"),
                            ({"controls": ["letter: -1"], "states": ["nobody"]}, "there is no column 'nobody'")):
            self.edit(**keys)
            _, err, code = plumbline("guard", self.manifest, "--accept", "case", "--listen", "127.0.0.1:0")
            self.assertEqual(code, 2, err)
            self.assertIn(words, err)

    def test_a_hierarchy_gives_the_parent_where_one_class_would_be_wrong_too_often(self):
        self.edit(hierarchy=["post: letter, parcel"], set_cost=0.01, accuracy=0.97, ask_cost=100)
        client = self.start()
        torn = client.decide("torn", TORN)[1]
        self.assertEqual((torn["record"]["kind"], torn["detail"]["carry_out"]), ("modify", "post"), torn)
        sure = client.decide("sure", SURE)[1]
        self.assertEqual(sure["detail"]["carry_out"], "letter", sure)

    def test_a_batch_gives_each_its_own_answer_or_error(self):
        client = self.start()
        rows = [{"id": f"r{i}", "input": SURE} for i in range(64)] + [{"id": "short", "input": [1]}, {"id": "r0", "input": SURE}]
        status, body = client.call("POST", "/v1/decide", {"requests": rows})
        self.assertEqual(status, 200)
        self.assertEqual([a.get("record", a).get("id") for a in body["answers"]], [row["id"] for row in rows])
        self.assertEqual(body["answers"][64]["error"]["code"], "bad_request")
        self.assertEqual(body["answers"][0]["record"], body["answers"][65]["record"])

    def test_feedback_and_the_log_that_estimate_reads(self):
        client = self.start()
        rows = [{"id": f"r{i}", "input": [0.01 * i, 0]} for i in range(200)]
        for answer in client.call("POST", "/v1/decide", {"requests": rows, "deadline_ms": 1000})[1]["answers"]:
            record = answer["record"]
            reward = 1.0 if record["action"] == "letter" else 0.0
            status, body = client.call("POST", "/v1/feedback", {"id": record["id"], "reward": reward})
            self.assertEqual((status, body), (200, {"ok": True}))
        for body, code in (({"id": "r0", "reward": 7}, "contradictory_feedback"), ({"id": "nobody", "reward": 1}, "unknown_decision"), ({"id": "r0", "reward": "x"}, "bad_reward")):
            self.assertEqual(client.call("POST", "/v1/feedback", body)[1]["error"]["code"], code)
        log = self.folder / "log.jsonl"
        out, err, code = plumbline("guard", self.manifest, "--export", log)
        self.assertEqual(code, 0, err)
        self.assertIn("200 decisions, 200 with a reward", out)
        out, err, code = plumbline("estimate", log, "--policy", "fixed:letter", "--estimators", "ips", "--json")
        self.assertEqual(code, 0, err)
        self.assertIn('"ips"', out)

    def test_check_never_asks_the_model_and_leaves_no_record(self):
        client = self.start()
        status, body = client.call("POST", "/v1/check", {"id": "a", "input": SURE})
        self.assertEqual((status, body["ok"], body["fallback"]), (200, True, "by hand"))
        self.assertEqual(client.call("POST", "/v1/check", {"id": "a", "input": [1]})[0], 400)
        status, text = client.call("GET", "/metrics")
        self.assertIn("plumbline_guard_arrivals_total 0\n", text)
        self.assertIn("plumbline_guard_decider_seconds_count 0\n", text)

    def test_what_may_not_start_does_not(self):
        command = [str(BIN / "plumbline"), "guard", str(self.manifest), "--listen", "127.0.0.1:0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("may not start", done.stderr)
        self.assertIn("case", done.stderr)
        for keys, text in (({"fallback": "fly"}, "fly"), ({"margin_ms": 5000}, "margin"), ({"sync": "sometimes"}, "sync"), ({"overseer": "fly"}, "overseer is 'fly'"), ({"partition": "p"}, "no database"), ({"log": "postgresql://u:s3cret@127.0.0.1:1/x"}, "cannot be reached"), ({"max_queue": -1}, "max_queue")):
            with self.subTest(text):
                before = self.manifest.read_text()
                self.edit(**keys)
                done = subprocess.run([*command, "--accept", "case"], capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(text, done.stderr)
                self.manifest.write_text(before)
        done = subprocess.run([*command[:-1], "0.0.0.0:0", "--accept", "case"], capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("loopback only", done.stderr)
        client = self.start()
        second = subprocess.run([*command, "--accept", "case"], capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("in use by another process", second.stderr)
        self.stop(client)

    def test_shadow_mode_decides_and_carries_out_the_fallback(self):
        client = self.start("--shadow")
        _, body = client.decide("a", SURE)
        self.assertEqual(body["detail"]["carry_out"], "by hand")
        self.assertEqual(body["record"]["rung"], "shadow")
        self.assertEqual(client.call("GET", "/readyz")[1]["shadow"], True)


class Assessed(GuardTest):
    """The guard stands on a case: what the worker assessed and what the guard runs are the same to the bit, or it does not start."""

    def test_it_starts_on_a_supported_case_and_on_nothing_else(self):
        self.edit(case=".plumbline/store.db#latest")
        self.assertIn("no store", self.refused())
        out, err, code = plumbline("assess", self.manifest)
        self.assertEqual(code, 0, out + err)
        client = self.start(accept=())
        ready = client.call("GET", "/readyz")[1]
        self.assertEqual((ready["ready"], ready["accepted"]), (True, []))
        decided = client.decide("sure", SURE)[1]["record"]
        self.assertEqual(decided["case"], ready["case"])
        self.assertNotIn("accepted", decided)
        self.stop(client)
        self.assertIn("stands in nobody's way", self.refused("accurate"))

        # One bit of one calibration row, and the evidence is about other rows.
        rows = self.manifest.parent / "calibration.npy"
        content = bytearray(rows.read_bytes())
        content[-4] ^= 1
        rows.write_bytes(content)
        said = self.refused()
        self.assertIn("may not start", said)
        self.assertIn("calibration", said)


class Asking(GuardTest):
    """Somebody asks while another answers."""

    def ask(self, client, name, answers, deadline_ms=30000):
        def call():
            answers[name] = client.decide(name, TORN, deadline_ms=deadline_ms)
        thread = threading.Thread(target=call)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def leased(self, client, rater):
        for _ in range(200):
            status, body = client.call("POST", "/v1/queue/lease", {"rater": rater})
            self.assertEqual(status, 200, body)
            if body["question"]:
                return body["question"]
            time.sleep(0.05)
        self.fail("nobody was asked")


class People(Asking):
    def test_a_person_answers_while_the_caller_waits(self):
        self.edit(ask_cost=0.001, deadline_ms=30000, neighbours=2)
        client, answers = self.start(), {}
        thread = self.ask(client, "torn", answers)
        question = self.leased(client, "ann")
        self.assertIn("parcel", question["actions"])
        self.assertEqual(question["if_nobody_answers"], "by hand")
        self.assertEqual(len(question["detail"]["nearest"]), 2)
        self.assertEqual(client.call("POST", "/v1/queue/lease", {"rater": "bob"})[1], {"question": None, "rater": "bob"})
        listed = client.call("GET", "/v1/queue")[1]
        self.assertEqual([q["with"] for q in listed["questions"]], ["ann"])
        number = question["question"]
        for body, status, code in (({"question": number, "action": "fly", "rater": "ann"}, 400, "unknown_action"),
                                   ({"question": number, "action": "parcel", "rater": "bob"}, 409, "not_leased"),
                                   ({"question": 99, "action": "parcel", "rater": "ann"}, 404, "unknown_question")):
            got = client.call("POST", "/v1/queue/answer", body)
            self.assertEqual((got[0], got[1]["error"]["code"]), (status, code))
        self.assertEqual((question["kind"], question["proposed"]), ("compare", None))
        self.assertEqual({c["action"] for c in question["candidates"]}, {"letter", "parcel"})
        self.assertGreater(question["expected_seconds"], 0)
        told = client.call("POST", "/v1/queue/answer", {"question": number, "action": "parcel", "rater": "ann"})
        self.assertEqual(told, (200, {"ok": True, "state": "settled", "cause": "answered", "carried_out": "parcel"}))
        thread.join()
        status, body = answers["torn"]
        self.assertEqual((status, body["detail"]["carry_out"], body["record"]["cause"]), (200, "parcel", "person"))
        self.assertEqual(body["detail"]["person"], {"by": "ann", "kind": "compare"})
        self.assertEqual(client.call("GET", "/v1/queue")[1]["settled"], [{"question": number, "cause": "answered", "carried_out": "parcel", "by": "ann"}])
        self.assertEqual(client.call("POST", "/v1/queue/answer", {"question": number, "action": "letter", "rater": "ann"})[1]["error"]["code"], "question_settled")

    def test_a_question_that_was_skipped_goes_to_others(self):
        self.edit(ask_cost=0.001, deadline_ms=30000)
        client, answers = self.start(), {}
        threads = [self.ask(client, name, answers) for name in ("one", "two")]
        lease = lambda body: client.call("POST", "/v1/queue/lease", body)[1]
        first = self.leased(client, "ann")["question"]
        self.assertEqual(lease({"rater": "ann", "except": [first]})["question"]["question"], first, "who holds one gets it again")
        client.call("POST", "/v1/queue/release", {"question": first, "rater": "ann"})
        while not (second := lease({"rater": "ann", "except": [first]})["question"]):
            time.sleep(0.02)
        self.assertNotEqual(second["question"], first)
        self.assertEqual(lease({"rater": "bob", "first": second["question"]})["question"]["question"], first, "a wish is no right to what somebody holds")
        self.assertEqual(lease({"rater": "cy", "first": "1"})["error"]["code"], "bad_request")
        for wrong in ("1", [-1], ["x"], [0] * 1001):
            self.assertEqual(lease({"rater": "cy", "except": wrong})["error"]["code"], "bad_request")
        for number, rater in ((first, "bob"), (second["question"], "ann")):
            self.assertEqual(client.call("POST", "/v1/queue/veto", {"question": number, "rater": rater})[0], 200)
        for thread in threads:
            thread.join()

    def test_answers_that_come_twice_too_late_or_from_nobody(self):
        self.edit(ask_cost=0.001, deadline_ms=30000, lease_ms=400, undo_ms=20000)
        client, answers = self.start(), {}
        thread = self.ask(client, "torn", answers)
        number = self.leased(client, "ann")["question"]
        said = {"question": number, "action": "parcel", "rater": "ann"}
        code = lambda path, body: client.call("POST", f"/v1/queue/{path}", body)[1]["error"]["code"]
        time.sleep(0.5)
        self.assertEqual(code("answer", said), "lease_expired")
        self.assertEqual(code("undo", {"question": number, "rater": "ann"}), "nothing_to_undo")
        self.assertEqual(code("release", {"question": number, "rater": "bob"}), "not_leased")
        self.leased(client, "ann")
        self.assertEqual(client.call("POST", "/v1/queue/answer", said)[0], 200)
        self.assertEqual(code("answer", said), "already_answered")
        self.assertEqual(code("undo", {"question": number, "rater": "bob"}), "nothing_to_undo")
        self.assertEqual(client.call("POST", "/v1/queue/undo", {"question": number, "rater": "ann"})[0], 200)
        for body in ({"question": "1", "rater": "ann", "action": "parcel"}, {"question": -1, "rater": "ann", "action": "parcel"}, {"question": number, "rater": "", "action": "parcel"}, {"question": number, "rater": "x" * 101, "action": "parcel"},
                     {"question": number, "rater": "ann", "action": 7}, {"question": number, "rater": "ann"}, {"rater": "ann", "action": "parcel"}, {"question": number, "rater": "ann", "action": "parcel", "more": 1}):
            self.assertEqual(code("answer", body), "bad_request", body)
        client.call("POST", "/v1/queue/veto", {"question": number, "rater": "ann"})
        thread.join()
        self.assertEqual(code("answer", said), "question_settled")
        self.assertEqual(code("veto", {"question": number, "rater": "ann"}), "question_settled")

    def test_feedback_that_is_early_about_a_shadow_or_contradicts(self):
        self.edit(ask_cost=0.001, deadline_ms=30000)
        client, answers = self.start(), {}
        thread = self.ask(client, "torn", answers)
        number = self.leased(client, "ann")["question"]
        feedback = lambda body: client.call("POST", "/v1/feedback", body)
        status, body = feedback({"id": "torn", "reward": 1})
        self.assertEqual((status, body["error"]["code"]), (409, "not_decided"))
        client.call("POST", "/v1/queue/answer", {"question": number, "action": "parcel", "rater": "ann"})
        thread.join()
        self.assertEqual(feedback({"id": "torn", "reward": 1})[0], 200)
        self.assertEqual(feedback({"id": "torn", "reward": 1})[0], 200, "the same again says nothing new")
        status, body = feedback({"id": "torn", "reward": 0})
        self.assertEqual((status, body["error"]["code"]), (409, "contradictory_feedback"))
        for wrong in ({"id": "torn", "reward": None}, {"id": "torn", "reward": 1, "delay": "soon"}, {"id": "torn", "reward": 1, "delay": -1}, {"id": "torn"}):
            status, body = feedback(wrong)
            self.assertEqual((status, body["error"]["code"]), (400, "bad_reward"), wrong)
        self.stop(client)
        client = self.start("--shadow")
        client.decide("shadow", SURE)
        status, body = feedback({"id": "shadow", "reward": 1})
        self.assertEqual((status, body["error"]["code"]), (409, "shadow_decision"))

    def test_what_cannot_be_undone_is_approved_by_two_or_vetoed(self):
        self.edit(ask_cost=0.001, deadline_ms=30000, irreversible=["letter"], undo_ms=300)
        client, answers = self.start(), {}
        threads = []
        for name in ("good", "bad"):
            def call(name=name):
                answers[name] = client.decide(name, SURE)
            threads.append(threading.Thread(target=call))
            threads[-1].start()
            question = self.leased(client, "ann")
            self.assertEqual((question["kind"], question["proposed"], question["two_people_for"]), ("approve", "letter", ["letter"]))
            self.assertIn("cannot be undone", question["reason"])
            said = {"question": question["question"], "action": "letter"}
            self.assertEqual(client.call("POST", "/v1/queue/answer", {**said, "rater": "ann"})[1], {"ok": True, "state": "needs_second"})
            if name == "bad":
                self.assertEqual(client.call("POST", "/v1/queue/veto", {"question": question["question"], "rater": "bob"})[0], 200)
            else:
                self.assertEqual(self.leased(client, "bob")["answers"], 1)
                told = client.call("POST", "/v1/queue/answer", {**said, "rater": "bob"})[1]
                self.assertEqual(told, {"ok": True, "state": "counts_later", "undo_seconds": 0.3})
            threads[-1].join()
        self.assertEqual(answers["good"][1]["detail"]["carry_out"], "letter")
        self.assertEqual(answers["good"][1]["detail"]["person"], {"by": "bob", "kind": "approve", "proposed": "letter", "corrected": False})
        self.assertEqual((answers["bad"][1]["detail"]["carry_out"], answers["bad"][1]["record"]["cause"]), ("by hand", "person"))

    def test_a_spent_budget_asks_nobody(self):
        self.edit(ask_cost=0.001, budget=0.001, budget_window_s=3600, deadline_ms=30000)
        client, answers = self.start(), {}
        thread = self.ask(client, "first", answers)
        number = self.leased(client, "ann")["question"]
        status, second = client.decide("second", TORN)
        self.assertEqual((status, second["record"]["cause"], second["detail"]["carry_out"]), (200, "safeguard", "by hand"))
        self.assertIn("the budget of 0.001 for questions in 3600 s is spent", second["record"]["reason"])
        self.assertEqual(client.call("GET", "/v1/queue")[1]["budget"], {"of": 0.001, "spent": 0.001, "window_seconds": 3600})
        client.call("POST", "/v1/queue/veto", {"question": number, "rater": "ann"})
        thread.join()
        self.stop(client)
        self.edit(budget=-1)
        self.assertIn("budget is -1", self.refused("case"))

    def test_gold_questions_look_like_the_others(self):
        lines = [{"actions": ["letter", "parcel"], "answer": "parcel", "proposed": "letter", "candidates": {"letter": 0.8, "parcel": 0.2},
                  "if_nobody_answers": "letter", "reason": "as ever", "detail": {"nearest": [], "input": {"columns": []}, "readings": [{"name": "handling", "action": "parcel"}]}}]
        self.write("parcels/gold.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        self.edit(ask_cost=0.001, deadline_ms=30000, gold="gold.jsonl", gold_every=1)
        client, answers = self.start(), {}
        thread = self.ask(client, "torn", answers)
        shown = self.leased(client, "ann")
        self.assertEqual((shown["kind"], shown["proposed"], shown["detail"], shown["if_nobody_answers"]), ("correct", "letter", {"nearest": []}, "letter"))
        self.assertEqual((shown["input"], shown["readings"]), ({"columns": []}, [{"name": "handling", "action": "parcel"}]))
        self.assertLess(shown["seconds_left"], 30, "the time of the question that it goes before")
        self.assertEqual(client.call("POST", "/v1/queue/answer", {"question": shown["question"], "action": "letter", "rater": "ann"})[0], 200)
        number = self.leased(client, "ann")["question"]
        client.call("POST", "/v1/queue/answer", {"question": number, "action": "letter", "rater": "ann"})
        thread.join()
        listed = client.call("GET", "/v1/queue")[1]
        self.assertEqual((listed["raters"]["ann"]["gold_answered"], listed["raters"]["ann"]["gold_right"]), (1, 0))
        self.assertEqual([q["question"] for q in listed["settled"]], [number])
        self.stop(client)
        for change, text in (({"kind": "ask"}, "kind is 'ask'"), ({"kind": "label"}, 'has no "proposed"'), ({"proposed": "fly"}, "'fly' is not among"),
                             ({"detail": 3}, "no object"), ({"kind": "compare", "proposed": "", "candidates": {}}, "two candidates"), ({"candidates": {"letter": "x"}}, "is not")):
            self.write("parcels/gold.jsonl", json.dumps({**lines[0], **change}) + "\n")
            self.assertIn(text, self.refused("case"), change)

    def test_nobody_answers_and_a_veto(self):
        self.edit(ask_cost=0.001, deadline_ms=30000)
        client, answers = self.start(), {}
        before = time.monotonic()
        self.ask(client, "alone", answers, 800).join()
        self.assertLess(time.monotonic() - before, 5)
        self.assertEqual((answers["alone"][1]["detail"]["carry_out"], answers["alone"][1]["record"]["cause"]), ("by hand", "timeout"))
        expired = client.call("POST", "/v1/queue/answer", {"question": 1, "action": "parcel", "rater": "ann"})
        self.assertEqual((expired[0], expired[1]["error"]["code"]), (410, "question_expired"))
        thread = self.ask(client, "vetoed", answers)
        number = self.leased(client, "ann")["question"]
        self.assertEqual(client.call("POST", "/v1/queue/veto", {"question": number, "rater": "bob"})[0], 200)
        thread.join()
        self.assertEqual(answers["vetoed"][1]["detail"]["carry_out"], "by hand")
        self.assertIn("vetoed by bob", answers["vetoed"][1]["record"]["reason"])

    def test_going_down_the_open_request_gets_its_answer(self):
        self.edit(ask_cost=0.001, deadline_ms=3000)
        client, answers = self.start(), {}
        thread = self.ask(client, "torn", answers, 3000)
        self.leased(client, "ann")
        client.process.send_signal(signal.SIGTERM)
        for _ in range(100):
            status, body = client.call("GET", "/readyz")
            if status == 503:
                break
            time.sleep(0.02)
        self.assertEqual((status, body["reason"]), (503, "going down"))
        refused = client.decide("new", SURE)
        self.assertEqual((refused[0], refused[1]["error"]["code"]), (503, "draining"))
        thread.join()
        self.assertEqual(answers["torn"][1]["detail"]["carry_out"], "by hand")
        self.assertEqual(client.process.wait(60), 0)
        self.assertIn("drained", client.process.stderr.read())


class Live(Asking):
    """What people see of a running guard."""

    def test_counts_kinds_and_the_last_decisions(self):
        self.edit(ask_cost=0.001, deadline_ms=30000, epsilon=0.0, safe_loss=0.0)
        client, answers = self.start(), {}
        empty = client.call("GET", "/v1/live")[1]
        self.assertEqual((empty["newest"], empty["decisions"], empty["latency"]["answer"]), (0, [], {"count": 0}))
        self.assertEqual((empty["accepted"], empty["shadow"], empty["draining"], empty["log"]["stopped"]), (["case"], False, False, False))
        thread = self.ask(client, "torn", answers)
        question = self.leased(client, "ann")
        self.assertEqual(client.call("GET", "/v1/live")[1]["queue"], {**empty["queue"], "open": 1, "leased": 1, "soonest_deadline_seconds": unittest.mock.ANY})
        client.call("POST", "/v1/queue/answer", {"question": question["question"], "action": "parcel", "rater": "ann"})
        thread.join()
        client.call("POST", "/v1/decide", {"requests": [{"id": f"f{i}", "input": FOREIGN} for i in range(250)], "deadline_ms": 300})
        client.decide("wrong", [1])
        live = client.call("GET", "/v1/live")[1]
        self.assertEqual(live["newest"], 251)
        self.assertEqual([d["number"] for d in live["decisions"]], list(range(251, 51, -1)))
        self.assertEqual([d["number"] for d in client.call("GET", "/v1/live?after=249")[1]["decisions"]], [251, 250])
        # A number of an earlier life of the guard: everything is new.
        self.assertEqual(len(client.call("GET", "/v1/live?after=99999")[1]["decisions"]), 200)
        minute = live["rates"][1]
        self.assertEqual((minute["window_seconds"], minute["arrived"], minute["refused"]), (60, 251, 1))
        self.assertEqual(minute["decisions"]["ask"], {"person": 1})
        self.assertEqual(minute["decisions"], live["whole_log"]["decisions"])
        self.assertEqual(sum(sum(causes.values()) for causes in minute["decisions"].values()), 251)
        self.assertEqual(sum(sum(steps) for steps in live["strip"]["kinds"].values()), 251)
        self.assertEqual(live["since_start"]["refused"], {"bad_request": 1})
        self.assertEqual(live["latency"]["answer"]["count"], 252)
        self.assertGreaterEqual(live["latency"]["answer"]["p99"], live["latency"]["answer"]["p50"])
        self.assertEqual({name: unit["unit"] for name, unit in live["units"].items()}, {"aleatoric": "nat", "model": "nat", "distributional": "p-value"})
        self.assertEqual(live["raters"]["ann"]["answers"], 1)
        whole = client.call("GET", "/v1/decision?id=torn")[1]
        self.assertEqual(whole, answers["torn"][1])
        self.assertEqual(client.call("GET", "/v1/decision?id=%66249")[1]["record"]["id"], "f249")
        self.assertEqual(client.call("GET", "/v1/decision?id=nobody")[1]["error"]["code"], "unknown_decision")
        # A restart begins anew; what was logged is still there.
        self.stop(client)
        client = self.start()
        again = client.call("GET", "/v1/live")[1]
        self.assertEqual((again["newest"], again["rates"][2]["arrived"], again["whole_log"]["arrived"]), (0, 0, 251))
        self.assertGreater(again["started"], live["started"])
        self.assertEqual(client.call("GET", "/v1/decision?id=torn")[1], whole)

    def test_deciding_to_refuse_is_counted_apart(self):
        self.edit(refuse_cost=0.0, epsilon=0.0, ask_cost=1.0)
        client = self.start()
        self.assertEqual(client.decide("refuses", SURE)[1]["detail"]["carry_out"], None)
        live = client.call("GET", "/v1/live")[1]
        self.assertEqual((live["whole_log"]["decided_to_refuse"], live["whole_log"]["could_not_decide"]), (1, 0))
        self.assertEqual((live["decisions"][0]["kind"], live["decisions"][0]["cause"], live["decisions"][0]["carried_out"]), ("refuse", "policy", None))

    def test_a_question_shows_what_helps_to_answer_it(self):
        self.edit(ask_cost=0.001, deadline_ms=30000, neighbours=2, lease_ms=5000, undo_ms=700)
        for examples in (None, "full"):
            if examples:
                self.manifest.write_text(self.manifest.read_text().replace("seed = 7", f'seed = 7\nexamples = "{examples}"', 1))
            client, answers = self.start(), {}
            thread = self.ask(client, f"torn {examples}", answers)
            question = self.leased(client, "ann")
            self.assertEqual(question["input"], {"columns": [{"name": "x0", "value": 1.5}, {"name": "x1", "value": 0.5}]})
            self.assertEqual([reading["name"] for reading in question["readings"]], ["handling"])
            self.assertIn(question["readings"][0]["action"], question["actions"])
            self.assertEqual((question["undo_seconds"], question["answers"]), (0.7, 0))
            self.assertTrue(0 < question["lease_seconds_left"] <= 5)
            # Rows of a training set that is no set of images are shown only where the manifest says so.
            self.assertEqual(["columns" in row for row in question["detail"]["nearest"]], [examples == "full"] * 2)
            client.call("POST", "/v1/queue/veto", {"question": question["question"], "rater": "ann"})
            thread.join()
            self.stop(client)


class Monitoring(GuardTest):
    """What watches the guard's own decisions."""

    def declare(self, section):
        text = self.manifest.read_text()
        self.manifest.write_text(text.replace("[guard]\n", section + "\n[guard]\n", 1))

    def monitor(self, client, name):
        return next(m for m in client.call("GET", "/v1/monitors")[1]["monitors"] if m["name"] == name)

    def test_an_alarm_blocks_until_an_admin_acknowledges_it(self):
        tokens = self.folder / "parcels/tokens.txt"
        tokens.write_text("shop decide,read never aaaaaaaaaaaaaaaaaaaaaaaa\nann admin never bbbbbbbbbbbbbbbbbbbbbbbb\n")
        tokens.chmod(0o600)
        self.edit(drift=["input"], drift_run_length=1000, drift_severity="fail", tokens="tokens.txt", deadline_ms=20000)
        client = self.start()
        client.token, admin = "a" * 24, "b" * 24
        self.assertEqual(client.decide("first", SURE)[1]["detail"]["carry_out"], "letter")
        self.assertEqual(client.call("GET", "/readyz")[1]["alarms"], [])
        batch = [{"id": f"f{i}", "input": FOREIGN} for i in range(60)]
        self.assertEqual(client.call("POST", "/v1/decide", {"requests": batch})[0], 200)
        self.assertEqual(client.call("GET", "/readyz")[1]["alarms"], ["drift.input"])
        held = client.decide("held", SURE)[1]
        self.assertEqual((held["detail"]["carry_out"], held["record"]["action"]), ("by hand", "letter"))
        self.assertIn("monitor drift.input cries", held["record"]["reason"])
        self.assertEqual(held["record"]["cause"], "safeguard")
        self.assertIn('plumbline_guard_monitor_alarm{name="drift.input",severity="fail"} 1', client.call("GET", "/metrics")[1])
        client.process.kill()
        client.process.wait()
        client = self.start()
        client.token = "a" * 24
        self.assertEqual(client.decide("still", SURE)[1]["detail"]["carry_out"], "by hand")
        path, body = "/v1/monitors/acknowledge", {"monitor": "drift.input"}
        self.assertEqual(client.call("POST", path, body)[0], 403)
        self.assertEqual(client.call("POST", path, {"monitor": "drift.output"}, admin)[1]["error"]["code"], "unknown_monitor")
        self.assertEqual(client.call("POST", path, {}, admin)[1]["error"]["code"], "bad_request")
        self.assertEqual(client.call("POST", path, body, admin), (200, {"ok": True}))
        self.assertEqual(client.call("POST", path, body, admin)[1]["error"]["code"], "no_alarm")
        self.assertEqual(client.decide("again", SURE)[1]["detail"]["carry_out"], "letter")
        self.assertGreaterEqual(self.monitor(client, "drift.input")["violations"], 1)
        self.assertIsNone(self.monitor(client, "drift.input")["alarm_since"])

    def test_a_proposal_that_breaks_a_rule_falls_back_and_is_corrected(self):
        self.declare("""[assertion.heavy]
kind = "implies"
when = "x0 > 2"
then = "label == 'pallet'"
on = ["sorter"]
severity = "fail"

[assertion.calm]
kind = "steady"
field = "label"
within = 60
""")
        self.edit(assertions=["heavy", "calm"], explore="none", deadline_ms=20000)
        client = self.start()
        heavy = client.decide("heavy", [3.0, 1.0], unit="ann")[1]
        self.assertEqual((heavy["record"]["action"], heavy["detail"]["carry_out"]), ("parcel", "by hand"))
        self.assertEqual(heavy["record"]["reason"], "assertion 'heavy' is broken: label is 'parcel', expected == 'pallet' "
                         "where x0 > 2; proposed was 'parcel'")
        self.assertEqual(heavy["detail"]["assertions"][0]["correction"], "pallet")
        rows = {"letter": SURE, "parcel": PARCEL}
        said = [client.decide(f"s{i}", rows[label], unit="bob")[1] for i, label in enumerate(["letter", "letter", "parcel", "letter"])]
        self.assertEqual([a["detail"]["carry_out"] for a in said], ["letter", "letter", "parcel", "letter"])
        flicker = said[-1]["detail"]["assertions"][0]
        self.assertEqual((flicker["name"], flicker["fails"], flicker["correction"]), ("calm", False, "letter"))
        self.assertEqual(self.monitor(client, "assertion.calm")["violations"], 1)

    def test_what_cannot_be_watched_does_not_start(self):
        for keys, words in (
            ({"drift": ["inputs"]}, "is no signal of drift"),
            ({"drift": ["input"], "drift_run_length": 3}, "run_length"),
            ({"drift": [], "drift_severity": "fail"}, "drift names no signal"),
            ({"drift_severity": "warn", "drift": ["input"], "assertions": ["calm"]}, "there is no [assertion.calm]"),
        ):
            self.edit(**keys)
            out, err, code = plumbline("guard", self.manifest, "--listen", "127.0.0.1:0", "--accept", "case")
            self.assertEqual(code, 2, err)
            self.assertIn(words, err)
            for key in ("drift_run_length", "drift_severity", "assertions"):
                self.manifest.write_text(re.sub(rf"(?m)^{key} = .*\n", "", self.manifest.read_text()))
        self.declare('[assertion.odd]\nkind = "range"\nfield = "weight"\nlow = 0\n')
        self.edit(drift=["input"], assertions=["odd"])
        _, err, code = plumbline("guard", self.manifest, "--listen", "127.0.0.1:0", "--accept", "case")
        self.assertEqual(code, 2, err)
        self.assertIn("there is no field 'weight'", err)


class Hostile(GuardTest):
    TOKENS = "# name scopes expires token\n" + "".join(f"{name} {scopes} {until} {name}-0123456789abcdef\n" for name, scopes, until in
                                                       (("app", "decide", "never"), ("ann", "answer", "never"), ("eye", "read", "2999-01-01T00:00:00Z"),
                                                        ("root", "admin", "never"), ("old", "admin", "2001-01-01T00:00:00Z")))

    def test_the_file_of_tokens_is_read_again_when_it_changes(self):
        path = self.write("parcels/tokens", self.TOKENS)
        path.chmod(0o600)
        self.edit(tokens="tokens")
        client = self.start()

        def status(name):
            return client.call("GET", "/v1/queue", token=f"{name}-0123456789abcdef")[0]

        def problem():
            ready = client.call("GET", "/readyz")
            self.assertEqual(ready[0], 200)
            return ready[1]["tokens"]

        def until(what):
            for _ in range(100):
                if what():
                    return
                time.sleep(0.05)
            self.fail(problem())

        self.assertEqual((status("eye"), status("new")), (200, 401))
        path.write_text(self.TOKENS.replace("eye", "new"))
        until(lambda: status("new") == 200)
        self.assertEqual(status("eye"), 401, "taken out is out")
        for broken, text in (("# one\nnew read new-0123456789abcdef never\n", "line 2 cannot be used"), ("", "the file holds no token")):
            path.write_text(broken)
            until(lambda text=text: problem() == text)
            self.assertEqual(status("new"), 200, "the old ones stay")
        self.assertIn("plumbline_guard_tokens_stale 1", client.call("GET", "/metrics", token="new-0123456789abcdef")[1])
        path.write_text(self.TOKENS)
        path.chmod(0o644)
        until(lambda: "may be read by others" in problem())
        path.chmod(0o600)
        client.process.send_signal(signal.SIGHUP)
        until(lambda: status("eye") == 200)
        self.assertEqual(problem(), "")
        self.assertIn("plumbline_guard_tokens_stale 0", client.call("GET", "/metrics", token="eye-0123456789abcdef")[1])

    def test_tokens_open_what_they_are_for_and_nothing_else(self):
        path = self.write("parcels/tokens", self.TOKENS)
        self.edit(tokens="tokens")
        path.chmod(0o644)
        done = subprocess.run([str(BIN / "plumbline"), "guard", str(self.manifest), "--listen", "127.0.0.1:0", "--accept", "case"], capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("may be read by others", done.stderr)
        path.chmod(0o600)
        client = self.start()
        token = {name: f"{name}-0123456789abcdef" for name in ("app", "ann", "eye", "root", "old")}
        calls = {"app": ("POST", "/v1/decide", {"id": "a", "input": SURE}), "ann": ("POST", "/v1/queue/lease", {}), "eye": ("GET", "/v1/queue", None)}
        for owner, call in calls.items():
            for name in ("app", "ann", "eye"):
                status, body = client.call(*call, token=token[name])
                self.assertEqual(status, 200 if name == owner else 403, (owner, name, body))
            self.assertEqual(client.call(*call, token=token["root"])[0], 200)
            for wrong in (None, "", "app-0123456789abcdeg", token["app"] + "x"):
                status, body = client.call(*call, token=wrong)
                self.assertEqual((status, body["error"]["code"]), (401, "unauthorized"))
            status, body = client.call(*call, token=token["old"])
            self.assertEqual((status, body["error"]["code"]), (401, "token_expired"))
        status, body = client.call("POST", "/v1/queue/lease", {"rater": "bob"}, token=token["ann"])
        self.assertEqual((status, body["error"]["code"]), (403, "forbidden"))
        for path in ("/healthz", "/readyz", "/openapi.json"):
            self.assertEqual(client.call("GET", path)[0], 200)

    def test_a_token_that_expires_while_the_guard_runs_and_one_of_another_guard(self):
        self.edit(tokens="tokens")
        for seconds in (3, 10, 30):  # a machine that is busy may need longer to start than the token lives
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
            self.write("parcels/tokens", f"app decide {until} app-0123456789abcdef\n").chmod(0o600)
            client = self.start()
            client.token = "app-0123456789abcdef"
            status, body = client.decide("a", SURE)
            if status == 200:
                break
            self.stop(client)
        self.assertEqual(status, 200, body)
        for _ in range(int(seconds / 0.05) + 200):
            status, body = client.decide("a", SURE)
            if status != 200:
                break
            time.sleep(0.05)
        self.assertEqual((status, body["error"]["code"]), (401, "token_expired"))
        # Renewed: the old token is of nobody any more, and the same request again gets the answer that it got.
        self.stop(client)
        self.write("parcels/tokens", "app decide never app-fedcba9876543210\n").chmod(0o600)
        client = self.start()
        status, body = client.call("POST", "/v1/decide", {"id": "a", "input": SURE}, token="app-0123456789abcdef")
        self.assertEqual((status, body["error"]["code"]), (401, "unauthorized"))
        self.assertTrue(client.call("POST", "/v1/decide", {"id": "a", "input": SURE}, token="app-fedcba9876543210")[1]["again"])

    def test_bad_token_files(self):
        self.edit(tokens="tokens")
        for text, reason in (("app decide never short\n", "16 to 200"), ("app fly never 0123456789abcdef\n", "'fly' is no scope"), ("app decide soon 0123456789abcdef\n", "neither a time nor never"),
                             ("app decide never\n", "is not NAME SCOPES"), ("# nothing\n", "no token"), ("a decide never 0123456789abcdef\nb decide never 0123456789abcdef\n", "used twice")):
            with self.subTest(reason):
                self.write("parcels/tokens", text).chmod(0o600)
                done = subprocess.run([str(BIN / "plumbline"), "guard", str(self.manifest), "--listen", "127.0.0.1:0", "--accept", "case"], capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(reason, done.stderr)

    def test_requests_that_are_wrong_get_a_code_and_the_guard_goes_on(self):
        client = self.start()
        bad = ["", "{", "[]", "null", '{"id": 1, "input": [0, 0]}', '{"id": "a"}', '{"id": "a", "input": "x"}', '{"id": "a", "input": [0, "x"]}', '{"id": "a", "input": [0]}',
               '{"id": "a", "input": [0, 1e999]}', '{"id": "a", "input": [0, NaN]}', '{"id": "", "input": [0, 0]}', '{"id": "a", "input": [0, 0], "more": 1}',
               '{"id": "a", "input": [0, 0], "deadline_ms": -1}', '{"id": "a", "input": [0, 0], "deadline_ms": 1}', '{"requests": []}', '{"requests": [1]}', '{"requests": {}}',
               '{"id": "' + "x" * 300 + '", "input": [0, 0]}', b'{"id": "\xff", "input": [0, 0]}', "[" * 100000, '{"a":' * 100]
        for body in bad:
            with self.subTest(str(body)[:40]):
                status, reply = client.call("POST", "/v1/decide", body)
                self.assertEqual((status, reply["error"]["code"]), (400, "bad_request"))
        self.assertEqual(client.call("POST", "/v1/decide", {"id": "a", "input": SURE, "model": "other"})[1]["error"]["code"], "unknown_model")
        self.assertEqual(client.call("POST", "/v1/decide", {"requests": [{"id": str(i), "input": SURE} for i in range(1025)]})[0], 400)
        self.assertEqual(client.call("GET", "/v1/nothing")[1]["error"]["code"], "not_found")
        self.assertEqual(client.call("GET", "/v1/decide")[1]["error"]["code"], "method_not_allowed")
        for name in ("<script>alert(1)</script>", '","record":{"id":"x"}', "\u0000\n\r\"\\", "💥 \u202e"):
            status, body = client.decide(name, SURE)
            self.assertEqual((status, body["record"]["id"]), (200, name))
            self.assertEqual(client.decide(name, SURE)[1]["record"], body["record"])

    def test_hostile_texts_in_every_field_come_back_as_they_went_in(self):
        self.edit(ask_cost=0.1, deadline_ms=30000, epsilon=1e-9)  # what is sure is not asked about
        client = self.start()
        for i, text in enumerate(("<script>window.owned=1</script>", '"><img src=x onerror=window.owned=1>', "\u202e\u0000\u001b[2J", "${7*7}{{7*7}}", "'; DROP TABLE decisions; --", "../../etc/passwd", "a=1&id=b%00")):
            with self.subTest(text):
                status, body = client.decide(text, SURE, unit=text)
                self.assertEqual((status, body["record"]["unit"]), (200, text))
                self.assertEqual(client.call("GET", f"/v1/decision?id={urllib.parse.quote(text, safe='')}")[1], body)
                self.assertEqual(client.call("GET", "/v1/live")[1]["decisions"][0]["id"], text)
                for path, sent, code in (("decide", {"id": "m", "input": SURE, "model": text}, "unknown_model"), ("feedback", {"id": text + "?", "reward": 1}, "unknown_decision"),
                                         ("queue/answer", {"question": 10**6, "action": text, "rater": text}, "unknown_question")):
                    self.assertEqual(client.call("POST", f"/v1/{path}", sent)[1]["error"]["code"], code)
                waiting = threading.Thread(daemon=True, target=client.decide, args=(f"torn {i}", TORN))
                waiting.start()
                question = None
                while question is None:
                    question = client.call("POST", "/v1/queue/lease", {"rater": text})[1]["question"]
                self.assertEqual(client.call("POST", "/v1/queue/answer", {"question": question["question"], "action": text, "rater": text})[1]["error"]["code"], "unknown_action")
                self.assertEqual(client.call("POST", "/v1/queue/veto", {"question": question["question"], "rater": text})[0], 200)
                waiting.join()
                self.assertEqual(client.call("GET", "/v1/live")[1]["decisions"][0]["by"], text)
                self.assertIn(text, client.call("GET", "/v1/queue")[1]["raters"])
                self.assertNotIn("\n" + text, client.call("GET", "/metrics")[1])

    def test_bytes_that_are_no_http_and_bodies_that_are_too_large(self):
        client = self.start()
        host, port = client.address.split(":")

        def send(data):
            with socket.create_connection((host, int(port)), timeout=30) as raw:
                try:
                    raw.sendall(data)
                    raw.shutdown(socket.SHUT_WR)
                    return raw.recv(65536)
                except OSError:
                    return b""  # cut off while it was still talking

        for data in (b"\x00\xff\xfe" * 100, b"GET\r\n\r\n", b"POST /v1/decide HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"POST /v1/decide HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10000 + b"\r\n",
                     b"POST /v1/decide HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"POST /v1/decide HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"POST /v1/decide HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf"):
            answer = send(data)
            self.assertNotIn(b" 200 ", answer[:20], data[:40])
        self.assertIn(b"413", send(b"POST /v1/decide HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")[:20])
        self.assertEqual(client.decide("after", SURE)[0], 200)


class Overseen(GuardTest):
    """Something behind an address answers the questions, or does what such things do."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_POST(self):
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.seen.append(question)
            mood = self.server.mood
            if mood == "slow":
                time.sleep(2)
            body = {"well": '{"action": "parcel"}', "lying": '{"action": "fly"}', "nan": '{"action": NaN}', "veto": '{"veto": true}', "pass": '{"pass": true}',
                    "both": '{"action": "parcel", "veto": true}', "html": "<html>", "huge": '{"action": "' + "x" * 100000 + '"}'}.get(mood, '{"action": "parcel"}')
            self.send_response(500 if mood == "broken" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body.encode()[: len(body) // 2 if mood == "half" else None])
            except OSError:
                pass  # the guard has hung up

        def log_message(self, *_):
            pass

    def test_an_address_answers_as_one_voice_and_its_failures_end_in_the_fallback(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        server.mood, server.seen = "well", []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.edit(ask_cost=0.001, deadline_ms=900, overseer=f"http://127.0.0.1:{server.server_port}/answer", irreversible=["letter"])
        client = self.start()
        body = client.decide("well", TORN)[1]
        self.assertEqual((body["detail"]["carry_out"], body["record"]["cause"], body["detail"]["person"]["by"]), ("parcel", "person", "overseer"))
        question = server.seen[0]
        self.assertEqual((question["kind"], question["if_nobody_answers"]), ("compare", "by hand"))
        self.assertIn("seconds_left", question)
        for mood in ("lying", "nan", "half", "html", "both", "huge", "broken", "pass", "slow"):
            with self.subTest(mood):
                server.mood, server.seen = mood, []
                before = time.monotonic()
                status, body = client.decide(f"while {mood}", TORN)
                self.assertEqual((status, body["detail"]["carry_out"], body["record"]["cause"]), (200, "by hand", "timeout"))
                self.assertLess(time.monotonic() - before, 2.5)
                self.assertEqual(len(server.seen), 1, "declined is declined")
        time.sleep(1.5)  # until the call that hangs is over
        server.mood = "veto"
        self.assertIn("vetoed by overseer", client.decide("vetoed", TORN)[1]["record"]["reason"])
        server.mood = "well"
        # What cannot be undone needs two, and this is one, however often it is asked.
        server.RequestHandlerClass = type("Letters", (self.Handler,), {"do_POST": lambda handler: self.letter(handler)})
        self.assertEqual(client.decide("alone", SURE)[1]["detail"]["carry_out"], "by hand")
        refused = client.call("POST", "/v1/queue/lease", {"rater": "overseer"})
        self.assertEqual((refused[0], refused[1]["error"]["code"]), (403, "forbidden"))
        metrics = client.call("GET", "/metrics")[1]
        self.assertRegex(metrics, r"plumbline_guard_overseer_failures_total 8\n")  # a pass is none
        self.assertRegex(metrics, r"plumbline_guard_overseer_questions_total 12\n")

    @staticmethod
    def letter(handler):
        handler.rfile.read(int(handler.headers["Content-Length"]))
        body = b'{"action": "letter"}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


class Upstream(GuardTest):
    """The guarded model behind an endpoint that goes wrong while the guard runs."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_POST(self):
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
            body = json.dumps({"outputs": [[0.0, 3 * x + y - 5, x + 4 * y - 8.5] for x, y in rows]})
            mood = self.server.mood
            if mood == "slow":
                time.sleep(3)
            body = {"nan": '{"outputs": [[NaN, 0, 0]]}', "lying": '{"outputs": [[1, 2]]}', "html": "<html>"}.get(mood, body)
            self.send_response(500 if mood == "broken" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body.encode()[: len(body) // 2 if mood == "half" else None])
            except OSError:
                pass  # the guard has hung up

        def log_message(self, *_):
            pass

    def test_whatever_the_model_does_the_fallback_is_carried_out_in_time(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        server.mood = "well"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        text = self.manifest.read_text().replace('path = "sorter.onnx"', f'endpoint = "http://127.0.0.1:{server.server_port}/"\nversion = "1"\nclasses = 3\ninput_shape = [2]', 1)
        self.manifest.write_text(text)
        client = self.start()
        self.assertEqual(client.decide("well", SURE)[1]["detail"]["carry_out"], "letter")
        for mood in ("nan", "lying", "half", "html", "broken", "slow", "well"):
            with self.subTest(mood):
                server.mood = mood
                before = time.monotonic()
                status, body = client.decide(f"while {mood}", SURE)
                self.assertEqual(status, 200, body)
                self.assertLess(time.monotonic() - before, 2.5)
                self.assertEqual(body["detail"]["carry_out"], "letter" if mood == "well" else "by hand")
                self.assertEqual(body["record"].get("cause", "policy"), "policy" if mood == "well" else "timeout" if mood == "slow" else "error")
                if mood == "slow":
                    time.sleep(2)  # until the call that hangs is over
        live = client.call("GET", "/v1/live")[1]
        self.assertEqual((live["whole_log"]["could_not_decide"], live["whole_log"]["decided_to_refuse"]), (5, 0))
        self.assertEqual(sum(live["strip"]["could_not_decide"]), 5)
        self.assertEqual(sum(live["strip"]["kinds"]["fall_back"]), 1, "the slow one is no failure to decide, but a timeout")


class Connections(GuardTest):
    def test_slow_clients_are_cut_off_and_hold_nobody_up(self):
        client = self.start()
        host, port = client.address.split(":")
        count = 10_000 if os.environ.get("PLUMBLINE_FAULTS") == "long" else 400
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        if hard < count + 200:
            self.skipTest(f"this user may open {hard} files")
        slow = []
        for _ in range(count):
            raw = socket.create_connection((host, int(port)), timeout=30)
            raw.sendall(b"POST /v1/decide HTTP/1.1\r\nContent-Length: 100\r\n")
            slow.append(raw)
        self.assertEqual(client.decide("quick", SURE)[0], 200)
        status = pathlib.Path(f"/proc/{client.process.pid}/status").read_text()
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])
        self.assertLess(resident, 300 * 1024, "memory is bounded")
        slow[0].settimeout(60)
        self.assertEqual(slow[0].recv(1), b"", "a request has ten seconds")
        for raw in slow:
            raw.close()
        self.assertEqual(client.decide("after", SURE)[0], 200)

    @unittest.skipIf(shutil.which("openssl") is None, "the program openssl, which makes the certificate, is not installed")
    def test_tls(self):
        pem, key = self.folder / "parcels/guard.pem", self.folder / "parcels/guard.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key), "-out", str(pem), "-days", "2",
                        "-subj", "/CN=guard", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.edit(certificate="guard.pem", key="guard.key")
        client = self.start(scheme="https")
        trusted = ssl.create_default_context(cafile=str(pem))
        connection = http.client.HTTPSConnection(client.address, context=trusted, timeout=60)
        connection.request("POST", "/v1/decide", json.dumps({"id": "a", "input": SURE}))
        self.assertEqual(json.loads(connection.getresponse().read())["detail"]["carry_out"], "letter")
        connection.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        host, port = client.address.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as raw, self.assertRaises((ssl.SSLError, OSError)):
            old.wrap_socket(raw)
        with socket.create_connection((host, int(port)), timeout=30) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            self.assertNotIn(b"200", raw.recv(100), "plain bytes are not answered")
        self.stop(client)
        self.edit(key="system.toml")
        done = subprocess.run([str(BIN / "plumbline"), "guard", str(self.manifest), "--listen", "127.0.0.1:0", "--accept", "case"], capture_output=True, text=True, timeout=60, check=False)
        self.assertIn("holds no key", done.stderr)


class Killed(GuardTest):
    def test_kill_9_under_load_loses_nothing_that_was_answered(self):
        """Through HTTP; tests/faults/fault_kill.cpp does it a thousand times without."""
        answered = {}
        for life in range(4):
            client = self.start()

            def load(life=life, worker=0):
                for call in range(10_000):
                    rows = [{"id": f"{life}/{worker}/{call}/{i}", "input": SURE} for i in range(5)]
                    try:
                        _, body = client.call("POST", "/v1/decide", {"requests": rows})
                    except (OSError, http.client.HTTPException, ValueError):
                        return
                    answered.update({a["record"]["id"]: a["record"] for a in body["answers"] if "record" in a})

            workers = [threading.Thread(target=load, kwargs={"worker": w}) for w in range(3)]
            for worker in workers:
                worker.start()
            time.sleep(0.7)
            client.process.kill()
            for worker in workers:
                worker.join()
        self.assertGreater(len(answered), 20)
        client = self.start()
        for name, record in answered.items():
            status, body = client.decide(name, SURE)
            self.assertEqual((status, body.get("again")), (200, True), name)
            self.assertEqual(body["record"], record)


class Compacted(GuardTest):
    def compact(self, *words):
        out, err, code = plumbline("guard", self.manifest, "--compact", *words)
        self.assertEqual((code, err), (0, ""))
        return out

    def export(self):
        path = self.folder / "log.jsonl"
        out, err, code = plumbline("guard", self.manifest, "--export", path)
        self.assertEqual(code, 0, err)
        return out, path.read_text()

    def test_old_records_are_folded_and_the_guard_knows_the_same(self):
        self.edit(remember=50, segment_mib=1)
        client = self.start()
        second = plumbline("guard", self.manifest, "--compact")
        self.assertEqual(second[2], 2)
        self.assertIn("in use by another process", second[1])
        for call in range(10):
            rows = [{"id": f"{call}/{i}", "input": SURE} for i in range(500)]
            client.call("POST", "/v1/decide", {"requests": rows})
        _, last = client.decide("last", SURE)
        arrivals = re.search(r"arrivals_total (\d+)", client.call("GET", "/metrics")[1])[1]
        self.stop(client)
        before = self.export()
        self.assertRegex(self.compact(), r"\d+ records folded into \d+, \d+ bytes into \d+; the log goes on at record \d+\n\d+ segments moved")
        self.assertIn("nothing to fold", self.compact())
        self.assertEqual(self.export(), before)
        client = self.start()
        self.assertEqual(client.decide("last", SURE)[1]["record"], last["record"])
        self.assertIn(f"arrivals_total {arrivals}\n", client.call("GET", "/metrics")[1])
        self.stop(client)
        done = plumbline("guard", self.manifest, "--discard")
        self.assertEqual(done[2], 2)
        self.assertIn("--compact", done[1])


class Document(GuardTest):
    """The OpenAPI document against the server."""

    def check(self, schema, value, where):
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if "oneOf" in schema:
            failures = []
            for one in schema["oneOf"]:
                try:
                    return self.check(one, value, where)
                except AssertionError as failure:
                    failures.append(str(failure))
            self.fail(f"{where}: none fits: {failures}")
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        python = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool, "null": type(None)}
        if types:
            self.assertTrue(any(isinstance(value, python[t]) and (t == "boolean" or not isinstance(value, bool)) for t in types), f"{where}: {value!r} is no {types}")
        if "enum" in schema:
            self.assertIn(value, schema["enum"], where)
        if isinstance(value, dict):
            for key in schema.get("required", []):
                self.assertIn(key, value, where)
            for key, item in value.items():
                if key in schema.get("properties", {}):
                    self.check(schema["properties"][key], item, f"{where}.{key}")
                else:
                    self.assertIsNot(schema.get("additionalProperties", True), False, f"{where}.{key} is not in the document")
        if isinstance(value, list) and "items" in schema:
            for item in value:
                self.check(schema["items"], item, where + "[]")

    def call(self, client, method, path, body=None):
        status, reply = client.call(method, path, body)
        path = path.split("?")[0]
        responses = self.document["paths"][path][method.lower()]["responses"]
        self.assertIn(str(status), responses, f"{method} {path}: {reply}")
        kinds = responses[str(status)]["content"]
        if "application/json" in kinds:
            self.check(kinds["application/json"]["schema"], reply, f"{method} {path} {status}")
        self.seen.add((method, path, status))
        return status, reply

    def test_every_path_answers_as_documented(self):
        self.edit(ask_cost=0.001, deadline_ms=20000)
        client = self.start()
        self.document = client.call("GET", "/openapi.json")[1]
        self.seen = set()
        call = lambda *words: self.call(client, *words)
        call("POST", "/v1/decide", {"id": "a", "input": SURE})
        call("POST", "/v1/decide", {"id": "a", "input": SURE})
        call("POST", "/v1/decide", {"id": "a", "input": TORN})
        call("POST", "/v1/decide", {"requests": [{"id": "b", "input": SURE}, {"id": "c", "input": [1]}]})
        call("POST", "/v1/decide", {})
        call("POST", "/v1/decide", {"id": "m", "input": SURE, "model": "x"})
        call("POST", "/v1/check", {"id": "d", "input": SURE})
        call("POST", "/v1/check", {"requests": [{"id": "d", "input": SURE}, {"id": "d", "input": [1]}]})
        call("POST", "/v1/check", {"id": "d", "input": [1]})
        call("POST", "/v1/feedback", {"id": "a", "reward": 1})
        call("POST", "/v1/feedback", {"id": "a", "reward": 2})
        call("POST", "/v1/feedback", {"id": "z", "reward": 2})
        call("POST", "/v1/queue/lease", {"rater": "ann"})
        waiting = threading.Thread(target=lambda: client.decide("torn", TORN))
        waiting.start()
        question = None
        while question is None:
            question = call("POST", "/v1/queue/lease", {"rater": "ann"})[1]["question"]
            time.sleep(0.02)
        call("GET", "/v1/decision?id=torn")
        number = {"question": question["question"], "rater": "ann"}
        call("GET", "/v1/queue")
        call("POST", "/v1/queue/undo", number)
        call("POST", "/v1/queue/release", number)
        call("POST", "/v1/queue/answer", {**number, "action": "letter"})
        call("POST", "/v1/queue/lease", {"rater": "ann"})
        call("POST", "/v1/queue/answer", {**number, "action": "letter"})
        call("POST", "/v1/queue/veto", number)
        call("POST", "/v1/queue/veto", {"question": 77, "rater": "ann"})
        waiting.join()
        call("POST", "/v1/monitors/acknowledge", {"monitor": "drift.input", "rater": "ann"})
        for path in ("/v1/monitors", "/v1/cases", "/metrics", "/healthz", "/readyz", "/openapi.json", "/v1/queue", "/v1/live", "/v1/live?after=1", "/v1/live?after=x", "/v1/decision?id=a", "/v1/decision?id=z", "/v1/decision"):
            call("GET", path)
        documented = {(method.upper(), path) for path, methods in self.document["paths"].items() for method in methods}
        self.assertEqual(documented, {(method, path) for method, path, _ in self.seen}, "every documented operation was called")
        for path, methods in self.document["paths"].items():
            other = "GET" if "post" in methods else "POST"
            self.assertEqual(client.call(other, path, None if other == "GET" else "{}")[0], 405, path)

    def test_metrics_are_in_prometheus_form(self):
        client = self.start()
        client.decide("a", SURE)
        text = client.call("GET", "/metrics")[1]
        types = dict(re.findall(r"(?m)^# TYPE (\S+) (counter|gauge|histogram)$", text))
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            match = re.fullmatch(r'([a-z_]+)(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? [-+0-9.e]+', line)
            self.assertTrue(match, line)
            self.assertTrue(match[1] in types or re.sub("_(bucket|sum|count)$", "", match[1]) in types, line)
        self.assertIn('plumbline_guard_decisions_total{kind="act",cause="policy"} 1', text)


if __name__ == "__main__":
    unittest.main()
