"""Files for TensorBoard's projector: codes, what is known of each image, and the images themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch import Tensor

from aetrain.pictures.grids import png
from aetrain.pictures.sprite import sprite
from aetrain.tasks.output import Output

FOLDER = "projector"
MOST = 5000  # points; a browser moves so many smoothly


def write(out: Output, codes: Tensor, rows: Sequence[Sequence[str]], header: Sequence[str], images: Tensor) -> None:
    """codes: (N, D); rows: of each image a value for every column of `header`; images: (N, C, H, W) in [0, 1]."""
    out.file(f"{FOLDER}/codes.tsv", _tsv([f"{v:.6g}" for v in code] for code in codes.tolist()))
    known = [header, *rows] if len(header) > 1 else rows  # a single column has no header there
    out.file(f"{FOLDER}/metadata.tsv", _tsv(known))
    out.file(f"{FOLDER}/sprite.png", png(sprite(images)))
    config = ProjectorConfig()
    shown = config.embeddings.add(tensor_name="codes", tensor_path="codes.tsv", metadata_path="metadata.tsv")
    shown.sprite.image_path = "sprite.png"
    side = max(images.shape[-2:])
    shown.sprite.single_image_dim.extend([side, side])
    out.file(f"{FOLDER}/projector_config.pbtxt", text_format.MessageToString(config).encode())


def _tsv(rows) -> bytes:
    return "".join("\t".join(map(_cell, row)) + "\n" for row in rows).encode(errors="replace")


def _cell(value: str) -> str:
    """On one line and in one column."""
    return re.sub(r"[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", " ", value)
