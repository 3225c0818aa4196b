"""What tells whether an image is anomalous: fitted once to a run's own images, kept with the result, used on others."""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aetrain.errors import UserError
from aetrain.evaluation import scores
from aetrain.evaluation.codes import codes
from aetrain.evaluation.density import Mixture, gaussian
from aetrain.evaluation.detection import threshold
from aetrain.evaluation.scores import Scorer
from aetrain.evaluation.terms import split_statistics
from aetrain.files import parsed, read_bytes
from aetrain.noise import BLOCK, mix
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

FILE = "detector.npz"
LARGEST = 1 << 28  # bytes; a code of 4,000 numbers takes half of it
CODES = 10_000  # training images to whose codes the density is fitted


@dataclass(frozen=True)
class Detector:
    """thresholds: score -> the value above which an image counts as anomalous, at this many false alarms among
    validation images."""

    scorer: Scorer
    thresholds: dict[str, float]
    about: dict[str, object]

    def bytes(self) -> bytes:
        """The content of FILE: arrays alone, for numpy.load without pickle."""
        density = self.scorer.density
        arrays = {"density/mean": density.means[0], "density/factor": density.factors[0]}
        arrays |= {f"statistic/{name}": value for name, value in self.scorer.statistics.items()}
        arrays = {name: value.double().cpu().numpy() for name, value in arrays.items()}
        arrays |= {f"threshold/{name}": np.array(value) for name, value in self.thresholds.items()}
        arrays["about"] = np.array(json.dumps(self.about))
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()


def fitted(work: Work, finds_classes: bool) -> Detector:
    """To the run's own training images, which are all normal, its thresholds to the validation images. Where there are
    none, training images take their place, whose scores are lower than those of new images; a line says so."""
    splits, task, model = work.splits, work.task, work.model
    held_out = splits.val
    if not len(held_out):
        log.info("no validation split: thresholds are drawn for training images, whose scores are lower than new ones")
        held_out = splits.train
    seed = mix(work.seed, "statistics")
    statistics = split_statistics(model, held_out, BLOCK, seed)
    density = gaussian(codes(model, splits.train, CODES).z)
    scorer = Scorer(model, statistics, density, task.nll_samples, finds_classes)
    found = scored(work, scorer, held_out)
    thresholds = {name: threshold(values, task.false_alarms) for name, values in found.items()}
    return Detector(scorer, thresholds, about(work, finds_classes))


def about(work: Work, finds_classes: bool) -> dict[str, object]:
    """What the thresholds depend on, beside the weights. finds_classes: see Scorer."""
    found = {"weights": work.checkpoint.stem, "step": work.step, "false_alarms": work.task.false_alarms,
             "nll_samples": work.task.nll_samples}  # fmt: skip
    return found | ({"finds_classes": finds_classes} if work.config.model.needs_labels else {})


@torch.no_grad()
def scored(work: Work, scorer: Scorer, split) -> dict[str, Tensor]:
    """Every score of every image of a split: (N,) each, on the CPU."""
    wanted = scores.names(work.model)
    parts: dict[str, list[Tensor]] = {name: [] for name in wanted}
    for x, y, _ in work.chunks(split):
        for name, values in scorer(x, y, wanted).items():
            parts[name].append(values.cpu())
    return {name: torch.cat(values) for name, values in parts.items()}


def kept(work: Work, finds_classes: bool) -> Detector | None:
    """The newest that an earlier `anomaly` on this run has kept, for the same weights and the same keys; or None."""
    numbered = [(int(found[1]), path) for path in work.asked.run.folder.glob("anomaly_*")
                if (found := re.fullmatch(r"anomaly_(\d{1,9})", path.name))]  # fmt: skip
    for _, folder in sorted(numbered, reverse=True):
        path = folder / FILE
        if not folder.is_symlink() and path.is_file() and not path.is_symlink():
            detector = _read(path, work, finds_classes)
            if detector is not None:
                log.info("thresholds of %s", folder)
                return detector
    return None


def _read(path: Path, work: Work, finds_classes: bool) -> Detector | None:
    """None for one that was made with other weights or keys. Raises a UserError for a damaged file."""
    told = f"{path}: damaged, or not written by aetrain anomaly; delete it to compute the thresholds again"
    try:
        content = io.BytesIO(read_bytes(path, LARGEST))
        with zipfile.ZipFile(content) as members:
            if sum(member.file_size for member in members.infolist()) > LARGEST:
                raise ValueError("larger than any detector")
        with np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if parsed(str(arrays.pop("about"))) != about(work, finds_classes):
            return None
        size = int(np.prod(work.model.code_shape))
        mean, factor = arrays.pop("density/mean"), arrays.pop("density/factor")
        groups = {group: {name.partition("/")[2]: torch.from_numpy(value) for name, value in arrays.items()
                          if name.startswith(f"{group}/")} for group in ("threshold", "statistic")}  # fmt: skip
        sound = (
            mean.shape == (size,)
            and factor.shape == (size, size)
            and all(value.shape == () and value.dtype == torch.float64 for g in groups.values() for value in g.values())
            and set(groups["threshold"]) == set(scores.names(work.model))
            and all(value.isfinite() for group in groups.values() for value in group.values())
            and bool(np.isfinite(mean).all() and np.isfinite(factor).all() and (np.diag(factor) > 0).all())
        )
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile, RecursionError) as error:
        raise UserError(told) from error
    if not sound:
        raise UserError(told)
    where = work.where
    density = Mixture(torch.ones(1, dtype=torch.float64, device=where), torch.from_numpy(mean)[None].to(where),
                      torch.from_numpy(factor)[None].to(where))  # fmt: skip
    statistics = {name: value.float().to(where) for name, value in groups["statistic"].items()}
    scorer = Scorer(work.model, statistics, density, work.task.nll_samples, finds_classes)
    thresholds = {name: float(value) for name, value in groups["threshold"].items()}
    return Detector(scorer, thresholds, about(work, finds_classes))
