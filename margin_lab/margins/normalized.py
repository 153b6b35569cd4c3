"""Normalised and smoothed margins of homogeneous models, named by the norm of the parameters."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import finite
from margin_lab.losses import inverse_link, log_loss, loss_of_outputs, sample_margins
from margin_lab.models.homogeneity import measured_degree
from margin_lab.models.private import PureModel
from margin_lab.norms import Norm, get_norm


def normalized_margin(model: nn.Module, X: Any, y: Any, norm: str | float | Norm = "l2") -> float:
    """``gamma(theta) = q_min / ||theta||^L``: the smallest margin on the training set at unit parameter norm.

    ``q_i = y_i f(x_i)`` for one output, ``f_y - max_{j != y} f_j`` for k outputs. It does not change when all trained
    parameters are scaled by one positive number.

    Args:
        model: an ``nn.Module``, numerically L-homogeneous in its trained parameters (those that require a gradient);
            outputs ``[n]``, ``[n, 1]`` or ``[n, k]``. It is evaluated in eval mode, on a copy, half precision in float32.
        X: inputs ``[n, ...]``; arrays are converted to the model's dtype and device.
        y: ``[n]``, -1 or +1 for one output, class indices for k outputs.
        norm: of all trained parameters taken as one vector: ``"l1"``, ``"l2"``, ``"linf"``, a number p; ``"spectral"``
            where there is one trained matrix.

    Returns:
        The margin, 0 at ``theta = 0``.

    Raises:
        ValueError: a model that is not homogeneous, wrong labels or shapes, NaN.

    Source: Lyu & Li 2020, eq. (3); Flavors of Margin, eq. (13).
    """
    outputs, length, degree, _ = _outputs_in_range(model, X, y, norm)
    return _over_power(sample_margins(outputs, y).min(), length, degree)


def smoothed_margin(
    model: nn.Module, X: Any, y: Any, norm: str | float | Norm = "l2", loss: str | None = None
) -> float:
    """``g(log 1/L(theta)) / ||theta||^L`` with the **summed** loss: the margin that gradient flow never lowers
    (Theorem 4.1 of Lyu & Li, whose loss is the sum).

    ``g`` is the identity for the exponential loss and ``-log(exp(exp(-z)) - 1)`` for the logistic loss and
    cross-entropy. For the exponential loss ``smoothed <= normalized <= smoothed + log(n) / ||theta||^L``. It is positive
    exactly where the loss is below its separability threshold (1, or log 2); the theorems speak of that region only.

    Args, raises: as :func:`normalized_margin`; loss: "exponential" (default for one output), "logistic" or "cross_entropy".

    Source: Lyu & Li 2020, section 4.1 and Definition A.1 (B3).
    """
    outputs, length, degree, scale = _outputs_in_range(model, X, y, norm)
    # the loss, unlike the margin, is of the parameters as they are
    outputs = finite(
        outputs.double() * _power(scale, degree), "the model's outputs", "scale its parameters down"
    )
    loss = loss_of_outputs(loss, outputs)
    total = log_loss(outputs, y, loss, "sum")
    z = inverse_link(-total, "exponential" if loss == "exponential" else "logistic")
    return _over_power(z, length * scale, degree)


def linear_margin(w: Tensor, Z: Tensor, norm: Norm) -> Tensor:
    """``min_i <z_i, w> / ||w||`` for ``w [..., m, d]`` and signed rows ``Z [..., n, d]``; 0 at ``w = 0``, never NaN."""
    length = norm(w)
    safe = torch.where(length > 0, length, torch.ones_like(length))
    q_min = (w / safe[..., None] @ Z.mT).amin(-1)
    return torch.where(length > 0, q_min, torch.zeros_like(q_min))


def _outputs_in_range(
    model: nn.Module, X: Any, y: Any, norm: str | float | Norm
) -> tuple[Tensor, float, float, float]:
    """Outputs at ``theta / scale``, its norm, the degree and ``scale``, after checking that there is a degree.

    ``scale`` is 1 unless the outputs overflow or underflow there; then it is the power of two next to ``||theta||``.
    """
    pure = PureModel(model)
    inputs, theta = pure.inputs(X), pure.theta
    length = float(_parameter_norm(theta, get_norm(norm)))
    info, scale = torch.finfo(pure.like.dtype), 1.0
    with torch.no_grad():
        outputs = pure.repeatable(inputs)
        largest = float(outputs.abs().max()) if outputs.numel() else 1.0
        too_large, too_small = not largest < math.inf, largest < info.tiny / info.eps
        if (too_large and 1 < length < math.inf) or (too_small and 0 < length < 1):
            scale = 2.0 ** math.floor(math.log2(length))
            theta = {name: p / scale for name, p in theta.items()}
            outputs = pure(inputs, theta)
    finite(outputs, "the model's outputs", "scale its parameters down")
    sample_margins(outputs, y)  # labels are checked before the model is
    degree = measured_degree(pure, inputs, theta=theta)
    return outputs, length / scale, 1.0 if degree is None else degree, scale


def _power(base: float, exponent: float) -> Tensor:
    """As a tensor: infinite where it overflows."""
    return torch.tensor(base, dtype=torch.float64) ** exponent


def _over_power(value: Tensor, base: float, exponent: float) -> float:
    """``value / base^exponent``, 0 at ``theta = 0``."""
    return float(value.double().cpu() / _power(base, exponent)) if base > 0 and float(value) else 0.0


def _parameter_norm(theta: dict[str, Tensor], norm: Norm) -> Tensor:
    if not norm.matrix:
        return norm(torch.cat([p.reshape(-1) for p in theta.values()]))
    if len(theta) != 1 or next(iter(theta.values())).ndim != 2:
        shapes = {name: tuple(p.shape) for name, p in theta.items()}
        raise ValueError(
            f"the {norm.name} norm is of one matrix, but the trained parameters are {shapes}; freeze the others"
        )
    return norm(next(iter(theta.values())))
