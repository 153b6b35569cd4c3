"""Dual acceleration: Nesterov's momentum on the dual of the max-margin problem (Ji, Srebro & Telgarsky 2021)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.optim.base import LogLossOptimizer


@dataclass
class DualState:
    """``m``, the momentum of the shape of ``w``, and the number ``t`` of steps taken."""

    m: Tensor
    t: int = 0


def dual_update(w: Tensor, grad: Tensor, lr: Any, state: DualState) -> Tensor:
    """One step on ``w [..., d]``; advances ``state``. With ``g = -grad log L`` at ``w``:

    ``m <- t/(t+1) (m + g)``, ``w <- w + lr (m + g)``. Both sums use the same ``g``; at ``t = 0`` the momentum is 0.
    """
    state.m = state.t / (state.t + 1) * (state.m - grad)
    state.t += 1
    return w + lr * (state.m - grad)


class DualAcceleration(LogLossOptimizer):
    """Accelerated mirror descent on ``min_q ||Z^T q||^2 / 2`` over the simplex, written in the primal variable.

    For a linear model started at 0, exponential loss, and ``lr <= 1 / max_i ||x_i||^2``: margin gap at most
    ``4 log(n) / (lr gamma* t (t + 3))``, and the certificate ``q_min >= gamma* ||w|| - log n``. On other models it is the same
    arithmetic without the guarantee.

    Args:
        params: parameters or groups. lr: > 0.

    Raises:
        ValueError: lr <= 0.

    Source: Ji, Srebro & Telgarsky 2021, Algorithm 1; the rate without its log factor is this book's (chapter 3).
    """

    def __init__(self, params: Iterable[Any], lr: float = 1.0):
        super().__init__(params, lr)

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """One step of :func:`dual_update`; the state is ``m [P]`` and ``t``."""
        momentum = DualState(state.get("m", torch.zeros_like(w)), state.get("t", 0))
        new = dual_update(w, grad, lr, momentum)
        state.update(m=momentum.m, t=momentum.t)
        return new
