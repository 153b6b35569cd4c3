"""Feed-forward networks that declare their homogeneity, jointly and layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from margin_lab.checks import choice, integer, positive
from margin_lab.models.activations import Activation, get_activation

BIASES = ("none", "first", "all")


class Network(nn.Module):
    """Layers with one activation between them: ``f(x) = W_m s(... s(W_1 x + b_1) ...)``, outputs ``[n]`` or ``[n, k]``.

    The base of :class:`MLP` and of the papers' convolutional networks. A subclass makes the layers; ``between`` holds what
    happens to a layer's input first (pooling, flattening), all of it homogeneous of degree 1.

    Attributes:
        layers: linear or convolutional layers.
        activation: with its degree ``p``, None where it is not homogeneous.
        bias: "none", "first" (the first layer only, which keeps the network homogeneous) or "all".
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        between: Sequence[nn.Module],
        activation: str | Activation,
        bias: str,
        seed: int,
        scale: float,
        gain: float,
    ):
        super().__init__()
        self.activation = get_activation(activation)
        self.bias = choice(bias, "bias", BIASES)
        self.gain = positive(gain, "gain")
        self.layers = nn.ModuleList(layers)
        self.between = nn.ModuleList(between)
        self.reset(seed, scale)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[n, k]``, or ``[n]`` where k = 1."""
        last = len(self.layers) - 1
        for i, (layer, first) in enumerate(zip(self.layers, self.between, strict=True)):
            x = layer(first(x))
            if i < last:
                x = self.activation(x)
        return x[:, 0] if x.shape[1] == 1 else x

    @property
    def affine(self) -> list[nn.Linear | nn.Conv2d]:
        """The layers, by the type that tells of their weight and bias."""
        return cast("list[nn.Linear | nn.Conv2d]", list(self.layers))

    @torch.no_grad()
    def reset(self, seed: int = 0, scale: float = 1.0) -> Network:
        """Draw the weights again: normal with standard deviation ``scale * gain / sqrt(fan_in)``; biases 0.

        ``gain = sqrt(2)`` is He's initialisation. Drawn on the CPU in float64, so that every device and dtype starts alike.
        """
        generator = torch.Generator().manual_seed(integer(seed, "seed"))
        positive(scale, "scale")
        for layer in self.affine:
            shape = layer.weight.shape
            std = scale * self.gain / math.sqrt(shape[1:].numel())
            layer.weight.copy_(std * torch.randn(shape, dtype=torch.float64, generator=generator))
            if layer.bias is not None:
                layer.bias.zero_()
        return self

    @property
    def degree(self) -> float | None:
        """The declared degree ``L`` in all trained parameters together; None where the network is not homogeneous.

        Parameters that do not require a gradient are constants. A layer's sum ``W a + b`` has a degree only where both terms
        have the same one, so biases beyond the first trained layer have none.
        """
        power = self.activation.degree
        if power is None:
            return None
        degree = 0.0
        for i, layer in enumerate(self.affine):
            degree = (power * degree if i else 0.0) + layer.weight.requires_grad
            if layer.bias is not None and degree != float(layer.bias.requires_grad):
                return None
        return degree or None

    @property
    def layer_degrees(self) -> dict[str, float]:
        """The declared degree ``k_j`` in the weight of each trained layer (in the first layer: weight and bias).

        Empty where the activation is not homogeneous. Where biases are everywhere, these are the degrees that the network would
        have without them, by which Lyu & Li's figures normalise it.
        """
        power, depth = self.activation.degree, len(self.layers)
        if power is None:
            return {}
        return {
            f"layers.{i}": power ** (depth - 1 - i)
            for i, layer in enumerate(self.affine)
            if layer.weight.requires_grad
        }

    def layer_parameters(self) -> dict[str, list[Tensor]]:
        """What each trained layer's norm counts: its weight, and in the first layer the bias (Lyu & Li, K.1)."""
        return {
            f"layers.{i}": [layer.weight, layer.bias] if i == 0 and layer.bias is not None else [layer.weight]
            for i, layer in enumerate(self.affine)
            if layer.weight.requires_grad
        }
