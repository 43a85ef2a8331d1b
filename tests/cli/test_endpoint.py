"""A model behind an HTTP endpoint, assessed as a user would: over http and https, and from servers that answer badly."""
import http.server
import json
import random
import shutil
import ssl
import subprocess
import threading
import unittest

from cli.support import SystemTest, idx_images, idx_labels, plumbline


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
        self.server.asked += 1
        body = self.server.answer(rows).encode()
        self.send_response(self.server.status)
        if self.server.status // 100 == 3:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def honest(rows):
    return json.dumps({"outputs": [[1 - row[0], row[0]] for row in rows]})


class Endpoint(SystemTest):
    def serve(self, answer=honest, status=200, certificate=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.answer, server.status, server.asked = answer, status, 0
        server.handle_error = lambda *_: None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    def write_system(self, address, more=""):
        (self.folder / "images.idx").write_bytes(idx_images([[255 * (i % 2)] * 16 for i in range(60)], 4, 4))
        (self.folder / "labels.idx").write_bytes(idx_labels([i % 2 for i in range(60)]))
        self.write("test.csv", "x,label\n" + "".join(f"{i},{i % 2}\n" for i in range(100)))
        self.write("p.csv", "a,b\n" + "".join(f"{1 - i % 2},{i % 2}\n" for i in range(100)))
        self.write("system.toml", f"""[system]
name = "x"
[model.m]
endpoint = "{address}"
version = "1"
output = "probabilities"
classes = 2
input_shape = [1, 4, 4]
{more}
[data.test]
images = "images.idx"
labels = "labels.idx"
[data.table]
table = "test.csv"
label = "label"
role = "test"
[predictions.p]
model = "stored"
data = "table"
path = "p.csv"
output = "probabilities"
""")

    def lines(self, *words):
        """The lines of accuracy by subject: the endpoint's, and those of the stored predictions beside it, which must go on."""
        out, err, code = plumbline("assess", self.folder / "system.toml", "--json", "--no-cache", "--only", "probe.accuracy", *words)
        self.assertIn(code, (0, 4), err)
        lines = {line["subject"]: line for line in json.loads(out)["ledger"] if line["check"] == "probe.accuracy"}
        self.assertEqual(lines["stored@table"]["status"], "ok", err)
        return lines["m@test"], json.loads(out)

    def certificate(self, name, alternatives):
        """A key and a certificate that signs itself, made by openssl for these names."""
        key, pem = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key), "-out", str(pem), "-days", "2",
                        "-subj", "/CN=plumbline test", "-addext", f"subjectAltName={alternatives}"], check=True, capture_output=True)
        return pem, key

    def test_an_honest_server_is_assessed(self):
        server = self.serve()
        self.write_system(f"http://127.0.0.1:{server.server_port}/predict")
        line, record = self.lines()
        self.assertEqual(line["status"], "ok", line)
        figure = next(e for e in record["evidence"] if e["metric"] == "accuracy" and e["subject"] == "m@test")
        self.assertEqual(figure["value"], 1.0)

    def test_bad_answers_fail_their_model_alone(self):
        cases = {
            "not JSON": (lambda rows: "<html>hello</html>", 200, "not JSON"),
            "NaN": (lambda rows: json.dumps({"outputs": [[float("nan"), 1.0]] * len(rows)}), 200, "not JSON"),
            "wrong number of rows": (lambda rows: honest(rows[1:]), 200, "rows, expected"),
            "wrong number of columns": (lambda rows: json.dumps({"outputs": [[1.0]] * len(rows)}), 200, "1 numbers, expected 2"),
            "no probabilities": (lambda rows: json.dumps({"outputs": [[0.9, 0.9]] * len(rows)}), 200, "sum to 1.8"),
            "an endless list": (lambda rows: '{"outputs": [' + "[0,1]," * 400_000, 200, "larger than the limit"),
            "a redirect": (honest, 302, "Redirects are not followed"),
            "a refusal": (lambda rows: "out of order", 503, "out of order"),
        }
        for name, (answer, status, reason) in cases.items():
            with self.subTest(name):
                server = self.serve(answer, status)
                self.write_system(f"http://127.0.0.1:{server.server_port}/predict")
                line, _ = self.lines()
                self.assertEqual(line["status"], "error")
                self.assertIn(reason, line["reason"])

    def test_answers_that_are_drawn_give_no_robustness_figure(self):
        def drawn(rows):
            return json.dumps({"outputs": [[1 - p, p] for p in (random.random() for _ in rows)]})

        for name, answer, status in (("honest", honest, "ok"), ("drawn", drawn, "error")):
            with self.subTest(name):
                server = self.serve(answer)
                self.write_system(f"http://127.0.0.1:{server.server_port}/predict")
                manifest = self.folder / "system.toml"
                text = manifest.read_text()
                sets = "".join(f'[data.{name}]\nimages = "images.idx"\nlabels = "labels.idx"\n' for name in ("test", "train"))
                manifest.write_text(text[: text.index("[data.test]")] + sets + '[data.elsewhere]\nimages = "images.idx"\nrole = "out-of-distribution"\n')
                out, err, _ = plumbline("assess", manifest, "--json", "--no-cache", "--only", "robustness.ood")
                lines = [line for line in json.loads(out)["ledger"] if line["check"] == "self-test.repetition"]
                self.assertEqual([line["status"] for line in lines], [status], err)
                self.assertIn("asked again", lines[0]["rows"])

    @unittest.skipIf(shutil.which("openssl") is None, "the program openssl, which makes the certificates, is not installed; plumbline_predict_test makes its own")
    def test_https_needs_a_certificate_that_is_known_and_names_the_host(self):
        mine = self.certificate("mine", "DNS:localhost,IP:127.0.0.1")
        elsewhere = self.certificate("elsewhere", "DNS:example.org")
        server = self.serve(certificate=mine)
        address = f"https://localhost:{server.server_port}/predict"
        self.write_system(address, 'ca_file = "mine.pem"')
        line, _ = self.lines()
        self.assertEqual(line["status"], "ok", line)
        answered = server.asked
        self.assertGreater(answered, 0)
        for more, reason in {"": "self-signed certificate", 'ca_file = "elsewhere.pem"': "certificate is refused", 'ca_file = "images.idx"': "no certificate can be read"}.items():
            with self.subTest(more):
                self.write_system(address, more)
                line, _ = self.lines()
                self.assertEqual(line["status"], "error")
                self.assertIn(reason, line["reason"])
        self.assertEqual(server.asked, answered, "rows were sent to a server that nobody vouches for")
        other = self.serve(certificate=elsewhere)
        self.write_system(f"https://localhost:{other.server_port}/predict", 'ca_file = "elsewhere.pem"')
        line, _ = self.lines()
        self.assertIn("hostname mismatch", line["reason"])
        self.assertEqual(other.asked, 0)

    def test_a_certificate_file_outside_or_without_https_is_bad_usage(self):
        self.write_system("http://127.0.0.1:1/", 'ca_file = "mine.pem"')
        _, err, code = plumbline("assess", self.folder / "system.toml")
        self.assertEqual(code, 2)
        self.assertIn("ca_file is for an endpoint that begins with https://", err)
        self.write_system("https://127.0.0.1:1/", 'ca_file = "../mine.pem"')
        _, err, code = plumbline("assess", self.folder / "system.toml")
        self.assertEqual(code, 2)
        self.assertIn("ca_file", err)


if __name__ == "__main__":
    unittest.main()
