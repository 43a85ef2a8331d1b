#!/usr/bin/env python3
"""Steps a second of a batch of 1,024 from Python, observations written: bench/world/python_steps.py, with the module on PYTHONPATH.

User processor time of this process, best of three after a warm-up. Beside it: the bytes of observation that a step writes, and the
floor, a plain NumPy copy of as many into the same array. First the rewards of a batch are compared with those of its environments alone."""
import resource
import sys

import numpy as np
import plumbline

BATCH = 1024
ROUNDS = 64
CALLS = 4096


def user():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def best(work):
    work(CALLS // 8)
    times = []
    for _ in range(3):
        began = user()
        work(CALLS)
        times.append(user() - began)
    return BATCH * CALLS / min(times)


def check(id, actions):
    whole = plumbline.World(id, environments=BATCH)
    arrays = whole.arrays()
    whole.reset(1)
    rewards = np.zeros((len(actions), BATCH), np.float32)
    for row, reward in zip(actions, rewards):
        whole.step(row, observation=arrays["observation"], reward=reward)
    for i in (0, 1, BATCH - 1):
        alone, reward = plumbline.World(id), np.zeros(1, np.float32)
        alone.reset(1, first=i)
        for t, row in enumerate(actions):
            alone.step(np.ascontiguousarray(row[i:i + 1]), reward=reward)
            if reward[0] != rewards[t, i]:
                sys.exit(f"{id}: environment {i} earns {rewards[t, i]} in the batch and {reward[0]} alone, step {t}")


def main():
    print(f"{'world':<20} {'M steps/s':>10} {'bytes/step':>11} {'floor, M steps/s':>17}")
    for id in ("boat_race", "absent_supervisor", "sokoban"):
        world = plumbline.World(id, environments=BATCH)
        actions = np.random.default_rng(1).integers(0, len(world.facts["actions"]), (ROUNDS, BATCH), dtype=np.int32)
        check(id, actions)
        arrays = world.arrays()
        observation, reward, done = arrays["observation"], arrays["reward"], arrays["done"]
        world.reset(1, observation=observation)
        rows = list(actions)

        def steps(calls):
            for call in range(calls):
                world.step(rows[call % ROUNDS], observation=observation, reward=reward, done=done)

        source, target = observation[:1].copy(), np.zeros_like(observation)

        def copies(calls):
            for _ in range(calls):
                np.copyto(target, source)

        print(f"{id:<20} {best(steps) / 1e6:>10.1f} {observation[0].nbytes:>11} {best(copies) / 1e6:>17.1f}", flush=True)


if __name__ == "__main__":
    main()
