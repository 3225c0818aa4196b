"""data=folder: what lies where, what becomes of a file, and what is kept of it."""

import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import time
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from aetrain.config.schema.data import Folder
from aetrain.data import cache, decode, decoding, encoded, folder, mnist
from aetrain.data.card import card, content_sum, sizes
from aetrain.data.decode import colour
from aetrain.data.load import load
from aetrain.errors import RunFailed, UserError
from tests.conftest import PYTHON, SMALL
from tests.data.test_mnist import read

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(encoded, "_found", {})


@pytest.fixture
def photos(tmp_path):
    path = tmp_path / "photos"
    path.mkdir()
    return path


def config(path, **values):
    defaults = {
        "val_size": None, "test_size": None, "limit": None, "classes": None, "binarization": "none", "size": None,
        "fit": "crop", "channels": None, "background": "black", "label": None, "on_corrupt": "refuse",
        "follow_links": False,
    }  # fmt: skip
    return Folder(name="folder", path=str(path), **(defaults | values))


def pixels(seed=0, height=12, width=9, channels=0):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def many(path, n=20, start=0):
    for i in range(start, start + n):
        save(path / f"{i:03}.png", pixels(i))


def loaded(path, **values):
    encoded._found.clear()
    return {part: lazy.held() for part, lazy in folder.load(config(path, **values)).items()}


# --- what lies where


def test_a_flat_folder(photos):
    many(photos)
    (photos / "notes.txt").write_text("not an image")
    (photos / ".hidden.png").write_bytes(b"")
    given = config(photos)
    assert card(given).image_shape == (1, 12, 9) and sizes(given) == (16, 2, 2)
    (part,) = loaded(photos).values()
    assert torch.equal(part.images, torch.stack([torch.from_numpy(pixels(i))[None] for i in range(20)]))
    assert part.labels.unique().tolist() == [-1] and part.names(torch.tensor([3, 1])) == ["003.png", "001.png"]
    splits = load(given, CPU)
    names = [split.names(torch.arange(len(split))) for split in (splits.train, splits.val, splits.test)]
    assert sorted(name for part in names for name in part) == [f"{i:03}.png" for i in range(20)]
    first = int(names[2][0][:3])
    assert torch.equal(splits.test.images[0, 0], torch.from_numpy(pixels(first)))


def test_class_folders(photos):
    many(photos / "dog", 3)
    many(photos / "cat", 4, start=10)
    known = card(config(photos))
    assert known.classes == ("cat", "dog") and known.counts == {"train": (4, 3)} and known.test is None
    assert loaded(photos)["train"].labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert card(config(photos, classes=["dog"])).train == 3
    save(photos / "stray.png", pixels())
    encoded._found.clear()
    assert card(config(photos)).n_classes == 0


def test_the_first_images_of_class_folders_are_of_every_class(photos):
    for name in "abcd":
        many(photos / name, 50)
    splits = load(config(photos, limit=15), CPU)
    assert set(splits.train.labels.tolist()) == set(splits.test.labels.tolist()) == {0, 1, 2, 3}
    again = load(config(photos, limit=15), CPU)
    assert torch.equal(again.train.images, splits.train.images)
    names = splits.train.names(torch.arange(15))
    assert [name[0] for name in names] == ["abcd"[i] for i in splits.train.labels.tolist()]


def test_split_folders_with_classes(photos):
    for part, n in (("train", 6), ("validation", 2), ("test", 3)):
        for name in ("10", "9"):
            many(photos / part / name, n)
    given = config(photos)
    assert sizes(given) == (12, 4, 6) and card(given).classes == ("9", "10")
    assert loaded(photos)["val"].labels.tolist() == [1, 1, 0, 0]
    many(photos / "more", 1)
    encoded._found.clear()
    with pytest.raises(UserError, match="more beside the folder train"):
        card(given)


def write_table(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def test_metadata_comes_first(photos):
    many(photos / "a", 6)
    many(photos / "b", 6)
    rows = [(f"a/{i:03}.png", "b" if i % 2 else "c", "test" if i > 3 else "train") for i in range(6)]
    write_table(photos / "metadata.csv", [("file_name", "label", "split"), *rows])
    given = config(photos)
    known = card(given)
    assert (known.train, known.test, known.classes, known.counts["test"]) == (4, 2, ("b", "c"), (1, 1))
    assert loaded(photos)["train"].names(torch.arange(4)) == [f"a/{i:03}.png" for i in range(4)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("name",), ("000.png",)], "no column file_name"),
        ([("file_name", "label"), ("000.png",)], "row 2: not one value"),
        ([("file_name",), ("../x.png",)], "row 2: there is no image"),
        ([("file_name",), ("000.png",), ("000.png",)], "row 3: names"),
        ([("file_name", "split"), ("000.png", "tset")], "did you mean 'test'"),
        ([("file_name", "label"), ("000.png", "")], "no label"),
        ([("file_name",)], "names no images"),
    ],
)
def test_a_table_that_does_not_fit(photos, rows, told):
    many(photos, 2)
    write_table(photos / "metadata.csv", rows)
    with pytest.raises(UserError, match=told):
        card(config(photos))


def test_a_table_without_a_row_of_train(photos):
    many(photos, 3)
    write_table(photos / "metadata.csv", [("file_name", "split"), *((f"{i:03}.png", "test") for i in range(3))])
    with pytest.raises(UserError, match=r"no row of metadata\.csv is of the split train"):
        sizes(config(photos))


@pytest.mark.parametrize("background", ["ffffff", "FFFFFF", "abcdef", "ff8000", "001000", "1e1000"])
def test_a_background_in_six_hexadecimal_digits(background):
    assert colour(background) == tuple(bytes.fromhex(background))


def test_links_out_of_the_folder(photos, tmp_path):
    many(photos)
    save(tmp_path / "elsewhere" / "x.png", pixels(99))
    os.symlink("000.png", photos / "inside.png")
    assert card(config(photos)).train == 21
    os.symlink(tmp_path / "elsewhere" / "x.png", photos / "out.png")
    encoded._found.clear()
    with pytest.raises(UserError, match=r"out\.png: a link out of the folder; data\.follow_links=true"):
        card(config(photos))
    (part,) = loaded(photos, follow_links=True).values()
    assert torch.equal(part.images[-1, 0], torch.from_numpy(pixels(99)))
    (photos / "out.png").unlink()
    os.symlink(tmp_path, photos / "loop")
    encoded._found.clear()
    with pytest.raises(UserError, match="a link out of the folder"):
        card(config(photos))
    os.symlink(photos, photos / "self")
    (photos / "loop").unlink()
    assert len(loaded(photos)["train"]) == 21  # a loop inside is walked once
    os.mkfifo(photos / "pipe.png")
    assert len(loaded(photos)["train"]) == 21


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_no_folder_of_images(photos, kind):
    path = {"missing": photos / "nowhere", "file": photos / "x.npz", "empty": photos}[kind]
    if kind == "file":
        path.write_bytes(b"")
    with pytest.raises(
        UserError, match={"missing": "no such folder", "file": "data=array", "empty": "no images"}[kind]
    ):
        card(config(path))


# --- what becomes of a file


def test_kinds_of_pixels(photos):
    grey, rgb = pixels(0), pixels(1, channels=3)
    alpha = np.dstack([rgb, np.full(rgb.shape[:2], 128, np.uint8)])
    save(photos / "a_grey.png", grey)
    save(photos / "b_colour.png", rgb)
    save(photos / "c_alpha.png", alpha)
    Image.fromarray(rgb).convert("CMYK").save(photos / "d_cmyk.tif")
    Image.fromarray(grey).convert("P").save(photos / "e_palette.png")
    Image.fromarray(rgb).save(photos / "f.webp", lossless=True)
    frames = [Image.fromarray(pixels(i)) for i in (5, 6)]
    frames[0].save(photos / "g.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(grey > 127).save(photos / "h.pbm")
    assert card(config(photos)).image_shape == (3, 12, 9)
    got = loaded(photos, background="white")["train"].images.permute(0, 2, 3, 1).numpy().astype(int)
    assert np.array_equal(got[0], grey[..., None].repeat(3, -1)) and np.array_equal(got[1], rgb)
    over = rgb * (128 / 255) + 255 * (127 / 255)
    assert abs(got[2] - over).max() <= 1 and abs(got[3] - rgb).max() <= 1
    assert np.array_equal(got[4], grey[..., None].repeat(3, -1)) and np.array_equal(got[5], rgb)
    assert np.array_equal(got[6], pixels(5)[..., None].repeat(3, -1)) and set(got[7].flat) == {0, 255}
    one = loaded(photos, channels=1)["train"].images
    assert one.shape[1] == 1 and torch.equal(one[0, 0], torch.from_numpy(grey))


def test_sixteen_bits_are_kept(photos):
    values = np.random.default_rng(0).integers(0, 65536, (12, 9), dtype=np.uint16)
    save(photos / "a.png", values)
    save(photos / "b.png", pixels())
    images = loaded(photos)["train"].images
    assert images.dtype == torch.float32 and card(config(photos)).bytes_per_value == 4
    np.testing.assert_allclose(images[0, 0], values / 65535, atol=1e-7)
    np.testing.assert_allclose(images[1, 0], pixels() / 255, atol=1e-7)
    many(photos, 8)
    encoded._found.clear()
    assert load(config(photos), CPU).facts().scale == 65535


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_respected(photos, orientation, suffix):
    rgb = np.kron(np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
    exif = Image.Exif()
    exif[decode.ORIENTATION] = orientation
    save(photos / f"a.{suffix}", rgb, exif=exif)
    upright = {
        1: rgb, 2: rgb[:, ::-1], 3: rgb[::-1, ::-1], 4: rgb[::-1], 5: rgb.transpose(1, 0, 2),
        6: rgb[::-1].transpose(1, 0, 2), 7: rgb[::-1, ::-1].transpose(1, 0, 2), 8: rgb[:, ::-1].transpose(1, 0, 2),
    }[orientation]  # fmt: skip
    size = "x".join(map(str, upright.shape[:2]))
    got = loaded(photos, size=size)["train"].images[0].permute(1, 2, 0).numpy()
    tolerance = 0 if suffix in ("png", "tif") else 40
    assert got.shape == upright.shape and np.median(abs(got.astype(int) - upright)) <= tolerance
    assert card(config(photos)).image_shape == (3, *upright.shape[:2])


def test_fits(photos):
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200  # a bright middle third
    save(photos / "a.png", wide)
    save(photos / "b.png", wide[:, :20])
    with pytest.raises(UserError, match=r"2 sizes, from 10x20 to 10x30.*data\.size=10"):
        card(config(photos))
    crop, pad, stretch = (
        loaded(photos, size="10", fit=fit, background="white")["train"].images[0, 0].numpy()
        for fit in ("crop", "pad", "stretch")
    )
    assert (crop == 200).all()
    assert (pad[[0, 1, 8, 9]] == 255).all() and pad[5, 0] == 0 and pad[5, 5] > 190
    assert stretch[:, 0].max() == 0 and (stretch[:, 5] > 190).all() and stretch[:, 9].max() == 0
    assert loaded(photos, size="8x16")["train"].image_shape == (1, 8, 16)
    for wrong in ("0", "8x", "axb", "99999"):
        with pytest.raises(UserError, match=f"data.size={wrong}"):
            card(config(photos, size=wrong))


def test_a_large_jpeg_is_close_to_its_exact_reduction(photos):
    smooth = np.asarray(Image.fromarray(pixels(3, 30, 40, 3)).resize((1600, 1200), Image.Resampling.BICUBIC))
    save(photos / "a.jpg", smooth, quality=95)
    got = loaded(photos, size="48x64")["train"].images[0].permute(1, 2, 0).numpy().astype(int)
    exact = np.asarray(Image.open(photos / "a.jpg").resize((64, 48), Image.Resampling.BICUBIC)).astype(int)
    assert abs(got - exact).mean() < 1.5


# --- damaged files


def png(width, height, data=b"", extra=b""):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def mixed(path):
    """Photographs with one truncated, a text file that is called .jpg, a CMYK and a 16-bit one."""
    for i in range(6):
        save(path / f"{i}.jpg", pixels(i, 40 + i, 50, 3))
    whole = (path / "0.jpg").read_bytes()
    (path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (path / "text.jpg").write_text("hello")
    Image.fromarray(pixels(7, 40, 40, 3)).convert("CMYK").save(path / "cmyk.jpg")
    save(path / "wide.png", np.full((20, 20), 40000, np.uint16))


def snapshot(path):
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in path.iterdir()}


def test_damaged_files_are_named_or_left_out(aetrain, photos):
    mixed(photos)
    before = snapshot(photos)
    words = ("data=folder", f"data.path={photos}", "data.size=16", "trainer.epochs=1", "device=cpu")
    code, _out, err = aetrain(*words)
    assert code == 2 and err.count("\n") == 1
    assert "2 of 10 files cannot be decoded: text.jpg" in err and "truncated.jpg" in err and "on_corrupt=skip" in err
    code, out, err = aetrain(*words, "data.on_corrupt=skip", "hydra.run.dir=run")
    assert code == 0, err
    assert "2 of 10 files are left out" in out and snapshot(photos) == before
    result = json.loads((aetrain.folder / "run" / "result.json").read_text())
    assert result["status"] == "done"
    part = loaded(photos, size="16", on_corrupt="skip")["train"]
    assert len(part) == 8 and part.images.dtype == torch.float32
    assert not {"text.jpg", "truncated.jpg"} & set(part.names(torch.arange(8)))


def test_many_damaged_files_are_all_in_a_file(photos):
    many(photos)
    for i in range(9):
        (photos / f"bad{i}.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"9 of 29 .*bad4\.png.* and 4 more, all named in .*damaged\.txt"):
        loaded(photos)
    with pytest.raises(UserError, match="9 of 29"):  # the second time at once, from the cache
        card(config(photos))
    assert len((cache.show()[0].place / "damaged.txt").read_text().splitlines()) == 9
    for path in photos.glob("[0-9]*"):
        path.unlink()
    encoded._found.clear()
    with pytest.raises(UserError, match="none of its 9 files can be decoded"):
        card(config(photos, on_corrupt="skip"))


@pytest.mark.parametrize("kind", ["huge", "bomb", "text", "crc"])
def test_hostile_files(photos, kind):
    many(photos, 3)
    content = {
        "huge": png(50_000, 50_000),
        "bomb": png(12_000, 12_000, zlib.compress(bytes(1 << 20))),
        "text": png(9, 12, zlib.compress(bytes(120)), struct.pack(">I", 1 << 30) + b"zTXt"),
        "crc": png(9, 12, zlib.compress(bytes(120))).replace(b"IDAT", b"IDAX"),
    }[kind]
    (photos / "z.png").write_bytes(content)
    with pytest.raises(UserError, match=r"1 of 4 files cannot be decoded: z\.png") as error:
        loaded(photos, size="8")
    assert "\n" not in str(error.value)
    if kind in ("huge", "bomb"):
        assert "more than 89,478,485 pixels" in str(error.value)
    assert len(loaded(photos, size="8", on_corrupt="skip")["train"]) == 3


def test_files_of_other_formats_are_not_opened(photos):
    """PostScript would start a program, whatever its file is called."""
    many(photos, 3)
    (photos / "z.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 12\n")
    with pytest.raises(UserError, match="not an image of a known format"):
        loaded(photos)


def test_noise_never_ends_in_a_traceback(photos):
    rng = np.random.default_rng(0)
    rgb = pixels(0, 12, 9, 3)
    for suffix in ("png", "jpg", "gif", "bmp", "tif", "webp", "ppm"):
        save(photos / f"whole.{suffix}", rgb)
        whole = (photos / f"whole.{suffix}").read_bytes()
        for i in range(40):
            content = bytearray(whole)
            for place in rng.integers(0, len(whole), 1 + i % 5):
                content[place] = rng.integers(256)
            (photos / f"{i}.{suffix}").write_bytes(bytes(content[: None if i % 3 else rng.integers(len(whole))]))
    assert 7 <= len(loaded(photos, size="12x9", on_corrupt="skip")["train"]) < 287


# --- what is kept


def counting(monkeypatch):
    seen = []
    monkeypatch.setattr(
        decoding, "decode", lambda path, spec: seen.append(os.path.basename(path)) or decode.decode(path, spec)
    )
    return seen


def test_decoded_once_and_only_what_changed(photos, monkeypatch):
    many(photos)
    seen = counting(monkeypatch)
    first = loaded(photos)["train"].images.clone()
    assert len(seen) == 20
    seen.clear()
    assert torch.equal(loaded(photos)["train"].images, first) and seen == []
    save(photos / "0055.png", pixels(55))
    save(photos / "003.png", pixels(333))
    (photos / "010.png").unlink()
    changed = loaded(photos)["train"]
    assert sorted(seen) == ["003.png", "0055.png"] and len(changed) == 20
    names = changed.names(torch.arange(20))
    assert names == sorted(path.name for path in photos.iterdir())
    for i, name in enumerate(names):
        assert np.array_equal(changed.images[i, 0], np.asarray(Image.open(photos / name)))
    seen.clear()
    assert loaded(photos, size="8")["train"].image_shape == (1, 8, 8) and len(seen) == 20
    assert len(cache.show()) == 2 and {held.images for held in cache.show()} == {20}
    assert cache.clear() > 0 and cache.show() == []


def test_the_mean_image_is_kept_with_the_decoded_images(photos, monkeypatch):
    for name in ("cat", "dog"):
        many(photos / name)
    first = load(config(photos), CPU).facts().mean_image
    splits = load(config(photos), CPU)
    torch.testing.assert_close(first, (splits.train.images / 255).mean(0))
    monkeypatch.setattr(type(splits.train), "mean_image", None)
    assert torch.equal(splits.facts().mean_image, first)
    with pytest.raises(TypeError):  # of other images it is another one
        load(config(photos, classes=["dog"]), CPU).facts()
    monkeypatch.undo()
    save(photos / "cat" / "003.png", pixels(99))
    encoded._found.clear()
    assert not torch.equal(load(config(photos), CPU).facts().mean_image, first)
    assert cache.clear() > 0 and not list(cache.default_root().glob("decoded/*"))


def test_splits_of_a_map_stay_in_the_map(photos):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            many(photos / part / name)
    held, read = (load(config(photos, classes=["dog"], resident=r), CPU) for r in (True, False))
    assert len(read.train.source._images) == 80 and len(read.train) == len(held.train) == 18
    assert torch.equal(read.test.first(20).x, held.test.first(20).x)
    names = read.test.names(torch.arange(20))
    assert names == held.test.names(torch.arange(20)) and set(names) == {f"test/dog/{i:03}.png" for i in range(20)}
    again = [one.test.relabelled(torch.tensor([4, -1])).labels for one in (held, read)]  # of 0, and of no label
    assert torch.equal(*again) and set(again[0].tolist()) == {4}


def test_the_content_sum_knows_content_not_place(photos, tmp_path):
    many(photos)
    shutil.copytree(photos, tmp_path / "copy", copy_function=shutil.copy)
    first = content_sum(config(photos))
    assert content_sum(config(tmp_path / "copy")) == first
    save(tmp_path / "copy" / "003.png", pixels(99))
    encoded._found.clear()
    assert content_sum(config(tmp_path / "copy")) != first


SCRIPT = """
import sys, time
from tests.data.test_folder import config
from aetrain.data import decode, decoding, folder
plain = decode.decode
def slow(path, spec):
    time.sleep(0.02)
    return plain(path, spec)
decoding.decode, decoding.CHUNK, decoding.SYNC_SECONDS = slow, 5 * 12 * 9, 0.05
print(len(folder.load(config(sys.argv[1]))["train"]))
"""


def test_an_interrupted_decoding_goes_on(photos, monkeypatch):
    many(photos, 200)
    monkeypatch.setattr(decoding, "CHUNK", 5 * 12 * 9)
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 1)):
        process = subprocess.Popen([PYTHON, "-c", SCRIPT, str(photos)], stderr=subprocess.PIPE, text=True)
        before = lines = len(_journal())
        while lines < before + 3:
            assert process.poll() is None
            time.sleep(0.02)
            lines = len(_journal())
        sent = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == code and time.monotonic() - sent < 5
        assert number == signal.SIGKILL or "what is decoded is kept" in process.stderr.read()
        process.stderr.close()
    seen = counting(monkeypatch)
    images = loaded(photos)["train"].images
    assert 0 < len(seen) <= 170
    assert torch.equal(images[:, 0], torch.stack([torch.from_numpy(pixels(i)) for i in range(200)]))


def _journal():
    (place,) = cache._places() or [None]
    path = place and place / "journal"
    return path.read_bytes().splitlines() if path and path.exists() else []


def test_a_full_disk_is_one_line(photos, monkeypatch):
    many(photos)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(RunFailed, match=r"No space left on device.*aetrain cache") as error:
            loaded(photos)
        assert "\n" not in str(error.value)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(RunFailed, match="No space left on device"):
            loaded(photos)
    assert len(loaded(photos)["train"]) == 20


def test_a_damaged_cache_is_made_again(photos):
    many(photos)
    first = loaded(photos)["train"].images.clone()
    place = cache.show()[0].place
    for name, content in (("images", b"x"), ("entry.json", b"{"), ("entry.json", b"[]"), ("files.json", b"")):
        (place / name).write_bytes(content)
        assert torch.equal(loaded(photos)["train"].images, first)


# --- as a run


def test_two_hundred_pictures_train_without_a_further_key(aetrain, photos):
    many(photos, 100)
    code, out, err = aetrain("data=folder", f"data.path={photos}", "trainer.epochs=1", "device=cpu", "hydra.run.dir=a")
    assert code == 0, err
    assert "the training split has 80 images, and a batch takes them all" in out
    code, _out, err = aetrain("resume=a", "trainer.epochs=2")
    assert code == 0, err


def test_mnist_as_files_is_mnist(aetrain, photos, tmp_path, monkeypatch):
    parts = {part: split.take(torch.arange(400)) for part, split in read(tmp_path).items()}
    rows = [("file_name", "label")]
    for part, split in parts.items():
        for i, (image, label) in enumerate(zip(split.images[:, 0].numpy(), split.labels.tolist(), strict=True)):
            save(photos / part / f"{i:05}.png", image)
            rows.append((f"{part}/{i:05}.png", label))
    write_table(photos / "metadata.csv", rows)
    monkeypatch.setattr(mnist, "load", lambda config: parts)
    monkeypatch.setattr(mnist, "card", lambda config: card(given))
    given = config(photos)
    metrics = []
    for words in (["data=mnist"], ["data=folder", f"data.path={photos}"]):
        code, _out, err = aetrain(*SMALL, *words, "data.val_size=100", f"hydra.run.dir={words[0][5:]}")
        assert code == 0, err
        metrics.append(json.loads((aetrain.folder / words[0][5:] / "result.json").read_text())["metrics"])
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("side", [28, 50, 90, 150, 224])
def test_every_size_can_be_cropped(side):
    """Also where the part to be kept is a rounding larger than the image."""
    spec = decode.Spec(1, side, side, 255, "crop", (0, 0, 0))
    for n in range(1, 900):
        assert decode._fitted(Image.new("L", (n, n + 40)), spec).shape == (side, side)
        assert decode._fitted(Image.new("L", (n + 40, n)), spec).shape == (side, side)
