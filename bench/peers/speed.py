#!/usr/bin/env python3
"""The same work by NumPy, scikit-learn and Faiss on one core, at the sizes of the benchmarks; CPU time, best of some runs.

Needs python3-numpy; each peer that is not installed is named and left out. An optimised BLAS (libopenblas0) is the fair one.
"""

import os
import sqlite3
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
try:
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}; install python3-numpy")
    sys.exit(0)

rng = np.random.default_rng(1)


def measure(name, work, runs=3):
    best = np.inf
    for _ in range(runs):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    print(f"{name:<64} {1000 * best:9.1f} ms", flush=True)


def spectrum(rows):  # ten classes and a falling spectrum, as bench/robustness/ood_bench.cpp draws them
    steps = np.arange(64)
    centres = np.random.default_rng(2).normal(size=(10, 64)) * 5 / (1 + steps)
    labels = rng.integers(0, 10, rows)
    noise = rng.normal(size=(rows, 64)) * 3 / np.sqrt(1 + steps) * np.exp(-0.02 * steps)
    return (centres[labels] + noise).astype(np.float32), labels


train, labels = spectrum(60000)
test, _ = spectrum(20000)


def mahalanobis():
    fitted, scored = train.astype(float), test.astype(float)
    means = np.array([fitted[labels == k].mean(0) for k in range(10)])
    away = fitted - means[labels]
    factor = np.linalg.cholesky(np.linalg.inv(away.T @ away / (len(fitted) - 10)))
    white, centres = scored @ factor, means @ factor
    return ((white**2).sum(1)[:, None] - 2 * white @ centres.T + (centres**2).sum(1)).min(1)


def kernel_test():
    rows = np.vstack([first, second])
    squares = (rows**2).sum(1)
    gram = squares[:, None] + squares - 2 * rows @ rows.T
    np.exp(gram / -np.median(gram), out=gram)
    np.fill_diagonal(gram, 0)
    signs = np.array([rng.permutation(np.repeat([1.0, -1.0], 2000)) for _ in range(100)])
    return ((signs @ gram) * signs).sum(1)


def perceptron():
    value = images
    for matrix in layers:
        value = value @ matrix
    return value


images = rng.random((4096, 784), dtype=np.float32)
layers = [rng.random(shape, dtype=np.float32) for shape in ((784, 256), (256, 256), (256, 256), (256, 256), (256, 10))]
first, second = rng.normal(size=(2000, 50)), rng.normal(size=(2000, 50)) + 0.1

measure("NumPy: products of the perceptron, 4096 rows", perceptron)
measure("NumPy: Mahalanobis, fit 60,000 x 64, score 20,000", mahalanobis)
measure("NumPy: kernel test, 100 relabellings, 2 x 2000 x 50", kernel_test)
try:
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=50, algorithm="brute").fit(train)
    measure("scikit-learn: 50 nearest of 60,000 x 64 for 20,000, brute", lambda: neighbours.kneighbors(test), 1)
except ImportError as missing:
    print(f"left out: {missing}")
try:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(64)
    index.add(train)
    measure("Faiss: 50 nearest of 60,000 x 64 for 20,000, flat", lambda: index.search(test, 50), 1)
except ImportError as missing:
    print(f"left out: {missing}")

store = sqlite3.connect(":memory:")
store.execute("create table run (id integer primary key, name text, system text, started text, status text)")
store.executemany(
    "insert into run values (?, ?, 'bench', '2026-01-01T00:00:00Z', 'success')",
    [(i, f"run-{i:016x}") for i in range(10000)],
)
query = "select * from run order by id desc limit 50 offset 9900"
measure("SQLite alone: the last page of 10,000 rows", lambda: store.execute(query).fetchall(), 20)
