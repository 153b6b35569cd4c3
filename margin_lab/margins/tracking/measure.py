"""One look at a network: its margins over all data, each quantity with its reason where it does not exist."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.losses import (
    class_margins,
    inverse_link,
    log_loss,
    loss_of_outputs,
    loss_weights,
    sample_margins,
)
from margin_lab.margins.layers import log_product, over_layers
from margin_lab.margins.tracking.selection import layers, matrices, selected
from margin_lab.models.homogeneity import measured_degree
from margin_lab.models.private import PureModel, undisturbed_generators

COLUMNS = (
    "log_loss",
    "q_min",
    "accuracy",
    "norm",
    "degree",
    "margin",
    "smoothed",
    "layer_margin",
    "spectral_margin",
    "alignment",
    "epsilon",
)
# Samples at which degrees are measured.
_ROWS = 64


class Data:
    """``X`` and ``y`` in batches, or a loader of pairs, as often as they are asked for."""

    def __init__(self, X: Any, y: Any, batch_size: int):
        self.X, self.y, self.batch_size = X, y, batch_size

    def batches(self, pure: PureModel) -> Iterator[tuple[Tensor, Any]]:
        """Inputs as the model takes them, with their labels; a loader that shuffles leaves the caller's generators alone."""
        if self.y is not None:
            X = pure.inputs(self.X)
            for start in range(0, len(X), self.batch_size):
                yield X[start : start + self.batch_size], self.y[start : start + self.batch_size]
            return
        with undisturbed_generators(pure.like.device):
            pairs = list(self.X) if not hasattr(self.X, "dataset") else self.X
            for pair in pairs:
                if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                    raise ValueError(
                        f"without y, X must give pairs (inputs, labels), as a DataLoader does, not {type(pair).__name__}"
                    )
                yield pure.inputs(pair[0]), pair[1]


def measure(
    model: nn.Module, data: Data, params: str | Sequence[str], loss: str | None, kkt: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """A row of :data:`COLUMNS`, and for each quantity that is NaN the reason."""
    pure = PureModel(model)
    theta = selected(pure, params)
    row = dict.fromkeys(COLUMNS, math.nan)
    reasons: dict[str, str] = {}
    logs, smallest, right, count, first = [], math.inf, 0, 0, None
    with torch.no_grad():
        for X, y in data.batches(pure):
            outputs = pure(X).double()
            loss = loss_of_outputs(loss, outputs)
            q = sample_margins(outputs, y)
            logs.append(float(log_loss(outputs, y, loss, "sum")))
            smallest, right, count = min(smallest, float(q.min())), right + int((q > 0).sum()), count + len(q)
            first = X[:_ROWS] if first is None else first
    if first is None or loss is None:
        raise ValueError("there is no data to measure margins on; give at least one sample")
    total = float(torch.logsumexp(torch.tensor(logs, dtype=torch.float64), 0))
    length = float(torch.cat([p.detach().double().reshape(-1) for p in theta.values()]).norm())
    row |= {"log_loss": total - math.log(count), "q_min": smallest, "accuracy": right / count, "norm": length}

    degree, why = _degree(pure, first, theta)
    if degree is None:
        reasons |= dict.fromkeys(("degree", "margin", "smoothed", "epsilon"), why)
    else:
        power = length**degree
        z = inverse_link(
            torch.tensor(-total, dtype=torch.float64), "exponential" if loss == "exponential" else "logistic"
        )
        row |= {"degree": degree, "margin": smallest / power, "smoothed": float(z) / power}
    row["layer_margin"], why = _layer_margin(pure, first, theta, smallest)
    if why:
        reasons["layer_margin"] = why
    weights = matrices(theta)
    if weights:
        logs_of = [
            math.log(float(torch.linalg.matrix_norm(W, 2))) if bool(W.any()) else math.inf for W in weights
        ]
        row["spectral_margin"] = smallest * math.exp(-sum(logs_of))
    else:
        reasons["spectral_margin"] = "there is no weight matrix among the parameters"
    if not kkt:
        return row, reasons
    row["alignment"] = _alignment(pure, data, theta, loss, total, length)
    if degree is not None and smallest > 0:
        gamma = row["margin"]
        row["epsilon"] = math.sqrt(max(0.0, 2 * gamma ** (-2 / degree) * (1 - row["alignment"])))
    return row, reasons


def _degree(pure: PureModel, X: Tensor, theta: dict[str, Tensor]) -> tuple[float | None, str]:
    try:
        found = measured_degree(pure, X, theta=theta)
    except ValueError as error:
        return None, str(error)
    return found, "every output is 0, so the degree cannot be measured" if found is None else ""


def _layer_margin(pure: PureModel, X: Tensor, theta: dict[str, Tensor], smallest: float) -> tuple[float, str]:
    """``q_min / prod_j ||W_j||^k_j`` with each layer's degree measured, and why not where there is none."""
    lengths, degrees = {}, {}
    for name, own in layers(pure, theta).items():
        lengths[name] = float(torch.cat([p.detach().double().reshape(-1) for p in own.values()]).norm())
        degree, why = _degree(pure, X, own)
        if degree is None:
            return math.nan, f"layer {name or 'itself'} has no degree: {why}"
        degrees[name] = degree
    return float(over_layers(smallest, log_product(lengths, degrees))), ""


def _alignment(
    pure: PureModel, data: Data, theta: dict[str, Tensor], loss: str, total: float, length: float
) -> float:
    """``beta = <theta, -grad L> / (||theta|| ||grad L||)`` in l2, from one more forward and a backward pass."""
    at = {name: p.detach().clone().requires_grad_() for name, p in theta.items()}
    link = "exponential" if loss == "exponential" else "logistic"
    down = torch.zeros((), dtype=torch.float64, device=pure.like.device)
    steps = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in at.items()}
    with torch.inference_mode(False), torch.enable_grad():
        for X, y in data.batches(pure):
            f = pure(X.clone(), at).double()
            soft = loss == "cross_entropy"
            q = (
                class_margins(f, torch.as_tensor(y).to(f.device, torch.int64), soft=True)
                if soft
                else sample_margins(f, y)
            )
            # each batch counts by its share of the whole loss
            share = math.exp(float(log_loss(f.detach(), y, loss, "sum")) - total)
            grads = torch.autograd.grad(
                q, list(at.values()), share * loss_weights(q.detach(), link), allow_unused=True
            )
            for name, grad in zip(at, grads, strict=True):
                if grad is not None:
                    steps[name] += grad.double()
    for name, step in steps.items():
        down = down + (step * at[name].detach().double()).sum()
    size = math.sqrt(sum(float((step**2).sum()) for step in steps.values()))
    return float(down) / (length * size) if length and size else math.nan
