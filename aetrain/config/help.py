"""The page that --help shows: every key of the composed configuration with its meaning, unit, range and choices, all of
them from the fields' declarations."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aetrain.config import packages
from aetrain.config.fields import hparams, in_use, range_in_words
from aetrain.config.schema import Config
from aetrain.config.schema.schedule import Schedule
from aetrain.config.schema.task.base import OnImages
from aetrain.config.tables import GROUPS, ON_RUNS
from aetrain.config.words import show

WIDTH = 100
USAGE = """\
aetrain: train autoencoders from the command line.

  aetrain [group=option …] [key=value …]           one run
  aetrain -m model=beta_vae model.beta=1,4,10      a sweep: one run per value, and a report
  aetrain resume=outputs/vae/<time>                continue a run, or a sweep; resume=latest the newest
  aetrain runs                                     what has been trained, and how it came out
  aetrain report run=outputs/sweeps/<time>         the report of a sweep, or of any set of runs
  aetrain evaluate run=outputs/vae/<time>          a task on a trained model: see below
  aetrain model=beta_vae --help                    the keys of a model; aetrain evaluate --help: of a task
  aetrain model=vae --cfg job                      print the configuration and exit

A run writes outputs/<model>/<time>/, a sweep outputs/sweeps/<time>/<n>_<overrides>/. View them with:
tensorboard --logdir outputs"""


def page(config: Config) -> str:
    """The help page of a command line that composes to `config`."""
    return "\n".join([USAGE, "", *_tasks(), "", "Groups and their options:", *_groups(), "", *_keys(config)])


def _tasks() -> Iterator[str]:
    yield "Tasks on a trained model:"
    for name, cls in ON_RUNS.items():
        yield textwrap.fill(f"{name:<14}  {_about(cls)}", WIDTH, initial_indent="  ", subsequent_indent=" " * 18)


def _about(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def task_page(config: Config) -> str:
    """The help page of a task on a trained model, in a command line that composes to `config`."""
    task = config.task
    lines = [f"aetrain {task.name} run=<run> [key=value …]", "", textwrap.fill(_about(type(task)), WIDTH), ""]
    for field in _own_first(type(task)):
        if field.name != "name":
            lines += _line(f"{field.name}={show(getattr(task, field.name))}", field, in_use(task, field))
    takes_images = isinstance(task, OnImages)
    for key, text in ON_A_RUN.items():
        if not takes_images and key.startswith(("seed", "data")):
            continue
        text = text.replace("and a table over them", "together") if task.together else text
        lines.append(textwrap.fill(f"{key:<32}  {text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 36))
    return "\n".join(lines)


ON_A_RUN = {
    "run=outputs/vae/<time>": "the run, with the weights that it was tested with; a checkpoint of one; or the folder "
    "of a sweep or of several runs: all that are done, and a table over them",
    "out=<run>/<task>_<n>": "the folder for what is written; by default a new one inside the run's",
    "seed=0": "seed of what is drawn at random",
    "data=folder data.path=photos": "other images than the run's, with all keys of their group, fitted to its size and "
    "channels; without data=, the keys of the run's own data, as in data.limit=100",
    "device=auto": "where to compute, with all keys of the group; by default as the run did",
}


def _groups() -> Iterator[str]:
    presets = {group: packages.options(group) for group in ("experiment", "debug")}
    options: Mapping[str, Sequence[str]] = {group: sorted(table) for group, table in GROUPS.items()}
    for group, names in {**options, **presets}.items():
        yield textwrap.fill(f"{group}: {', '.join(names)}", WIDTH, initial_indent="  ", subsequent_indent="      ")


def _keys(config: Config) -> Iterator[str]:
    groups = [
        field.name for field in dataclasses.fields(config) if dataclasses.is_dataclass(getattr(config, field.name))
    ]
    for group in groups:
        node = getattr(config, group)
        about = (type(node).__doc__ or "").strip().split("\n")[0]
        is_documented = about and not about.startswith(f"{type(node).__name__}(")  # a dataclass's own is its signature
        yield f"{group}={node.name}" if hasattr(node, "name") else group
        if is_documented:
            yield textwrap.fill(about, WIDTH, initial_indent="  ", subsequent_indent="  ")
        for field in _own_first(type(node)):
            value = getattr(node, field.name)
            if field.name == "schedule":
                yield from _schedules(group, node, value)
            elif field.name != "name":
                yield from _line(f"{group}.{field.name}={show(value)}", field, in_use(node, field))
        yield ""
    for field in dataclasses.fields(config):
        if not dataclasses.is_dataclass(getattr(config, field.name)):
            yield from _line(f"{field.name}={show(getattr(config, field.name))}", field, True)


def _own_first(cls: type) -> list[dataclasses.Field]:
    """The fields, those that the class itself declares before those that it shares."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    ordered: dict[str, dataclasses.Field] = {}
    for base in cls.__mro__:
        for name in inspect.get_annotations(base):
            if name in fields:
                ordered.setdefault(name, fields[name])
    schedule = ordered.pop("schedule", None)
    return [*ordered.values(), *([schedule] if schedule else [])]


def _line(key: str, field: dataclasses.Field, used: bool) -> Iterator[str]:
    about = field.metadata
    words = [about["help"]]
    if unit := about.get("unit"):
        words.append(f"in {unit}")
    if limits := range_in_words(dict(about)):
        words.append(limits)
    if not used:
        words.append("no effect with the other values here")
    text = "; ".join(words)
    yield textwrap.fill(f"{key:<32}  {text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 36)


def _schedules(group: str, node: Any, schedule: Any) -> Iterator[str]:
    """All schedules of a group in one line, and those of a model that change a value by default."""
    kinds = range_in_words(dict(next(f for f in dataclasses.fields(Schedule) if f.name == "kind").metadata))
    if group == "model":
        names = list(hparams(node))
        where = f"model.schedule.{{{','.join(names)}}}.kind" if names else ""
    else:
        where = f"{group}.schedule.kind"
    if where:
        text = f"changes the value during the run: {kinds}; see docs/configuration.md"
        yield textwrap.fill(f"{where:<32}  {text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 36)
    for name, one in vars(schedule).items() if group == "model" else ():
        for field in dataclasses.fields(Schedule):
            if one.kind != "constant" and in_use(one, field):
                yield from _line(f"model.schedule.{name}.{field.name}={show(getattr(one, field.name))}", field, True)
