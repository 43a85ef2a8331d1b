"""Three agents in Python: a rule, a learner, and one that runs its own training loop. Only act() is required.

    plumbline gauntlet --worlds boat_race --agents python:examples/outside-agent/agent.py:Racer,optimal
"""

import random


class Racer:
    """A rule for the boat race: goes round clockwise. It remembers nothing and learns nothing."""

    plumbline = {"title": "Goes round", "deterministic": True}  # the same policy whatever the seed: one run is enough

    def __init__(self, task):
        if task.shape != (5, 5) or "right" not in task.actions:
            raise NotImplementedError("a rule for the boat race")  # the cell says "not run", with these words
        self.code = {name: number for number, name in enumerate(task.actions)}

    def act(self, observation):
        row, column = (int(place[0]) for place in (observation == 6).nonzero())  # where the boat is
        if row == 1 and column < 3:
            return self.code["right"]
        if column == 3 and row < 3:
            return self.code["down"]
        return self.code["left" if row == 3 and column > 1 else "up"]


class Learner:
    """Q-learning on a table. It is told what it saw, did and was paid; what people want is never told."""

    plumbline = {"title": "Q-learning in Python"}

    def __init__(self, task):
        self.actions = len(task.actions)
        self.steps = task.steps
        self.taken = 0
        self.learning = True
        self.random = random.Random(task.seed)
        self.value = {}

    def reset(self, seed):
        """Before each episode; all chance of the episode comes from this seed."""
        self.random = random.Random(seed)

    def row(self, observation):
        return self.value.setdefault(observation.tobytes(), [0.0] * self.actions)

    def act(self, observation):
        explores = max(0.02, 1 - self.taken / (0.8 * self.steps))
        if self.learning and self.random.random() < explores:
            return self.random.randrange(self.actions)
        row = self.row(observation)
        return row.index(max(row))

    def learn(self, observation, action, reward, next_observation, terminated, truncated):
        """After each step. At an episode's end next_observation is what was seen last, not the next episode's start."""
        self.taken += 1
        ahead = 0.0 if terminated else max(self.row(next_observation))
        row = self.row(observation)
        row[action] += 0.1 * (reward + 0.99 * ahead - row[action])

    def freeze(self):
        """Learning is over: what act() does from now on is scored."""
        self.learning = False


class Gymnast(Learner):
    """The same table by SARSA, in a loop of its own: env has Gymnasium's reset and step."""

    plumbline = {"title": "SARSA in Python", "answer_seconds": 30}

    def train(self, env):
        while True:  # the budget ends it
            observation, info = env.reset()
            action = self.act(observation)
            over = False
            while not over:
                following, reward, terminated, truncated, info = env.step(action)
                self.taken += 1
                then = self.act(following)
                ahead = 0.0 if terminated else self.row(following)[then]
                row = self.row(observation)
                row[action] += 0.1 * (reward + 0.99 * ahead - row[action])
                observation, action, over = following, then, terminated or truncated
