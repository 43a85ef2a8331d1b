#!/usr/bin/env python3
"""A guard as one would write it in Python in an afternoon, before the parcels model of `plumbline init --kind guard`:
softmax over the model's outputs, distance to the nearest class with a conformal p-value, a prediction set, expected
costs, a line in a log. The peer of plumbline-guard in bench/runtime/guard_load.py; an ASGI application under uvicorn.

    python_guard.py PORT none|each
"""
import json
import os
import sys
import tempfile

import numpy as np

CENTRES = np.array([[0.0, 0.0], [3.0, 1.0], [1.0, 4.0]])
COSTS = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.3, 0.3, 0.3]])
ACTIONS = ["letter", "parcel", "pallet", "by hand"]
RNG = np.random.default_rng(7)
CALIBRATION = np.sort(RNG.chisquare(2, 1000))


class Guard:
    def __init__(self, sync):
        self.sync = sync
        self.log = os.open(os.path.join(tempfile.mkdtemp(), "log.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def decide(self, request):
        row = np.asarray(request["input"], dtype=float)
        square = ((row - CENTRES) ** 2).sum(axis=1)
        logits = -0.5 * square
        p = np.exp(logits - logits.max())
        p /= p.sum()
        p_value = (1 + len(CALIBRATION) - np.searchsorted(CALIBRATION, square.min())) / (1 + len(CALIBRATION))
        expected = COSTS @ p
        action = int(np.argmin(expected)) if p_value > 0.05 else 3
        entropy = float(-(p * np.log(np.maximum(p, 1e-300))).sum())
        return {"id": request["id"], "action": ACTIONS[action], "propensity": 1.0, "probabilities": p.tolist(),
                "set": [ACTIONS[i] for i in np.flatnonzero(1 - p <= 0.9)], "p_value": float(p_value),
                "aleatoric": entropy, "expected": expected.tolist()}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        asked = json.loads(body)
        answers = [self.decide(one) for one in asked.get("requests", [asked])]
        os.write(self.log, "".join(json.dumps(a) + "\n" for a in answers).encode())
        if self.sync == "each":
            os.fdatasync(self.log)
        text = json.dumps({"answers": answers} if "requests" in asked else answers[0]).encode()
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]})
        await send({"type": "http.response.body", "body": text})


if __name__ == "__main__":
    import uvicorn
    uvicorn.run(Guard(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
