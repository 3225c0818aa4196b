"""The words of a command line: flags, wherever they stand, and overrides. Knows neither Hydra nor torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aetrain.config.typos import flag_meant
from aetrain.config.words import closest
from aetrain.errors import UserError

SWITCHES = {
    "-h": "help",
    "--help": "help",
    "--hydra-help": "hydra_help",
    "--version": "version",
    "-m": "multirun",
    "--multirun": "multirun",
    "-r": "run",
    "--run": "run",
    "--resolve": "resolve",
    "-v": "verbose",
    "--verbose": "verbose",
    "-sc": "shell_completion",
    "--shell-completion": "shell_completion",
}
VALUED = {
    "-c": "cfg",
    "--cfg": "cfg",
    "-p": "package",
    "--package": "package",
    "-i": "info",
    "--info": "info",
    "-cp": "config_path",
    "--config-path": "config_path",
    "-cn": "config_name",
    "--config-name": "config_name",
    "-cd": "config_dir",
    "--config-dir": "config_dir",
    "--experimental-rerun": "experimental_rerun",
}
CHOICES = {
    "cfg": ("job", "hydra", "all"),
    "info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
EXAMPLES = {"cfg": "job", "package": "model", "config_name": "mine"}


@dataclass
class Arguments:
    overrides: list[str] = field(default_factory=list)
    help: bool = False
    hydra_help: bool = False
    version: bool = False
    multirun: bool = False
    run: bool = False
    cfg: str | None = None  # job, hydra or all
    resolve: bool = False
    verbose: bool = False  # print the configuration before training
    package: str | None = None
    info: str | None = None
    config_name: str | None = None
    config_dir: str | None = None  # a folder of the user's own YAML; --config-path means the same
    shell_completion: bool = False

    def flags(self) -> list[str]:
        """The flags as Hydra takes them, in one order."""
        switches = ("help", "hydra_help", "multirun", "run", "resolve", "shell_completion")
        valued = ("cfg", "package", "info", "config_name", "config_dir")
        given = [f"--{name.replace('_', '-')}" for name in switches if getattr(self, name)]
        values = {name: value for name in valued if (value := getattr(self, name)) is not None}
        return [*given, *(f"--{name.replace('_', '-')}={value}" for name, value in values.items())]


def parse(argv: Sequence[str]) -> Arguments:
    """Raises a UserError, one line, for a flag that is none or has no value."""
    found: dict[str, str | bool] = {}
    overrides: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            overrides += words
            break
        if not re.match(r"[-–—]", word):
            overrides.append(word)
            continue
        flag, sign, value = word.partition("=")
        if flag in SWITCHES and not sign:
            found[SWITCHES[flag]] = True
        elif flag in VALUED:
            name = VALUED[flag]
            if not sign:
                value = _value(name, words)
            _check_value(flag, name, value)
            if name == "config_path":
                name = "config_dir"
            if name in found and found[name] != value:
                raise UserError(f"{flag}: is given twice; one folder of your own YAML is --config-dir, further "
                                "ones go into hydra.searchpath=[…]" if name == "config_dir" else
                                f"{flag}: is given twice")  # fmt: skip
            found[name] = value
        else:
            raise UserError(_unknown(word, flag, value, sign, words, overrides, "multirun" in found))
    args = Arguments(overrides=overrides, **found)  # type: ignore[arg-type]
    _check_together(args)
    return args


def _value(name: str, words: list[str]) -> str:
    """The word after a flag, taken off."""
    if name == "info":
        return words.pop(0) if words and not re.search(r"^-|=", words[0]) else "all"
    return words.pop(0) if words and not words[0].startswith("-") else ""


def _check_value(flag: str, name: str, value: str) -> None:
    if name == "experimental_rerun":
        raise UserError("--experimental-rerun: refused, it unpickles a file and so runs whatever that file says")
    choices = CHOICES.get(name)
    if choices and value not in choices:
        told = f"{flag} {value}" if value and "=" not in value else flag
        raise UserError(f"{told}: choose from: {', '.join(choices)}, as in {flag} {choices[0]}")
    if not value:
        raise UserError(f"{flag}: give it a value, as in {flag} {EXAMPLES.get(name, 'my_conf')}")


def _check_together(args: Arguments) -> None:
    asked = {"--run": args.run, "--multirun": args.multirun, "--cfg": args.cfg, "--info": args.info,
             "--shell-completion": args.shell_completion}  # fmt: skip
    given = [flag for flag, value in asked.items() if value]
    if len(given) > 1 and not args.help:
        raise UserError(f"{' and '.join(given)}: they do not go together; leave out {given[0]}")
    for flag, value in (("--resolve", args.resolve), ("--package", args.package)):
        if value and not args.cfg and not args.help:
            raise UserError(
                f"{flag}: only together with --cfg, as in --cfg job {flag}{' model' if value is not True else ''}"
            )


def _unknown(word: str, flag: str, value: str, sign: str, words: list[str], overrides: list[str],
             multirun: bool) -> str:  # fmt: skip
    """The line about a flag that is none: other tools spell a key as one."""
    if word[0] in "–—" or word.startswith("-–"):
        plain = re.sub(r"^[-–—]+", "--" if len(word.lstrip("-–—")) > 2 else "-", word)
        return f"{word}: this dash is not a hyphen; did you mean {plain}?"
    if flag in SWITCHES:  # --run is Hydra's, run=… is ours
        return f"{word}: {flag} takes no value; did you mean {f'run={value}' if flag == '--run' else flag}?"
    if not sign and words and (re.match(r"-?[\d.]", words[0]) or not re.search(r"^-|=", words[0])):
        value, word = words[0], f"{word} {words[0]}"
    if flag in ("--config", "--config-file", "--conf", "--yaml"):
        file = Path(value or "mine.yaml")
        return f"{word}: there is no such flag; did you mean --config-dir {file.parent} --config-name {file.stem}?"
    if meant := flag_meant(flag.lstrip("-"), value, [*overrides, *words, *(["-m"] if multirun else [])]):
        return f"{word}: there is no such flag; did you mean {meant}?"
    near = closest(flag, [*SWITCHES, *VALUED])
    return f"{word}: there is no such flag; {f'did you mean {near}?' if near else 'aetrain --help shows the usage'}"
