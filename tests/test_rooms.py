"""The layout: arrows between files point one way."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "aetrain"
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imports(path):
    """The modules of ours that a file imports, at its head or in its functions; not for its annotations alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = {id(n) for i in ast.walk(tree) if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.dump(i.test)
              for n in ast.walk(i)}  # fmt: skip
    found = set()
    for node in (node for node in ast.walk(tree) if id(node) not in typing):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in below}
    return found & FILES.keys()


ARROWS = {name: imports(path) for name, path in FILES.items()}


def reachable(start):
    seen, waiting = set(), [start]
    while waiting:
        for name in ARROWS[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def test_there_are_no_circles():
    assert not [name for name in ARROWS if name in reachable(name)]


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        (
            "aetrain.config",
            ("aetrain.models", "aetrain.tasks", "aetrain.sweeps", "aetrain.cli"),
        ),
        ("aetrain.data", ("aetrain.models", "aetrain.training", "aetrain.tasks", "aetrain.sweeps")),
        ("aetrain.nets", ("aetrain.models", "aetrain.training", "aetrain.tasks", "aetrain.sweeps")),
        ("aetrain.models", ("aetrain.training", "aetrain.evaluation", "aetrain.tasks", "aetrain.sweeps")),
        ("aetrain.evaluation", ("aetrain.training", "aetrain.tasks", "aetrain.sweeps")),
        ("aetrain.pictures", ("aetrain.training", "aetrain.tasks", "aetrain.sweeps")),
        ("aetrain.training", ("aetrain.tasks", "aetrain.sweeps", "aetrain.jobs", "aetrain.compose")),
        ("aetrain.tasks", ("aetrain.sweeps", "aetrain.jobs", "aetrain.compose", "aetrain.cli")),
    ],
)
def test_a_room_knows_nothing_of_those_above_it(room, forbidden):
    for name in (name for name in ARROWS if name == room or name.startswith(f"{room}.")):
        above = [other for other in reachable(name) if other.startswith(forbidden)]
        assert not above, f"{name} leads to {above}"


def test_hydra_is_known_to_few():
    """Its private parts to two files, which say why."""
    known = {name for name, path in FILES.items() if "hydra" in {n.split(".")[0] for n in every_import(path)}}
    assert {name.removeprefix("aetrain.").split(".")[0] for name in known} <= {
        "api", "cli", "compose", "hydra_parts", "jobs", "resume", "sweeps",
    }  # fmt: skip
    private = [name for name, path in FILES.items() if any("_internal" in n for n in every_import(path))]
    assert private == ["aetrain.hydra_parts"]


def every_import(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
