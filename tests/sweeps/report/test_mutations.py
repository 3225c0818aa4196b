"""Files that are almost those of a run: a thousand of them, and never a traceback."""

import copy
import json
import random

import pytest
import yaml

from aetrain.sweeps.report import write
from tests.sweeps.report.synthetic import config, grid, member, plan, sweep_folder

NASTY = [
    None, True, False, 0, -1, 1, 2**63, -(2**63), 10**400, 1e308, -1e308, 1e-320, 5e-324, 1e100, 1e99, float("inf"),
    float("-inf"), float("nan"), "", "x", "null", "$x^{$", "<script>", "=1+1", "\u202e", "\x00", "a" * 5000, [], {},
    [[]], [1, None, "x", float("nan")], {"": {}}, {"name": {"name": None}}, {"a": [{"b": 1}]}, list(range(500)),
    "../../x", "done", "failed", [1e308] * 30, {1: 2, None: 3, 2.5: 4},
]  # fmt: skip


def mutated(tree, rng: random.Random, changes: int):
    """A copy in which so many nodes, at any depth, are something else, gone, or doubled under another key."""
    tree = copy.deepcopy(tree)
    for _ in range(changes):
        node, path = tree, []
        while isinstance(node, dict | list) and node and (not path or rng.random() < 0.7):
            key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
            path.append((node, key))
            node = node[key]
        if not path:
            return rng.choice(NASTY)
        parent, key = path[-1]
        what = rng.random()
        if what < 0.7:
            parent[key] = copy.deepcopy(rng.choice(NASTY))
        elif what < 0.85 or isinstance(parent, list):
            del parent[key]
        else:
            parent[rng.choice(["", "model", "name", "a.b", "seed", "\u202e", "x" * 3000])] = parent[key]
    return tree


def torn(text: str, rng: random.Random) -> bytes:
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if rng.random() < 0.3 and data:
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.15 else bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five values of beta, one of them of another seed too, planned and done, with pictures."""
    sweep = sweep_folder(tmp_path_factory.mktemp("mutations") / "s")
    for i, beta in enumerate((1, 2, 4, 8, 16, 16)):
        metrics = {"test/recon": 90.0 + i, "test/kl": 20.0 - i, "test/nelbo": 110.0, "latent/active_units": 4.0}
        words = ["model=beta_vae", f"model.beta={beta}", f"seed={i // 5}"]
        made = member(sweep, f"{i}_x", words, metrics, latent={"kl_per_dimension": [0.1, 2.0]})
        grid(made, "reconstructions", 8, 8)
        grid(made, "traversals", 2, 11)
    (sweep / "5_x" / "result.json").unlink()
    return sweep


ROWS = [{"step": 5, "epoch": 1.0, "val/kl": 7.5, "latent/active_units": 3.0}, {"step": 6, "epoch": 1.2, "val/kl": 7.0}]


def mutate(folder, rng: random.Random) -> None:
    """Of each kind of file a few are written anew, changed."""
    plain = config("model=beta_vae", "model.beta=4")
    members = {f"{i}_x": mutated(plain, rng, rng.choice([0, 1, 3])) for i in rng.sample(range(9), 3)}
    plan(folder, members)
    if rng.random() < 0.5:
        tree = mutated(json.loads((folder / "sweep.json").read_text()), rng, 1)
        (folder / "sweep.json").write_bytes(torn(dumped(tree), rng))
    for i in rng.sample(range(6), 2):
        text = yaml.dump(mutated(plain, rng, rng.choice([1, 1, 2, 5])), Dumper=DUMPER, sort_keys=False)
        (folder / f"{i}_x" / "config.yaml").write_bytes(torn(text, rng))
        result = {"status": "done", "step": 10, "metrics": {"test/recon": 9.0 + i, "test/kl": 2.0 * i},
                  "latent": {"kl_per_dimension": [0.5, 1.5]}, "seconds": 2.0, "reason": "x"}  # fmt: skip
        (folder / f"{i}_x" / "result.json").write_bytes(torn(dumped(mutated(result, rng, rng.choice([1, 3]))), rng))
    (folder / "5_x" / "result.json").unlink(missing_ok=True)
    lines = "\n".join(dumped(mutated(row, rng, 1)) for row in ROWS) + "\n"
    (folder / "5_x" / "metrics.jsonl").write_bytes(torn(lines, rng))


DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def dumped(tree) -> str:
    """With NaN and Infinity as Python writes them, which is no JSON."""
    return json.dumps(tree)


def rebuilt(folder) -> None:
    write.rebuild(folder)
    json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    assert (folder / "report.html").read_text().endswith("</html>\n")


def test_mutations_end_in_a_report(folder, monkeypatch, request):
    """300 of them; 3,000 in make test-faults."""
    monkeypatch.setattr(write, "draw", lambda _: [])  # the drawing takes most of the time: see below
    monkeypatch.setattr("os.fsync", lambda _: None)
    for seed in range(10 * request.config.getoption("--mutations")):
        mutate(folder, random.Random(seed))
        try:
            rebuilt(folder)
        except Exception as error:
            raise AssertionError(f"mutation {seed}") from error


def test_mutations_are_drawn(folder, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)
    for seed in range(1000, 1006):
        mutate(folder, random.Random(seed))
        try:
            rebuilt(folder)
        except Exception as error:
            raise AssertionError(f"mutation {seed}") from error
