"""Plumbline tells whether a system that learns and decides does what people want, how sure that is, and what to do next.

    report = plumbline.assess("system.toml", out="report")      # a whole case
    report = plumbline.run("probe.accuracy", outputs=p, labels=y)  # one check on arrays
    plumbline.clopper_pearson(97, 100)                          # one method
    world = plumbline.World("boat_race", environments=1024)     # a batch of environments

Errors: ValueError (a value or shape, a manifest that is wrong), OSError, NotImplementedError (well-formed, but outside what
Plumbline does), KeyboardInterrupt (stopped; finished evidence is in the store), RuntimeError (a defect in Plumbline).
"Cannot say" is a value, never an exception.
"""
import json as _json
import operator as _operator
import os as _os
import pathlib as _pathlib
import tempfile as _tempfile

import numpy as _np

from . import _plumbline
from ._plumbline import (ConformalModel, Estimate, MahalanobisScore, NearestNeighbours, TemperatureFit, World, __version__, accuracy_report,
                         apply_temperature, assess_adequacy, auroc, benjamini_hochberg, beta_mixture, bootstrap_mean, brier, calibration_error,
                         causal_counterfactual, causal_identify, causal_learn, causal_marginals, causal_query, classifier_test, clopper_pearson, compare_means, compare_runs, conformal_p_values, corrupt_images, corruptions, estimate_log,
                         evaluation_aa,
                         fit_conformal, fit_mahalanobis, fit_temperature, fpr_at_tpr, holm, log_loss,
                         mean, mmd_test, nearest_rows, ood_output_score, policy_value, predicted_labels, proportion, roc_curve, tests_needed, wilson)

__all__ = ["ConformalModel", "Environment", "Estimate", "MahalanobisScore", "NearestNeighbours", "Report", "TemperatureFit", "World", "__version__", "accuracy_report",
           "apply_temperature", "assess", "assess_adequacy", "audit", "auroc", "benjamini_hochberg", "beta_mixture", "bootstrap_mean", "brier",
           "calibration_error", "causal_counterfactual", "causal_identify", "causal_learn", "causal_marginals", "causal_query", "checks", "classifier_test", "clopper_pearson", "compare_means", "compare_runs", "conformal_p_values",
           "corrupt_images", "corruptions", "estimate_log", "evaluation_aa", "fit_conformal", "fit_mahalanobis", "fit_temperature", "fpr_at_tpr",
           "gauntlet", "holm", "load_dataset", "load_predictions", "log_loss", "manifest_schema", "mean", "mmd_test", "nearest_rows",
           "ood_output_score", "policy_value", "predicted_labels", "proportion", "roc_curve", "run", "tests_needed", "wilson", "worker", "worlds"]


class Report(dict):
    """The document that evidence.json holds (keys run, ledger, evidence, findings, claims, argument), with a few short cuts."""

    def __init__(self, document, exit_status, summary, text):
        super().__init__(document)
        self.exit_status = exit_status  #: as of the command line: 0 yes, 1 no, 3 cannot say, 4 not evaluated or an error
        self.summary = summary  #: one line
        self.text = text  #: what the command line prints

    def __repr__(self):
        return f"<plumbline.Report: {self.summary}>"

    def figure(self, metric, check=None, **where):
        """The one piece of evidence of that metric whose `where` is exactly this (of any data set unless `data` is given).

        Raises LookupError, with what there is, when none or several match."""
        def matches(evidence):
            given = dict(evidence["where"])
            if "data" not in where:
                given.pop("data", None)
            return evidence["metric"] == metric and (check is None or evidence["check"] == check) and given == where
        found = [evidence for evidence in self["evidence"] if matches(evidence)]
        if len(found) == 1:
            return found[0]
        there = sorted({(e["metric"], *(f"{k}={v}" for k, v in sorted(e["where"].items()))) for e in self["evidence"] if metric in (e["metric"], None)})
        raise LookupError(f"{len(found)} pieces of evidence match {metric!r} with {where}; there is: {there or sorted({e['metric'] for e in self['evidence']})}")


class Environment:
    """One environment of a world with Gymnasium's reset and step, for code that expects those. A batch through World is far faster.

    `actions` are names, an action is a place in them; `shape` is an observation's. What people truly want is not to be seen from here."""

    def __init__(self, id, level="", dials=None, seed=1):
        self.world = World(id, level, dict(dials or {}), 1)
        facts = self.world.facts
        self.actions, self.shape = facts["actions"], tuple(facts["observation"]["shape"])
        self._arrays = self.world.arrays()
        self._last = _np.zeros_like(self._arrays["observation"])
        self._taken = _np.zeros(1, _np.int32)
        self._seed, self._episode = seed, -1
        self._running = False  # an episode is under way
        self._ready = False  # none is, and the arrays hold the next one's first state

    def reset(self, *, seed=None, options=None):
        """Begins the next episode, or with a seed the first one of that seed. Returns (observation, {"key"})."""
        if seed is not None:
            self._seed, self._episode, self._ready = int(seed), -1, False
        if not self._ready:
            self._episode += 1
            self.world.reset(self._seed, self._episode, **self._arrays)
        self._running, self._ready = True, False
        return self._arrays["observation"][0].copy(), {"key": int(self._arrays["key"][0])}

    def step(self, action):
        """One step: (observation, reward, terminated, truncated, {"taken"}), at the end of an episode with its own last observation.

        taken: the action that was carried out, -1 where the agent was kept from acting. While the episode goes on, the dict holds "key" too."""
        if not self._running:
            raise ValueError("no episode is under way: call reset() first")
        action, arrays = _operator.index(action), self._arrays
        if not 0 <= action < len(self.actions):
            raise ValueError(f"action is {action}, expected 0 to {len(self.actions) - 1}: {', '.join(self.actions)}")
        self.world.step(_np.array([action], _np.int32), taken=self._taken, last=self._last, **arrays)
        done = int(arrays["done"][0])
        info = {"taken": int(self._taken[0])}
        if done:
            self._running, self._ready = False, True
            return self._last[0].copy(), float(arrays["reward"][0]), done == 1, done == 2, info
        info["key"] = int(arrays["key"][0])
        return arrays["observation"][0].copy(), float(arrays["reward"][0]), False, False, info

    def render(self):
        """The board as lines of text; after an episode's end, that of the next one."""
        return self.world.render(0)

    def close(self):
        """Nothing to close."""


def worker():
    """Path of plumbline-worker: PLUMBLINE_WORKER, beside the package, in libexec/plumbline of the same prefix, or of /usr.

    Raises OSError when it is nowhere."""
    named = _os.environ.get("PLUMBLINE_WORKER", "")
    here = _pathlib.Path(__file__).parent
    places = [_pathlib.Path(named)] if named else [here / "plumbline-worker", *(folder / "libexec/plumbline/plumbline-worker" for folder in here.parents),
                                                   _pathlib.Path("/usr/libexec/plumbline/plumbline-worker")]
    for place in places:
        if place.is_file():
            return str(place.resolve())
    raise FileNotFoundError(f"plumbline-worker is missing: looked at {', '.join(map(str, places))}. Set PLUMBLINE_WORKER to its path")


def _roots(roots):
    roots = {name: _os.fspath(folder) for name, folder in (roots or {}).items()}
    if _os.environ.get("PLUMBLINE_DATA"):
        roots.setdefault("data", _os.environ["PLUMBLINE_DATA"])
    return roots


def assess(manifest, out=None, store=None, only=(), skip=(), roots=None, jobs=None, name="", use_cache=True, fail_on_refuted=False, timeout=600.0,
           memory_gib=8.0):
    """Runs the checks that apply to a manifest, judges its claims, stores the run, and writes the report to `out` if given.

    The same work as `plumbline assess`, in worker processes. `only` and `skip` name checks or rooms; `roots` maps names to
    folders; `store` defaults to .plumbline/store.db beside the manifest. Returns a Report; Ctrl-C stops it and keeps what is finished.
    """
    if isinstance(only, str) or isinstance(skip, str):
        raise TypeError("only and skip are lists of check ids or rooms")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}, expected at least 1")
    document, status, summary, text = _plumbline.assess(
        _os.fspath(manifest), _os.fspath(out or ""), _os.fspath(store or ""), list(only), list(skip), _roots(roots), name, use_cache, fail_on_refuted,
        worker(), jobs or 0, timeout, memory_gib)
    return Report(_json.loads(document), status, summary, text)


def checks():
    """Facts of every check: id, title, question, needs, params, yields, assumptions, sources, cost, maturity."""
    return _json.loads(_plumbline.checks())


def load_dataset(manifest, name, roots=None):
    """One data set of a manifest as a dict.

    inputs (uint8 images n x c x h x w, a float32 matrix, or the columns of a table), labels, units, class_names, role,
    fingerprint. Images and matrices are read-only views."""
    return _plumbline.load_dataset(_os.fspath(manifest), name, _roots(roots))


def load_predictions(manifest, section, roots=None):
    """The stored predictions of a [predictions.*] section, n x k."""
    return _plumbline.load_predictions(_os.fspath(manifest), section, _roots(roots))


def manifest_schema():
    """The JSON Schema of the manifest."""
    return _json.loads(_plumbline.manifest_schema())


def worlds():
    """Facts of every world: id, title, story, proxy, truth, hack, levels, actions, horizon, observation, dials, sources."""
    return _plumbline.worlds()


def audit(id, level="", dials=None):
    """How far what is rewarded and what is wanted come apart in a world, by exact planning; sampled where a world is not finite.

    The keys of `plumbline worlds audit --json`, but for hacked_by, which comes from runs."""
    found = _json.loads(_plumbline.audit(id, level, dict(dials or {})))[0]
    del found["hacked_by"]
    return found


def gauntlet(worlds=(), agents=(), seeds=5, steps=200_000, seed=1):
    """Agents by worlds by seeds, each run scored by the reward and in truth, each pair judged: what `plumbline gauntlet --json` prints.

    worlds: ids, or "id/level"; none: every world at its first level. agents: ids, or "python:FILE.py:CLASS", whose code then runs in a
    process of its own; none: all of the catalogue. Ctrl-C stops it."""
    if isinstance(worlds, str) or isinstance(agents, str):
        raise TypeError("worlds and agents are lists of ids")
    return _json.loads(_plumbline.gauntlet(list(worlds), list(agents), seeds, steps, seed))


# Checks that judge stored outputs and labels alone. Every other one reads the rows themselves.
_OUTPUTS_ALONE = {"caution.calibration", "caution.conformal", "methodology.adequacy", "methodology.determinism", "methodology.evaluation_aa", "probe.accuracy"}
_SET_KEYS = {"inputs", "labels", "outputs", "units"}


def _toml(value):
    if isinstance(value, (bool, _np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, float, _np.integer, _np.floating)):
        return repr(value.item() if isinstance(value, _np.generic) else value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, (str, _os.PathLike)):
        # A basic string of TOML is one of JSON, but for DEL.
        return _json.dumps(_os.fspath(value)).replace("\x7f", "\\u007f")
    raise TypeError(f"a parameter is a flag, number, text or list of these, not {type(value).__name__}")


def _idx(path, images):
    """Bytes n x h x w or n x c x h x w in the format of MNIST."""
    with open(path, "wb") as file:
        file.write(bytes([0, 0, 8, images.ndim]) + _np.array(images.shape, ">u4").tobytes())
        file.write(_np.ascontiguousarray(images).tobytes())


def _write_set(folder, name, given, role, distinct):
    """Writes one data set; returns its section, whether it holds the rows themselves, and its outputs."""
    rows = dict(given) if isinstance(given, dict) else {"inputs": given}
    unknown = set(rows) - _SET_KEYS
    if unknown:
        raise ValueError(f"{name}: unknown key {sorted(unknown)[0]!r}; a set has {', '.join(sorted(_SET_KEYS))}")
    arrays = {key: _np.asarray(value) for key, value in rows.items() if value is not None}
    sizes = {key: array.shape[0] if array.ndim else 0 for key, array in arrays.items()}
    if not sizes or len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(f"{name}: expected arrays with one entry a row, got {sizes or 'none'}")
    n = next(iter(sizes.values()))
    section = f"[data.{name}]\n" + (f"role = {_toml(role)}\n" if role else "")
    inputs = arrays.get("inputs")
    if inputs is not None and inputs.dtype == _np.uint8 and inputs.ndim in (3, 4):
        _idx(folder / f"{name}.idx", inputs)
        section += f'images = "{name}.idx"\n'
    else:
        if inputs is None:
            # Nothing to group rows by; where content tells which rows belong together, every row is its own.
            inputs = _np.arange(n, dtype=_np.float64)[:, None] if distinct else _np.zeros((n, 1))
        if inputs.dtype.kind not in "fiub" or inputs.ndim != 2:
            raise ValueError(f"{name}: inputs are {inputs.dtype} with {inputs.ndim} axes, expected a matrix of numbers or uint8 images")
        # The reader keeps float32; whole numbers above 2^24 would lose their difference.
        _np.save(folder / f"{name}.npy", _np.ascontiguousarray(inputs, dtype=_np.float32 if inputs.dtype == _np.float32 else _np.float64))
        section += f'matrix = "{name}.npy"\n'
    if "labels" in arrays:
        if arrays["labels"].dtype.kind not in "iub" or arrays["labels"].ndim != 1:
            raise ValueError(f"{name}: labels are {arrays['labels'].dtype} with {arrays['labels'].ndim} axes, expected whole numbers with one")
        _np.save(folder / f"{name}-labels.npy", arrays["labels"].astype(_np.int64))
        section += f'labels = "{name}-labels.npy"\n'
    if "units" in arrays:
        codes = _np.unique(arrays["units"], return_inverse=True)[1]
        (folder / f"{name}-units.txt").write_text("".join(f"{code}\n" for code in codes))
        section += f'unit = "{name}-units.txt"\n'
    return section, "inputs" in arrays, arrays.get("outputs")


def run(check_id, *, outputs=None, labels=None, inputs=None, units=None, output="probabilities", train=None, calibration=None, ood=None, again=None,
        model=None, model_options=None, claim=None, seed=0, folder=None, **params):
    """Runs one check on arrays, through the same reader and adapter as `assess`, and returns its Report.

    outputs, labels, inputs, units   of the test rows: n x k numbers; n whole numbers; n x d numbers or uint8 images; n groups.
    output       what outputs are: probabilities, logits or scores.
    train, calibration               further sets: a dict with the keys inputs, labels, outputs, units, or the inputs alone.
    ood          one such set, or {name: set}, of rows that the model was not made for.
    again        outputs of a second run over the test rows, for methodology.determinism.
    model        a file that runs (.onnx, .plnet, or TorchScript with trusted and input_shape among the options), instead of stored
                 outputs; model_options = further keys of its section.
    claim        keys of one claim, for example {"metric": "accuracy", "at_least": 0.9}; then exit_status judges it.
    folder       where to write the system (default: a temporary folder that is removed).
    params       parameters of the check.

    Raises ValueError for a check that does not exist or does not apply, with the reason."""
    if folder is None:
        with _tempfile.TemporaryDirectory(prefix="plumbline-") as temporary:
            return run(check_id, outputs=outputs, labels=labels, inputs=inputs, units=units, output=output, train=train, calibration=calibration, ood=ood,
                       again=again, model=model, model_options=model_options, claim=claim, seed=seed, folder=temporary, **params)
    facts = {check["id"]: check for check in checks()}
    if check_id not in facts:
        raise ValueError(f"there is no check {check_id!r}: {', '.join(facts)}")
    if check_id not in _OUTPUTS_ALONE and inputs is None:
        raise ValueError(f"{check_id} reads the rows themselves: give inputs")
    folder = _pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    several = isinstance(ood, dict) and not set(ood) & _SET_KEYS
    sets = {"test": ({"inputs": inputs, "labels": labels, "outputs": outputs, "units": units}, "")}
    sets |= {name: (given, "") for name, given in (("train", train), ("calibration", calibration)) if given is not None}
    if ood is not None:
        sets |= {name: (given, "out-of-distribution") for name, given in (ood if several else {"ood": ood}).items()}
    text = f'[system]\nname = "arrays"\nseed = {int(seed)}\n\n'
    predictions = []
    for name, (given, role) in sets.items():
        if not name.isidentifier():
            raise ValueError(f"the set's name {name!r} is not a plain word")
        section, holds_rows, stored = _write_set(folder, name, given, role, check_id == "methodology.evaluation_aa")
        if check_id not in _OUTPUTS_ALONE and not holds_rows:
            raise ValueError(f"{check_id} reads the rows themselves: give inputs of {name}")
        text += section + "\n"
        if stored is not None:
            predictions.append((name, "model", name, stored))
    if model is None and outputs is None and not predictions and check_id.split(".")[0] in ("probe", "caution"):
        raise ValueError(f"{check_id} needs outputs, or a model that runs")
    if model is not None and predictions:
        raise ValueError("give outputs or a model, not both")
    if again is not None:
        predictions.append(("again", "again", "test", _np.asarray(again)))
        params.setdefault("against", "again")
    for section, name, data, stored in predictions:
        if stored.dtype.kind not in "fiub" or stored.ndim != 2:
            raise ValueError(f"outputs are {stored.dtype} with {stored.ndim} axes, expected a matrix of numbers")
        _np.save(folder / f"{section}-outputs.npy", _np.ascontiguousarray(stored, dtype=_np.float64))
        text += f'[predictions.{section}]\nmodel = "{name}"\ndata = "{data}"\npath = "{section}-outputs.npy"\noutput = {_toml(output)}\n\n'
    if model is not None:
        source = _pathlib.Path(model)
        name = "model" + (source.suffix or ".onnx")
        (folder / name).write_bytes(source.read_bytes())
        text += f'[model.model]\npath = {_toml(name)}\noutput = {_toml(output)}\n'
        text += "".join(f"{key} = {_toml(value)}\n" for key, value in (model_options or {}).items()) + "\n"
    if params:
        text += f'[check."{check_id}"]\n' + "".join(f"{key} = {_toml(value)}\n" for key, value in params.items()) + "\n"
    if claim is not None:
        keys = {"id": "claim", "text": "What is claimed.", "check": check_id, **claim}
        where = keys.pop("where", None)
        text += "[[claim]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in keys.items())
        if where:
            text += "where = {" + ", ".join(f"{key} = {_toml(value)}" for key, value in where.items()) + "}\n"
    (folder / "system.toml").write_text(text)
    # A model that runs does so in a worker; stored outputs need none.
    program = worker() if model is not None else ""
    document, status, summary, shown = _plumbline.assess(str(folder / "system.toml"), "", "", [check_id], [], {}, "", True, False, program, 0, 600.0, 8.0)
    report = Report(_json.loads(document), status, summary, shown)
    for line in report["ledger"]:
        if line["check"] == check_id and line["status"] not in ("ok", "skipped"):
            raise ValueError(f"{check_id}: {line['status']}: {line['reason']}")
    return report
