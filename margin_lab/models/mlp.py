"""Fully connected networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from margin_lab.checks import integer
from margin_lab.models.activations import Activation
from margin_lab.models.network import Network


class MLP(Network):
    """Fully connected network ``sizes[0] -> ... -> sizes[-1]``; two sizes make a linear model.

    Args:
        sizes: inputs, hidden widths, outputs. With one output it returns ``[n]``, else ``[n, k]``. Inputs of more than two axes
            are flattened.
        activation: "relu", "leaky_relu", "linear", "relu2", "relu3" (powers of ReLU), or "gelu", "elu", "tanh", which are not
            homogeneous; or an :class:`margin_lab.models.Activation`.
        bias: "none", "first" (homogeneous) or "all" (not).
        seed, scale, gain: of the initialisation, see :meth:`Network.reset`.
        dtype: of the parameters.

    Raises:
        ValueError: fewer than two sizes or one below 1, an unknown activation or bias rule, a scale that is not > 0.

    Example:
        >>> import margin_lab as ml
        >>> ml.models.MLP([2, 8, 8, 1], activation="relu2").layer_degrees
        {'layers.0': 4.0, 'layers.1': 2.0, 'layers.2': 1.0}
        >>> ml.models.MLP([2, 8, 8, 1], activation="relu2").degree
        7.0
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str | Activation = "relu",
        bias: str = "none",
        seed: int = 0,
        scale: float = 1.0,
        gain: float = math.sqrt(2.0),
        dtype: torch.dtype = torch.float64,
    ):
        if len(sizes) < 2:
            raise ValueError(f"sizes must hold the inputs and the outputs at least, got {list(sizes)}")
        self.sizes = tuple(integer(s, "a size", least=1) for s in sizes)
        layers = [
            nn.Linear(a, b, bias=bias == "all" or (bias == "first" and i == 0), dtype=dtype)
            for i, (a, b) in enumerate(zip(self.sizes, self.sizes[1:], strict=False))
        ]
        between = [nn.Flatten(), *(nn.Identity() for _ in layers[1:])]
        super().__init__(layers, between, activation, bias, seed, scale, gain)

    def stacked(self, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Outputs ``[..., n]`` or ``[..., n, k]`` of many networks at once, as ``torch.func.vmap`` gives them, in less time.

        Args:
            parameters: by name ``[..., *shape]``; those that are missing are this network's own. x: ``[..., n, d]``.
        """
        for i, layer in enumerate(self.affine):
            x = x @ parameters.get(f"layers.{i}.weight", layer.weight).mT
            if layer.bias is not None:
                x = x + parameters.get(f"layers.{i}.bias", layer.bias)[..., None, :]
            if i + 1 < len(self.layers):
                x = self.activation(x)
        return x[..., 0] if x.shape[-1] == 1 else x
