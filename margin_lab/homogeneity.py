"""The degree of homogeneity of a network, measured: ``f(x; c theta) = c^L f(x; theta)`` for ``c > 0``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

# Two scales far from each other and from 1: a bias or a smooth activation cannot agree with one power at both. Powers of
# two, by which a homogeneous network of integer degree scales without rounding, so that the tolerance can be small.
_SCALES = (0.5, 4.0)
_ROUNDING_ERRORS = 100


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that margins normalise by: those that require a gradient, or all where none does."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {type(model).__name__}")
    named = {name: p.detach() for name, p in model.named_parameters()}
    trained = {name: named[name] for name, p in model.named_parameters() if p.requires_grad}
    if not named:
        raise ValueError(f"{type(model).__name__} has no parameters, so it has no normalised margin")
    return trained or named


def homogeneity_degree(
    model: nn.Module, X: Tensor, tol: float | None = None, theta: Mapping[str, Tensor] | None = None
) -> float | None:
    """Return ``L`` with ``f(X; c theta) = c^L f(X; theta)`` in the trained parameters, or None where every output is 0.

    Args:
        model: any ``nn.Module``; it is evaluated in eval mode and left as it was.
        X: inputs, of the shape, dtype and device that ``model`` takes.
        tol: largest relative error of the outputs; default 100 rounding errors of their dtype.
        theta: trained parameters at which to look, instead of the model's own.

    Raises:
        ValueError: outputs that do not scale by one power (biases beyond the first layer, normalisation layers,
            activations such as GELU or tanh).
    """
    theta = dict(trained_parameters(model) if theta is None else theta)
    with evaluating(model), torch.no_grad():
        base = functional_call(model, theta, (X,))
        scaled = [functional_call(model, {k: c * v for k, v in theta.items()}, (X,)) for c in _SCALES]
    size = float(base.abs().max())
    sizes = [float(s.abs().max()) for s in scaled]
    if size == 0 and max(sizes) == 0:
        return None
    tol = _ROUNDING_ERRORS * torch.finfo(base.dtype).eps if tol is None else tol
    if not (min(size, *sizes) > 0 and math.isfinite(max(sizes))):
        raise _not_homogeneous(
            model, f"gives largest outputs {sizes[0]:.3g} and {sizes[1]:.3g}, from {size:.3g}"
        )
    degree = math.log(sizes[1] / sizes[0]) / math.log(_SCALES[1] / _SCALES[0])
    degree = float(round(degree)) if abs(degree - round(degree)) < tol else degree
    errors = [float((s / c**degree - base).abs().max()) / size for c, s in zip(_SCALES, scaled, strict=True)]
    if not max(errors) <= tol or degree <= 0:
        to_power = f"{errors[0]:.1e} and {errors[1]:.1e} to the best power {degree:.3g}"
        raise _not_homogeneous(model, f"leaves relative errors {to_power}")
    return degree


def _not_homogeneous(model: nn.Module, found: str) -> ValueError:
    return ValueError(
        f"{type(model).__name__} is not homogeneous in its trained parameters: scaling them by {_SCALES[0]} and "
        f"{_SCALES[1]} {found}. Remove biases beyond the first layer and normalisation layers, and use ReLU, leaky ReLU, "
        "powers of ReLU or linear activations"
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into eval mode, and every module back into the mode it was in."""
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for m, training in modes.items():
            m.training = training
