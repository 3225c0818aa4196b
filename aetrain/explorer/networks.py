"""A model's two halves as lists of steps, which a program that knows only these can follow: assets/networks.js."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aetrain import losses
from aetrain.config.schema.task.explore import NETS
from aetrain.errors import RunFailed, UserError
from aetrain.models import Autoencoder
from aetrain.models.sparse import top_k
from aetrain.nets.activations import ACTIVATIONS
from aetrain.nets.conv import ConvDecoder, ConvEncoder
from aetrain.nets.gated import GatedDecoder, GatedEncoder
from aetrain.nets.mlp import MLPDecoder, MLPEncoder, TiedDecoder
from aetrain.nets.residual import ResidualDecoder, ResidualEncoder, doubled
from aetrain.priors.normal import Normal
from aetrain.priors.prior import MixturePrior

PIXEL, CODE = 2e-3, 1e-2  # the largest differences from the model that the page may show
SHARE = 0.5  # of them that rounding may take on the images on which it is tried: others are decoded, too


@dataclass(frozen=True)
class Step:
    """kind: linear, gate (the first half times the sigmoid of the second), conv and deconv, conv4 and deconv4 (4x4,
    stride 2, padding 1, which the page does faster), conv3 (3x3, padding 1), group_norm, double (every pixel as four),
    pad or crop (at the right and below), fork and join (what is held at a fork is added at the join), top_k, add_label
    (to an image, what was learned of a class), join_label (to a code, n numbers that are a class), or an activation's
    name. sizes: numbers that the kind needs, by name; `from` and `to` are (C, H, W)."""

    kind: str
    weight: Tensor | None = None
    bias: Tensor | None = None
    sizes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Networks:
    """encoder: image -> code, or mu and logvar one after the other where there is a posterior. decoder: code -> what
    the link, an activation, makes an image of."""

    encoder: list[Step]
    decoder: list[Step]
    link: str


def networks(model: Autoencoder) -> Networks:
    """Raises a UserError for networks of another kind than ours."""
    if not isinstance(model.prior, MixturePrior | Normal | None):
        raise UserError(
            f"prior={model.prior.__class__.__name__}: the page does not know this prior; aetrain sample does"
        )
    encoder, decoder = _steps(model, model.encoder), _steps(model, model.decoder)
    if model.config.needs_labels and model.facts.n_classes > 1:
        encoder = [Step("add_label", model.label_images.flatten(1)), *encoder]
        decoder = [Step("join_label", sizes={"n": model.label_size}), *decoder]
    if not model.has_posterior:
        encoder = encoder + _activation(getattr(model.config, "code_activation", "identity"))
        if getattr(model.config, "penalty", None) == "topk":
            encoder.append(Step("top_k", sizes={"k": model.config.k_evaluation or model.config.k}))
    return Networks(encoder, decoder, _link(model))


def _link(model: Autoencoder) -> str:
    """The activation that mean_image is."""
    likelihood = model.config.likelihood
    if likelihood == "continuous_bernoulli":
        return "continuous_bernoulli_mean"
    return "sigmoid" if likelihood == "bernoulli" or model.config.output == "sigmoid" else "identity"


def _activation(name: str) -> list[Step]:
    return [] if name == "identity" else [Step(name)]


def _steps(model: Autoencoder, network: nn.Module) -> list[Step]:
    match network:
        case MLPEncoder():
            return _dense([(layer.weight, layer.bias) for layer in network.layers], network.activation)
        case MLPDecoder():
            weights = [F.normalize(layer.weight, dim=0) if network.unit_norm else layer.weight
                       for layer in network.layers]  # fmt: skip
            return _dense(
                [(w, layer.bias) for w, layer in zip(weights, network.layers, strict=True)], network.activation
            )
        case TiedDecoder():
            layers = [layer.weight for layer in reversed(model.encoder.layers)]
            return _dense(list(zip(layers, network.biases, strict=True)), network.activation, transposed=True)
        case GatedEncoder() | GatedDecoder():
            return _gated(network)
        case ConvEncoder():
            return _conv_encoder(model, network)
        case ConvDecoder():
            return _conv_decoder(model, network)
        case ResidualEncoder():
            return _residual_encoder(model, network)
        case ResidualDecoder():
            return _residual_decoder(model, network)
    raise UserError(f"aetrain explore: knows the networks {', '.join(NETS)}, not {type(network).__name__}")


def _dense(layers: Sequence[tuple[Tensor, Tensor]], activation: str, transposed: bool = False) -> list[Step]:
    steps: list[Step] = []
    for weight, bias in layers:
        steps += _activation(activation) if steps else []
        steps.append(Step("linear", weight, bias, {"transposed": True} if transposed else {}))
    return steps


def _gated(network: GatedEncoder | GatedDecoder) -> list[Step]:
    steps: list[Step] = []
    for layer in network.layers:
        both = layer.linear, layer.gate
        weight, bias = (torch.cat([getattr(part, name).detach() for part in both]) for name in ("weight", "bias"))
        steps += [Step("linear", weight, bias), Step("gate")]
    return [*steps, Step("linear", network.head.weight, network.head.bias)]


def _conv_encoder(model: Autoencoder, network: ConvEncoder) -> list[Step]:
    steps, shape = _padded(model, network.padding)
    for conv, norm in zip(network.convs, network.norms, strict=True):
        steps.append(_conv("conv", conv, shape))
        shape = [len(conv.weight), shape[1] // conv.stride[0], shape[2] // conv.stride[0]]
        steps += [*_norm(norm, shape), *_activation(network.activation)]
    for layer in network.hidden:
        steps += [Step("linear", layer.weight, layer.bias), *_activation(network.activation)]
    return [*steps, Step("linear", network.head.weight, network.head.bias)]


def _conv_decoder(model: Autoencoder, network: ConvDecoder) -> list[Step]:
    steps, shape = [], list(network.feature_shape)
    for layer in network.hidden:
        steps += [Step("linear", layer.weight, layer.bias), *_activation(network.activation)]
    steps.append(Step("linear", network.head.weight, network.head.bias))
    for conv, norm in zip(network.convs, network.norms, strict=True):
        steps += [*_norm(norm, shape), *_activation(network.activation)]
        steps.append(_conv("deconv", conv, shape))
        shape = [conv.weight.shape[1], conv.stride[0] * shape[1], conv.stride[0] * shape[2]]
    return steps + _cropped(model, shape)


def _residual_encoder(model: Autoencoder, network: ResidualEncoder) -> list[Step]:
    steps, shape = _padded(model, network.padding)
    for down, level in zip(network.downs, network.levels, strict=True):
        steps.append(_conv3(down, shape))
        shape = [len(down.weight), shape[1] // 2, shape[2] // 2]
        steps += _blocks(level, shape)
    steps += [*_norm(network.norm, shape), *_activation(network.activation)]
    return [*steps, Step("linear", network.head.weight, network.head.bias)]


def _residual_decoder(model: Autoencoder, network: ResidualDecoder) -> list[Step]:
    steps, shape = [Step("linear", network.head.weight, network.head.bias)], list(network.feature_shape)
    for level, up in zip(network.levels, network.ups, strict=True):
        steps += [*_blocks(level, shape), Step("double", sizes={"from": shape})]
        shape = [shape[0], 2 * shape[1], 2 * shape[2]]
        steps.append(_conv3(up, shape))
        shape = [len(up.weight), *shape[1:]]
    steps += [*_norm(network.norm, shape), *_activation(network.activation), _conv3(network.last, shape)]
    return steps + _cropped(model, [len(network.last.weight), *shape[1:]])


def _blocks(level: nn.Module, shape: list[int]) -> list[Step]:
    """Of one resolution."""
    steps: list[Step] = []
    for block in level:
        steps.append(Step("fork"))
        for norm, conv in zip(block.norms, block.convs, strict=True):
            steps += [*_norm(norm, shape), *_activation(block.activation), _conv3(conv, shape)]
        steps.append(Step("join"))
    return steps


def _conv(kind: str, conv: nn.Conv2d | nn.ConvTranspose2d, shape: list[int]) -> Step:
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    if (kind, kernel, padding) == ("conv", 3, 1):
        return _conv3(conv, shape)
    sizes = {"from": shape, "kernel": kernel, "stride": stride, "padding": padding}
    return Step(f"{kind}4" if (kernel, stride, padding) == (4, 2, 1) else kind, conv.weight, conv.bias, sizes)


def _conv3(conv: nn.Conv2d, shape: list[int]) -> Step:
    return Step("conv3", conv.weight, conv.bias, {"from": shape, "stride": conv.stride[0], "padding": 1})


def _norm(norm: nn.Module, shape: list[int]) -> list[Step]:
    if isinstance(norm, nn.Identity):
        return []
    return [Step("group_norm", norm.weight, norm.bias, {"from": shape, "groups": norm.num_groups, "eps": norm.eps})]


def _padded(model: Autoencoder, padding: Sequence[int]) -> tuple[list[Step], list[int]]:
    """What pads the image, if anything must, and its shape then."""
    channels, height, width = model.facts.image_shape
    _, right, _, below = padding
    shape = [channels, height + below, width + right]
    return [Step("pad", sizes={"from": [channels, height, width], "to": shape})] if any(padding) else [], shape


def _cropped(model: Autoencoder, shape: list[int]) -> list[Step]:
    wanted = list(model.facts.image_shape)
    return [] if shape == wanted else [Step("crop", sizes={"from": shape, "to": wanted})]


def follow(steps: Sequence[Step], x: Tensor, y: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What the page's script computes: (B, numbers) and labels (B,) -> (B, numbers). dtype: of the stored weights."""
    held = x
    for step in steps:
        weight, bias = (None if t is None else t.to(dtype).float() for t in (step.weight, step.bias))
        if step.kind == "linear":
            x = F.linear(x, weight.t() if step.sizes.get("transposed") else weight, bias)
        elif step.kind == "gate":
            x = F.glu(x)
        elif step.kind == "add_label":
            x = x + F.pad(weight, (0, 0, 1, 0))[y]
        elif step.kind == "join_label":
            x = torch.cat([x, F.one_hot(y, step.sizes["n"] + 1)[:, 1:].to(x)], dim=1)
        elif step.kind == "fork":
            held = x
        elif step.kind == "join":
            x = x + held
        elif step.kind == "top_k":
            x = top_k(x, step.sizes["k"])
        elif "from" in step.sizes:
            x = _spatial(step, x.unflatten(1, tuple(step.sizes["from"])), weight, bias).flatten(1)
        else:
            x = activated(step.kind, x)
    return x


def _spatial(step: Step, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    stride, padding = step.sizes.get("stride"), step.sizes.get("padding")
    if step.kind in ("conv", "conv3", "conv4"):
        return F.conv2d(x, weight, bias, stride, padding)
    if step.kind in ("deconv", "deconv4"):
        more = stride - weight.shape[-1] + 2 * padding  # output_padding, as in ConvDecoder
        return F.conv_transpose2d(x, weight, bias, stride, padding, more)
    if step.kind == "group_norm":
        return F.group_norm(x, step.sizes["groups"], weight, bias, step.sizes["eps"])
    if step.kind == "double":
        return doubled(x)
    _, height, width = step.sizes["to"]
    if step.kind == "pad":
        return F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]))
    return x[:, :, :height, :width]


def activated(name: str, x: Tensor) -> Tensor:
    return losses.continuous_bernoulli_mean(x) if name == "continuous_bernoulli_mean" else ACTIVATIONS[name](x)


@torch.no_grad()
def precision(model: Autoencoder, found: Networks, images: Tensor, codes: Tensor, y: Tensor) -> torch.dtype:
    """In which the weights are stored: float16 where what the page shows of these images, (B, C, H, W), and codes,
    (B, D), of classes y, (B,), differs from the model by less than a share of PIXEL and CODE, else float32.

    Raises RunFailed where even that differs: a model that encodes or decodes in a way of its own."""
    wanted_codes, wanted_images = model.encode(images, y), model.decode(codes, y)
    if not (wanted_codes.isfinite().all() and wanted_images.isfinite().all()):
        raise RunFailed("the model's weights are not finite: there is nothing to show")
    for dtype in (torch.float16, torch.float32):
        code = follow(found.encoder, images.flatten(1), y, dtype)[:, : wanted_codes.shape[1]]
        image = activated(found.link, follow(found.decoder, codes, y, dtype)).view_as(wanted_images)
        off = max(_worst(code - wanted_codes) / CODE, _worst(image - wanted_images) / PIXEL)
        if off <= (SHARE if dtype == torch.float16 else 1):
            return dtype
    raise RunFailed(f"model={model.config.name}: the page would show something else than the model computes")


def _worst(difference: Tensor) -> float:
    return float(difference.nan_to_num(torch.inf).abs().max())
