"""data=parquet: image columns as Hugging Face's data sets have them, decoded like files, a few rows at a time."""

import io
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from aetrain.config.schema.data import Parquet
from aetrain.data import cache, encoded, parquet, table
from aetrain.data.card import card, content_sum, sizes
from aetrain.data.load import load
from aetrain.errors import UserError
from tests.data import test_folder
from tests.data.test_folder import pixels

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(encoded, "_found", {})


def config(path, **values):
    defaults = {
        "val_size": None, "test_size": None, "limit": None, "classes": None, "binarization": "none", "size": None,
        "fit": "crop", "channels": None, "background": "black", "image": None, "label": None, "on_corrupt": "refuse",
        "follow_links": False,
    }  # fmt: skip
    return Parquet(name="parquet", path=str(path), **(defaults | values))


def png(values):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def write(path, n=20, start=0, names=("cat", "dog"), group=7, struct=True, content=None, **more):
    """As `datasets` writes it: {"bytes", "path"}, class names beside the schema, several row groups."""
    images = content or [png(pixels(i)) for i in range(start, start + n)]
    column = [{"bytes": image, "path": None} for image in images] if struct else images
    columns = {"image": column} | more
    if names:
        columns["label"] = [i % len(names) for i in range(len(images))]
    made = pa.table(columns)
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=group)
    return path


def loaded(path, **values):
    encoded._found.clear()
    return {part: lazy.held() for part, lazy in parquet.load(config(path, **values)).items()}


@pytest.mark.parametrize("struct", [True, False])
def test_one_file(tmp_path, struct):
    path = write(tmp_path / "a.parquet", struct=struct)
    known = card(config(path))
    assert known.image_shape == (1, 12, 9) and sizes(config(path)) == (16, 2, 2)
    assert known.classes == ("cat", "dog") and known.counts == {"train": (10, 10)} and known.test is None
    (part,) = loaded(path).values()
    assert torch.equal(part.images, torch.stack([torch.from_numpy(pixels(i))[None] for i in range(20)]))
    assert part.labels.tolist() == [0, 1] * 10 and part.names(torch.tensor([3, 0])) == ["a.parquet:3", "a.parquet:0"]
    assert card(config(path, classes=["dog"])).train == 10


def test_files_of_splits(tmp_path):
    for i, n in enumerate((8, 5)):
        write(tmp_path / "data" / f"train-0000{i}-of-00002.parquet", n, start=100 * i)
    write(tmp_path / "data" / "validation-00000-of-00001.parquet", 3, start=300)
    write(tmp_path / "data" / "test-00000-of-00001.parquet", 4, start=400)
    assert sizes(config(tmp_path)) == (13, 3, 4)
    parts = loaded(tmp_path / "data")
    wanted = [pixels(i) for i in (*range(8), *range(100, 105))]
    assert np.array_equal(parts["train"].images[:, 0], np.stack(wanted))
    assert np.array_equal(parts["test"].images[1, 0], pixels(401))
    write(tmp_path / "data" / "other.parquet", 2)
    encoded._found.clear()
    with pytest.raises(UserError, match=r"other\.parquet: beside files of train, val or test"):
        card(config(tmp_path))


def test_columns_by_keys(tmp_path):
    blank = [png(np.zeros((12, 9), np.uint8))] * 4
    path = write(tmp_path / "a.parquet", 4, names=None, depth=blank, kind=["b", "a", "b", "b"])
    known = card(config(path))
    assert known.n_classes == 0 and torch.equal(loaded(path)["train"].labels, torch.full((4,), -1))
    encoded._found.clear()
    assert card(config(path, label="kind")).classes == ("a", "b")
    part = loaded(path, label="kind", image="depth")["train"]
    assert part.labels.tolist() == [1, 0, 1, 1] and not part.images.any()
    assert len(cache.show()) == 2
    for values, told in (({"image": "kind"}, r"data\.image=kind: no column of images"),
                         ({"label": "knd"}, "no such column in .*choose from: image, depth, kind"),
                         ({"label": "image"}, r"data\.label=image: .*rows without such a label")):  # fmt: skip
        encoded._found.clear()
        with pytest.raises(UserError, match=told):
            card(config(path, **values))


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"text": ["a"]}, "has no column of images.*it has text"),
        ({"a": [b"x"], "b": [b"y"]}, r"which of its columns are the images, a, b\? Give data\.image=a"),
        ({"image": [{"bytes": None, "path": "../../x.png"}] * 2}, "has no column of images"),
        ({"image": [{"bytes": b"", "path": "../../x.png"}] * 2}, "none of its 2 images can be decoded"),
        ({"image": pa.array([], pa.binary())}, "has no rows"),
    ],
)
def test_what_is_refused(tmp_path, columns, told):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=told) as error:
        card(config(tmp_path / "a.parquet"))
    assert "\n" not in str(error.value)


def test_a_label_that_some_rows_lack_is_none(tmp_path):
    path = write(tmp_path / "a.parquet", 4, names=None, label=[0, 1, None, 1])
    assert card(config(path)).n_classes == 0
    path = write(tmp_path / "b.parquet", 4, names=None, label=[0, 1, -1, 1])  # of a test split that is kept secret
    assert card(config(path)).n_classes == 0


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"pip install 'aetrain\[data\]'"):
        card(config(tmp_path / "a.parquet"))


def test_damaged_images_are_named_or_left_out(tmp_path):
    images = [png(pixels(i)) for i in range(10)]
    images[3], images[7] = images[3][:40], None
    path = write(tmp_path / "a.parquet", content=images)
    with pytest.raises(UserError, match=r"2 of 10 images cannot be decoded: a\.parquet:3 .*a\.parquet:7 \(") as error:
        loaded(path)
    assert "\n" not in str(error.value)
    part = loaded(path, on_corrupt="skip")["train"]
    assert len(part) == 8 and part.names(torch.arange(8))[3] == "a.parquet:4"
    assert np.array_equal(part.images[3, 0], pixels(4))


def test_damage_to_a_file_is_one_line(tmp_path):
    whole = write(tmp_path / "a.parquet").read_bytes()
    rng = np.random.default_rng(0)
    for i in range(40):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 6):
            content[place] ^= 255
        (tmp_path / "b.parquet").write_bytes(bytes(content) if i % 2 else whole[: rng.integers(0, len(whole))])
        try:
            loaded(tmp_path / "b.parquet", on_corrupt="skip", size="8")
        except UserError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("n", [3, 20])
def test_a_file_that_changes_after_its_rows_were_counted_is_told(tmp_path, n):
    found = table.scan(config(write(tmp_path / "a.parquet")))
    write(tmp_path / "a.parquet", n, start=1, struct=False)
    with pytest.raises(UserError, match=r"a\.parquet: has changed since its rows were counted; start again$"):
        list(found.contents([range(20)]))


@pytest.mark.parametrize("name", ["entry.json", "plan.json"])
def test_a_cache_that_holds_no_json_is_made_anew(tmp_path, name):
    path = write(tmp_path / "a.parquet")
    (before,) = loaded(path).values()
    place = next(tmp_path.glob("cache/**/entry.json")).parent
    (place / "entry.json").unlink(missing_ok=name == "plan.json")
    (place / name).write_text("[" * 100_000)
    (after,) = loaded(path).values()
    assert torch.equal(after.images, before.images)


def test_only_the_rows_that_are_asked_for_are_read(tmp_path):
    path = write(tmp_path / "a.parquet", 50)
    found, seen = table.scan(config(path)), []
    for contents in found.contents([range(9, 12), range(12, 13), range(20, 23), range(48, 50)]):
        seen += contents
    assert seen == [png(pixels(i)) for i in (9, 10, 11, 12, 20, 21, 22, 48, 49)]


def test_a_file_larger_than_what_is_held_at_once(tmp_path, monkeypatch):
    """One row group, many pages: only a few rows of it are in memory."""
    monkeypatch.setattr(table, "BYTES_AT_ONCE", 1000)
    path = write(tmp_path / "a.parquet", 60, group=60)
    assert table.scan(config(path)).at_once < 10
    assert np.array_equal(loaded(path)["train"].images[:, 0], np.stack([pixels(i) for i in range(60)]))
    first = pa.total_allocated_bytes()
    for contents in table.scan(config(path)).contents(range(i, i + 3) for i in range(0, 60, 3)):
        assert len(contents) == 3 and pa.total_allocated_bytes() - first < 200_000


def test_it_trains_and_notices_a_change(aetrain, tmp_path):
    write(tmp_path / "a.parquet", 60)
    first = content_sum(config(tmp_path / "a.parquet"))
    words = ("data=parquet", "data.path=a.parquet", "data.resident=false", "trainer.epochs=1", "device=cpu")
    code, _out, err = aetrain(*words, "hydra.run.dir=run")
    assert code == 0, err
    write(tmp_path / "a.parquet", 60, start=1)
    encoded._found.clear()
    assert content_sum(config(tmp_path / "a.parquet")) != first
    code, _out, err = aetrain("resume=run", "trainer.epochs=2")
    assert code == 2 and err.count("\n") == 1


def test_splits_say_what_is_in_the_files(tmp_path):
    splits = load(config(write(tmp_path / "a.parquet")), CPU)
    assert splits.classes == ("cat", "dog") and splits.facts().scale == 255


def test_other_sources_name_it(tmp_path):
    path = write(tmp_path / "a.parquet", 2)
    for where, told in ((path, "give data=parquet"), (tmp_path, "for what there is, data=parquet")):
        with pytest.raises(UserError, match=told):
            card(test_folder.config(where))
