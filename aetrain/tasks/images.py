"""Images that a task is told by a word: by number, by file, or as a class."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from aetrain.config.words import suggest
from aetrain.data.decode import Spec, Unreadable, be_strict, colour, decode
from aetrain.data.split import UNLABELLED, to_unit
from aetrain.errors import UserError
from aetrain.latest import path_of
from aetrain.tasks.work import Work


class Named(NamedTuple):
    """x: (1, C, H, W) in [0, 1], y: (1,), and what the image is called."""

    x: Tensor
    y: Tensor
    name: str


def named(work: Work, key: str, word: str) -> Named:
    """The image that key=word names: its number in the split, or a file, fitted as in training. Raises a UserError."""
    if word.isdecimal():
        index, n = int(word), len(work.split)
        if index >= n:
            raise UserError(
                f"{key}={word}: the {work.split_name} split has {n:,} images, counted from 0; give at most {n - 1}"
            )
        place = torch.tensor([index], device=work.split.labels.device)
        x, y = work.split.gather(place)
        return Named(x, y, work.names(index, 1)[0])
    path = path_of(key, word)
    if work.config.model.needs_labels:
        raise UserError(
            f"{key}={word}: model={work.config.model.name} is given the image's class, which a file does not say; give "
            "an image's number in the split"
        )
    own = work.config.data
    background, fit = getattr(own, "background", "black"), getattr(own, "fit", "crop")
    spec = Spec(*work.model.facts.image_shape, False, fit, colour(background))
    if spec.channels not in (1, 3):
        raise UserError(f"{key}={word}: the model's images have {spec.channels} channels; give an image's number")
    be_strict()
    try:
        image = torch.from_numpy(decode(str(path.resolve()), spec).copy())
    except Unreadable as error:
        raise UserError(f"{key}={word}: cannot be used ({error}); give an image's number in the split, or a file"
                        ) from error  # fmt: skip
    x = to_unit(image[None]).to(work.where)
    if own.binarization != "none":
        x = (x >= 0.5).to(x.dtype)
    return Named(x, torch.full((1,), UNLABELLED, device=work.where), Path(word).name)


def asked_labels(work: Work) -> list[int]:
    """The labels that classes=[…] names; none where it is not given. Raises a UserError."""
    asked, known = work.task.classes or [], work.class_names
    if unknown := [name for name in asked if name not in known]:
        raise UserError(f"classes=[{','.join(asked)}]: there is no class '{unknown[0]}'; {suggest(unknown[0], known)}")
    return [known.index(name) for name in asked]


def class_label(work: Work, key: str, name: str) -> int:
    """The label of class:<name>. Raises a UserError."""
    classes = list(work.classes) or [str(i) for i in range(work.around.n_classes)]
    if name not in classes:
        told = suggest(name, classes) if classes else "these images have no classes"
        raise UserError(f"{key}=class:{name}: there is no such class; {told}")
    return classes.index(name)
