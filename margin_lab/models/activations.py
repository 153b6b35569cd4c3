"""Activations by name, each with its degree of homogeneity: ``sigma(c x) = c^p sigma(x)`` for ``c > 0``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from margin_lab.checks import choice


@dataclass(frozen=True)
class Activation:
    """A function of one variable and its degree, None where it has none."""

    name: str
    degree: float | None
    function: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)


_ALL = (
    Activation("linear", 1.0, lambda x: x),
    Activation("relu", 1.0, torch.relu),
    Activation("leaky_relu", 1.0, lambda x: functional.leaky_relu(x, 0.1)),
    Activation("relu2", 2.0, lambda x: torch.relu(x) ** 2),
    Activation("relu3", 3.0, lambda x: torch.relu(x) ** 3),
    Activation("gelu", None, functional.gelu),
    Activation("elu", None, functional.elu),
    Activation("tanh", None, torch.tanh),
)
ACTIVATIONS = {a.name: a for a in _ALL}


def get_activation(name: str | Activation) -> Activation:
    """Return the activation called ``name``: one of ``ACTIVATIONS``, or one of your own, which is passed through.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(name, Activation):
        return name
    return ACTIVATIONS[choice(name, "activation", tuple(ACTIVATIONS))]
