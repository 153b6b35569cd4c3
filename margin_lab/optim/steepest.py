"""Steepest descent in any norm; gradient, sign, coordinate, spectral and modular descent are its instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import nonnegative
from margin_lab.norms import Norm, Spectral, modular, on_flat
from margin_lab.norms.modular import Shape
from margin_lab.norms.spectral import Polar
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.polar import get_polar
from margin_lab.optim.step_rules import check_cap, check_rule, step_length


def steepest_update(
    w: Tensor,
    grad: Tensor,
    lr: Any,
    norm: Norm,
    rule: str = "unit",
    log_loss: Any = None,
    max_length: Any = None,
    max_fall: Any = None,
) -> Tensor:
    """``w + length * u``, ``u`` the unit steepest direction for ``grad log L`` in ``norm``.

    With ``rule="gradient"`` that is eq. (1) of Flavors of Margin for L: ``length = lr ||grad L||_*``. For the other rules and the
    caps see ``margin_lab.optim.step_rules``.

    Args:
        w, grad: ``[..., P]``; ``grad`` is that of ``log L``. lr: broadcasts against ``w``. norm: of vectors ``[..., P]``.
        log_loss: ``[...]`` tensor (or a number), for "gradient".
    """
    if rule == "unit" and max_length is None and max_fall is None:
        return w + lr * norm.direction(grad)
    dual, direction = norm.dual_and_direction(grad)
    size = norm(w)[..., None] if rule == "relative" else None
    if log_loss is not None:
        log_loss = torch.as_tensor(log_loss, dtype=w.dtype, device=w.device)[..., None]
    return w + step_length(rule, lr, dual[..., None], size, log_loss, max_length, max_fall) * direction


def averaged(grad: Tensor, average: Tensor | None, weight: Any) -> Tensor:
    """``weight * average + (1 - weight) * grad``, begun at the first gradient."""
    return grad if average is None else weight * average + (1 - weight) * grad


def own_norm(norm: str | float | Norm, shapes: Mapping[str, Shape], polar: str | Polar = "exact") -> Norm:
    """The norm of flat parameters in which a method descends; ``polar`` computes its polar factors.

    Raises:
        ValueError: as :func:`margin_lab.norms.on_flat`; ``polar`` for a norm without polar factors.
    """
    if polar == "exact":
        return on_flat(norm, shapes)
    matrices = Spectral(get_polar(polar))
    if norm == "spectral":
        return on_flat(matrices, shapes)
    if norm == "modular":
        return modular(shapes, matrices)
    raise ValueError(
        f"polar= goes with the norms 'spectral' and 'modular', got norm {norm!r}; build a modular norm of your own from "
        "margin_lab.norms.Spectral(polar)"
    )


class SteepestDescent(LogLossOptimizer):
    """Steepest descent ``theta <- theta + lr * Delta``, ``Delta = argmin_{||u|| <= ||grad L||_*} <u, grad L>``.

    ``||Delta|| = ||grad L||_*`` and ``<Delta, grad L> = -||grad L||_*^2``. The limit direction maximises the margin in
    the same norm. Gradients are those of ``log L``, so the unnormalised form needs a closure that returns ``log L``.

    Args:
        params: parameters or groups; the norm is joint over all of them. lr: > 0.
        norm: "l1" (coordinate descent), "l2" (gradient descent), "linf" (sign descent), a number p, "spectral" for exactly one
            matrix, "modular" (spectral norms of matrices, l2 norms of vectors, the largest of them), or a
            :func:`margin_lab.norms.modular` norm of your own.
        normalized: take steps of length ``lr`` in the norm instead (``rule="unit"``); no closure needed.
        rule: of the step's length: "gradient" (the above), "log" (``lr ||grad log L||_*``), "unit" or "relative"
            (``lr ||theta||``). max_length, max_fall: caps on it; see ``margin_lab.optim.step_rules``.
        average: 0, or the weight of the past, as 0.95, in a running mean of the gradients of log L, from which the direction is
            then taken. Coordinate descent on ReLU networks needs it: at a kink the largest partial derivative belongs to a
            coordinate whose derivative changes sign with every step across the kink, so that plain selection takes it for ever,
            back and forth. The mean of those signs is 0, and another coordinate gets its turn.
        polar: "exact", "newton-schulz", "convergent" or a function, for "spectral" and "modular".

    Raises:
        ValueError: lr <= 0, an unknown norm, rule or polar factor, the spectral norm on anything but one matrix, a frozen
            parameter.

    Example:
        >>> import torch, margin_lab as ml
        >>> net = ml.models.MLP([2, 8, 1])
        >>> opt = SteepestDescent(net.parameters(), lr=0.1, norm="modular", normalized=True)
        >>> ml.log_loss(net(torch.ones(1, 2, dtype=torch.float64)), torch.ones(1)).backward()
        >>> before = net.layers[0].weight.detach().clone()
        >>> opt.step()
        >>> round(float(torch.linalg.matrix_norm(net.layers[0].weight.detach() - before, 2)), 12)
        0.1

    Source: Flavors of Margin (Tsilivis et al.), eq. (1), Theorem 3.1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        norm: str | float | Norm = "l2",
        normalized: bool = False,
        rule: str | None = None,
        max_length: float | None = None,
        max_fall: float | None = None,
        average: float = 0.0,
        polar: str | Polar = "exact",
    ):
        if rule is not None:
            check_rule(rule)
            if normalized and rule != "unit":
                raise ValueError(f"normalized=True is rule='unit', got rule={rule!r}; give one of them")
        check_cap(max_length, "max_length")
        check_cap(max_fall, "max_fall")
        self.rule = rule or ("unit" if normalized else "gradient")
        self.max_length, self.max_fall = max_length, max_fall
        self.average = check_average(average)
        self.needs_loss = self.rule == "gradient"
        super().__init__(params, lr)
        self._given, self._polar = norm, polar
        named = [p for group in self.param_groups for p in group["params"]]
        self.norm = own_norm(norm, _shapes(named), polar)

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """One step of :func:`steepest_update`."""
        if self.average:
            grad = state["average"] = averaged(grad, state.get("average"), self.average)
        params = [p for group in self.param_groups for p in group["params"]]
        norm = own_norm(self._given, _shapes(params), self._polar)
        loss = log_loss if self.rule == "gradient" else None
        return steepest_update(w, grad, lr, norm, self.rule, loss, self.max_length, self.max_fall)


def check_average(value: Any) -> Any:
    """Return ``value``; raise ValueError unless it is the weight of a running mean: 0 <= value < 1."""
    nonnegative(value, "average")
    if value >= 1:
        raise ValueError(f"average must be below 1, got {value!r}; at 1 no new gradient would count")
    return value


def _shapes(params: list[Tensor]) -> dict[str, Shape]:
    return {f"parameter {i}": tuple(p.shape) for i, p in enumerate(params)}


class GD(SteepestDescent):
    """Gradient descent ``theta <- theta - lr * grad L``: steepest descent in l2. Its ``step`` takes a closure.

    Margin rate on separable data: ``Theta(1 / log t)`` (Soudry et al. 2018; PRGD Theorem 6.3).
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3):
        super().__init__(params, lr, norm="l2")
