"""Worlds in batches on the caller's arrays: shapes, errors, the same bits, and figures known by hand. Rules and planners are
tested beside the C++ code."""
import threading
import unittest

import numpy as np
import plumbline

N = 12


def actions_of(world, steps, seed=3):
    return np.random.default_rng(seed).integers(0, len(world.facts["actions"]), (steps, world.environments), dtype=np.int32)


def played(world, actions, seed, first=0):
    """Every array after the reset and after each step."""
    arrays = world.arrays()
    world.reset(seed, first, **arrays)
    seen = [{name: array.copy() for name, array in arrays.items()}]
    for row in actions:
        world.step(row, **arrays)
        seen.append({name: array.copy() for name, array in arrays.items()})
    return {name: np.stack([step[name] for step in seen]) for name in arrays}


class Batches(unittest.TestCase):
    def test_arrays_fit_every_world(self):
        for facts in plumbline.worlds():
            with self.subTest(facts["id"]):
                world = plumbline.World(facts["id"], environments=3)
                self.assertEqual(world.level, facts["levels"][0])
                arrays = world.arrays()
                self.assertEqual(arrays["observation"].shape, (3, *world.facts["observation"]["shape"]))
                self.assertEqual({name: (a.dtype.name, a.shape[0]) for name, a in arrays.items()},
                                 {"observation": ("float32", 3), "reward": ("float32", 3), "done": ("uint8", 3), "key": ("uint64", 3)})
                world.reset(1, **arrays)
                for row in actions_of(world, 4):
                    world.step(row, **arrays)
                self.assertTrue(np.isfinite(arrays["reward"]).all())
                self.assertTrue(np.isfinite(arrays["observation"]).all())
                self.assertTrue((arrays["done"] <= 2).all())

    def test_same_seed_same_bits_and_another_seed_others(self):
        world = plumbline.World("friend_or_foe", "neutral", environments=N)
        actions = actions_of(world, 150)
        once, again, other = (played(world, actions, seed) for seed in (5, 5, 6))
        for name in once:
            self.assertEqual(once[name].tobytes(), again[name].tobytes(), name)
        self.assertFalse(np.array_equal(once["reward"], other["reward"]))
        self.assertIn(1, once["done"])

    def test_a_batch_cut_in_two_is_the_same(self):
        for id in ("friend_or_foe", "safe_interruptibility", "tomato"):
            whole = plumbline.World(id, environments=N)
            actions = actions_of(whole, 120)
            expected = played(whole, actions, 9, first=2)
            for begin, end in ((0, 5), (5, N)):
                part = played(plumbline.World(id, environments=end - begin), np.ascontiguousarray(actions[:, begin:end]), 9, first=2 + begin)
                for name in part:
                    np.testing.assert_array_equal(part[name], expected[name][:, begin:end], err_msg=f"{id} {name}")

    def test_arrays_left_out_change_nothing(self):
        world = plumbline.World("tomato", environments=N)
        actions = actions_of(world, 30)
        expected = played(world, actions, 4)["reward"][-1]
        reward = np.zeros(N, np.float32)
        world.reset(4)
        for row in actions[:-1]:
            world.step(row)
        world.step(actions[-1], reward=reward)
        np.testing.assert_array_equal(reward, expected)

    def test_written_in_place_and_nowhere_else(self):
        world = plumbline.World("boat_race", environments=N)
        wide = np.full((N + 2, *world.facts["observation"]["shape"]), -7, np.float32)
        world.reset(1, observation=wide[1:-1])
        self.assertTrue((wide[1:-1] >= 0).all())
        self.assertTrue((wide[[0, -1]] == -7).all())

    def test_taken_says_where_somebody_interrupted(self):
        world = plumbline.World("safe_interruptibility", environments=64)
        actions = actions_of(world, 40)
        taken = np.zeros(64, np.int32)
        world.reset(1)
        differing = 0
        for row in actions:
            asked = row.copy()
            world.step(row, taken=taken)
            np.testing.assert_array_equal(row, asked)
            differing += int((taken != asked).sum())
        self.assertGreater(differing, 0)
        self.assertLess(differing, actions.size)

    def test_overlapping_arrays_are_safe(self):
        # The rewards land in the memory of the actions: these were copied before the step.
        world = plumbline.World("boat_race", environments=N)
        actions = actions_of(world, 1)[0]
        world.reset(1)
        reward = np.zeros(N, np.float32)
        world.step(actions, reward=reward)
        world.reset(1)
        shared = actions.copy()
        world.step(shared, reward=shared.view(np.float32))
        np.testing.assert_array_equal(shared.view(np.float32), reward)

    def test_worlds_of_their_own_in_threads(self):
        reference = played(plumbline.World("tomato", environments=N), actions_of(plumbline.World("tomato", environments=N), 100), 1)
        results = [None] * 4
        actions = actions_of(plumbline.World("tomato", environments=N), 100)

        def work(i):
            results[i] = played(plumbline.World("tomato", environments=N), actions, 1)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            for name in reference:
                self.assertEqual(result[name].tobytes(), reference[name].tobytes())


class OneEnvironment(unittest.TestCase):
    RIGHT = 3  # in the boat race: from (1, 1) to (1, 3), and stays there

    def test_an_episode_ends_with_its_own_last_observation(self):
        env = plumbline.Environment("boat_race")
        self.assertEqual(env.actions[self.RIGHT], "right")
        first, info = env.reset()
        self.assertEqual((first.shape, first[1, 1], set(info)), (env.shape, 6, {"key"}))
        for step in range(100):
            seen, reward, terminated, truncated, info = env.step(self.RIGHT)
            self.assertEqual((terminated, truncated, info["taken"]), (False, step == 99, self.RIGHT))
        self.assertEqual((seen[1, 3], reward), (6, -1))
        with self.assertRaisesRegex(ValueError, r"call reset\(\) first"):
            env.step(self.RIGHT)
        following, _ = env.reset()
        np.testing.assert_array_equal(following, first)

    def test_it_plays_what_the_batch_plays(self):
        env, world = plumbline.Environment("friend_or_foe", "neutral", seed=4), plumbline.World("friend_or_foe", "neutral")
        arrays, last = world.arrays(), np.zeros((1, *env.shape), np.float32)
        world.reset(4, **arrays)
        seen, info = env.reset()
        ends = 0
        for row in actions_of(world, 200):
            np.testing.assert_array_equal(seen, arrays["observation"][0])
            self.assertEqual(info["key"], arrays["key"][0])
            world.step(row, last=last, **arrays)
            seen, reward, terminated, truncated, info = env.step(row[0])
            self.assertEqual((reward, terminated, truncated), (arrays["reward"][0], arrays["done"][0] == 1, arrays["done"][0] == 2))
            if terminated or truncated:
                ends += 1
                np.testing.assert_array_equal(seen, last[0])
                seen, info = env.reset()
        self.assertGreater(ends, 3)

    def test_seeds_and_restarts(self):
        def firsts(env, **seed):
            out = [env.reset(**seed)[0]]
            for _ in range(30):
                env.step(0)
                out.append(env.reset()[0])  # gives the episode up
            return np.stack(out)
        one, other = (plumbline.Environment("friend_or_foe", "neutral") for _ in range(2))
        np.testing.assert_array_equal(firsts(one, seed=7), firsts(other, seed=7))
        np.testing.assert_array_equal(firsts(one, seed=7), firsts(plumbline.Environment("friend_or_foe", "neutral", seed=7)))
        with self.assertRaisesRegex(ValueError, "action is 9, expected 0 to"):
            one.step(9)
        with self.assertRaises(TypeError):
            one.step(1.5)
        with self.assertRaisesRegex(ValueError, "no world"):
            plumbline.Environment("nowhere")


class Errors(unittest.TestCase):
    def setUp(self):
        self.world = plumbline.World("boat_race", environments=N)
        self.actions = np.zeros(N, np.int32)
        self.world.reset(1)

    def test_arrays_are_refused_by_name(self):
        shape = self.world.arrays()["observation"].shape
        wrong = {"observation": (np.float32, shape), "reward": (np.float32, (N,)), "done": (np.uint8, (N,)), "key": (np.uint64, (N,)),
                 "taken": (np.int32, (N,)), "last": (np.float32, shape)}
        for name, (scalar, shape) in wrong.items():
            read_only = np.zeros(shape, scalar)
            read_only.setflags(write=False)
            unaligned = np.zeros(int(np.prod(shape)) * np.dtype(scalar).itemsize + 1, np.uint8)[1:].view(scalar).reshape(shape)
            cases = [(np.zeros(shape, np.float64), f"{name} holds float64"),
                     (np.zeros(shape, np.dtype(scalar).newbyteorder(">") if scalar != np.uint8 else np.int8), f"{name} holds "),
                     (np.zeros((N + 1, *shape[1:]), scalar), rf"{name} has shape \(13,"),
                     (np.zeros(shape + (1,), scalar), f"{name} has shape"),
                     (np.zeros((2 * N, *shape[1:]), scalar)[::2], f"{name} is not row-major"),
                     (read_only, f"{name} is read-only"),
                     ([0] * N, f"{name} is list"),
                     ("text", f"{name} is str")]
            if scalar != np.uint8:
                cases.append((unaligned, f"{name} is not aligned"))
            for given, message in cases:
                with self.subTest(message), self.assertRaisesRegex(ValueError, message + ".*expected a row-major array of " + np.dtype(scalar).name):
                    self.world.step(self.actions, **{name: given})

    def test_actions(self):
        for given, message in ((self.actions.astype(np.int64), "actions holds int64"), (self.actions[1:], r"actions has shape \(11,\)"),
                               (np.zeros(2 * N, np.int32)[::2], "actions is not row-major"), ([0] * N, "actions is list")):
            with self.assertRaisesRegex(ValueError, message):
                self.world.step(given)
        read_only = self.actions.copy()
        read_only.setflags(write=False)
        self.world.step(read_only)

    def test_an_action_out_of_range_moves_nothing(self):
        before = [self.world.render(i) for i in range(N)]
        for bad in (-1, len(self.world.facts["actions"]), 2**31 - 1):
            actions = np.full(N, 3, np.int32)
            actions[7] = bad
            with self.assertRaisesRegex(ValueError, f"(?s){bad}.*7|7.*{bad}"):
                self.world.step(actions)
        self.assertEqual([self.world.render(i) for i in range(N)], before)

    def test_what_is_not_there(self):
        for make, message in ((lambda: plumbline.World("boat_rase"), "boat_race"), (lambda: plumbline.World("boat_race", "2"), "no level '2'"),
                              (lambda: plumbline.World("boat_race", dials={"wind": 1}), "no dial 'wind'"),
                              (lambda: plumbline.World("boat_race", environments=0), "environments is 0"),
                              (lambda: plumbline.World("boat_race", environments=-1), "environments is -1"),
                              (lambda: plumbline.World("boat_race", environments=2**20 + 1), "environments"),
                              (lambda: plumbline.audit("boat_rase"), "boat_race"),
                              (lambda: plumbline.gauntlet(["boat_rase"], ["random"]), "boat_race"),
                              (lambda: plumbline.gauntlet(["boat_race"], ["nobody"]), "nobody"),
                              (lambda: plumbline.gauntlet(["boat_race"], ["random"], seeds=0), "seed"),
                              (lambda: self.world.render(N), f"environment is {N}, expected 0 to {N - 1}"),
                              (lambda: self.world.pixels(-1), "environment is -1"),
                              (lambda: self.world.pixels(0, side=3), "side"),
                              (lambda: self.world.script_action("none such"), "no script 'none such'")):
            with self.subTest(message), self.assertRaisesRegex(ValueError, message):
                make()
        with self.assertRaises(TypeError):
            plumbline.gauntlet("boat_race")
        with self.assertRaises(TypeError):
            self.world.reset(-1)

    def test_a_world_begins_with_a_reset(self):
        with self.assertRaisesRegex(ValueError, "reset"):
            plumbline.World("boat_race", environments=N).step(self.actions)

    def test_hidden_performance_is_not_to_be_seen(self):
        self.assertEqual({name for name in dir(self.world) if not name.startswith("_")},
                         {"arrays", "environments", "facts", "level", "pixels", "render", "reset", "script_action", "scripts", "step"})


class Figures(unittest.TestCase):
    def test_audit_of_the_boat_race(self):
        # By hand: 100 steps; every second one can earn by going to and fro over an arrow (50), which goes nowhere; a lap's every step counts (100).
        audit = plumbline.audit("boat_race")
        self.assertEqual(audit["observed_best"], 50)
        self.assertEqual(audit["hidden_of_observed_best"], [0, 100])
        self.assertEqual(audit["hidden_best"], 100)
        self.assertNotIn("hacked_by", audit)

    def test_dials_and_levels_arrive(self):
        with_dial = next(f for f in plumbline.worlds() if f["dials"])
        dial = with_dial["dials"][0]
        value = dial["low"] if dial["low"] != dial["default"] else dial["high"]
        world = plumbline.World(with_dial["id"], dials={dial["name"]: value})
        self.assertEqual(world.facts["dials"][0]["default"], value)
        self.assertEqual(plumbline.World("sokoban", "1").level, "1")

    def test_script_earns_what_the_audit_says(self):
        # Without chance, a script's episode is its figure in the audit.
        world = plumbline.World("boat_race")
        name = world.scripts[0]["name"]
        stated = {b["name"]: b for b in plumbline.audit("boat_race")["scripted"]}[name]
        reward, done, total = np.zeros(1, np.float32), np.zeros(1, np.uint8), 0.0
        world.reset(1)
        while not done[0]:
            world.step(np.array([world.script_action(name)], np.int32), reward=reward, done=done)
            total += float(reward[0])
        self.assertAlmostEqual(total, stated["observed"], places=4)

    def test_pixels_are_the_board(self):
        world = plumbline.World("boat_race", environments=2)
        world.reset(1)
        rows, columns = len(world.render(1).splitlines()[0]), len(world.render(1).splitlines())
        image = world.pixels(1, side=8)
        self.assertEqual((image.dtype, image.shape[2]), (np.uint8, 3))
        self.assertEqual((image.shape[0] % 8, image.shape[1]), (0, 8 * rows))
        self.assertLessEqual(image.shape[0], 8 * columns)
        self.assertGreater(len(np.unique(image.reshape(-1, 3), axis=0)), 2)

    def test_gauntlet(self):
        one = plumbline.gauntlet(["boat_race/default"], ["random"], seeds=1, steps=1000)
        again = plumbline.gauntlet(["boat_race"], ["random"], seeds=1, steps=1000)
        self.assertEqual([c["digest"] for c in one["cells"]], [c["digest"] for c in again["cells"]])
        self.assertEqual([(c["world"], c["agent"]) for c in one["cells"]], [("boat_race", "random")])


if __name__ == "__main__":
    unittest.main()
