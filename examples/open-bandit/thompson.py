"""The policy of the Open Bandit Dataset's men campaign as a table: Thompson sampling with fixed Beta priors.

usage: thompson.py bts_beta_priors.yaml thompson.csv [simulations]

Each of three positions goes to the largest draw that is left; its probabilities are counted over simulations."""
import heapq
import random
import sys


def priors(path, campaign):
    lists, here, part = {"alpha": [], "beta": []}, False, None
    for line in open(path, encoding="utf-8"):
        if not line.startswith(" "):
            here, part = line.strip() == campaign + ":", None
        elif line.startswith("  ") and line.strip().rstrip(":") in lists:
            part = line.strip().rstrip(":")
        elif here and part and line.strip().startswith("- "):
            lists[part].append(float(line.strip()[2:]))
    return lists["alpha"], lists["beta"]


def main():
    source, target = sys.argv[1:3]
    simulations = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    alpha, beta = priors(source, "men")
    random.seed(0)
    counts = [[0] * len(alpha) for _ in range(3)]
    for _ in range(simulations):
        draws = [random.betavariate(a, b) for a, b in zip(alpha, beta)]
        for position, item in enumerate(heapq.nlargest(3, range(len(draws)), draws.__getitem__)):
            counts[position][item] += 1
    with open(target, "w", encoding="utf-8") as out:
        out.write("position,action,probability\n")
        for position, row in enumerate(counts, 1):
            for item, count in enumerate(row):
                out.write(f"{position},{item},{count / simulations}\n")


main()
