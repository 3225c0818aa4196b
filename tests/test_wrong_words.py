"""Command lines as people mistype them, or know them from other tools, and the one line that says what to type.

All of them run in one process, which must not import torch, and in one folder, which must stay empty."""

import json
import os
import re
import shlex
import subprocess

import pytest

from aetrain.config.tables import GROUPS, TASKS
from tests.conftest import PYTHON, longer

MODELS = ", ".join(sorted(GROUPS["model"]))
NAMES = ", ".join(TASKS)
NO_KEY = "choose from: model, net, prior, data, device, optimizer, trainer, logger, task, name, tags, init, seed"
LINES = {
    # a key without its group, or by another tool's name
    "epochs=20": "unknown key 'epochs': did you mean trainer.epochs=20?",
    "lr=0.1": "unknown key 'lr': did you mean optimizer.lr=0.1?",
    "beta=4": "unknown key 'beta': did you mean model=beta_vae model.beta=4 or model=beta_tcvae model.beta=4?",
    "model=beta_vae beta=4": "unknown key 'beta': did you mean model.beta=4?",
    "experiment=capacity gamma=4": "unknown key 'gamma': did you mean model.gamma=4?",
    "rho=0.1": "unknown key 'rho': did you mean model=sparse model.rho=0.1?",
    "latent_dim=3": "unknown key 'latent_dim': did you mean model.latent_dim=3?",
    "batch_size=64": "unknown key 'batch_size': did you mean trainer.batch_size=64?",
    "hidden=400": "unknown key 'hidden': did you mean net.hidden=[400]?",
    "threads=2": "unknown key 'threads': did you mean device.threads=2?",
    "learning_rate=1e-3": "unknown key 'learning_rate': did you mean optimizer.lr=1e-3?",
    "num_epochs=3": "unknown key 'num_epochs': did you mean trainer.epochs=3?",
    "n_epochs=3": "unknown key 'n_epochs': did you mean trainer.epochs=3?",
    "max_epochs=3": "unknown key 'max_epochs': did you mean trainer.epochs=3?",
    "batchsize=64": "unknown key 'batchsize': did you mean trainer.batch_size=64?",
    "bs=64": "unknown key 'bs': did you mean trainer.batch_size=64?",
    "z_dim=3": "unknown key 'z_dim': did you mean model.latent_dim=3?",
    "latent_size=3": "unknown key 'latent_size': did you mean model.latent_dim=3?",
    "hidden_dim=400": "unknown key 'hidden_dim': did you mean net.hidden=[400]?",
    "kl_weight=4": "unknown key 'kl_weight': did you mean model=beta_vae model.beta=4 or "
    "model=beta_tcvae model.beta=4?",
    "sparsity=0.1": "unknown key 'sparsity': did you mean model=sparse model.rho=0.1?",
    "noise=0.3": "unknown key 'noise': did you mean model=dae model.corruption_level=0.3?",
    "gpu=1": "unknown key 'gpu': did you mean device=cuda device.index=1?",
    "cuda=true": "unknown key 'cuda': did you mean device=cuda?",
    "cuda=false": "unknown key 'cuda': did you mean device=cpu?",
    "precision=16": "unknown key 'precision': did you mean device.precision=fp16?",
    "amp=true": "unknown key 'amp': did you mean device.precision=bf16?",
    "workers=2": "unknown key 'workers': did you mean device.threads=2?",
    "-m workers=2 seed=1,2": "unknown key 'workers': did you mean hydra.launcher.workers=2?",
    "dataset=mnist": "unknown key 'dataset': did you mean data=mnist?",
    "output_dir=runs/a": "unknown key 'output_dir': did you mean hydra.run.dir=runs/a?",
    "checkpoint=runs/a": "unknown key 'checkpoint': did you mean resume=runs/a?",
    "model=ae loss=mse": "unknown key 'loss': did you mean model.likelihood=squared_error?",
    "loss=bce": "unknown key 'loss': did you mean model.likelihood=bernoulli?",
    "optimizer.learning_rate=0.1": "unknown key 'optimizer.learning_rate': did you mean optimizer.lr=0.1?",
    "model.beta=4": "unknown key 'model.beta': did you mean model=beta_vae model.beta=4 or "
    "model=beta_tcvae model.beta=4?",
    "model.lr=0.1": "unknown key 'model.lr': did you mean optimizer.lr=0.1?",
    "train.epochs=3": "unknown key 'train.epochs': did you mean trainer.epochs=3?",
    "optimiser.lr=1": "unknown key 'optimiser.lr': did you mean optimizer.lr=1?",
    "trainer.Epochs=3": "unknown key 'trainer.Epochs': did you mean trainer.epochs=3?",
    "model.net=conv": "unknown key 'model.net': did you mean net=conv?",
    "model.hidden=400": "unknown key 'model.hidden': it is now net.hidden, as in net.hidden=[400]",
    "mdoel=ae": "unknown key 'mdoel': did you mean model=ae?",
    "-m lr=1,2": "unknown key 'lr': did you mean optimizer.lr=1,2?",
    "hydra.run.dirr=x": "unknown key 'hydra.run.dirr': did you mean hydra.run.dir=x?",
    "hydra.launcher.worker=3": "unknown key 'hydra.launcher.worker': did you mean hydra.launcher.workers=3?",
    "nonsense=1": f"unknown key 'nonsense': {NO_KEY}",
    "dropout=0.2": f"unknown key 'dropout': {NO_KEY}",
    "gpus=2": "unknown key 'gpus': did you mean device=cuda?",
    "net.layers=400": "unknown key 'net.layers': did you mean net.hidden=[400]?",
    "data.dir=photos": "unknown key 'data.dir': did you mean data=folder data.path=photos or data=array "
                       "data.path=photos or data=parquet data.path=photos?",
    "pretrained=runs/a": "unknown key 'pretrained': did you mean init=runs/a?",
    "trainer.fast_dev_run=true": "unknown key 'trainer.fast_dev_run': did you mean debug=fast?",
    "use_wandb=true": "unknown key 'use_wandb': did you mean logger=wandb?",
    "verbose=true": "unknown key 'verbose': did you mean -v?",
    "loss=elbo": "unknown key 'loss': did you mean model=vae?",
    "checkpoint=false": f"unknown key 'checkpoint': {NO_KEY}",
    # keys as flags
    "--num_train_epochs 3": "--num_train_epochs 3: there is no such flag; did you mean trainer.epochs=3?",
    "-b 64": "-b 64: there is no such flag; did you mean trainer.batch_size=64?",
    "--model vae": "--model vae: there is no such flag; did you mean model=vae?",
    "--dry-run": "--dry-run: there is no such flag; did you mean debug=fast?",
    "--config conf/mine.yaml": "--config conf/mine.yaml: there is no such flag; did you mean --config-dir conf "
                               "--config-name mine?",
    # an option that there is not
    "net=cnn": "net=cnn: there is no such option; did you mean net=conv?",
    "data=cifar": "data=cifar: there is no such option; did you mean data=cifar10?",
    "device=1": "device=1: there is no such option; did you mean device=cuda device.index=1?",
    "debug=true": "debug=true: there is no such option; did you mean debug=fast?",
    "task=eval run=latest": "task=eval: there is no such option; did you mean task=evaluate?",
    "device=gpu": "device=gpu: there is no such option; did you mean device=cuda?",
    "device=cuda:1": "device=cuda:1: there is no such option; did you mean device=cuda device.index=1?",
    "model=no_such_model": f"model=no_such_model: there is no such option; choose from: {MODELS}",
    "model=zvae": f"model=zvae: there is no such option; choose from: {MODELS}",
    "model=betavae": "model=betavae: there is no such option; did you mean model=beta_vae?",
    "model=VAE": "model=VAE: there is no such option; did you mean model=vae?",
    "model=_shared": f"model=_shared: there is no such option; choose from: {MODELS}",
    "model=": f"model=: there is no such option; choose from: {MODELS}",
    "model=[vae,ae]": "model=[vae,ae]: give one option, as in model=vae",
    "experiment=deep_ea": "experiment=deep_ea: there is no such option; did you mean experiment=deep_ae?",
    "model.likelihood=bce": "model.likelihood=bce: did you mean model.likelihood=bernoulli?",
    "device.precision=bfloat16": "device.precision=bfloat16: did you mean device.precision=bf16?",
    "model.likelihood=mse": "model.likelihood=mse: beside a KL in nats that is, up to a constant, the Gaussian with "
                            "sigma = 1/√2; give model.likelihood=gaussian model.sigma=0.70710678",
    "loss=mse": "unknown key 'loss': did you mean model.likelihood=gaussian model.sigma=0.70710678?",
    "debug=fats": "debug=fats: there is no such option; did you mean debug=fast?",
    "device=mps": "device=mps: it is the GPU of a Mac with Apple silicon, which this is not; use device=cpu",
    "name=a/b": "name=a/b: it becomes part of a folder's name; give letters, digits, _ . + and -",
    "init=nowhere": "init=nowhere: no trained model is there; give a run's folder or a checkpoint in it",
    "resume=latest": "resume=latest: nothing has been trained below outputs/; give a folder, as in resume=runs/mine",
    "report run=latest:vae": "run=latest:vae: nothing has been trained below outputs/vae/; give a folder, as in "
                             "run=runs/mine",
    "trainer.minutes=soon": "trainer.minutes=soon: give a number, as in trainer.minutes=0.5",
    "model=sparse model.penalty=topk net=conv": "model.tied=true: tied weights need net=linear or net=mlp, not conv; "
                                                "give model.tied=false",
    "runs nowhere": "nowhere: there is no such folder; aetrain runs lists what is below outputs/",
    # a verb that there is not, and words that are no key=value
    "bake": f"bake: there is no such task; choose from: {NAMES}",
    "fit": "fit: there is no such task; did you mean aetrain train?",
    "generate run=latest": "generate: there is no such task; did you mean aetrain sample?",
    "list": "list: there is no such task; did you mean aetrain runs?",
    "resume runs/a": "resume: there is no such task; did you mean aetrain resume=runs/a?",
    "continue": "continue: there is no such task; did you mean aetrain resume=latest?",
    "sweep model.latent_dim=2,8": "sweep: there is no such task; did you mean aetrain -m model.latent_dim=2,8?",
    "tensorboard": "tensorboard: a program of its own; type tensorboard --logdir outputs",
    "resume=": "resume=: give the folder of a run or of a sweep, or resume=latest",
    # words of a task on a trained model
    "sample": "aetrain sample: of which run? Give run=latest, or a folder, as in run=outputs/<model>/<time>",
    "sample latest": "latest: say what it is, as in run=latest",
    "sample num_samples=8 run=runs/a": "unknown key 'num_samples': did you mean n=8?",
    "sample ckpt=runs/a": "unknown key 'ckpt': did you mean run=runs/a?",
    "evaluate model=runs/a": "model=runs/a: did you mean run=runs/a?",
    "no_such_task run=x": f"no_such_task: there is no such task; choose from: {NAMES}",
    "trian": "trian: there is no such task; did you mean aetrain train?",
    "model=vae train": "train: a task is the first word; did you mean task=train?",
    "vae": "vae: write group=option; did you mean model=vae?",
    "trainer.epochs": "trainer.epochs: give a value; did you mean trainer.epochs=…?",
    "trainer.epochs 20": "trainer.epochs: give a value; did you mean trainer.epochs=20?",
    "epochs 20": "epochs: write key=value; did you mean trainer.epochs=20?",
    "trainer.epochs = 20": "trainer.epochs =: write key=value without blanks; did you mean trainer.epochs=20?",
    "trainer.epochs:20": "trainer.epochs:20: did you mean trainer.epochs=20?",
    "trainer.epochs==20": "trainer.epochs==20: did you mean trainer.epochs=20?",
    # values
    "model=beta_vae model.beta=1,2,4": "model.beta=1,2,4: several values are a sweep; add -m (--multirun), as in "
                                       "aetrain -m model=beta_vae model.beta=1,2,4",
    "model=vae beta=1,2": "beta=1,2: several values are a sweep; add -m (--multirun), as in aetrain -m model=beta_vae "
                          "model.beta=1,2",
    "model=beta_vae model.beta=[1,2]": "model.beta=[1,2]: it takes one value; a sweep over several is aetrain -m "
                                       "model.beta=1,2",
    "model.beta 4": "model.beta: give a value; did you mean model=beta_vae model.beta=4?",
    "optimizer.lr=0,001": "optimizer.lr=0,001: did you mean optimizer.lr=0.001?",
    "hidden_dims=400,200": "hidden_dims=400,200: did you mean net.hidden=[400,200]?",
    "model=beta_vae,model.beta=4": "model=beta_vae,model.beta=4: words are separated by blanks; did you mean "
                                   "model=beta_vae model.beta=4?",
    "run=latest": "run=latest: of which task? Give it first, as in aetrain evaluate run=latest",
    "resume=.": "resume=.: no run is there (no config.yaml); give a folder such as outputs/vae/<time>, or latest",
    "trainer.logger=false": "unknown key 'trainer.logger': did you mean logger=…?",
    "net.hidden=400,200": "net.hidden=400,200: one list is net.hidden=[400,200]; for a sweep over its values add -m",
    "net.hidden=400": "net.hidden=400: did you mean net.hidden=[400]?",
    "optimizer.lr=1e-3,": "optimizer.lr=1e-3,: did you mean optimizer.lr=1e-3?",
    "trainer.compile=maybe": "trainer.compile=maybe: choose from: auto, true, false",
    "seed=1.5": "seed=1.5: give a whole number, as in seed=10",
    "optimizer.betas=[0.9,0.999": "optimizer.betas=[0.9,0.999: a bracket is not closed; did you mean "
                                  "optimizer.betas=[0.9,0.999]?",
    "optimizer.betas=0.9,0.999]": "optimizer.betas=0.9,0.999]: a bracket is not opened; did you mean "
                                  "optimizer.betas=[0.9,0.999]?",
    "hydra.run.dir=\\'a": "hydra.run.dir='a: a quote is not closed; did you mean 'hydra.run.dir=\"a\"'?",
    "seed=${x}": "seed=${x}: ${…} names x, which is not there",
    "model.schedule.beta=linear": "model.schedule.beta=linear: a schedule has several keys; did you mean "
                                  "model=beta_vae model.schedule.beta.kind=linear or model=beta_tcvae "
                                  "model.schedule.beta.kind=linear?",
    "model=beta_vae model.beta.kind=linear": "unknown key 'model.beta.kind': did you mean "
                                             "model.schedule.beta.kind=linear?",
    "optimizer.schedule=cosine": "optimizer.schedule=cosine: a schedule has several keys; did you mean "
                                 "optimizer.schedule.kind=cosine?",
    "optimizer=lbfgs": "model=vae: not with optimizer=lbfgs: its objective differs from evaluation to evaluation; "
                       "leave it out or use optimizer=adam",
    # paths that Hydra's grammar does not take as they are
    "hydra.run.dir=~/runs/a": "hydra.run.dir=~/runs/a: quote the value, "
                              f"'hydra.run.dir=\"{os.path.expanduser('~/runs/a')}\"'",
    "hydra.run.dir=runs/lr=0.1": "hydra.run.dir=runs/lr=0.1: quote the value, 'hydra.run.dir=\"runs/lr=0.1\"'",
    "hydra.run.dir=a#b": "hydra.run.dir=a#b: quote the value, 'hydra.run.dir=\"a#b\"'",
    "hydra.run.dir=läufe": "hydra.run.dir=läufe: quote the value, 'hydra.run.dir=\"läufe\"'",
    "data=folder data.path=a[b": "data.path=a[b: quote the value, 'data.path=\"a[b\"'",
    "data=folder data.path=a{b": "data.path=a{b: quote the value, 'data.path=\"a{b\"'",
    "data=folder data.path=a]": "data.path=a]: quote the value, 'data.path=\"a]\"'",
    "data=folder data.path=true": "data.path=true: quote the value, 'data.path=\"true\"'",
    "data=folder data.background=1e1000": "data.background=1e1000: quote the value, 'data.background=\"1e1000\"'",
    "hydra.run.dir=1e3": "hydra.run.dir=1e3: quote the value, 'hydra.run.dir=\"1e3\"'",
    # what Hydra's own words for adding and removing would do
    "+experiment=k_sparse": "+experiment=k_sparse: nothing is added to a configuration; did you mean "
                            "experiment=k_sparse?",
    "+epochs=20": "+epochs=20: nothing is added to a configuration; did you mean trainer.epochs=20?",
    "~trainer.patience": "~trainer.patience: a key has a value and cannot be removed; did you mean "
                         "trainer.patience=null?",
    "~seed": "~seed: it needs a value and cannot be removed; leave ~seed out for the default",
    "hydra.job.chdir=true": "hydra.job.chdir=true: refused, paths on the command line are seen from the working "
                            "folder, which stays; leave it out",
    "-m hydra.verbose=true,false": "hydra.verbose=true,false: is the same for all members of a sweep; give one value",
    "model=vae --cfg job -m": "--multirun and --cfg: they do not go together; leave out --multirun",
}  # fmt: skip

PROGRAM = """
import contextlib, io, json, os, shlex, sys, time
from aetrain.cli import main
answers = {}
for line in json.load(sys.stdin):
    out, err, started = io.StringIO(), io.StringIO(), time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(line))
    files = [name for _, _, names in os.walk(".") for name in names]
    answers[line] = [code, out.getvalue(), err.getvalue(), time.process_time() - started, files, "torch" in sys.modules]
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    command, folder = [PYTHON, "-c", PROGRAM], tmp_path_factory.mktemp("empty")
    done = subprocess.run(command, input=json.dumps([*LINES]), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", LINES)
def test_the_line_says_what_to_type(answers, line):
    code, out, err, seconds, files, torch = answers[line]
    assert err == f"aetrain: error: {LINES[line]}\n"
    assert (code, out, files, torch) == (2, "", [], False)
    assert seconds < 1


COMPOSE = """
import json, shlex, sys
from aetrain.compose import composed, given_keys, without_hydra
from aetrain.config.command import check_words
from aetrain.config.tree import typed
for line in json.load(sys.stdin):
    check_words(words := shlex.split(line))
    typed(without_hydra(composed(words)[0]), given_keys(words))
"""


@pytest.mark.parametrize("which", [slice(0, None, 3), longer(slice(None))], ids=["every third", "all"])
def test_what_is_suggested_is_accepted(which):
    suggested = []
    for line, told in LINES.items():
        _, found, rest = told.rpartition("did you mean ")
        if found and not re.search(r"…|aetrain|(resume|init|run)=|^-|=\w+,|^n=", rest):
            chosen = [
                word for word in shlex.split(line) if re.fullmatch(r"(model|experiment)=(ae|beta_vae|capacity)", word)
            ]
            suggested += [f"{shlex.join(chosen)} {one}" for one in rest.removesuffix("?").split(" or ")]
    quoted = [told.partition("quote the value, ")[2] for told in LINES.values() if "quote the value" in told]
    suggested += [f"data=folder data.path=x {one}" if "data." in one else one for one in quoted]
    assert len(suggested) > 60
    command = [PYTHON, "-c", COMPOSE]
    done = subprocess.run(command, input=json.dumps(suggested[which]), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
