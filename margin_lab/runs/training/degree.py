"""The degree of a network that is trained: measured where nothing is special, before the work and after it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from margin_lab.models import Network
from margin_lab.models.homogeneity import homogeneity_degree, trained_parameters

_SAMPLES = 100
# Typical sizes of the random weights: small ones, and ones at which a bounded activation such as ReLU6 saturates.
_SIZES = (1.0, 100.0)


def degree_at_random(model: nn.Module, X: Tensor, seed: int = 0) -> float | None:
    """The degree at random parameters, the same at every size of them; None where there is none.

    A start is a special point: zero biases hide that a network is not homogeneous, and a zero head hides the degree.
    A :class:`Network` declares its own.
    """
    if isinstance(model, Network):
        return model.degree
    generator = torch.Generator().manual_seed(seed)
    drawn = {
        name: torch.randn(p.shape, dtype=torch.float64, generator=generator)
        / max(1, p[0].numel() if p.ndim > 1 else 1) ** 0.5
        for name, p in trained_parameters(model).items()
    }
    found = {_degree(model, X, {k: size * v for k, v in drawn.items()}) for size in _SIZES}
    return found.pop() if len(found) == 1 else None


def confirmed_degree(degree: float | None, model: nn.Module, X: Tensor) -> float | None:
    """``degree``, unless the network at its present parameters scales otherwise."""
    if degree is None or isinstance(model, Network):
        return degree
    here = _degree(model, X, None)
    return degree if here == degree else None


def _degree(model: nn.Module, X: Tensor, theta: dict[str, Tensor] | None) -> float | None:
    # in float64, where large parameters do not overflow; on a copy, since the model is at work
    wide = copy.deepcopy(model).double()
    like = next(iter(trained_parameters(wide).values()))
    inputs = X[:_SAMPLES].double() if X.is_floating_point() else X[:_SAMPLES]
    try:
        return homogeneity_degree(
            wide, inputs, theta=None if theta is None else {k: v.to(like) for k, v in theta.items()}
        )
    except (ValueError, RuntimeError):  # not homogeneous, or fixed to another precision
        return None
