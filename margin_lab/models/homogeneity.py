"""The degree of homogeneity of a network, measured: ``f(x; c theta) = c^L f(x; theta)`` for ``c > 0``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from margin_lab.checks import as_tensor, finite
from margin_lab.losses import sample_margins

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


def effective_degree(
    model: nn.Module, X: Any, y: Any = None, theta: Mapping[str, Tensor] | None = None
) -> Tensor:
    """The local degree ``d log |f(x; c theta)| / d log c`` at ``c = 1``, that is ``<theta, grad f> / f``, of each output.

    A network of degree L has L everywhere, exactly. Others have a degree that depends on the sample and on the size of the
    parameters: with GELU or ELU between two layers it tends to 2 as they grow, with tanh to 1.

    Args:
        model: any ``nn.Module``, evaluated in eval mode and left as it was; theta are its trained parameters.
        X: inputs, converted to the model's dtype and device.
        y: labels ``[n]``, -1 or +1 for one output, class indices for k: then the degrees are those of the margins.
        theta: trained parameters at which to look, instead of the model's own.

    Returns:
        Of the shape of the outputs, or ``[n]`` with y; NaN or infinite where an output is 0.

    Raises:
        ValueError: a model without parameters, NaN in X, labels that do not match the outputs.

    Example:
        >>> import torch, margin_lab as ml
        >>> net, X = ml.models.MLP([4, 8, 1], "tanh"), torch.eye(4)
        >>> for scale in (1e-3, 1e3):
        ...     print(effective_degree(net.reset(0, scale), X).mean().round(decimals=2).item())
        2.0
        1.0
    """
    theta = dict(trained_parameters(model) if theta is None else theta)
    first = next(iter(theta.values()))
    inputs = finite(as_tensor(X, "X", device=first.device), "X").to(first.dtype)

    with evaluating(model), torch.enable_grad():
        c = torch.ones((), dtype=first.dtype, device=first.device, requires_grad=True)
        value: Tensor = functional_call(model, {k: c * v.detach() for k, v in theta.items()}, (inputs,))
        value = value if y is None else sample_margins(value, y)
        # one number in, many out: the derivative of a backward pass in the weights that it starts from
        weights = torch.zeros_like(value, requires_grad=True)
        (backward,) = torch.autograd.grad(value, c, weights, create_graph=True)
        (along,) = torch.autograd.grad(backward, weights)
    return (along / value).detach()


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
