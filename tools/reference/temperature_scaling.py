#!/usr/bin/env python3
"""Writes tests/reference/caution.temperature_scaling.json: logits, labels and the temperature that minimises their loss.

Independent of the C++ code: the root of the slope by bisection, sums by math.fsum. Minimising the loss alone would resolve
the temperature only to about the square root of machine precision.
"""

import hashlib
import json
import math
import pathlib
import platform
import random


def slope(logits, labels, beta):
    terms = []
    for z, y in zip(logits, labels):
        top = max(z)
        weights = [math.exp(beta * (v - top)) for v in z]
        terms.append(math.fsum(w * v for w, v in zip(weights, z)) / math.fsum(weights) - z[y])
    return math.fsum(terms)


def loss(logits, labels, beta):
    terms = []
    for z, y in zip(logits, labels):
        top = max(z)
        terms.append(math.log(math.fsum(math.exp(beta * (v - top)) for v in z)) - beta * (z[y] - top))
    return math.fsum(terms) / len(labels)


def main():
    rng = random.Random(20170806)
    logits, labels = [], []
    for _ in range(60):
        z = [round(rng.gauss(0, 3), 3) for _ in range(4)]
        weights = [math.exp(v / 1.7) for v in z]
        logits.append(z)
        labels.append(rng.choices(range(4), weights)[0])
    low, high = 0.0, 64.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if slope(logits, labels, middle) < 0:
            low = middle
        else:
            high = middle
    beta = 0.5 * (low + high)
    inputs = {"logits": logits, "labels": labels}
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    record = {
        "source": "tools/reference/temperature_scaling.py",
        "library": "CPython " + platform.python_version(),
        "input_sha256": digest,
        "tolerance": 1e-8,
        **inputs,
        "temperature": 1 / beta,
        "loss_before": loss(logits, labels, 1.0),
        "loss_after": loss(logits, labels, beta),
    }
    path = pathlib.Path(__file__).resolve().parents[2] / "tests/reference/caution.temperature_scaling.json"
    path.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
