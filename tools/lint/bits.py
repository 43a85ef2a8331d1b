#!/usr/bin/env python3
"""Fails on constructs whose results differ between libraries, threads or addresses (docs/developer/bits.md)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = [
    (re.compile(r"std::\w*_distribution\b"), "std distributions differ between libraries: use base::Rng"),
    (re.compile(r"\bstd::shuffle\b"), "std::shuffle differs between libraries: use base::Rng::shuffle"),
    (re.compile(r"\b(std::)?random_device\b"), "unseeded randomness: take a base::Rng"),
    (re.compile(r"\bstd::mt19937"), "use base::Rng"),
    (re.compile(r"\b(s?rand)\s*\("), "use base::Rng"),
    (re.compile(r"#\s*pragma\s+omp"), "use base::parallel_for"),
    (re.compile(r"-ffast-math|-Ofast"), "fast math changes bits"),
    (re.compile(r"std::execution::par"), "use base::parallel_for and ordered_sum"),
]


def problems() -> list[str]:
    found = []
    for top in ("plumbline", "apps", "python"):
        for file in sorted((ROOT / top).rglob("*.[ch]pp")):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                code = line.split("//")[0]
                for pattern, why in RULES:
                    if pattern.search(code):
                        found.append(f"{file.relative_to(ROOT)}:{number}: {why}")
    return found


if __name__ == "__main__":
    errors = problems()
    print("\n".join(errors) if errors else "bits: nothing found")
    sys.exit(1 if errors else 0)
