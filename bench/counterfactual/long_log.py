#!/usr/bin/env python3
"""long_log.py ROWS FILE.npz: a decision log in column form, longer than one would like to hold.

Two actions, the first with probability 0.3; with it the reward is 1 with probability 0.6, with the other 0.4. So the policy fixed:a earns 0.6.
Blocks of a million rows are drawn at a time; the file is written without compression, as numpy.savez does.
  /usr/bin/time -v plumbline estimate FILE.npz --policy fixed:a --stream
"""
import json
import sys
import zipfile

import numpy as np

rows, path = int(sys.argv[1]), sys.argv[2]
header = json.dumps({"plumbline_log": 1, "actions": ["a", "b"], "policies": ["logging"], "units": [], "ids": [], "numbers": ["x"],
                     "categories": [], "levels": [], "left_out": 0, "unlabelled": 0, "sets": True, "probabilities": True})


def blocks():
    rng = np.random.default_rng(1)
    for first in range(0, rows, 1_000_000):
        n = min(1_000_000, rows - first)
        action = (rng.random(n) >= 0.3).astype(np.int32)
        reward = rng.random(n) < np.where(action == 0, 0.6, 0.4)
        yield first, n, action, reward.astype(float), rng.random(n)


def member(archive, name, shape, dtype, parts):
    with archive.open(name + ".npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        for part in parts:
            file.write(part.tobytes())


def numbers():
    for first, n, action, reward, x in blocks():
        yield np.stack([np.where(action == 0, 0.3, 0.7), reward, np.arange(first, first + n, dtype=float), np.full(n, np.nan), x], axis=1)


def codes():
    for _, n, action, _, _ in blocks():
        out = np.zeros((n, 7), np.int32)
        out[:, 0] = out[:, 1] = action
        out[:, 5] = -1
        yield out


def sets():
    for _, n, _, _, _ in blocks():
        yield np.full(n, 2, np.int32)
    for _, n, _, _, _ in blocks():
        yield np.tile(np.array([0, 1], np.int32), n)


with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
    text = np.frombuffer(header.encode(), np.uint8).astype(np.int32)
    member(archive, "header", (len(text),), "<i4", [text])
    member(archive, "numbers", (rows, 5), "<f8", numbers())
    member(archive, "codes", (rows * 7,), "<i4", codes())
    member(archive, "set_actions", (rows * 3,), "<i4", sets())
    member(archive, "set_numbers", (rows * 2, 1), "<f8", (np.tile(np.array([0.3, 0.7]), n) for _, n, _, _, _ in blocks()))
