"""Radii within which no input changes the class, proved: margin over Lipschitz constant, and linear bounds in a ball."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import as_tensor, choice, finite, positive
from margin_lab.losses import sample_margins
from margin_lab.models import MLP

# Slopes of the activations on the negative side: piecewise linear, with slope 1 on the positive side.
_NEGATIVE_SLOPES = {"relu": 0.0, "leaky_relu": None, "linear": 1.0}
_HALVINGS = 30


def certified_radius(model: nn.Module, X: Any, y: Any, method: str = "local") -> Tensor:
    """``[n]`` radii of l2 balls around the samples in which the class provably stays; 0 for misclassified samples.

    ``"lipschitz"``: ``min_j (f_y - f_j)(x) / (||V_y - V_j|| prod_l ||W_l||)`` with spectral norms of the hidden layers and
    rows of the last one, V. It is the margin divided by a Lipschitz constant that holds everywhere.
    ``"local"``: the largest ball, by bisection, in which :func:`margin_in_ball` is positive; never below the other.

    Args:
        model: an :class:`margin_lab.models.MLP` with activation "relu", "leaky_relu" or "linear", any biases.
        X: ``[n, d]``. y: ``[n]``, -1 or +1 for one output, class indices for k.

    Raises:
        ValueError: another model, wrong labels or shapes, NaN.

    Source: Lyu & Li 2020, K.2; Sokolic et al. 2017, theorem 4; for the linear bounds Zhang et al. 2018 (CROWN).
    """
    choice(method, "method", ("lipschitz", "local"))
    model, x, labels = _inputs(model, X, y)
    with torch.no_grad():
        gaps, rows = _gaps(model, x, labels)
        hidden = torch.stack(
            [torch.linalg.matrix_norm(W, 2) for W, _ in _layers(model)[:-1]] or [x.new_ones(())]
        )
        lipschitz = (rows.norm(dim=-1) * hidden.prod()).clamp(min=torch.finfo(x.dtype).tiny)
        radius = (gaps / lipschitz).amin(1).clamp(min=0.0)
        if method == "lipschitz":
            return radius
        low = radius
        # grow until the bound fails, then halve the interval; what has been proved is kept in `low`
        high = torch.where(low > 0, 2 * low, torch.zeros_like(low))
        for _ in range(_HALVINGS):
            proved = (_ball_margin(model, x, labels, high) > 0) & (high > 0)
            if not bool(proved.any()):
                break
            low, high = torch.where(proved, high, low), torch.where(proved, 2 * high, high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            proved = (_ball_margin(model, x, labels, middle) > 0) & (middle > 0)
            low, high = torch.where(proved, middle, low), torch.where(proved, high, middle)
        return low


def margin_in_ball(model: nn.Module, X: Any, y: Any, radius: float) -> Tensor:
    """``[n]`` lower bounds on the smallest margin in the l2 ball of this radius around each sample.

    Neurons that keep their sign in the ball are linear, the others are enclosed between two lines, from the first layer to the
    last; every bound is written as a linear function of the input before its smallest value is taken.

    Args, raises: as :func:`certified_radius`; ``radius`` must be > 0.
    """
    positive(radius, "radius")
    model, x, labels = _inputs(model, X, y)
    with torch.no_grad():
        return _ball_margin(model, x, labels, torch.full_like(x[:, 0], float(radius)))


def _ball_margin(model: MLP, x: Tensor, labels: Tensor, radius: Tensor) -> Tensor:
    layers, leak = _layers(model), _negative_slope(model)
    lines: list[
        tuple[Tensor, Tensor, Tensor]
    ] = []  # of each hidden layer: lower slope, upper slope, upper intercept
    for i, (W, b) in enumerate(layers):
        if i + 1 == len(layers):
            rows, offsets = _differences(model, W, b, labels)
            return _lower(rows, offsets, layers[:i], lines, x, radius).amin(1)
        rows = W.expand(len(x), *W.shape)
        low = _lower(rows, b.expand(len(x), -1), layers[:i], lines, x, radius)
        high = -_lower(-rows, -b.expand(len(x), -1), layers[:i], lines, x, radius)
        bent = (low < 0) & (high > 0)
        width = torch.where(bent, high - low, torch.ones_like(low))
        chord = (high - leak * low) / width
        sure = torch.where(low >= 0, torch.ones_like(low), torch.full_like(low, leak))
        upper = torch.where(bent, chord, sure)
        under = torch.where(bent, torch.where(high > -low, 1.0, leak).to(low), sure)
        lines.append((under, upper, torch.where(bent, (leak - chord) * low, torch.zeros_like(low))))
    raise AssertionError("a network has a last layer")


def _lower(rows: Tensor, offset: Tensor, layers: Any, lines: Any, x: Tensor, radius: Tensor) -> Tensor:
    """Lower bounds ``[n, m]`` of ``rows [n, m, h] @ a + offset`` in the ball, ``a`` being the activations after ``layers``."""
    for (W, b), (under, upper, intercept) in zip(reversed(layers), reversed(lines), strict=True):
        plus, minus = rows.clamp(min=0.0), rows.clamp(max=0.0)
        offset = offset + (minus * intercept[:, None]).sum(-1)
        rows = plus * under[:, None] + minus * upper[:, None]
        offset = offset + (rows * b).sum(-1)
        rows = rows @ W
    return (rows @ x[..., None])[..., 0] + offset - radius[:, None] * rows.norm(dim=-1)


def _gaps(model: MLP, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """``f_y - f_j`` for all ``j != y`` ``[n, k - 1]`` (or ``y f [n, 1]``), and what gives them: differences of the last rows."""
    layers = _layers(model)
    rows, offset = _differences(model, *layers[-1], labels)
    leak = _negative_slope(model)
    for W, b in layers[:-1]:
        x = x @ W.T + b
        x = torch.where(x > 0, x, leak * x)
    return (rows @ x[..., None])[..., 0] + offset, rows


def _differences(model: MLP, V: Tensor, b: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if len(V) == 1:
        sign = labels.to(V)[:, None]
        return sign[..., None] * V, sign * b
    others = torch.arange(len(V), device=V.device).expand(len(labels), -1)
    others = others[others != labels[:, None]].reshape(len(labels), -1)
    return V[labels][:, None] - V[others], b[labels][:, None] - b[others]


def _layers(model: MLP) -> list[tuple[Tensor, Tensor]]:
    return [
        (l.weight.detach(), l.weight.new_zeros(len(l.weight)) if l.bias is None else l.bias.detach())
        for l in model.affine
    ]


def _negative_slope(model: MLP) -> float:
    known = _NEGATIVE_SLOPES[model.activation.name]
    return float(-model.activation(torch.tensor(-1.0, dtype=torch.float64))) if known is None else known


def _inputs(model: nn.Module, X: Any, y: Any) -> tuple[MLP, Tensor, Tensor]:
    if not isinstance(model, MLP) or model.activation.name not in _NEGATIVE_SLOPES:
        name = f"{type(model).__name__}" + (
            f" with {model.activation.name}" if isinstance(model, MLP) else ""
        )
        raise ValueError(
            f"bounds are known for an MLP with one of the activations {', '.join(map(repr, _NEGATIVE_SLOPES))}, got {name}"
        )
    like = next(model.parameters())
    x = finite(as_tensor(X, "X"), "X").to(like).reshape(len(X), -1)
    with torch.no_grad():
        sample_margins(model(x), y)
    return model, x, torch.as_tensor(y).to(like.device)
