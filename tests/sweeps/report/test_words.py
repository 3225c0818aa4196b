"""The commands that a report suggests: they make the runs that are meant, and nothing of a file gets into them."""

import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from aetrain.sweeps.report.read import configuration
from aetrain.sweeps.report.values import Odd, flatten
from aetrain.sweeps.report.words import CONF, differing, folder_word, sweep_word, word
from tests.conftest import compose
from tests.sweeps.report.synthetic import config, member, report, sweep_folder

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=30) | st.text(" \\\"'$,[]{}()=:~#ab1.-", max_size=12)


def parsed(text: str):
    [override] = OverridesParser.create().parse_overrides([text])
    return override


@given(scalars | texts | st.lists(scalars | texts, max_size=4).map(tuple))
@example("\\")
@example('\\"')
@example("a\\\\")
@example("1e5")
@example("inf")
@example("")
@example("lr=0.1")
@example("a,b")
def test_hydra_reads_a_word_as_the_value_that_it_was_written_from(value):
    """Or it is not written at all: what OmegaConf would compute, or no terminal can show."""
    text = word("data.path", value)
    if text is None:
        parts = value if isinstance(value, tuple) else (value,)
        assert any(isinstance(v, str) and ("${" in v or not v.isprintable()) for v in parts)
        return
    override = parsed(shlex.split(shlex.join([text]))[0])
    found = override.value()
    assert override.key_or_group == "data.path" and not override.is_sweep_override()
    assert found == (list(value) if isinstance(value, tuple) else value)


def test_several_values_are_a_sweep_over_them():
    override = parsed(sweep_word("trainer.clip_norm", [None, 0.5, 1e-05]))
    assert override.is_sweep_override() and list(override.sweep_iterator()) == [None, 0.5, 1e-05]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hydra.run.dir", "x"),
        ("hydra.callbacks.x._target_", "os.system"),
        ("+model.beta", 1),
        ("~model", None),
        ("model.beta=1 hydra.run", 1),
        ("Model.beta", 1),
        ("model..beta", 1),
        ("experiment", "../evil"),
        ("model.beta", float("nan")),
        ("model.beta", float("inf")),
        ("model.name", "${oc.env:HOME}"),
        ("model.name", "a\nb"),
        ("model.name", "a\u202eb"),
        ("model.name", "x" * 2000),
        ("model.name", Odd("(list)")),
    ],
)
def test_what_is_no_key_or_value_of_ours_is_not_written(key, value):
    assert word(key, value) is None


@pytest.mark.parametrize("name", ["lr=0.1", "a#b", "läufe", "a b", "~", "it's", 'say "x"', "a,b", "x$y", "!e"])
def test_a_folder_of_any_name_can_be_pasted(tmp_path, name):
    override = parsed(shlex.split(shlex.join([folder_word(tmp_path / name)]))[0])
    assert Path(override.value()) == tmp_path / name


WORDS = [
    "optimizer.betas=[0.8, 0.99]", "optimizer.schedule.kind=cosine", "model.latent_dim=7", "trainer.clip_norm=0.5",
    "model.output_bias=data", "model.schedule.beta.kind=step", "data.limit=1000",
]  # fmt: skip


def test_a_suggested_command_makes_runs_like_those_that_are_there(tmp_path):
    """Composed as the command line composes it, each is one of them but for the swept key."""
    sweep = sweep_folder(tmp_path / "a b=c")
    curve = {1: (10.0, 100.0), 2: (6.0, 100.0), 4: (2.0, 100.0), 8: (2.0, 140.0), 16: (2.0, 180.0)}
    for i, (beta, (kl, recon)) in enumerate(curve.items()):
        words = ["model=beta_vae", "optimizer=adamw", f"model.beta={float(beta)}", *WORDS, "seed=3"]
        member(sweep, f"{i}_x", words, {"test/kl": kl, "test/recon": recon})
    [suggestion] = report(sweep)["suggestions"]
    first, second, *words = shlex.split(suggestion["command"])
    assert (first, second) == ("aetrain", "-m") and words[:2] == ["model=beta_vae", "optimizer=adamw"]
    assert Path(parsed(words.pop()).value()) == sweep
    swept = [w for w in words if parsed(w).is_sweep_override()]
    assert swept == ["model.beta=2.83,5.66"] and words[-1] == "seed=3"
    made = flatten(asdict(compose(*(w for w in words if w not in swept), "model.beta=4")))
    there = flatten(yaml.safe_load((sweep / "2_x" / "config.yaml").read_text()))
    assert made == there


@pytest.mark.parametrize("model", [path.stem for path in sorted((CONF / "model").glob("[a-z]*.yaml"))])
@pytest.mark.parametrize("others", [{}, {"optimizer": "adamw"}, {"optimizer": "sgd", "device": "cpu"}])
def test_defaults_are_not_repeated(model, others):
    options = {"model": model} | others
    tree = config(*(f"{group}={option}" for group, option in options.items()))
    assert differing(configuration(tree, "")) == options


def test_nothing_that_is_no_plain_value_gets_into_a_command(tmp_path):
    """A foreign sweep's keys and values; what would have to be said and cannot be makes it no command."""
    sweep = sweep_folder(tmp_path / "s")
    for i, lr in enumerate((1e-4, 1e-3, 1e-2, 1e-1)):
        folder = member(sweep, f"{i}_x", ["model=ae", f"optimizer.lr={lr}"], {"test/recon": 90.0 if i == 0 else 50.0})
        tree = yaml.safe_load((folder / "config.yaml").read_text())
        tree["hydra"] = {"callbacks": {"x": {"_target_": "os.system"}}}
        (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    [suggestion] = report(sweep)["suggestions"]
    assert suggestion["override"] == "optimizer.lr=0.000316,0.00316" and suggestion["command"] is None
    page = (sweep / "report.html").read_text()
    assert "os.system" not in page and "_target_" not in page
