#!/usr/bin/env python3
"""The table of examples/fashion-ood by scikit-learn: exact components, then the randomised solver under ten seeds.

The first line divides scatter by its degrees of freedom, as Plumbline does; the others by the number of rows, as the published
comparison did. Only relative_mahalanobis can tell.

Independent of the C++ code. Needs python3-sklearn and PLUMBLINE_DATA; says so and stops with status 0 where one is missing.
Each line: detector AUROC/share of MNIST accepted when 95 % of Fashion-MNIST is kept.
"""

import gzip
import os
import sys

try:
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors
except ImportError as missing:
    print(f"skipped: {missing}; install python3-sklearn")
    sys.exit(0)
if "PLUMBLINE_DATA" not in os.environ:
    print("skipped: set PLUMBLINE_DATA to a folder that holds images/fashion-mnist and images/mnist")
    sys.exit(0)


def read(path, header):
    with gzip.open(os.path.join(os.environ["PLUMBLINE_DATA"], "images", path)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def images(path):
    return read(path, 16).reshape(-1, 784).astype(float) / 255


train = images("fashion-mnist/train-images-idx3-ubyte.gz")
labels = read("fashion-mnist/train-labels-idx1-ubyte.gz", 8)
clothes = images("fashion-mnist/t10k-images-idx3-ubyte.gz")
digits = images("mnist/t10k-images-idx3-ubyte.gz")
rows = np.vstack([clothes, digits])
strange = np.r_[np.zeros(len(clothes)), np.ones(len(digits))]


def squared_distance(rows, mean, covariance):
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), (rows - mean).T)
    return (whitened**2).sum(0)


def table(name, pca, unbiased, neighbours):
    pca.fit(train)
    fitted, scored = pca.transform(train), pca.transform(rows)
    means = np.array([fitted[labels == k].mean(0) for k in range(10)])
    away = fitted - means[labels]
    within = away.T @ away / (len(fitted) - (10 if unbiased else 0))
    nearest = np.min([squared_distance(scored, mean, within) for mean in means], axis=0)
    whole = squared_distance(scored, fitted.mean(0), np.cov(fitted.T, bias=not unbiased))
    scores = {
        "mahalanobis": nearest,
        "relative_mahalanobis": nearest - whole,
        "pca_residual": ((rows - pca.inverse_transform(scored)) ** 2).sum(1),
    }
    if neighbours:
        scores["knn"] = NearestNeighbors(n_neighbors=50, algorithm="brute").fit(fitted).kneighbors(scored)[0][:, -1]
    cells = []
    for detector, score in scores.items():
        threshold = np.quantile(score[: len(clothes)], 0.95)
        cells.append(f"{detector} {roc_auc_score(strange, score):.5f}/{np.mean(score[len(clothes):] <= threshold):.3f}")
    print(name, *cells, sep="  ", flush=True)


table("exact", PCA(64, svd_solver="full"), True, True)
table("exact, divided by rows", PCA(64, svd_solver="full"), False, False)
for seed in range(10):
    table(f"randomised, seed {seed}", PCA(64, svd_solver="randomized", random_state=seed), False, seed == 0)
