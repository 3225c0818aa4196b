"""aetrain embed."""

import csv
import json

import numpy as np
import pytest
import torch

import aetrain as package
from aetrain.data import mnist
from tests.tasks.conftest import TINY


@pytest.fixture(scope="module")
def wanted(trained):
    """Codes of the test images."""
    images = mnist.load(package.config(*TINY).data)["test"].images[:300] / 255
    with torch.no_grad():
        return package.load(trained).encode(images).numpy()


def test_every_format_holds_the_means_names_and_labels(trained, wanted, tmp_path):
    from pyarrow import parquet

    for form in ("npz", "csv", "parquet"):
        package.embed(trained, f"format={form}", "batch_size=70", "projector=false", out=tmp_path / form)
    with np.load(tmp_path / "npz" / "embeddings.npz", allow_pickle=False) as file:
        held = dict(file)
    np.testing.assert_allclose(held["embeddings"], wanted, atol=1e-5)
    assert held["filenames"].tolist()[:2] == ["0", "1"] and held["labels"].tolist()[:4] == [7, 2, 1, 0]
    assert held["classes"].tolist() == list("0123456789")
    rows = list(csv.reader((tmp_path / "csv" / "embeddings.csv").read_text().splitlines()))
    assert rows[0] == ["filename", "label", "class", "embedding_0", "embedding_1", "embedding_2"] and len(rows) == 301
    read = np.array([row[3:] for row in rows[1:]], dtype=np.float32)
    assert (read == held["embeddings"]).all() and [row[1] for row in rows[1:5]] == list("7210")
    table = parquet.read_table(tmp_path / "parquet" / "embeddings.parquet")
    assert (np.stack(table["embedding"].to_numpy()) == held["embeddings"]).all()
    assert table["label"].to_pylist() == held["labels"].tolist()


def test_samples_are_drawn_from_the_posterior(trained, wanted, tmp_path):
    package.embed(trained, "z=sample", "projector=false", out=tmp_path / "o")
    with np.load(tmp_path / "o" / "embeddings.npz") as file:
        difference = file["embeddings"] - wanted
    assert 0.1 < difference.std() < 3 and abs(difference.mean()) < 0.2


def test_tensorboard_loads_the_projector(trained, wanted, tmp_path):
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    package.embed(trained, "n=120", out=tmp_path / "o")
    folder, multiplexer = str(tmp_path / "o" / "projector"), EventMultiplexer()
    context = TBContext(logdir=folder, multiplexer=multiplexer,
                        data_provider=MultiplexerDataProvider(multiplexer, folder))  # fmt: skip
    apps = ProjectorPlugin(context).get_plugin_apps()

    def asked(route):
        answer = Client(apps[route]).get(route, query_string={"run": ".", "name": "codes"})
        assert answer.status_code == 200
        return answer.data

    (told,) = json.loads(asked("/info"))["embeddings"]
    assert told["sprite"]["singleImageDim"] == [28, 28] and told["tensorShape"] == [120, 3]
    codes = np.frombuffer(asked("/tensor"), dtype=np.float32).reshape(120, 3)
    np.testing.assert_allclose(codes, wanted[:120], rtol=1e-4, atol=1e-5)
    assert asked("/metadata").decode().splitlines()[:3] == ["filename\tclass", "0\t7", "1\t2"]
    assert asked("/sprite_image").startswith(b"\x89PNG")
