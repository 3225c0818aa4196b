"""Words of a command line that are wrong in themselves, whatever they configure. Knows neither Hydra nor torch."""

from __future__ import annotations

import os
import re
import shlex
import typing
from collections.abc import Sequence

import yaml

from aetrain.config.synonyms import COMMANDS, SYNONYMS, VALUES
from aetrain.config.tables import GROUPS, TASKS, TRAINER
from aetrain.config.typos import (
    NO,
    PATHS,
    WHOLE,
    expected,
    fits,
    fitting,
    is_key,
    is_only_text,
    is_text,
    kinds,
    leaves,
    meant,
    no_option,
    options,
)
from aetrain.config.words import closest
from aetrain.errors import UserError


def check_words(words: Sequence[str], multirun: bool = False) -> None:
    """Raise a UserError for what the words alone show to be wrong."""
    flagged = [*words, *(["-m"] if multirun else [])]
    for i, word in enumerate(words):
        key, sign, value = word.partition("=")
        if key.startswith("~"):
            _check_removal(word, key[1:])
        elif not sign or not key:
            raise UserError(_bare(i, words))
        elif key != key.strip() or re.search(r"[\s:]$", key):
            raise UserError(f"{word}: did you mean {key.rstrip(' :')}={value.strip()}?")
        elif key.startswith("+") and not re.match(r"\+{1,2}hydra\b", key) and not (key.startswith("++") and "." in key):
            name = key.lstrip("+")
            known = "." not in name or name.partition(".")[2] in leaves() or "schedule" in name
            meaning = (
                f"{name}={value}" if name in (*GROUPS, "experiment", "debug", *WHOLE) else meant(name, value, words)
            )
            if meaning and known:
                raise UserError(f"{word}: nothing is added to a configuration; did you mean {meaning}?")
        elif key in GROUPS and value.startswith("["):
            raise UserError(f"{word}: give one option, as in {key}={value.strip('[]').partition(',')[0]}")
        elif key in (*GROUPS, "experiment", "debug") and (
            value[:1] in ("", "_", "{") or re.fullmatch(r"(?i)true|false|null|[\d.]+", value)
        ):
            raise UserError(no_option(key, value))
        elif key == "run" and not any(other.startswith("task=") for other in words):
            raise UserError(f"{word}: of which task? Give it first, as in aetrain evaluate {word}")
        elif key in GROUPS or key in PATHS:
            continue
        elif re.fullmatch(r"model\.schedule\.\w+|(model|optimizer)\.schedule", key) and not value.startswith("{"):
            if meaning := meant(key, value, flagged):
                raise UserError(f"{word}: a schedule has several keys; did you mean {meaning}?")
        elif key == "hydra.job.chdir" and value.lower() not in NO:
            raise UserError(CHDIR.format(word))
        elif key == "hydra.searchpath":
            _check_searched(word, value)
        elif is_only_text(key) and (reread := next((part for part in value.split(",") if _is_reread(part)), "")):
            raise UserError(f"{word}: quote the value, {quoted(key, reread)}")
        elif re.match(r"[\"']~(/|$)", value):
            raise UserError(
                f"{word}: ~ is not expanded here; did you mean {quoted(key, value.strip(chr(34) + chr(39)))}?"
            )


def _is_reread(value: str) -> bool:
    """Whether Hydra's grammar takes this for a truth or a number that, as text, is another: True, 1000.0, inf."""
    return bool(re.fullmatch(r"(?i)true|false|[+-]?(\d[\d_]*\.?\d*|\.\d+)e[+-]?\d+", value))


CHDIR = "{}: refused, paths on the command line are seen from the working folder, which stays; leave it out"


def _check_searched(word: str, value: str) -> None:
    """Hydra only warns of a missing folder, and then fails to find what should be in it."""
    try:
        folders = yaml.safe_load(value)
    except yaml.YAMLError:
        return
    for folder in folders if isinstance(folders, list) else ():
        path = str(folder).removeprefix("file://")
        if "://" not in path and not os.path.isdir(path):
            raise UserError(f"{word}: there is no folder {path}")


def _check_removal(word: str, key: str) -> None:
    if key.partition("=")[0].partition("/")[0].partition(".")[0] == "hydra":
        return
    name, group = key.partition("=")[0], key.partition(".")[0]
    for cls in (TRAINER,) if group == "trainer" else tuple(GROUPS.get(group, {}).values()):
        kind = typing.get_type_hints(cls).get(name.partition(".")[2])
        if type(None) in typing.get_args(kind):
            raise UserError(f"{word}: a key has a value and cannot be removed; did you mean {name}=null?")
    raise UserError(f"{word}: it needs a value and cannot be removed; leave {word} out for the default")


def _bare(i: int, words: Sequence[str]) -> str:
    """The line about a word that is no key=value."""
    word, after = words[i], words[i + 1] if i + 1 < len(words) else ""
    if word.startswith("="):
        return f"{word}: write key=value without blanks, as in trainer.epochs=20"
    if after.startswith("="):
        value = after[1:] or (words[i + 2] if i + 2 < len(words) else "")
        return f"{word} {after}: write key=value without blanks; did you mean {word}={value or '…'}?"
    if i == 0 and word == "tensorboard":
        return f"{word}: a program of its own; type tensorboard --logdir outputs"
    if i == 0 and word in COMMANDS:
        given = "" if word == "help" or after.startswith("-") else after.removeprefix("run=").removeprefix("resume=")
        return f"{word}: there is no such task; did you mean {COMMANDS[word].format(given or 'latest')}?"
    if i == 0 and word == "sweep":
        rest = shlex.join(words[1:]) or "model.latent_dim=2,20"
        return f"{word}: there is no such task; did you mean aetrain -m {rest}?"
    key, colon, value = word.partition(":")
    if colon and (is_key(key) or key in GROUPS):
        return f"{word}: did you mean {key}={value.strip() or after or '…'}?"
    if is_key(word) or word in GROUPS:
        value = after if after and "=" not in after else "…"
        if word in GROUPS and value == "…":
            return f"{word}: give a value, as in {word}={options(word)[0]}; choose from: {', '.join(options(word))}"
        return f"{word}: give a value; did you mean {_right(f'{word}={value}', words)}?"
    if word in TASKS:
        return f"{word}: a task is the first word; did you mean task={word}?"
    near = [f"{group}={word}" for group, table in GROUPS.items() if word in table and group != "task"]
    if near:
        return f"{word}: write group=option; did you mean {near[0]}?"
    if os.path.isdir(word):
        return f"{word}: say what it is, as in resume={word}"
    value = "" if "=" in after else after
    is_name = re.fullmatch(r"[\w.-]+", word) and (i or (value and word in {**leaves(), **SYNONYMS}))
    if is_name and (meaning := meant(word, value, words)):
        return f"{word}: write key=value; did you mean {meaning}?"
    if i == 0 and re.fullmatch(r"[A-Za-z]\w*", word):
        near_task = VALUES["task"].get(word.lower()) or closest(word, TASKS)
        return f"{word}: there is no such task; " + (
            f"did you mean aetrain {near_task}?" if near_task else f"choose from: {', '.join(TASKS)}"
        )
    return f"{word}: write key=value, as in trainer.epochs=20"


# --- what Hydra's grammar does not take


def unreadable(word: str) -> str:
    """The line about a word that Hydra's grammar cannot read."""
    key, sign, value = word.partition("=")
    if not sign:
        return _bare(0, [word])
    if not re.fullmatch(r"[+~]{0,2}[A-Za-z_][\w./@-]*", key):
        return f"{word}: {key or 'this'} is not a key; write key=value, as in trainer.epochs=20"
    if value.startswith("=") and value.strip("= "):
        return f"{word}: did you mean {key}={value.strip('= ')}?"
    if re.fullmatch(r"\w+,[\w.]+=[^,=]+", value) and (is_key(key) or key in GROUPS):
        return f"{word}: words are separated by blanks; did you mean {word.replace(',', ' ', 1)}?"
    missing = _unclosed(value)
    stripped = value.rstrip(",; ")
    if stripped != value and stripped and not missing:
        return f"{word}: did you mean {key}={stripped}?"
    if missing:
        if missing[0] in "'\"":
            return f"{word}: a quote is not closed; did you mean {quoted(key, value.strip(chr(34) + chr(39)))}?"
        if is_only_text(key):
            return f"{word}: quote the value, {quoted(key, value)}"
        whole = re.sub(r"[,;\s]+$", "", value) + missing
        return f"{word}: a bracket is not closed; did you mean {key}={whole}?"
    if re.match(r"[\[({]", value) is None and re.search(r"[\])}]$", value) and not is_only_text(key):
        opened = {"]": "[", ")": "(", "}": "{"}[value[-1]]
        return f"{word}: a bracket is not opened; did you mean {key}={opened}{value}?"
    if is_key(key) and not is_text(key):
        return f"{word}: {expected(key)}"
    return f"{word}: quote the value, {quoted(key, value)}"


def quoted(key: str, value: str) -> str:
    """key=value for the shell, with the value in the quotes that Hydra's grammar needs. ~ is the home folder."""
    value = os.path.expanduser(value) if value.startswith("~") else value
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    return shlex.quote(f'{key}="{escaped}"')


def _unclosed(value: str) -> str:
    """The brackets, or the quote, that a value opens and does not close, in the order in which to type them."""
    stack: list[str] = []
    quote, escaped = "", False
    for char in value:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[({":
            stack.append({"[": "]", "(": ")", "{": "}"}[char])
        elif stack and char == stack[-1]:
            stack.pop()
    return quote or "".join(reversed(stack))


def several(word: str, words: Sequence[str] = ()) -> str:
    """The line about a word with several values in a command line without --multirun."""
    key, _, value = word.partition("=")
    stripped = value.rstrip(", ")
    if "," not in stripped and stripped != value:
        return f"{word}: did you mean {key}={stripped}?"
    if float in kinds(key) and re.fullmatch(r"-?\d+,0\d*", value):
        return f"{word}: did you mean {key}={value.replace(',', '.')}?"
    if (meaning := _right(word, words or [word])) != word and meaning.endswith("]") and "[" not in value:
        return f"{word}: did you mean {meaning}?"
    if list in kinds(key) and "[" not in value and re.fullmatch(r"[\d.,eE+-]+", value):
        return f"{word}: one list is {key}=[{stripped}]; for a sweep over its values add -m"
    typed = [part for one in words or [word] for part in _right(one, words or [word]).split(" ")]
    last = {one.partition("=")[0]: i for i, one in enumerate(typed)}
    whole = [typed[i] for i in sorted(last.values())]  # of a group that is chosen twice, what the key needs
    return f"{word}: several values are a sweep; add -m (--multirun), as in aetrain -m {shlex.join(whole)}"


def _right(word: str, words: Sequence[str]) -> str:
    """The word with the key, and behind the option, that it needs among these words."""
    key, sign, value = word.partition("=")
    if not sign or key in (*GROUPS, *PATHS, "experiment", "debug") or key.startswith("hydra") or " " in word:
        return word
    if is_key(key) and fits(key, words):
        return word if "," in value else f"{key}={fitting(key, value)}"
    return (meant(key, value, [*words, "-m"]) or word).partition(" or ")[0]
