"""Flags and overrides: where they may stand, and what a flag of another tool is answered with."""

import itertools

import pytest

from aetrain.arguments import Arguments, parse
from aetrain.errors import UserError


def test_flags_may_stand_anywhere_among_the_overrides():
    flags = [["-m"], ["--config-dir", "my conf"], ["-cn=mine"]]
    expected = Arguments(["model=vae", "seed=1,2"], multirun=True, config_dir="my conf", config_name="mine")
    for order in itertools.permutations([*flags, ["model=vae", "seed=1,2"]]):
        assert parse(list(itertools.chain(*order))) == expected
    assert parse(["model=vae", "-m", "seed=1,2", "-cn", "mine", "--config-dir=my conf"]) == expected


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("-h", "help", True),
        ("--help", "help", True),
        ("--hydra-help", "hydra_help", True),
        ("--version", "version", True),
        ("--multirun", "multirun", True),
        ("-r", "run", True),
        ("-c job", "cfg", "job"),
        ("--cfg=hydra", "cfg", "hydra"),
        ("-i", "info", "all"),
        ("--info defaults-tree", "info", "defaults-tree"),
        ("-cp conf", "config_dir", "conf"),
        ("--config-path=conf", "config_dir", "conf"),
        ("-cd conf", "config_dir", "conf"),
        ("-cn mine", "config_name", "mine"),
        ("-sc", "shell_completion", True),
    ],
)
def test_every_flag_and_its_spellings(line, attribute, value):
    assert parse(line.split()) == Arguments(**{attribute: value})
    assert parse([*line.split(), "a=b"]) == Arguments(["a=b"], **{attribute: value})


def test_what_hydra_is_given_back_is_the_same():
    from hydra._internal.utils import get_args_parser

    args = parse(["a=b", "--cfg", "job", "c=d", "--resolve", "-p", "model", "-cd", "my", "-cn=mine", "~e"])
    hydras = get_args_parser().parse_args([*args.flags(), *args.overrides])
    assert hydras.overrides == ["a=b", "c=d", "~e"]
    assert (hydras.cfg, hydras.resolve, hydras.package) == ("job", True, "model")
    assert (hydras.config_dir, hydras.config_name, hydras.multirun) == ("my", "mine", False)


def test_after_two_hyphens_all_are_overrides():
    assert parse(["-m", "--", "-x=1"]) == Arguments(["-x=1"], multirun=True)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--epochs 3", "--epochs 3: there is no such flag; did you mean trainer.epochs=3?"),
        ("--lr=0.1", "--lr=0.1: there is no such flag; did you mean optimizer.lr=0.1?"),
        ("--lr 1e-3 --model vae", "--lr 1e-3: there is no such flag; did you mean optimizer.lr=1e-3?"),
        ("--batch-size 64", "--batch-size 64: there is no such flag; did you mean trainer.batch_size=64?"),
        ("--model=beta-vae", "--model=beta-vae: there is no such flag; did you mean model=beta_vae?"),
        ("--trainer.epochs 3", "--trainer.epochs 3: there is no such flag; did you mean trainer.epochs=3?"),
        ("--beta 4", "--beta 4: there is no such flag; did you mean model=beta_vae model.beta=4 or model=beta_tcvae "
                     "model.beta=4?"),
        ("--gpu 1", "--gpu 1: there is no such flag; did you mean device=cuda device.index=1?"),
        ("--no-cuda", "--no-cuda: there is no such flag; did you mean device=cpu?"),
        ("--fp16", "--fp16: there is no such flag; did you mean device.precision=fp16?"),
        ("--workers 2", "--workers 2: there is no such flag; did you mean device.threads=2?"),
        ("-m --workers 2 seed=1,2", "--workers 2: there is no such flag; did you mean hydra.launcher.workers=2?"),
        ("--multi-run", "--multi-run: there is no such flag; did you mean --multirun?"),
        ("--multirum", "--multirum: there is no such flag; did you mean --multirun?"),
        ("--foo", "--foo: there is no such flag; aetrain --help shows the usage"),
        ("–m", "–m: this dash is not a hyphen; did you mean -m?"),
        ("—help", "—help: this dash is not a hyphen; did you mean --help?"),
        ("--help=yes", "--help=yes: --help takes no value; did you mean --help?"),
        ("evaluate --run=latest", "--run=latest: --run takes no value; did you mean run=latest?"),
        ("--cfg", "--cfg: choose from: job, hydra, all, as in --cfg job"),
        ("--cfg model=vae", "--cfg: choose from: job, hydra, all, as in --cfg job"),
        ("--info nothing", "--info nothing: choose from: all, config, defaults, defaults-tree, plugins, searchpath, "
                           "as in --info all"),
        ("--config-dir", "--config-dir: give it a value, as in --config-dir my_conf"),
        ("--config-dir a -cp b", "-cp: is given twice; one folder of your own YAML is --config-dir, further ones go "
                                 "into hydra.searchpath=[…]"),
        ("model=vae -m --cfg job", "--multirun and --cfg: they do not go together; leave out --multirun"),
        ("--resolve", "--resolve: only together with --cfg, as in --cfg job --resolve"),
        ("--experimental-rerun x", "--experimental-rerun: refused, it unpickles a file and so runs whatever that file "
                                   "says"),
    ],
)  # fmt: skip
def test_a_flag_that_is_none_says_what_to_type(line, told):
    with pytest.raises(UserError) as error:
        parse(line.split())
    assert str(error.value) == told
