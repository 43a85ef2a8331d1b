#!/usr/bin/env python3
"""The guard over HTTP, by sync policy and with TLS, beside the machine's fdatasync, a bare Beast server and a guard in
Python, all in one run, on loopback, client on the same processors. Closed loop by wrk, latency by the open-loop client.

    bench/runtime/guard_load.py BUILD [SECONDS]     # BUILD holds bin/ and bench/; needs wrk, and uvicorn for the peer
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(sys.argv[1]).resolve()
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 6
LUA = """
local made, salt, batch = 0, %d, %d
function request()
  made = made + 1
  local one = function(i) return string.format('{"id":"%%d/%%d/%%d","input":[0.25,0.125]}', salt, made, i) end
  local body = one(0)
  if batch > 1 then
    local all = {}
    for i = 1, batch do all[i] = one(i) end
    body = '{"requests":[' .. table.concat(all, ',') .. ']}'
  end
  return wrk.format("POST", "/v1/decide", nil, body)
end
"""


def fdatasync_ms(folder):
    times = []
    with open(folder / "probe", "wb", buffering=0) as out:
        for _ in range(200):
            start = time.perf_counter()
            out.write(b"x" * 4096)
            os.fdatasync(out.fileno())
            times.append(1e3 * (time.perf_counter() - start))
    times.sort()
    return times[100], times[198]


def wrk(folder, url, batch, connections, salt):
    script = folder / "ask.lua"
    script.write_text(LUA % (salt, batch))
    text = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", script, url],
                          capture_output=True, text=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    p99 = re.search(r"(?m)^\s+99%\s+(\S+)", text)[1]
    return rate * batch, p99, int(bad[1]) if bad else 0


def cpu_seconds(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def guard(running, folder, sync, tls):
    system = folder / f"parcels-{sync}-{tls}"
    subprocess.run([BUILD / "bin/plumbline", "init", system, "--kind", "guard"], check=True, capture_output=True)
    manifest = system / "system.toml"
    text = re.sub(r"(?m)^(ask_cost|deadline_ms|margin_ms) = .*\n", "", manifest.read_text())
    text += f'deadline_ms = 20000\nmargin_ms = 200\nsync = "{sync}"\n'
    if tls:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", system / "key.pem", "-out", system / "chain.pem", "-subj", "/CN=localhost", "-days", "2"],
                       check=True, capture_output=True)
        text += 'certificate = "chain.pem"\nkey = "key.pem"\n'
    manifest.write_text(text)
    process = subprocess.Popen([BUILD / "bin/plumbline", "guard", manifest, "--accept", "case", "--listen", "127.0.0.1:0"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    running.append(process)
    return process, re.search(r"(https?://\S+)", process.stdout.readline())[1]


def server(running, command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running.append(process)
    for _ in range(100):
        time.sleep(0.1)
        if subprocess.run(["curl", "-s", "-o", os.devnull, "-d", '{"id":"x","input":[0,0]}', f"http://127.0.0.1:{port}/v1/decide"]).returncode == 0:
            break
    return process, f"http://127.0.0.1:{port}"


def rows(name, process, url, folder, singles=True, batches=True):
    for batch, connections in [(1, 64)] * singles + [(64, 4)] * batches:
        before = cpu_seconds(process.pid)
        rate, p99, bad = wrk(folder, url, batch, connections, int(time.time() * 1000) % 10**9)
        spent = (cpu_seconds(process.pid) - before) / max(1, rate * SECONDS)
        print(f"| {name} | {batch} | {rate:,.0f} | {1e6 * spent:.0f} | {p99} | {bad if bad else ''} |", flush=True)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="guard-load-"))
    running = []
    print("load before: {:.2f}".format(os.getloadavg()[0]))
    print("fdatasync of 4 KiB: median {:.2f} ms, p99 {:.2f} ms".format(*fdatasync_ms(folder)))
    print("\n| server | batch | decisions/s | us of processor a decision | p99 of a call | errors |\n| --- | --- | --- | --- | --- | --- |")
    try:
        process, url = server(running, [BUILD / "bench/runtime_echo_bench", "8391", "1200"], 8391)
        rows("bare Beast server, 1,200 bytes", process, url, folder, batches=False)
        process.kill()
        for sync, tls in (("group", False), ("none", False), ("each", False), ("group", True)):
            process, url = guard(running, folder, sync, tls)
            rows(f"guard, sync {sync}{', TLS' if tls else ''}", process, url, folder)
            if sync == "group" and not tls:
                port = url.rsplit(":", 1)[1]
                for rate in (1000, 2500):
                    print(subprocess.run([BUILD / "bench/runtime_load_bench", port, str(rate), str(SECONDS), "1"],
                                         capture_output=True, text=True).stdout.strip(), flush=True)
            process.terminate()
            process.wait()
        for sync in ("none", "each"):
            try:
                process, url = server(running, ["/usr/bin/python3", HERE.parent / "peers/python_guard.py", "8392", sync], 8392)
            except FileNotFoundError:
                break
            if process.poll() is None:
                rows(f"Python guard (uvicorn), sync {sync}", process, url, folder)
                process.kill()
            else:
                print("Python guard: not measured, uvicorn or NumPy is missing")
    finally:
        for process in running:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


main()
