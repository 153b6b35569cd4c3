"""Steepest descent in any norm; gradient, sign, coordinate and spectral descent are its instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from margin_lab.norms import Norm, get_norm
from margin_lab.optim.base import LogLossOptimizer


def steepest_update(w: Tensor, grad: Tensor, lr: Any, norm: Norm, log_loss: Any = None) -> Tensor:
    """``w + lr * L * Delta`` with ``Delta`` the steepest step for ``grad log L``: eq. (1) of Flavors of Margin for L.

    Without ``log_loss`` the step is normalised: ``w + lr * u``, ``||u|| = 1``.

    Args:
        w, grad: ``[..., d]``; ``grad`` is that of ``log L``. lr: broadcasts against ``w``.
        log_loss: ``[...]`` tensor (or a number).
    """
    if log_loss is None:
        return w + lr * norm.direction(grad)
    scale = torch.exp(torch.as_tensor(log_loss, dtype=w.dtype, device=w.device))
    axes = (..., None, None) if norm.matrix else (..., None)
    return w + lr * (scale[axes] * norm.steepest(grad))


class SteepestDescent(LogLossOptimizer):
    """Steepest descent ``theta <- theta + lr * Delta``, ``Delta = argmin_{||u|| <= ||grad L||_*} <u, grad L>``.

    ``||Delta|| = ||grad L||_*`` and ``<Delta, grad L> = -||grad L||_*^2``. The limit direction maximises the margin in
    the same norm. Gradients are those of ``log L``, so the unnormalised form needs a closure that returns ``log L``.

    Args:
        params: parameters or groups; the norm is joint over all of them. lr: > 0.
        norm: "l1" (coordinate descent), "l2" (gradient descent), "linf" (sign descent), a number p, or "spectral" for
            exactly one matrix.
        normalized: take steps of length ``lr`` in the norm instead; no closure needed.

    Raises:
        ValueError: lr <= 0, an unknown norm, the spectral norm on anything but one matrix.

    Source: Flavors of Margin (Tsilivis et al.), eq. (1), Theorem 3.1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        norm: str | float | Norm = "l2",
        normalized: bool = False,
    ):
        self.norm = get_norm(norm)
        self.normalized = bool(normalized)
        self.needs_loss = not normalized
        super().__init__(params, lr)
        if self.norm.matrix:
            shapes = [tuple(p.shape) for g in self.param_groups for p in g["params"]]
            if len(shapes) != 1 or len(shapes[0]) != 2:
                raise ValueError(
                    f"the {self.norm.name} norm is of one matrix, got parameters of shapes {shapes}"
                )

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """One step of :func:`steepest_update`, on the one matrix where the norm is of matrices."""
        shape = self.param_groups[0]["params"][0].shape if self.norm.matrix else w.shape
        log_loss = None if self.normalized else log_loss
        return steepest_update(w.view(shape), grad.view(shape), lr, self.norm, log_loss).reshape(-1)


class GD(SteepestDescent):
    """Gradient descent ``theta <- theta - lr * grad L``: steepest descent in l2. Its ``step`` takes a closure.

    Margin rate on separable data: ``Theta(1 / log t)`` (Soudry et al. 2018; PRGD Theorem 6.3).
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3):
        super().__init__(params, lr, norm="l2")
