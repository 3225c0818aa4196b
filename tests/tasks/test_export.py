"""aetrain export."""

import json
import re

import pytest
import torch

import aetrain as package
from aetrain.config.schema.task import export


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return package.export(trained, out=tmp_path_factory.mktemp("export") / "o")


def test_the_weights_are_those_of_the_run(exported, trained):
    from safetensors.torch import load_file

    wanted = package.load(trained).state_dict()
    safe = load_file(exported.folder / "model.safetensors")
    plain = torch.load(exported.folder / "model.pth", weights_only=True)
    assert wanted.keys() == safe.keys() == plain.keys()
    assert all(torch.equal(value, safe[name]) and torch.equal(value, plain[name]) for name, value in wanted.items())


def test_differences_are_reported(exported):
    told = json.loads((exported.folder / "export.json").read_text())["metrics"]
    assert len(told) == 4 and all(0 <= value <= 1e-4 for value in told.values())


def test_the_page_can_be_followed(exported, monkeypatch):
    """Its programs run as they stand, on the files beside it."""
    page = (exported.folder / "export.md").read_text()
    monkeypatch.chdir(exported.folder)
    names: dict = {}
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        exec(program, names)
    assert names["new"].shape == (16, 1, 28, 28) and names["codes"].shape == (8, 3)
    for name in re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)[3:]:
        assert (exported.folder / name).exists()


def test_without_the_extra_it_is_one_line(aetrain, trained, monkeypatch):
    monkeypatch.setattr(export, "NEEDED", ("onnx", "no_such_package"))
    code, out, err = aetrain("export", f"run={trained}", "out=o")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "no_such_package: pip install 'aetrain[export]'" in err and not (aetrain.folder / "o").exists()
