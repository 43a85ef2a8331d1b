"""The dashboard's first view on a store with 10,000 runs: page, style, script, overview and the first 50 runs, in the order in which a
browser asks for them, one after the other over one connection. Usage: first_page.py plumbline store.db; the store is made by
PLUMBLINE_BENCH_STORE=store.db case_run_listing_bench. Goal: 100,000 bytes, 200 ms. Exit status 1 where either is missed."""
import http.client
import json
import re
import statistics
import subprocess
import sys
import time

ROUNDS = 30


def main(program, store):
    server = subprocess.Popen([program, "serve", "--store", store, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    try:
        address = re.match(r"listening on http://(\S+)", server.stdout.readline())[1]
        connection = http.client.HTTPConnection(address, timeout=60)

        def get(path):
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200, (path, answer.status, data[:200])
            return data, 1000 * (time.perf_counter() - began)

        page, _ = get("/")
        first = re.findall(rb'(?:src|href)="(/assets/[^"]+)"', page)
        paths = ["/", *(name.decode() for name in first), "/api/overview", "/api/runs?limit=50"]
        total = json.loads(get("/api/runs?limit=1")[0])["total"]
        rounds, sizes = [], {}
        times = {path: [] for path in paths}
        for _ in range(ROUNDS):
            whole = 0
            for path in paths:
                data, took = get(path)
                sizes[path] = len(data)
                times[path].append(took)
                whole += took
            rounds.append(whole)
        for path in paths:
            print(f"{path:<40} {sizes[path]:>7} bytes  {statistics.median(times[path]):7.2f} ms, at most {max(times[path]):.2f}")
        others = ["/api/runs?limit=50&offset=9900", "/api/runs?query=release+19&verdict=refuted", "/api/runs?sort=-evidence", "/api/findings?limit=12",
                  "/api/findings?check=room.check_4&limit=12", "/api/metrics", "/api/trend?check=room.check_9&metric=metric_4&subject=model%40test&limit=400"]
        for path in others:
            took = [get(path)[1] for _ in range(5)]
            print(f"{path:<75} {statistics.median(took):8.2f} ms")
        size, slowest = sum(sizes.values()), max(rounds)
        print(f"{total} runs: {size} bytes, {statistics.median(rounds):.1f} ms, at most {slowest:.1f} ms of {ROUNDS}")
        return 0 if size <= 100_000 and slowest <= 200 else 1
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
