"""The degree of homogeneity of a network, measured: ``f(x; c theta) = c^L f(x; theta)`` for ``c > 0``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.losses import sample_margins
from margin_lab.models.private import PureModel, trained_parameters

__all__ = [
    "effective_degree",
    "evaluating",
    "homogeneity_degree",
    "measured_degree",
    "random_points",
    "trained_parameters",
]

# Two scales far from each other and from 1: a bias or a smooth activation cannot agree with one power at both. Powers of
# two, by which a homogeneous network of integer degree scales without rounding, so that the tolerance can be small.
_SCALES = (0.5, 4.0)
_ROUNDING_ERRORS = 100
# At the random point: from 2^-10 to 2^40, as far as the outputs' dtype allows. ReLU6 bends at 6.
_SMALL_BITS, _LARGE_BITS = 10, 40
_BITS = {torch.float32: 100, torch.float64: 600}
# Draws of a random point, until one gives outputs that are not 0; samples that are looked at there.
_DRAWS, _ROWS = 8, 100


def homogeneity_degree(
    model: nn.Module, X: Any, tol: float | None = None, theta: Mapping[str, Tensor] | None = None
) -> float | None:
    """Return ``L`` with ``f(X; c theta) = c^L f(X; theta)`` in the trained parameters, or None where every output is 0.

    The degree belongs to the function, and a start is a special point of it: zero biases scale by any power, a zero head gives
    zeros, ReLU6 is linear for small weights. So the scaling is measured at the parameters, and again at a random point near
    them, drawn from a generator of its own, up to large scales. It is exact where the test is: a bend that no sample meets at
    any of these points is not seen, which is why runs measure at their start and at their end.

    Args:
        model: any ``nn.Module``; it is evaluated in eval mode on a copy, and left as it is.
        X: inputs, converted to the model's dtype and device.
        tol: largest relative error of the outputs; default 100 rounding errors of their dtype.
        theta: trained parameters at which to look, instead of the model's own.

    Raises:
        ValueError: outputs that do not scale by one power (trained biases beyond the first layer, even where they are 0 so far,
            normalisation layers, activations such as GELU, tanh or ReLU6).

    Example:
        >>> import torch, margin_lab as ml
        >>> head = ml.models.MLP([2, 8, 1])
        >>> _ = torch.nn.init.zeros_(head.layers[1].weight)
        >>> homogeneity_degree(head, [[1.0, 2.0]])
        2.0
    """
    pure = PureModel(model)
    inputs = pure.inputs(X)
    pure.checked(inputs)
    return measured_degree(pure, inputs, tol, theta)


def measured_degree(
    pure: PureModel, X: Tensor, tol: float | None = None, theta: Mapping[str, Tensor] | None = None
) -> float | None:
    """:func:`homogeneity_degree` of a private copy, on inputs as it takes them."""
    theta = dict(pure.theta if theta is None else theta)
    with torch.no_grad():
        own = _degree_at(pure, X, theta, tol, "", far=False)
        for point in random_points(theta):
            near = _degree_at(pure, X[:_ROWS], point, tol, " near them, at a random point,", far=True)
            if near is not None:
                break
    if own is not None and near is not None and abs(own - near) > 1e-4 * near:
        raise _not_homogeneous(
            pure, "", f"gives the degree {own:.6g}, and {near:.6g} at a random point near them"
        )
    return own if near is None or own is not None else near


def random_points(theta: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Parameters near ``theta``, always the same ones: each tensor changed by half its root mean square, zeros included.

    A tensor of zeros gets the middle size of the others; where all are 0, matrices get ``1 / sqrt(fan_in)``.
    """
    sizes = {name: _root_mean_square(p) for name, p in theta.items()}
    others = sorted(size for size in sizes.values() if size > 0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(_DRAWS):
        point = {}
        for name, p in theta.items():
            fallback = others[len(others) // 2] if others else 1 / math.sqrt(max(p.shape[1:].numel(), 1))
            noise = torch.randn(p.shape, dtype=p.dtype, generator=generator).to(p.device)
            point[name] = p.detach() + 0.5 * (sizes[name] or 2 * fallback) * noise
        yield point


def _root_mean_square(p: Tensor) -> float:
    # divided by the largest first: squares leave the range of float64 sooner than parameters do
    largest = _largest(p)
    return largest * float((p / largest).double().square().mean().sqrt()) if largest else 0.0


def _degree_at(
    pure: PureModel, X: Tensor, theta: Mapping[str, Tensor], tol: float | None, where: str, *, far: bool
) -> float | None:
    def outputs(c: float) -> Tensor:
        return pure(X, {name: c * p for name, p in theta.items()})

    base, scales = pure(X, theta), list(_SCALES)
    scaled = [outputs(c) for c in scales]
    size, sizes = _largest(base), [_largest(s) for s in scaled]
    if size == 0 and max(sizes) == 0:
        return None
    tol = _ROUNDING_ERRORS * torch.finfo(base.dtype).eps if tol is None else tol
    if not (min(size, *sizes) > 0 and math.isfinite(max(sizes))):
        raise _not_homogeneous(
            pure, where, f"gives largest outputs {sizes[0]:.3g} and {sizes[1]:.3g}, from {size:.3g}"
        )
    degree = _slope(scales, sizes)
    if far and degree > 0:
        bits = int(_BITS.get(base.dtype, 8) / max(degree, 1))
        for c in (2.0 ** -min(_SMALL_BITS, bits), 2.0 ** min(_LARGE_BITS, bits)):
            values = outputs(c)
            if 0 < _largest(values) < math.inf:
                scales, scaled = [*scales, c], [*scaled, values]
        if float(round(degree)) != degree:
            degree = _slope(scales, [_largest(s) for s in scaled])
    degree = float(round(degree)) if abs(degree - round(degree)) < tol else degree
    errors = [_largest(s / c**degree - base) / size for c, s in zip(scales, scaled, strict=True)]
    if not max(errors) <= tol or degree <= 0:
        to_power = f"{errors[0]:.1e} and {max(errors[1:]):.1e} to the best power {degree:.3g}"
        raise _not_homogeneous(pure, where, f"leaves relative errors {to_power}", max(scales))
    return degree


def _largest(values: Tensor) -> float:
    return float(values.abs().max()) if values.numel() else 0.0


def _slope(scales: Sequence[float], sizes: Sequence[float]) -> float:
    """The power that the largest outputs grow with, from the smallest scale to the largest."""
    order = sorted(range(len(scales)), key=lambda i: scales[i])
    low, high = order[0], order[-1]
    return math.log(sizes[high] / sizes[low]) / math.log(scales[high] / scales[low])


def _not_homogeneous(pure: PureModel, where: str, found: str, largest: float = _SCALES[1]) -> ValueError:
    return ValueError(
        f"{type(pure.module).__name__} is not homogeneous in its trained parameters: scaling them{where} by {_SCALES[0]} and "
        f"{largest:g} {found}. Remove biases beyond the first layer and normalisation layers (or freeze them, biases at 0), and "
        "use ReLU, leaky ReLU, powers of ReLU or linear activations"
    )


def effective_degree(
    model: nn.Module, X: Any, y: Any = None, theta: Mapping[str, Tensor] | None = None
) -> Tensor:
    """The local degree ``d log |f(x; c theta)| / d log c`` at ``c = 1``, that is ``<theta, grad f> / f``, of each output.

    A network of degree L has L everywhere, exactly. Others have a degree that depends on the sample and on the size of the
    parameters: with GELU or ELU between two layers it tends to 2 as they grow, with tanh to 1.

    Args:
        model: any ``nn.Module``, evaluated in eval mode on a copy, and left as it is; theta are its trained parameters.
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
    pure = PureModel(model)
    inputs = pure.inputs(X)
    pure.checked(inputs)
    theta = pure.theta if theta is None else theta
    with torch.inference_mode(False), torch.enable_grad():
        c = torch.ones((), dtype=pure.like.dtype, device=pure.like.device, requires_grad=True)
        # clones: tensors made in inference mode cannot be saved for a backward pass
        value = pure(inputs.clone(), {name: c * p.detach().clone() for name, p in theta.items()})
        value = value if y is None else sample_margins(value, y)
        # one number in, many out: the derivative of a backward pass in the weights that it starts from
        weights = torch.zeros_like(value, requires_grad=True)
        try:
            (backward,) = torch.autograd.grad(value, c, weights, create_graph=True)
            (along,) = torch.autograd.grad(backward, weights)
        except RuntimeError as e:
            raise ValueError(f"{type(pure.module).__name__} cannot be differentiated twice: {e}") from e
    return (along / value).detach()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model of one's own into eval mode, and every module back into the mode it was in."""
    modes = {m: m.training for m in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for m, training in modes.items():
            m.training = training
