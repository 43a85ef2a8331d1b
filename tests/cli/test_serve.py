"""plumbline serve as its users meet it: every path, what is refused, tokens, hostile text, and that nothing is written."""
import hashlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import unittest

from cli.support import BIN, TORCH, SystemTest, plumbline

HOSTILE = '<script>alert(1)</script>"\'&\u202e]]></svg>'
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
           "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"}


class Client:
    def __init__(self, address, token=None):
        self.address, self.token = address, token

    def raw(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=120)
        sent = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def get(self, path, **headers):
        status, _, data = self.raw("GET", path, headers=headers)
        return status, json.loads(data)

    def post(self, path, body, **headers):
        status, _, data = self.raw("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        return status, json.loads(data)

    def code(self, path, **headers):
        status, body = self.get(path, **headers)
        return status, body["error"]["code"]


class ServeTest(SystemTest):
    def serve(self, *words, stores=None, cwd=None):
        command = [str(BIN / "plumbline"), "serve", "--listen", "127.0.0.1:0", *map(str, words)]
        for store in stores if stores is not None else [self.folder / ".plumbline/store.db"]:
            command += ["--store", str(store)]
        process, address = self.listening(command, "https?", cwd=cwd)
        client = Client(address)
        client.process = process
        return client

    def assessed(self, name="first", claim="at_least = 0.8", errors=20, seed=1):
        """One more run in the folder's store."""
        manifest = self.write_predictions_system(errors=errors, claim=claim)
        manifest.write_text(manifest.read_text().replace("seed = 1", f"seed = {seed}"))
        out, err, _ = self.assess("--name", name, "--json", only=("probe.accuracy", "caution.calibration", "methodology.adequacy"))
        self.assertTrue(out, err)
        return json.loads(out)["run"]["id"]


class Reading(ServeTest):
    def test_every_path_answers_with_what_the_store_holds(self):
        first = self.assessed("first")
        second = self.assessed("second", errors=100)
        before = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in (self.folder / ".plumbline").glob("*.db")}
        client = self.serve()
        status, overview = client.get("/api/overview")
        self.assertEqual(status, 200)
        self.assertEqual(overview["stores"], [{"name": self.folder.name, "runs": 2}])
        self.assertEqual((overview["guard"], overview["tokens"], overview["gauntlet"]), (None, False, 1))
        self.assertIn("admin", overview["caller"]["scopes"])

        status, listed = client.get("/api/runs?limit=1")
        self.assertEqual((status, listed["total"], listed["offset"], len(listed["runs"])), (200, 2, 0, 1))
        row = listed["runs"][0]
        self.assertEqual((row["id"], row["name"], row["system"], row["status"], row["exit_status"]), (second, "second", "pets", "success", 1))
        self.assertEqual(row["verdicts"], "refuted 1")
        self.assertEqual([r["id"] for r in client.get("/api/runs?sort=started")[1]["runs"]], [first, second])
        self.assertEqual([r["id"] for r in client.get("/api/runs?verdict=supported")[1]["runs"]], [first])
        self.assertEqual(client.get("/api/runs?query=FIRST&status=success")[1]["total"], 1)
        self.assertEqual(client.get("/api/runs?offset=5")[1]["runs"], [])

        status, run = client.get(f"/api/runs/{first}")
        out, _, _ = plumbline("export", first, "--out", self.folder / "out", "--store", self.folder / ".plumbline/store.db")
        self.assertEqual(run, json.loads((self.folder / "out/evidence.json").read_text()))
        _, headers, page = client.raw("GET", f"/api/runs/{first}/report.html")
        self.assertEqual(page, (self.folder / "out/report.html").read_bytes())
        self.assertIn("script-src 'sha256-", headers["Content-Security-Policy"])
        self.assertIn("sandbox", headers["Content-Security-Policy"])
        _, headers, svg = client.raw("GET", f"/api/runs/{first}/argument.svg")
        self.assertEqual(svg, (self.folder / "out/argument.svg").read_bytes())
        self.assertEqual(headers["Content-Type"], "image/svg+xml")
        artifact = run["run"]["artifacts"][0]
        status, shown = client.get(f"/api/runs/{first}/artifacts/{artifact['sha256']}")
        self.assertEqual((status, shown["artifact"]["id"], shown["artifact"]["kind"]), (200, artifact["id"], artifact["kind"]))
        self.assertGreater(shown["rows"], 0)

        metrics = client.get("/api/metrics")[1]["metrics"]
        accuracy = next(m for m in metrics if (m["check"], m["metric"]) == ("probe.accuracy", "accuracy"))
        self.assertEqual(accuracy["subjects"], ["pets@test"])
        status, trend = client.get("/api/trend?check=probe.accuracy&metric=accuracy&subject=pets%40test&where=data%3Dtest,slice=")
        self.assertEqual(status, 200)
        self.assertEqual([p["run"] for p in trend["points"]], [first, second], "oldest first")
        self.assertEqual([p["value"] for p in trend["points"]], [0.95, 0.75])
        self.assertLess(trend["points"][0]["low"], 0.95)
        self.assertEqual((trend["changes"], trend["where"]), (None, {"data": "test"}), "two points are too few to look for a change")
        self.assertTrue(trend["why_not"])
        self.assertEqual(client.get('/api/trend?check=probe.accuracy&metric=accuracy&where={"data":"other"}'.replace('"', "%22"))[1]["points"], [])

        status, compared = client.get(f"/api/compare?first={first}&second={second}")
        self.assertEqual(status, 200)
        self.assertEqual(compared["claims"], [{"id": "right", "text": "It is right.", "before": "supported", "after": "refuted"}])
        changed = {f["what"]: f for f in compared["figures"]}
        figure = changed["probe.accuracy pets@test accuracy data=test"]
        self.assertEqual((figure["change"], figure["before"]["value"], figure["after"]["value"]), ("changed", 0.95, 0.75))
        out, _, code = plumbline("diff", first, second, "--json", "--store", self.folder / ".plumbline/store.db")
        told = json.loads(out)
        self.assertEqual(code, 1)
        self.assertEqual([(c["what"], c["change"]) for c in told["changes"]], [(f["what"], f["change"]) for f in compared["figures"]])
        self.assertEqual(told["claims"], [{"id": "right", "before": "supported", "after": "refuted"}])

        found = client.get("/api/findings")[1]
        self.assertGreater(found["total"], 0)
        self.assertEqual(client.get(f"/api/findings?check={found['findings'][0]['check']}&limit=1")[1]["findings"][0]["id"], found["findings"][0]["id"])
        self.assertEqual(client.get("/api/findings?check=no.such")[1]["total"], 0)
        pictured = next(f for f in found["findings"] if f["artifact"])
        self.assertEqual(client.get(f"/api/runs/{pictured['run']}/artifacts/{pictured['artifact']}")[0], 200)

        client.process.send_signal(signal.SIGTERM)
        self.assertEqual(client.process.wait(30), 0)
        after = {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in (self.folder / ".plumbline").glob("*.db")}
        self.assertEqual(before, after, "the store's bytes are as they were")

    def test_page_and_assets(self):
        self.assessed()
        client = self.serve()
        status, headers, page = client.raw("GET", "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertNotIn("unsafe", headers["Content-Security-Policy"])
        for name, value in HEADERS.items():
            self.assertEqual(headers[name], value)
        self.assertEqual(headers["Cache-Control"], "no-cache")
        self.assertEqual(client.raw("GET", "/", headers={"If-None-Match": headers["ETag"]})[0], 304)
        first = len(page)
        names = re.findall(rb'(?:src|href)="(/assets/[^"]+)"', page)
        self.assertTrue(names)
        for name in names:
            status, headers, data = client.raw("GET", name.decode())
            self.assertEqual(status, 200)
            self.assertIn("immutable", headers["Cache-Control"])
            first += len(data)
        first += len(client.raw("GET", "/api/overview")[2]) + len(client.raw("GET", "/api/runs?limit=50")[2])
        self.assertLess(first, 100_000)
        status, headers, body = client.raw("HEAD", "/")
        self.assertEqual((status, body, int(headers["Content-Length"])), (200, b"", len(page)))

    def test_several_stores_are_one_list(self):
        stores = []
        runs = []
        for name in ("a", "b"):
            folder = self.folder
            self.folder = folder / name
            self.folder.mkdir()
            runs.append(self.assessed(name))
            runs.append(self.assessed(name + "2", errors=30))
            stores.append(self.folder / ".plumbline/store.db")
            self.folder = folder
        client = self.serve(stores=stores)
        self.assertEqual([(s["name"], s["runs"]) for s in client.get("/api/overview")[1]["stores"]], [("a", 2), ("b", 2)])
        everything = client.get("/api/runs")[1]
        self.assertEqual(everything["total"], 4)
        self.assertEqual({r["store"] for r in everything["runs"]}, {"a", "b"})
        paged = [client.get(f"/api/runs?limit=1&offset={i}")[1]["runs"][0]["id"] for i in range(4)]
        self.assertEqual(paged, [r["id"] for r in everything["runs"]])
        started = [r["started"] for r in everything["runs"]]
        self.assertEqual(started, sorted(started, reverse=True))
        for run in runs:
            self.assertEqual(client.get(f"/api/runs/{run}")[0], 200)
        self.assertEqual(client.get(f"/api/compare?first={runs[0]}&second={runs[2]}")[1]["figures"], [])
        self.assertEqual(len(client.get("/api/trend?check=probe.accuracy&metric=accuracy&where=slice=")[1]["points"]), 4)

    def test_a_run_whose_manifest_is_gone_is_shown_as_it_was_stored(self):
        run = self.assessed()
        (self.folder / "system.toml").unlink()
        client = self.serve()
        status, body = client.get(f"/api/runs/{run}")
        self.assertEqual((status, body["claims"], body["argument"]), (200, None, None))
        self.assertIn("system.toml", body["not_judged"])
        self.assertTrue(body["evidence"])
        for path in ("report.html", "argument.svg"):
            self.assertEqual(client.code(f"/api/runs/{run}/{path}"), (409, "not_judged"))
        self.write_predictions_system()
        self.assertEqual(client.get(f"/api/runs/{run}")[1]["claims"][0]["standing"], "supported", "judged again once it is back")

    def test_a_relative_manifest_is_found_beside_the_store(self):
        self.write_predictions_system()
        plumbline("assess", "system.toml", "--only", "probe.accuracy", cwd=self.folder)
        client = self.serve(cwd="/")
        run = client.get("/api/runs")[1]["runs"][0]["id"]
        self.assertEqual(client.raw("GET", f"/api/runs/{run}/report.html")[0], 200)

    def test_runs_that_are_added_while_it_serves_are_seen(self):
        self.assessed()
        client = self.serve()
        self.assertEqual(client.get("/api/runs")[1]["total"], 1)
        second = self.assessed("second", errors=40)
        self.assertEqual(client.get("/api/runs")[1]["runs"][0]["id"], second)
        self.assertEqual(client.get(f"/api/runs/{second}")[0], 200)

    def test_a_change_of_level_is_marked_where_it_was(self):
        runs = [self.assessed(f"r{i}", errors=20 if i < 8 else 120, seed=i + 1) for i in range(14)]
        client = self.serve()
        trend = client.get("/api/trend?check=probe.accuracy&metric=accuracy&where=data%3Dtest&limit=50")[1]
        self.assertEqual([p["run"] for p in trend["points"]], runs)
        (change,) = trend["changes"]
        self.assertEqual((trend["points"][change["at"]]["run"], change["run"]), (runs[8], runs[8]))
        self.assertAlmostEqual(change["before"], 0.95, delta=0.03)
        self.assertAlmostEqual(change["after"], 0.7, delta=0.05)
        out, _, _ = plumbline("trend", "probe.accuracy", "accuracy", "--where", "data=test", "--where", "slice=", "--limit", "50", "--json",
                              "--store", self.folder / ".plumbline/store.db")
        self.assertEqual([c["run"] for c in json.loads(out)["changes"]], [runs[8]])

    def test_worlds_gauntlet_and_episodes(self):
        self.assessed()
        plumbline("gauntlet", "--worlds", "boat_race", "--agents", "random,optimal", "--out", self.folder / "g")
        client = self.serve("--gauntlet", self.folder / "g/gauntlet.json")
        tables = client.get("/api/gauntlet")[1]["tables"]
        self.assertEqual([t["name"] for t in tables], ["built in", "gauntlet.json"])
        self.assertEqual(client.get("/api/overview")[1]["gauntlet"], 2)
        own = {c["agent"]: c for c in tables[1]["table"]["cells"]}
        self.assertEqual(own["optimal"]["verdict"], "hacks")
        self.assertNotIn("runs", own["optimal"])
        stamped = tables[0]["table"]
        self.assertGreater(len(stamped["cells"]), 100)
        values = [s["truth"]["value"] for s in stamped["standings"] if s["truth"]["value"] is not None]
        self.assertEqual(values, sorted(values, reverse=True))
        worlds = {w["id"]: w for w in client.get("/api/worlds")[1]["worlds"]}
        self.assertIn("optimal", worlds["boat_race"]["agents"])
        status, episode = client.get("/api/worlds/boat_race/episode?agent=optimal&seed=1")
        self.assertEqual((status, episode["world"], episode["agent"]), (200, "boat_race", "optimal"))
        columns = {c["name"]: c["values"] for c in episode["artifact"]["columns"]}
        self.assertGreater(len(columns["reward"]), 50)
        out, _, _ = plumbline("worlds", "play", "boat_race", "--agent", "optimal", "--seed", "1", "--json")
        self.assertEqual([f["action"] for f in json.loads(out)["frames"]][:50], columns["action"][1:51], "as worlds play shows it")
        script = worlds["boat_race"]["scripts"][0]
        self.assertEqual(client.get(f"/api/worlds/boat_race/episode?script={script.replace(' ', '+')}")[0], 200)
        for path in ("no_such_world/episode", "boat_race/episode?agent=no_such", "boat_race/episode?level=no_such",
                     "boat_race/episode?script=no_such", "boat_race/episode?agent=python:os:system", "python:x:Y/episode"):
            self.assertEqual(client.code(f"/api/worlds/{path}"), (404, "not_found"), path)
        self.assertEqual(client.code("/api/worlds/boat_race/episode?seed=-1"), (400, "bad_request"))
        self.assertEqual(client.code(f"/api/worlds/boat_race/episode?agent=optimal&script={script.replace(' ', '+')}"), (400, "bad_request"))

    def test_a_finding_is_computed_again(self):
        run = self.assessed()
        client = self.serve()
        found = [f for f in client.get("/api/findings")[1]["findings"] if f["check"] == "probe.accuracy" or f["check"] == "methodology.adequacy"]
        status, replayed = client.post("/api/findings/replay", {"run": run, "id": found[0]["id"]})
        self.assertEqual((status, replayed["same"]), (200, True), replayed)
        self.assertIn("the same bits", replayed["text"])
        # Other data under the same name: the figure is another, or the check says why it cannot be.
        self.write_predictions_system(errors=60)
        status, replayed = client.post("/api/findings/replay", {"run": run, "id": found[0]["id"]})
        self.assertEqual((status, replayed["same"]), (200, False), replayed)
        self.assertIn("first difference", replayed["text"])
        (self.folder / "system.toml").unlink()
        status, refused = client.post("/api/findings/replay", {"run": run, "id": found[0]["id"]})
        self.assertEqual((status, refused["error"]["code"]), (409, "not_replayed"))
        for body, code in (({"run": run, "id": "nothing"}, 404), ({"run": "000000000000", "id": "x"}, 404), ({"run": run}, 400),
                           ({"run": run, "id": "x", "more": 1}, 400), ([], 400)):
            self.assertEqual(client.post("/api/findings/replay", body)[0], code, body)

    def test_a_replay_that_takes_too_long_is_stopped(self):
        run = self.assessed()
        client = self.serve("--timeout", "0.001")
        found = client.get("/api/findings")[1]["findings"][0]
        status, refused = client.post("/api/findings/replay", {"run": run, "id": found["id"]})
        self.assertEqual((status, refused["error"]["code"]), (504, "too_slow"))


class Hostile(ServeTest):
    def test_text_from_anywhere_comes_back_as_text(self):
        manifest = self.write_predictions_system()
        text = manifest.read_text().replace('name = "pets"', "name = " + json.dumps(HOSTILE))
        text = text.replace('text = "It is right."', "text = " + json.dumps(HOSTILE))
        manifest.write_text(text)
        self.assess("--name", HOSTILE)
        client = self.serve()
        row = client.get("/api/runs")[1]["runs"][0]
        self.assertEqual((row["system"], row["name"]), (HOSTILE, HOSTILE))
        for path in ("/api/runs", "/api/findings", "/api/metrics", f"/api/runs/{row['id']}", f"/api/compare?first={row['id']}&second={row['id']}"):
            status, headers, _ = client.raw("GET", path)
            self.assertEqual((status, headers["Content-Type"], headers["X-Content-Type-Options"]), (200, "application/json", "nosniff"))
        for path in ("report.html", "argument.svg"):
            _, headers, data = client.raw("GET", f"/api/runs/{row['id']}/{path}")
            self.assertNotIn(b"<script>alert", data)
            self.assertNotIn("\u202e".encode(), data)
            self.assertIn("sandbox", headers["Content-Security-Policy"])
        # Found by its own name, which means nothing to the query.
        self.assertEqual(client.get("/api/runs?query=%3Cscript%3E")[1]["total"], 1)
        self.assertEqual(client.get("/api/runs?query=%25")[1]["total"], 0)

    def test_wrong_requests_get_a_code_and_it_serves_on(self):
        run = self.assessed()
        client = self.serve()
        for path, expected in {
                "/api/runs/../../etc/passwd": (404, "not_found"), "/api/runs/%2e%2e%2f%2e%2e": (404, "not_found"),
                "/assets/../system.toml": (404, "not_found"), "/assets/%2e%2e/x": (404, "not_found"), "/assets/none.js": (404, "not_found"),
                "/system.toml": (404, "not_found"), "//": (404, "not_found"), "/api": (404, "not_found"), "/api/runs/": (404, "not_found"),
                "/api/runs/'%20or%201=1--": (404, "not_found"), "/api/runs/000000000000": (404, "not_found"),
                f"/api/runs/{run}/artifacts/{'0' * 64}": (404, "not_found"), f"/api/runs/{run}/artifacts/..%2f..%2fstore.db": (404, "not_found"),
                f"/api/runs/{run}/other": (404, "not_found"), "/api/guard/v1/queue": (404, "not_found"), "/api/guard/etc": (404, "not_found"),
                "/api/runs?limit=0": (400, "bad_request"), "/api/runs?limit=201": (400, "bad_request"), "/api/runs?limit=-1": (400, "bad_request"),
                "/api/runs?limit=1e2": (400, "bad_request"), "/api/runs?offset=99999999999999999999": (400, "bad_request"),
                "/api/runs?sort=id;drop": (400, "bad_request"), "/api/runs?status=odd": (400, "bad_request"), "/api/runs?verdict=stale": (400, "bad_request"),
                "/api/runs?nonsense=1": (400, "bad_request"), "/api/runs?limit=1&limit=2": (400, "bad_request"), "/api/runs?query=%zz": (400, "bad_request"),
                "/api/runs?query=%ff": (400, "bad_request"), "/api/runs?query=%00": (400, "bad_request"), "/api/trend": (400, "bad_request"),
                "/api/trend?check=a&metric=b&where=odd": (400, "bad_request"), "/api/trend?check=a&metric=b&where=%7B%22a%22:1%7D": (400, "bad_request"),
                "/api/compare?first=" + run: (400, "bad_request"), f"/api/compare?first={run}&second=none": (404, "not_found"),
                "/api/runs?query=" + "a" * 9000: (400, "bad_request")}.items():
            self.assertEqual(client.code(path), expected, path)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            status, headers, _ = client.raw(method, "/api/runs", "{}", {"Content-Type": "application/json"})
            self.assertEqual(status, 405, method)
            self.assertNotIn("Access-Control-Allow-Origin", headers)
            for name, value in HEADERS.items():
                self.assertEqual(headers[name], value)
        self.assertEqual(client.code("/api/findings/replay"), (405, "method_not_allowed"))
        self.assertEqual(client.get("/api/runs")[0], 200)

    def test_bytes_that_are_no_http_and_bodies_that_are_too_large(self):
        self.assessed()
        client = self.serve()
        host, port = client.address.split(":")

        def send(data):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.sendall(data)
                return connection.recv(4096)
        self.assertIn(b" 400 ", send(b"no http at all\r\n\r\n"))
        large = send(b"POST /api/findings/replay HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
        self.assertIn(b" 413 ", large)
        self.assertIn(b"X-Frame-Options: DENY", large)
        self.assertIn(b" 413 ", send(b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n"))
        self.assertIn(b" 421 ", send(b"GET / HTTP/1.0\r\n\r\n"))
        self.assertEqual(client.get("/api/overview")[0], 200)

    def test_other_names_and_other_origins_are_refused(self):
        run = self.assessed()
        client = self.serve("--host", "desk.example")
        port = client.address.split(":")[1]
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}", "desk.example", f"desk.example:{port}", "Desk.Example:443"):
            for path in ("/", "/api/overview"):
                self.assertEqual(client.raw("GET", path, headers={"Host": host})[0], 200, host)
        for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", f"localhost.evil.example:{port}", "127.0.0.1:1",
                     f"127.evil:{port}", f"192.0.2.1:{port}", f"desk.example.evil:{port}", ""):
            for path in ("/", "/api/overview"):
                self.assertEqual(client.raw("GET", path, headers={"Host": host})[0], 421, host)
        found = client.get("/api/findings")[1]["findings"][0]
        body = {"run": run, "id": "nothing"}
        for origin in ("http://evil.example", "null", "http://localhost:1", f"http://127.0.0.1.evil:{port}", "https://"):
            status, refused = client.post("/api/findings/replay", body, Origin=origin)
            self.assertEqual((status, refused["error"]["code"]), (403, "forbidden"), origin)
        self.assertEqual(client.post("/api/findings/replay", body, Origin=f"http://{client.address}")[0], 404)
        self.assertEqual(client.post("/api/findings/replay", body)[0], 404)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            status, _, _ = client.raw("POST", "/api/findings/replay", json.dumps(body), {"Content-Type": kind})
            self.assertEqual(status, 400, kind)
        self.assertTrue(found)

    def test_tokens_open_what_they_are_for(self):
        run = self.assessed()
        tokens = self.write("tokens.txt", "\n".join([
            "reader read never reader-token-0123456789", "boss admin never boss-token-0123456789abc",
            "rater answer never rater-token-0123456789ab", "late read 2020-01-01T00:00:00Z late-token-0123456789abc"]) + "\n")
        tokens.chmod(0o600)
        client = self.serve("--tokens", tokens)
        self.assertEqual(client.raw("GET", "/")[0], 200, "the page itself holds nothing")
        for path in ("/api/overview", "/api/runs", f"/api/runs/{run}", f"/api/runs/{run}/report.html", "/api/gauntlet", "/api/worlds"):
            status, headers, data = client.raw("GET", path)
            self.assertEqual((status, json.loads(data)["error"]["code"]), (401, "unauthorized"), path)
            self.assertEqual(headers["WWW-Authenticate"], "Bearer")
        for token, expected in (("wrong-token-0123456789", (401, "unauthorized")), ("late-token-0123456789abc", (401, "token_expired")),
                                ("rater-token-0123456789ab", (403, "forbidden"))):
            self.assertEqual(Client(client.address, token).code("/api/runs"), expected)
        reader = Client(client.address, "reader-token-0123456789")
        self.assertEqual(reader.get("/api/overview")[1]["caller"], {"name": "reader", "scopes": ["read"]})
        self.assertTrue(reader.get("/api/overview")[1]["tokens"])
        self.assertEqual(reader.get(f"/api/runs/{run}")[0], 200)
        self.assertEqual(reader.post("/api/findings/replay", {"run": run, "id": "x"})[0], 403)
        boss = Client(client.address, "boss-token-0123456789abc")
        self.assertEqual(boss.post("/api/findings/replay", {"run": run, "id": "x"})[0], 404)

    def test_what_may_not_start_does_not(self):
        self.assessed()
        store = self.folder / ".plumbline/store.db"
        tokens = self.write("tokens.txt", "reader read never reader-token-0123456789\n")
        tokens.chmod(0o644)
        other = self.write("other.db", "this is no store, only a text of some length to be read\n")
        for words, said in ((["--store", store, "--listen", "0.0.0.0:0"], "without tokens the dashboard listens on loopback only"),
                            (["--store", self.folder / "none.db"], "there is no store here"), (["--store", other], "not a database"),
                            (["--store", store, "--tokens", tokens], "may be read by others"), (["--store", store, "--tokens", "none"], "cannot be read"),
                            (["--store", store, "--gauntlet", tokens], "schema"), (["--store", store, "--gauntlet", "none"], "cannot be read"),
                            (["--store", store, "--guard", "somewhere"], "is not http(s)://HOST:PORT"), (["--store", store, "--guard", "http://x/path"], "is not http"),
                            (["--store", store, "--listen", "here"], "is not ADDRESS:PORT"), (["--store", store, "--certificate", tokens], "go together"),
                            (["--store", store, "--certificate", tokens, "--key", tokens], "holds no certificate")):
            _, err, code = plumbline("serve", *words, timeout=60)
            self.assertEqual(code, 2, f"{words}: {err}")
            self.assertIn(said, err)
        self.assertFalse((self.folder / "none.db").exists())

    def test_a_guard_may_be_watched_where_nothing_was_assessed(self):
        nothing = self.folder / "nothing"
        nothing.mkdir()
        client = self.serve("--guard", "http://127.0.0.1:9", stores=[], cwd=nothing)
        status, body = client.get("/api/overview")
        self.assertEqual((status, body["stores"], body["guard"]), (200, [], {"url": "http://127.0.0.1:9"}))
        self.assertEqual(client.get("/api/runs")[1]["total"], 0)
        self.assertEqual(client.code("/api/guard/v1/live"), (502, "guard_unreachable"))
        done = subprocess.run([str(BIN / "plumbline"), "serve", "--listen", "127.0.0.1:0"], cwd=nothing, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no store here", done.stderr)

    def test_many_callers_at_once(self):
        run = self.assessed()
        client = self.serve()
        paths = ["/api/overview", "/api/runs", f"/api/runs/{run}", f"/api/runs/{run}/report.html", "/api/findings", "/api/metrics"]
        expected = {path: client.raw("GET", path)[2] for path in paths}
        wrong = []

        def ask(number):
            for i in range(12):
                path = paths[(number + i) % len(paths)]
                status, _, data = client.raw("GET", path)
                if status != 200 or data != expected[path]:
                    wrong.append((path, status))
        threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class Guarded(ServeTest):
    """What stands for a guard here says what it was asked; the real one is met in the last test."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            self.server.asked.append((self.command, self.path, self.headers.get("Authorization"), body))
            kind = self.path.split("/")[-1]
            if kind == "slow":
                self.server.wait.wait(20)
            status = {"away": 302, "busy": 503}.get(kind, 200)
            data = b"x" * (9 << 20) if kind == "large" else json.dumps({"path": self.path}).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if kind == "page" else "application/json")
                self.send_header("Content-Length", str(len(data)))
                if status == 302:
                    self.send_header("Location", "http://192.0.2.1/")
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the other side has what it wanted to know

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    def stand_in(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        server.asked, server.wait = [], threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(server.wait.set)
        return server

    def test_what_is_allowed_is_passed_on_and_nothing_else(self):
        self.assessed()
        server = self.stand_in()
        client = self.serve("--guard", f"http://127.0.0.1:{server.server_port}")
        self.assertEqual(client.get("/api/overview")[1]["guard"], {"url": f"http://127.0.0.1:{server.server_port}"})
        status, body = client.get("/api/guard/v1/queue?limit=3", Authorization="Bearer some-token-0123456789")
        self.assertEqual((status, body), (200, {"path": "/v1/queue?limit=3"}))
        self.assertEqual(server.asked[-1], ("GET", "/v1/queue?limit=3", "Bearer some-token-0123456789", ""))
        status, _ = client.post("/api/guard/v1/queue/answer", {"question": 1})
        self.assertEqual((status, server.asked[-1][0], json.loads(server.asked[-1][3])), (200, "POST", {"question": 1}))
        for path in ("metrics", "readyz", "healthz", "openapi.json"):
            self.assertEqual(client.get(f"/api/guard/{path}")[0], 200)
        self.assertEqual(client.get("/api/guard/v1/busy")[0], 503, "the guard's own status comes back")
        count = len(server.asked)
        for path in ("", "/", "/etc", "/v1", "/v1/", "/v1//x", "/v1/../metrics", "/v1/%2e%2e/x", "/metrics/x", "/v1/a%0d%0ax", "//192.0.2.1/v1/x", "/v1/x%20y"):
            self.assertIn(client.raw("GET", f"/api/guard{path}")[0], (400, 404), path)
        self.assertEqual(client.raw("DELETE", "/api/guard/v1/queue")[0], 405)
        self.assertEqual(client.post("/api/guard/v1/queue/answer", {}, Origin="http://evil.example")[0], 403)
        self.assertEqual(len(server.asked), count, "none of these reached the guard")
        for path in ("away", "page", "large"):
            self.assertEqual(client.code(f"/api/guard/v1/{path}"), (502, "guard_odd"), path)

    def test_a_guard_that_hangs_or_is_gone_holds_nobody_up(self):
        self.assessed()
        server = self.stand_in()
        client = self.serve("--guard", f"http://127.0.0.1:{server.server_port}")
        slow = [threading.Thread(target=client.get, args=("/api/guard/v1/slow",)) for _ in range(8)]
        for thread in slow:
            thread.start()
        self.assertEqual(client.get("/api/runs")[0], 200)
        server.wait.set()
        for thread in slow:
            thread.join()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            gone = free.getsockname()[1]
        client = self.serve("--guard", f"http://127.0.0.1:{gone}")
        self.assertEqual(client.code("/api/guard/readyz"), (502, "guard_unreachable"))

    def test_scopes_of_what_is_passed_on(self):
        self.assessed()
        server = self.stand_in()
        tokens = self.write("tokens.txt", "reader read never reader-token-0123456789\nrater answer never rater-token-0123456789ab\n")
        tokens.chmod(0o600)
        client = self.serve("--tokens", tokens, "--guard", f"http://127.0.0.1:{server.server_port}")
        self.assertEqual(client.get("/api/guard/v1/queue")[0], 401)
        reader, rater = Client(client.address, "reader-token-0123456789"), Client(client.address, "rater-token-0123456789ab")
        self.assertEqual(reader.get("/api/guard/v1/queue")[0], 200)
        self.assertEqual(reader.post("/api/guard/v1/queue/answer", {})[0], 403)
        self.assertEqual(reader.post("/api/guard/v1/decide", {})[0], 403)
        self.assertEqual(rater.post("/api/guard/v1/queue/answer", {})[0], 200)
        self.assertEqual(rater.get("/api/guard/v1/queue")[0], 403)
        self.assertEqual(server.asked[-1][2], "Bearer rater-token-0123456789ab")

    @unittest.skipUnless(TORCH, "the guard's example trains with LibTorch")
    def test_a_real_guard(self):
        plumbline("init", self.folder / "parcels", "--kind", "guard")
        guard = subprocess.Popen([str(BIN / "plumbline"), "guard", str(self.folder / "parcels/system.toml"), "--listen", "127.0.0.1:0", "--accept", "case"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end_guard, guard)
        address = re.match(r"listening on (\S+)", guard.stdout.readline())[1]
        self.assessed()
        client = self.serve("--guard", address)
        self.assertTrue(client.get("/api/guard/readyz")[1]["ready"])
        status, decided = client.post("/api/guard/v1/decide", {"id": "one", "input": [0, 0]})
        self.assertEqual((status, decided["detail"]["carry_out"]), (200, "letter"))
        self.assertIn(b"plumbline_", client.raw("GET", "/api/guard/metrics")[2])
        status, refused = client.post("/api/guard/v1/decide", {"id": "two", "input": [0]})
        self.assertEqual((status, refused["error"]["code"]), (400, "bad_request"))

    def end_guard(self, guard):
        guard.kill()
        guard.wait()
        guard.stdout.close()


class Secure(ServeTest):
    def test_tls(self):
        import ssl
        self.assessed()
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")],
                              capture_output=True, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        client = self.serve("--certificate", self.folder / "cert.pem", "--key", self.folder / "key.pem")
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        connection = http.client.HTTPSConnection(client.address, context=context, timeout=30)
        connection.request("GET", "/api/overview")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()


if __name__ == "__main__":
    unittest.main()
