"""task=anomaly: images unlike those of training."""

from __future__ import annotations

import dataclasses
import logging
from typing import NamedTuple

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.errors import UserError
from aetrain.evaluation.detection import auroc, average_precision
from aetrain.pictures.grids import picture
from aetrain.pictures.histogram import histogram
from aetrain.tasks import detector
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

AT_ONCE = 1000  # rows of the table


class Tested(NamedTuple):
    """classes: names by label; normal: labels that are normal, None where that is not known of the images."""

    split: Split
    classes: tuple[str, ...]
    normal: list[int] | None


def run(work: Work) -> dict[str, float]:
    """anomaly.csv: every score of each image, and whether it is above the threshold; detector.npz and the thresholds
    among the metrics; pictures: the scores' histogram, the images with the highest and the lowest.

    Of every score AUROC and average precision, all other images against the normal ones; of the main score also class
    by class."""
    own = work.asked.images is None
    tested = _all_classes(work) if own else _others(work)
    work.split = tested.split  # for the record
    finds_classes = _finds_classes(work, tested.split)
    found = None if own else detector.kept(work, finds_classes)
    found = found or detector.fitted(work, finds_classes)
    values = detector.scored(work, found.scorer, tested.split)
    main = work.task.score or ("elbo" if "elbo" in values else "recon")
    labels = tested.split.labels.cpu()
    _write(work, tested, labels, values, found.thresholds, main)
    work.out.file(detector.FILE, found.bytes())
    _draw(work, tested, labels, values[main], found.thresholds[main], main)
    above = (values[main] > found.thresholds[main]).double()
    metrics = {f"threshold_{name}": value for name, value in found.thresholds.items()}
    if tested.normal is None:
        return {"share_above_threshold": float(above.mean())} | metrics
    is_normal = torch.isin(labels, torch.tensor(tested.normal))
    measured = _measured(values, labels, is_normal, tested, main)
    work.main = (f"auroc_{main}", f"average_precision_{main}")
    return measured | {
        "false_alarms": float(above[is_normal].mean()),
        "detected": float(above[~is_normal].mean()),
    } | metrics  # fmt: skip


def _finds_classes(work: Work, split: Split) -> bool:
    """Whether a model that is given classes has to find them: some image is of none that it was trained on. Then it
    finds those of all images, and of those that the thresholds come from: scores of images whose class was given
    would be higher, and no measure for others."""
    if not work.config.model.needs_labels:
        return False
    missing = int(((split.labels < 0) | (split.labels >= work.model.facts.n_classes)).sum())
    told = "is given each image's own class"
    if missing:
        told = (
            f"was not trained on the class of {missing:,} of {len(split):,} images: all are judged as of the class "
            "with the lowest −ELBO"
        )
    log.info("model=%s %s", work.config.model.name, told)
    return missing > 0


def _measured(values: dict[str, Tensor], labels: Tensor, is_normal: Tensor, tested: Tested,
              main: str) -> dict[str, float]:  # fmt: skip
    metrics: dict[str, float] = {}
    for name in (main, *(other for other in values if other != main)):
        score = values[name]
        for word, measure in (("auroc", auroc), ("average_precision", average_precision)):
            metrics[f"{word}_{name}"] = measure(score[is_normal], score[~is_normal])
    for label in sorted(set(labels[~is_normal].tolist())):
        for word, measure in (("auroc", auroc), ("average_precision", average_precision)):
            score = values[main]
            of_class = tested.classes[label] if 0 <= label < len(tested.classes) else "unlabelled"
            metrics[f"{word}_{main}/{of_class}"] = measure(score[is_normal], score[labels == label])
    return metrics


def _all_classes(work: Work) -> Tested:
    """The run's own images, of every class. Raises a UserError where all are normal."""
    own = work.config.data
    given = work.task.normal or own.classes
    if given is None:
        raise UserError(
            f"aetrain anomaly: the run was trained on all classes of data={own.name}, so none is anomalous; train with "
            "data.classes=[…], say which are with normal=[…], or give other images, as in data=folder data.path=photos"
        )
    if work.split_name == "all":
        raise UserError("split=all: the images of training are among them; give split=test or split=val")
    work.splits  # its content is checked before any of it is used  # noqa: B018
    splits = work.loaded(dataclasses.replace(own, classes=None))
    split = getattr(splits, work.split_name)
    if not len(split):
        raise UserError(f"split={work.split_name}: there are no such images; give split=test")
    return Tested(split, splits.classes, _labels(given, splits.classes))


def _others(work: Work) -> Tested:
    """Other images; which of their classes are normal is known where they are called as those of training, or where
    it was said."""
    split, classes = work.split, work.classes
    if work.task.normal is not None:
        return Tested(split, classes, _labels(work.task.normal, classes))
    trained = work.config.data.classes or ()
    known = [classes.index(name) for name in trained if name in classes]
    return Tested(split, classes, known if known and len(known) < len(classes) else None)


def _labels(names: list[str], classes: tuple[str, ...]) -> list[int]:
    if unknown := [name for name in names if name not in classes]:
        shown = ", ".join(classes[:20]) or "these images have no classes"
        raise UserError(f"normal: there is no class '{unknown[0]}'; choose from: {shown}")
    return [classes.index(name) for name in names]


def _write(work: Work, tested: Tested, labels: Tensor, values: dict[str, Tensor], thresholds: dict[str, float],
           main: str) -> None:  # fmt: skip
    truth = [] if tested.normal is None else ["normal"]
    with work.out.rows("anomaly.csv", ["filename", "class", *truth, *values, "anomalous"]) as rows:
        for start in range(0, len(labels), AT_ONCE):
            index = torch.arange(start, min(start + AT_ONCE, len(labels)))
            for i, name in zip(index.tolist(), tested.split.names(index.to(tested.split.labels.device)), strict=True):
                label = int(labels[i])
                known = [] if tested.normal is None else [int(label in tested.normal)]
                of_class = tested.classes[label] if 0 <= label < len(tested.classes) else ""
                above = int(values[main][i] > thresholds[main])
                rows.add([name, of_class, *known, *(float(value[i]) for value in values.values()), above])


def _draw(work: Work, tested: Tested, labels: Tensor, score: Tensor, threshold: float, main: str) -> None:
    order, n = score.argsort(), min(work.task.shown, len(score))
    for name, which, index in (("most_normal", "lowest", order[:n]), ("least_normal", "highest", order.flip(0)[:n])):
        x = tested.split.gather(index.to(tested.split.labels.device)).x
        caption = f"The images with the {which} scores by {main}, the {which} first."
        work.out.file(f"{name}.png", picture(x, caption, work.task.columns))
    if tested.normal is None:
        parts = {"images": score}
    else:
        is_normal = torch.isin(labels, torch.tensor(tested.normal))
        parts = {"normal": score[is_normal], "anomalous": score[~is_normal]}
    axis = {"recon": "recon", "elbo": "−ELBO, nats", "nll": "−log p(x), nats", "latent": "distance of the code"}[main]
    drawn = histogram({name: part.numpy() for name, part in parts.items()}, threshold, f"Scores by {main}", axis)
    work.out.file("histogram.png", drawn)
