"""The guard with its log in PostgreSQL: one or several guards, a server that goes away, a password that nobody may see."""
import json
import os
import re
import subprocess
import threading
import time
import unittest

from cli import test_guard
from cli.support import BIN, plumbline
from cli.test_guard import SURE

CLUSTER = os.environ.get("PLUMBLINE_POSTGRES") or str(BIN.parent / "tests/plumbline_postgres_cluster")


class Cluster:
    """A server of the test's own; see tests/support/postgres_cluster.hpp."""

    def __init__(self):
        self.process = subprocess.Popen([CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.state = self.process.stdout.readline().strip()

    def say(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


class Postgres(test_guard.GuardTest):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        if cls.cluster.state != "ready":
            cls.cluster.end()
            raise unittest.SkipTest(cls.cluster.state)
        cls.schemas = 0

    @classmethod
    def tearDownClass(cls):
        cls.cluster.end()

    def setUp(self):
        super().setUp()
        Postgres.schemas += 1
        self.url = self.cluster.say(f"url cli{self.schemas}") + "&password=s3cret"
        self.edit(log=self.url)

    def export(self, code=0):
        out, err, status = plumbline("guard", self.manifest, "--export", self.folder / "log.jsonl")
        self.assertEqual(status, code, err)
        self.assertNotIn("s3cret", out + err)
        return out, [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]

    def test_two_guards_share_a_database_and_one_takes_over_from_the_other(self):
        first, second = self.start(), self.start()
        _, one = first.decide("a", SURE)
        self.assertEqual(second.decide("a", SURE)[1].get("again"), None)  # an id is known to its guard alone
        second.decide("b", SURE)
        self.assertEqual(first.call("POST", "/v1/feedback", {"id": "a", "reward": 0.5})[0], 200)
        out, lines = self.export()
        self.assertIn("3 decisions, 1 with a reward", out)
        self.assertIn("1 decisions have the id of one in another partition", out)
        self.assertEqual(sorted(line["id"] for line in lines), ["a", "a", "b"])
        first.process.kill()
        first.process.wait()
        self.assertIn("partition guard-1", first.process.stderr.read())
        third = self.start()
        status, again = third.decide("a", SURE)
        self.assertEqual((status, again["again"], again["record"]), (200, True, one["record"]))
        self.stop(third)
        self.assertIn("partition guard-1 with 4 records", third.process.stderr.read())
        self.stop(second)
        self.edit(partition="guard-2")
        self.assertIn("2 decisions", self.export()[0])

    def test_a_partition_has_one_guard(self):
        self.edit(partition="day")
        self.start()
        command = [str(BIN / "plumbline"), "guard", str(self.manifest), "--listen", "127.0.0.1:0", "--accept", "case"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(second.returncode, 2)
        self.assertIn("partition day: is in use by another guard", second.stderr)

    def test_while_the_database_is_away_requests_are_refused_and_counted(self):
        client = self.start()
        answered, refused = {}, []
        ending = threading.Event()

        def load(worker):
            call = 0
            while not ending.is_set():
                call += 1
                status, body = client.decide(f"{worker}/{call}", SURE)
                if status == 200:
                    answered[body["record"]["id"]] = body["record"]
                else:
                    refused.append((status, body["error"]["code"]))

        workers = [threading.Thread(target=load, args=(w,)) for w in range(2)]
        for worker in workers:
            worker.start()
        for outage in range(2):
            time.sleep(0.5)
            self.cluster.say("stop")
            time.sleep(1)
            status, ready = client.call("GET", "/readyz")
            self.assertEqual((status, ready["reason"]), (503, "the log's database is away"))
            self.assertIn("plumbline_guard_log_away 1", client.call("GET", "/metrics")[1])
            before = time.monotonic()
            status, body = client.decide(f"outage {outage}", SURE)
            self.assertEqual((status, body["error"]["code"]), (503, "log_refused"))
            self.assertLess(time.monotonic() - before, 0.9)  # at once: the deadline is at 1 s
            self.cluster.say("start")
            for _ in range(600):
                if client.call("GET", "/readyz")[0] == 200:
                    break
                time.sleep(0.05)
        time.sleep(0.5)
        ending.set()
        for worker in workers:
            worker.join()
        self.assertGreater(len(answered), 20)
        self.assertLessEqual(set(refused), {(503, "log_refused"), (503, "log_stalled"), (504, "late")})
        text = client.call("GET", "/metrics")[1]
        self.assertIn("plumbline_guard_log_reconnects_total 2", text)
        self.assertEqual(int(re.search(r'refused_total{code="log_refused"} (\d+)', text)[1]), 2 + refused.count((503, "log_refused")))
        for name, record in list(answered.items())[-20:]:
            status, body = client.decide(name, SURE)
            self.assertEqual((status, body["again"], body["record"]), (200, True, record))
        self.stop(client)
        logged = {line["id"]: line for line in self.export()[1]}
        for name, record in answered.items():
            self.assertEqual(logged[name], record)

    def test_the_password_is_shown_nowhere(self):
        client = self.start()
        client.decide("a", SURE)
        for path in ("/readyz", "/metrics", "/v1/cases", "/openapi.json", "/nowhere"):
            self.assertNotIn("s3cret", str(client.call("GET", path)[1]))
        out, err, _ = plumbline("config", "check", self.manifest)
        self.assertNotIn("s3cret", out + err)
        self.stop(client)
        self.assertNotIn("s3cret", client.process.stderr.read())
        for url in ("postgresql://u:s3cret@127.0.0.1:1/x", "postgresql://u:s3cret@[::1/x", "postgresql://u:s3cret@h/x?what=s3cret"):
            self.edit(log=url)
            for words in (["--accept", "case"], ["--export", str(self.folder / "x.jsonl")]):
                out, err, code = plumbline("guard", self.manifest, *words)
                self.assertEqual(code, 2)
                self.assertIn("postgresql://", err)
                self.assertNotIn("s3cret", out + err)


if __name__ == "__main__":
    unittest.main()
