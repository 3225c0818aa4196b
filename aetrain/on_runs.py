"""`aetrain <task> run=…`: a task on a trained model, or on every model of a sweep. Imports no torch.

A request comes from the words of the command line, composed by Hydra as usual, and from the run, which is read as
data: neither Hydra nor an override has a part in what is stored."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aetrain import device
from aetrain.compose import composed, given_keys, in_words, plain_values, typed_of
from aetrain.config import stored
from aetrain.config.command import check_words
from aetrain.config.fields import names
from aetrain.config.schema import Config
from aetrain.config.schema.data import Data
from aetrain.config.schema.task.base import OnImages, OnRun
from aetrain.config.synonyms import ON_RUN, SYNONYMS
from aetrain.config.tables import ON_RUNS, TASKS
from aetrain.config.typos import leaves
from aetrain.config.words import closest
from aetrain.errors import UserError
from aetrain.latest import named, path_of
from aetrain.runs import Trained, trained
from aetrain.sweeps.report.read import is_run
from aetrain.tasks.asked import Asked, Outcome

PATHS = ("run", "run2", "out")  # taken as they are: a path may hold what Hydra's grammar does not take
OWN = ("run", "out", "seed", "data", "device")  # words that every task takes beside its own keys


def task_of(words: Sequence[str]) -> str | None:
    """The task that the words of a command line choose; None where they choose none."""
    chosen = [word.partition("=")[2] for word in words if word.startswith("task=")]
    return chosen[-1] if chosen else None


def prefixed(words: Sequence[str]) -> list[str]:
    """The words, with the keys of the task that they choose, which need no prefix, as Hydra takes them."""
    own = set(names(TASKS.get(task_of(words) or "")) or ()) - {"name"}
    return [f"task.{word}" if "=" in word and word.partition("=")[0] in own else word for word in words]


@dataclass(frozen=True)
class Request:
    """A task with its keys, on runs that are not yet read. second: of run2=…. further: overrides of the runs' own data
    and device."""

    task: OnRun
    path: Path
    images: Data | None
    given: frozenset[str]
    further: tuple[str, ...]
    seed: int | None
    out: Path | None
    second: Path | None = None

    def on(self, run: Trained, out: Path | None) -> Asked:
        """For one run. Raises a UserError where the task cannot be done on it."""
        config = run.config
        known = names(type(config.data)) or ()
        for key in given_keys(self.further):
            if key.startswith("data.") and key.partition(".")[2] not in known:
                raise UserError(
                    f"{key}: the run's data={config.data.name} have no such key; of other images say what they are, as "
                    "in data=folder data.path=photos"
                )
        if not any(key == "device" or key == "device.name" for key in given_keys(self.further)):
            config = dataclasses.replace(config, device=device.here(config.device))
        config = stored.changed(config, plain_values(self.further))
        device.check_device(config.device)
        self.task.check(config)
        return Asked(self.task, run, config, self.images, self.given, self.seed, out)


def request(words: Sequence[str], config_dir: str | None = None, config_name: str | None = None) -> Request:
    """What the words ask for. Raises a UserError for a word that has no place here."""
    try:
        with in_words(words):
            return _request(words, config_dir, config_name)
    except UserError as error:
        raise UserError(re.sub(r"\btask\.(?=\w+=)", "", str(error))) from error


def _request(words: Sequence[str], config_dir: str | None, config_name: str | None) -> Request:
    name = task_of(words)
    assert name is not None
    _check(name, words)
    paths = {key: [w.partition("=")[2] for w in words if w.startswith(f"{key}=")] for key in PATHS}
    if not paths["run"] or not paths["run"][-1]:
        raise UserError(f"aetrain {name}: of which run? Give run=latest, or a folder, as in run=outputs/<model>/<time>")
    rest = prefixed([word for word in words if word.partition("=")[0] not in PATHS])
    check_words(rest)
    other = any(key == "data" for key in given_keys(rest))
    further = tuple(w for w in rest if re.match(r"device[.=]" if other else r"(data\.|device[.=])", w))
    config = _composed([w for w in rest if w not in further], config_dir, config_name)
    keys, task = given_keys(rest), config.task
    if paths["run2"]:
        task = dataclasses.replace(task, run2=paths["run2"][-1])
    second = getattr(task, "run2", None)
    return Request(
        task=task,
        path=named("run", paths["run"][-1]),
        images=config.data if other else None,
        given=frozenset(keys),
        further=further,
        seed=config.seed if "seed" in keys else None,
        out=path_of("out", paths["out"][-1]) if paths["out"] else None,
        second=named("run2", second) if second else None,
    )


def _composed(words: list[str], config_dir: str | None, config_name: str | None) -> Config:
    return typed_of(composed(words, config_dir, config_name)[0], words)


def _check(name: str, words: Sequence[str]) -> None:
    """Raise a UserError for the first word that a task on a run does not take."""
    own = [key for key in names(ON_RUNS[name]) or () if key != "name"]
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        group = key.partition(".")[0]
        value = word.partition("=")[2]
        if key == "model" and (re.match(r"[~.]|latest\b", value) or "/" in value or value.endswith(".pt")):
            raise UserError(f"{word}: did you mean run={value}?")
        if group in ("model", "net", "prior", "optimizer", "trainer", "experiment"):
            raise UserError(f"{word}: the model comes from run=…, as it was trained; leave it out")
        if key == "resume":
            raise UserError(f"{word}: continues a training; aetrain {name} takes run=…")
        if key == "hydra.searchpath":
            continue
        if "=" not in word:
            raise UserError(
                f"{word}: say what it is, as in run={word}" if "/" in word or word == "latest" else _bare(word)
            )
        if group == "hydra":
            raise UserError(f"{word}: a task on a trained model takes out=…, for its folder, and none of Hydra's keys")
        if group in ("data", "seed") and not issubclass(ON_RUNS[name], OnImages):
            raise UserError(f"{word}: aetrain {name} needs no images, and draws nothing; leave it out")
        if key in (*own, *OWN, "task") or (group in ("task", "data", "device") and "." in key):
            continue
        raise UserError(_unknown(name, word, own))


def _bare(word: str) -> str:
    return f"{word}: " + (f"one task at a time; did you mean aetrain {word} …?" if word in TASKS else "write key=value")


def _unknown(name: str, word: str, own: Sequence[str]) -> str:
    key, _, value = word.lstrip("+~").partition("=")
    told = f"unknown key '{key}'"
    if key in TASKS:
        return f"{word}: a task is the first word; did you mean aetrain {key}?"
    if (near := ON_RUN.get(key)) in (*own, *OWN):
        return f"{told}: did you mean {near}={value or '…'}?"
    meant = SYNONYMS.get(key, key)
    near = "out" if meant == "hydra.run.dir" else closest(key, [*own, *OWN]) or closest(meant.rpartition(".")[2], own)
    if not near and re.match(r"(data|device)\b", meant):
        near = meant
    if near:
        return f"{told}: did you mean {near}={value or '…'}?"
    if any(
        place.partition(".")[0] in ("model", "net", "prior", "trainer", "optimizer") for place in leaves().get(key, ())
    ):
        return f"{told}: the model comes from run=…, as it was trained; leave it out"
    return f"{told}: aetrain {name} takes {', '.join([*own, *OWN])}; data.… and device.…"


def runs_in(path: Path) -> bool:
    """Whether a path is a folder of several runs: of a sweep, or of any others."""
    return path.is_dir() and not (path / "config.yaml").exists() and any(map(is_run, path.iterdir()))


def do(asked: Request, show: bool = False) -> Outcome:
    """The task on the one run, or on every run that is done, with a table over them. show: its lines and its numbers on
    the terminal. Raises a UserError, RunFailed or Interrupted."""
    if asked.task.together and (asked.second or runs_in(asked.path)):
        from aetrain.sweeps.side_by_side import do_together

        on = partial(_on, asked)
        return do_together(asked.path, asked.second, asked.task.name, asked.out, on, show)
    if runs_in(asked.path):
        from aetrain.sweeps.over_runs import do_each

        return do_each(asked.path, asked.task.name, asked.out, lambda path, out: asked.on(trained(path), out))
    one = asked.on(trained(asked.path), asked.out)
    from aetrain.tasks.work import do_task  # here, because it imports torch

    return do_task(one, show)


def _on(asked: Request, path: Path) -> Asked:
    return asked.on(trained(path), asked.out)


def configuration(asked: Request) -> Config:
    """What --cfg shows: the run's own, with the task, and with the device and the images that the task would use before
    they are fitted. Raises a UserError."""
    if runs_in(asked.path):
        raise UserError(f"run={asked.path}: several runs; show one of them, as in run={asked.path}/<run>")
    one = asked.on(trained(asked.path), asked.out)
    return dataclasses.replace(one.config, task=one.task, data=one.images or one.config.data)


def help_words(words: Sequence[str]) -> list[str]:
    """Those of the words that the page of a task's keys is composed from."""
    return prefixed([word for word in words if word.partition("=")[0] not in PATHS])
