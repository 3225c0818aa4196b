"""What a notebook calls."""

import subprocess
import sys

import pytest
import torch

import aetrain as package
from aetrain.errors import UserError
from tests.test_docs import readme_python

SMALL = ("data.limit=300", "data.val_size=100", "trainer.max_steps=4", "trainer.batch_size=50", "device=cpu")


def test_importing_it_imports_neither_torch_nor_hydra():
    program = "import sys, aetrain; sys.exit(bool({'torch', 'hydra'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("words", [["model=beta_vae", "model.beta=2"], ["model=sparse"], ["model=dae", "net=conv"]])
def test_a_loaded_model_is_the_trained_one(aetrain, words, images):
    """Without the data set, in evaluation mode, with the weights of the last checkpoint."""
    result = package.train(package.config(*words, *SMALL), aetrain.folder / "run")
    assert result.status == "done" and result.metrics["test/loss"] > 0
    before = torch.get_rng_state()
    model = package.load(result.folder)
    assert not model.training and torch.equal(before, torch.get_rng_state())
    saved = torch.load(result.folder / "checkpoints" / "last.pt", weights_only=True)["model"]
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    assert model.decode(model.encode(images)).shape == images.shape
    assert model.encode(images).numpy().shape == (len(images), *model.code_shape)  # wants no gradients
    with pytest.raises(UserError, match=r"^images of shape \(2, 3, 28, 28\): this model takes \(B, 1, 28, 28\)$"):
        model.encode(torch.rand(2, 3, 28, 28))


def test_train_wants_a_configuration():
    with pytest.raises(UserError, match=r"give a configuration, as in aetrain\.train\(aetrain\.config"):
        package.train("model=vae")


def test_the_same_numbers_as_from_the_command_line(aetrain):
    result = package.train(package.config("model=vae", *SMALL), aetrain.folder / "python")
    code, out, err = aetrain("model=vae", *SMALL, "hydra.run.dir=line")
    assert code == 0, err
    assert f"{result.metrics['test/loss']:.5g}" in out


def test_the_best_weights_are_tested_and_loaded(aetrain):
    """A run whose last epoch is far worse than its best: the test loss is the best's."""
    words = ["model=ae", "model.output=identity", *SMALL[:2], "trainer.batch_size=100", "trainer.epochs=3",
             "device=cpu", "optimizer.schedule.kind=step", "optimizer.schedule.milestones=[0.6]",
             "optimizer.schedule.factor=300"]  # fmt: skip
    found = {}
    for which in ("last", "best"):
        found[which] = package.train(package.config(*words, f"trainer.test={which}"), aetrain.folder / which)
    best = torch.load(aetrain.folder / "best" / "checkpoints" / "best.pt", weights_only=True)
    assert best["epoch"] < 3 and found["best"].metrics["test/loss"] < found["last"].metrics["test/loss"]
    loaded = package.load(aetrain.folder / "best").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in best["model"].items())


@pytest.mark.parametrize("word", ["model.betta=2", "model=vea", "model.latent_dim=0", "net.hidden=abc"])
def test_a_mistake_raises_the_line_that_the_command_prints(aetrain, word):
    with pytest.raises(UserError) as error:
        package.config(word)
    code, _, err = aetrain(word)
    assert code == 2 and err == f"aetrain: error: {error.value}\n"


@pytest.mark.parametrize("where", ["", "checkpoints/last.pt"])
def test_a_foreign_checkpoint_is_refused_in_one_line(aetrain, where):
    (aetrain.folder / "checkpoints").mkdir()
    (aetrain.folder / "checkpoints" / "last.pt").write_bytes(b"cos\nsystem\n(S'touch victim'\ntR.")
    with pytest.raises(UserError, match="damaged or not a checkpoint"):
        package.load(aetrain.folder / where)
    assert not (aetrain.folder / "victim").exists()


def test_facts_that_no_run_writes_are_refused(aetrain):
    folder = package.train(package.config("model=ae", *SMALL), aetrain.folder / "run").folder
    path = folder / "checkpoints" / "last.pt"
    content = torch.load(path, weights_only=True)
    for change in ({"image_shape": [1, 2**30, 2**30]}, {"mean_image": None}, {"image_shape": "x"}, {"extra": 1}):
        torch.save({**content, "facts": {**content["facts"], **change}}, path)
        with pytest.raises(UserError, match="do not fit"):
            package.load(folder)


def test_the_readmes_lines_run(aetrain, monkeypatch):
    """With fewer images: what they do is theirs."""
    compose = package.config
    monkeypatch.setattr(package, "config", lambda *words: compose(*words, "data.limit=300", "data.val_size=100"))
    names = {}
    exec(readme_python()[1], names)
    assert names["codes"].shape == (8, 20) and names["samples"].shape == (16, 1, 28, 28)


def test_plain_torch_reads_the_weights_as_the_readme_says(aetrain):
    result = package.train(package.config("model=vae", *SMALL), aetrain.folder / "run")
    names: dict = {}
    exec(readme_python()[0].replace("outputs/vae/<date_time>", str(result.folder)), names)
    assert names["images"].shape == (16, 784)
    model, z, x = package.load(result.folder), torch.randn(5, 20), torch.rand(3, 1, 28, 28)
    assert torch.allclose(names["decoder"](z), model.decode(z).flatten(1), atol=1e-6)
    first, last = (
        torch.nn.Linear(*reversed(weight.shape))
        for name, weight in names["weights"].items()
        if name.startswith("encoder.") and name.endswith("weight")
    )
    for layer, place in ((first, 0), (last, 1)):
        layer.load_state_dict({kind: names["weights"][f"encoder.layers.{place}.{kind}"] for kind in ("weight", "bias")})
    mean, log_variance = last(torch.relu(first(x.flatten(1)))).chunk(2, 1)
    assert torch.allclose(mean, model.encode(x), atol=1e-5)
    assert torch.allclose(log_variance, model.posterior(x)[1], atol=1e-5)
