"""export.md: what the files are and how one uses them."""

from __future__ import annotations

from collections.abc import Mapping

from aetrain.config.schema.model.base import LINKED
from aetrain.models import Autoencoder
from aetrain.priors.normal import Normal
from aetrain.priors.prior import MixturePrior, Prior

TEXT = """# {model}, exported

Trained by aetrain; `encoder` and `decoder` take and return float32 tensors{labels}, a batch of any size first. There
is no noise in them.

| | tensor | shape | values |
| --- | --- | --- | --- |
| encoder, in | `image` | (batch, {image}) | {white} |
{label_row}| encoder, out; decoder, in | `code` | (batch, {code}) | {meaning} |
| decoder, out | `image` | (batch, {image}) | {output} |

| file | what it is | largest difference from the model, on random inputs |
| --- | --- | --- |
{files}

## With onnxruntime, without torch

```python
import numpy as np
import onnxruntime

encoder = onnxruntime.InferenceSession("encoder.onnx", providers=["CPUExecutionProvider"])
decoder = onnxruntime.InferenceSession("decoder.onnx", providers=["CPUExecutionProvider"])
images = np.random.rand(8, {image}).astype(np.float32)  # yours: {scaled}
{label_line}(codes,) = encoder.run(None, {{"image": images{fed}}})  # (8, {code})
(again,) = decoder.run(None, {{"code": codes{fed}}})  # (8, {image})
```
{sampling}
## With torch, without aetrain

```python
import torch

encoder = torch.export.load("encoder.pt2").module()
codes = encoder(torch.rand(8, {image}){given})  # (8, {code})
weights = torch.load("model.pth", weights_only=True)  # the same as in model.safetensors, by the names of the layers
```
"""

SAMPLING = """
New images: the prior of the codes is {prior}.

```python
{draw}{wanted}new = decoder.run(None, {{"code": code.astype(np.float32){drawn}}})[0]
```
"""
NORMAL = {"prior": "the standard normal distribution", "draw": "code = np.random.randn(16, {code})\n"}
MIXTURE = {
    "prior": "a mixture of Gaussians",
    "draw": """\
prior = np.load("prior.npz")
weights = prior["weights"].astype(float)
k = np.random.choice(len(weights), size=16, p=weights / weights.sum())
code = prior["mu"][k] + prior["std"][k] * np.random.randn(16, {code})
""",
}

# Of a model that is given the class of every image.
WITH_LABELS = {
    "labels": " (labels are int64)",
    "label_row": "| encoder, in; decoder, in | `label` | (batch) | the class, 0 to {last}, by its place in "
    "`classes.json`; for any other number the output is NaN |\n",
    "label_line": "labels = np.random.randint({classes}, size=8)  # yours: the classes' places in classes.json\n",
    "fed": ', "label": labels',
    "given": ", torch.zeros(8, dtype=torch.int64)",
    "wanted": "of_the_last = np.full(16, {last})\n",
    "drawn": ', "label": of_the_last',
}


def page(model: Autoencoder, files: Mapping[str, str], differences: Mapping[str, float]) -> str:
    """files: name -> what it is. differences: of those that compute."""
    classes = model.facts.n_classes
    labels = {name: text.format(classes=classes, last=classes - 1) if model.config.needs_labels else ""
              for name, text in WITH_LABELS.items()}  # fmt: skip
    shown = {"image": _sizes(model.facts.image_shape), "code": _sizes(model.code_shape)} | labels
    rows = [f"| `{name}` | {what} | {_shown(differences.get(name))} |" for name, what in files.items()]
    return TEXT.format(
        model=model.config.name, **shown, white=_white(model), scaled=_scaled(model.facts.scale),
        meaning=_meaning(model), output=_output(model),
        files="\n".join(rows), sampling=_sampling(model.prior, shown),
    )  # fmt: skip


def _sampling(prior: Prior | None, shown: Mapping[str, str]) -> str:
    """Nothing without a prior, or of one that someone else has written."""
    told = next((text for kind, text in ((MixturePrior, MIXTURE), (Normal, NORMAL)) if isinstance(prior, kind)), None)
    return "" if told is None else SAMPLING.format(**shown, prior=told["prior"], draw=told["draw"].format(**shown))


def _sizes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _shown(difference: float | None) -> str:
    return "" if difference is None else f"{difference:.1e}"


def _white(model: Autoencoder) -> str:
    channels, *_ = model.facts.image_shape
    order = {1: "grey", 3: "red, green, blue"}.get(channels, f"{channels} channels")
    kind = ", 0 or 1" if model.facts.binary else ""
    return f"0 (black) to 1 (white){kind}; {order}"


def _scaled(scale: float) -> str:
    """How a pixel in the files becomes one of the model's."""
    return "floats from 0 to 1" if scale == 1 else f"{'bytes' if scale == 255 else 'values'} / {scale:g}"


def _meaning(model: Autoencoder) -> str:
    if model.has_posterior:
        return "the mean of the posterior"
    if model.config.is_discrete:
        return "vectors of the codebook, (numbers, positions); others are rounded to it"
    ranges = {"sigmoid": "0 to 1", "tanh": "−1 to 1", "relu": "at least 0", "softplus": "at least 0"}
    return ranges.get(getattr(model.config, "code_activation", "identity"), "any")


def _output(model: Autoencoder) -> str:
    config = model.config
    unbounded = config.likelihood in LINKED and config.output == "identity"
    return "about 0 to 1, not clipped" if unbounded else "0 to 1"
