"""The two convolutional networks of Lyu & Li's experiments (their appendix K.1)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from margin_lab.models.network import Network

_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def mnist_cnn(bias: str = "none", seed: int = 0, *, width: float = 1.0, **options: Any) -> Network:
    """Lyu & Li's MNIST network: conv 5x5x32, pool, conv 3x3x64, pool, fc 1024, fc 10; inputs ``[n, 1, 28, 28]``.

    ReLU, He-normal start, "same" padding, max-pooling by 2. Four layers, so degree 4 with ``bias`` "none" or "first".

    Args:
        bias: "none", "first" or "all". seed: of the start. width: multiplies the hidden widths (ours, for small runs).
        options: ``scale``, ``dtype`` (default float32), ``activation``.
    """
    a, b, c = (max(1, round(width * size)) for size in (32, 64, 1024))
    flat = [("fc", 49 * b, c), ("fc", c, 10)]
    return _convolutional([("conv5", 1, a), ("conv3", a, b), *flat], {1, 2}, bias, seed, **options)


def vgg16(bias: str = "none", seed: int = 0, *, width: float = 1.0, **options: Any) -> Network:
    """Lyu & Li's VGG-16 for CIFAR-10: 13 convolutions 3x3 in five groups with a pool after each, one fc; ``[n, 3, 32, 32]``.

    No normalisation layers and no dropout, which would break homogeneity. 14 layers, so degree 14.

    Args: as :func:`mnist_cnn`.
    """
    layers, pooled, before = [], set(), 3
    for group in _VGG16:
        for size in group:
            channels = max(1, round(width * size))
            layers.append(("conv3", before, channels))
            before = channels
        pooled.add(len(layers))
    return _convolutional([*layers, ("fc", before, 10)], pooled, bias, seed, **options)


def _convolutional(
    shapes: list[tuple[str, int, int]],
    pooled: set[int],
    bias: str,
    seed: int,
    *,
    activation: str = "relu",
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Network:
    """Layers ``(kind, inputs, outputs)``; a layer whose index is in ``pooled`` pools its input first."""
    layers: list[nn.Module] = []
    between: list[nn.Module] = []
    for i, (kind, inputs, outputs) in enumerate(shapes):
        with_bias = bias == "all" or (bias == "first" and i == 0)
        steps: list[nn.Module] = [nn.MaxPool2d(2)] if i in pooled else []
        if kind == "fc":
            steps.append(nn.Flatten())
            layers.append(nn.Linear(inputs, outputs, bias=with_bias, dtype=dtype))
        else:
            size = int(kind[-1])
            layers.append(nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=with_bias, dtype=dtype))
        between.append(nn.Sequential(*steps))
    return Network(layers, between, activation, bias, seed, scale, math.sqrt(2.0))
