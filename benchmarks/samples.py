"""What a WAE draws beside what a VAE draws: how far samples are from test images in the features of a small classifier.

    python -m benchmarks.samples device=cuda     12 runs, some minutes on one GPU
    python -m benchmarks.tables                  then put the numbers into docs/

The protocol is conf/experiment/wae.yaml and what stands below. The distance is Fréchet's (1957) between the Gaussians
that have the mean and covariance of two sets of features, ‖m₁ − m₂‖² + tr(C₁ + C₂ − 2 (C₁ C₂)^½): of 10,000 images,
mean images of codes drawn from the prior, and the 10,000 test images. The features are the last layer but one, 64
numbers, of a convolutional classifier of MNIST that is trained here. The distances compare with no others; the
distance of 10,000 training images is the least that they can tell apart from none. Beside the samples stand the
reconstructions of the test images.

Runs that are done, below --folder, are not made again. Further key=value go to aetrain. Writes results/samples.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import aetrain
from aetrain import device
from aetrain.config import stored
from aetrain.config.tree import plain
from aetrain.data.load import load
from aetrain.data.split import Split
from aetrain.evaluation.classifier import error_percent
from aetrain.training.batches import Batches
from benchmarks import results
from benchmarks.disentangling import summary

CONTENDERS = {
    "vae": ["model=vae", "model.latent_dim=8"],
    "vae, gaussian": ["model=vae", "model.latent_dim=8", "model.likelihood=gaussian", "model.sigma_mode=optimal"],
    "wae": ["model=wae"],
    "wae, gaussian encoder": ["model=wae", "model.encoder=gaussian"],
}
SEEDS = (0, 1, 2)
IMAGES, AT_ONCE, FEATURES = 10_000, 1000, 64
EPOCHS, BATCH = 3, 100  # of the classifier


class Classifier(nn.Module):
    """784 pixels -> 64 features -> 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(64 * 49, FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("outputs/samples"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "samples.json", help="default: %(default)s")
    parser.add_argument("--images", type=int, default=IMAGES, help="default: %(default)s")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    where = results.environment(" ".join(["python -m benchmarks.samples", *sys.argv[1:]]))
    config = aetrain.config("experiment=wae", *args.overrides)
    splits = load(config.data, device.resolve(config.device))
    classifier = trained(splits.train)
    error = round(error_percent(classifier, splits.test), 2)
    of_test = described(
        classifier, lambda start, stop: splits.test.gather(span(splits.test, start, stop)).x, args.images
    )
    of_train = described(classifier, lambda start, stop: splits.train.gather(span(splits.train, start, stop)).x,
                         args.images)  # fmt: skip
    floor = summary([frechet(of_test, of_train)])
    folders: list[Path] = []
    found: list[dict[str, Any]] = [{"name": "training images", "seeds": [], "samples": floor, "test_error": error}]
    for name, words in CONTENDERS.items():
        runs = [made(name, [*words, *args.overrides, f"seed={seed}"], args.folder, where) for seed in SEEDS]
        found.append(row(name, words, runs, args.images, classifier, splits.test, of_test))
        print(found[-1], flush=True)
        folders += runs
    results.update(args.out, results.remembered(folders), found, same=("name",))


def made(name: str, words: list[str], below: Path, where: dict[str, Any]) -> Path:
    """The folder of one run, which is made if it is not there."""
    config = aetrain.config("experiment=wae", *words)
    folder = below / f"{name.replace(', ', '_').replace(' ', '_')}_{config.seed}"
    if not results.is_done(folder):
        results.remember(folder, where)
        aetrain.train(config, folder)
    elif plain(stored.read(folder / "config.yaml")) != plain(config):
        sys.exit(f"{folder}: is of another configuration; remove it, or give another --folder")
    return folder


def row(name: str, words: list[str], runs: list[Path], images: int, classifier: Classifier, test: Split,
        of_test: tuple[Tensor, Tensor]) -> dict[str, Any]:  # fmt: skip
    """Both distances, over seeds."""
    samples, reconstructions, minutes = [], [], []
    for seed, folder in zip(SEEDS, runs, strict=True):
        model = aetrain.load(folder, test.device)

        def drawn(start: int, stop: int, model=model) -> Tensor:
            return model.sample(stop - start)

        def decoded(start: int, stop: int, model=model) -> Tensor:
            return model.reconstruct(*test.gather(span(test, start, stop)))

        with torch.no_grad(), model.noise.fixed(seed):
            samples.append(frechet(of_test, described(classifier, drawn, images)))
            reconstructions.append(frechet(of_test, described(classifier, decoded, images)))
        minutes.append(json.loads((folder / "result.json").read_text())["seconds"] / 60)
    return {"name": name, "overrides": " ".join(words), "seeds": list(SEEDS), "samples": summary(samples),
            "reconstructions": summary(reconstructions), "minutes": round(statistics.mean(minutes), 1)}  # fmt: skip


def trained(train: Split) -> Classifier:
    """Adam at 1e-3 on the cross-entropy."""
    torch.manual_seed(0)
    classifier = Classifier().to(train.device)
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-3)
    batches = Batches(train, BATCH, 0)
    for step in range(EPOCHS * batches.per_epoch):
        x, y = batches.get(step)
        optimizer.zero_grad()
        F.cross_entropy(classifier(x), y).backward()
        optimizer.step()
    return classifier.eval()


def span(split: Split, start: int, stop: int) -> Tensor:
    return torch.arange(start, stop, device=split.device)


@torch.no_grad()
def described(classifier: Classifier, images: Callable[[int, int], Tensor], n: int) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) of the features of n images, in float64. images: start, stop -> (B, C, H, W)."""
    portions = [images(start, min(start + AT_ONCE, n)) for start in range(0, n, AT_ONCE)]
    features = torch.cat([classifier.features(x.float()) for x in portions]).double().cpu()
    return features.mean(0), torch.cov(features.T)


def frechet(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> float:
    """The squared Fréchet distance of two Gaussians, of mean (F,) and covariance (F, F) each (Dowson & Landau 1982,
    eq. 5)."""
    (mean_a, a), (mean_b, b) = a, b
    values, vectors = torch.linalg.eigh(a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = torch.linalg.eigvalsh(root @ b @ root)  # the eigenvalues of A B
    return float((mean_a - mean_b).square().sum() + a.trace() + b.trace() - 2 * product.clamp(min=0).sqrt().sum())


if __name__ == "__main__":
    main()
