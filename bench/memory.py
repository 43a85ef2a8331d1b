#!/usr/bin/env python3
"""Memory and processor time of a command with all its processes: bench/memory.py [--every MS] COMMAND...

Memory is the proportional set size (a page shared by k processes counts 1/k in each) summed over the process tree, sampled
every 50 ms, so a shorter peak can be missed. Processor time is what the system counted for the command and the children it
waited for.
"""

import os
import pathlib
import resource
import subprocess
import sys
import time


def tree(root):
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def resident(pid):
    """Proportional set size in KiB, 0 for a process that has ended."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def main():
    words = sys.argv[1:]
    every = 0.05
    if words[:1] == ["--every"]:
        every = float(words[1]) / 1000
        words = words[2:]
    if not words:
        sys.exit(__doc__)
    start = time.monotonic()
    process = subprocess.Popen(words)
    peak, most, samples = 0, 0, 0
    while process.poll() is None:
        pids = tree(process.pid)
        total = sum(resident(pid) for pid in pids)
        peak, most, samples = max(peak, total), max(most, len(pids)), samples + 1
        time.sleep(every)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"status {process.returncode}, wall {time.monotonic() - start:.2f} s, processor {used.ru_utime + used.ru_stime:.2f} s, "
        f"peak {peak / 1048576:.3f} GiB over at most {most} processes ({samples} samples)",
        file=sys.stderr,
    )
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
