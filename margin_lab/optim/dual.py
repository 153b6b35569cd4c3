"""Dual acceleration: Nesterov's momentum on the dual of the max-margin problem (Ji, Srebro & Telgarsky 2021)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.losses import at_least_float32
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.work import Work


@dataclass
class DualState:
    """``m``, the momentum of the shape of ``w``, and the number ``t`` of steps taken."""

    m: Tensor
    t: int = 0


def dual_update(w: Tensor, grad: Tensor, lr: Any, state: DualState) -> Tensor:
    """One step on ``w [..., d]``; advances ``state``. With ``g = -grad log L`` at ``w``:

    ``m <- t/(t+1) (m + g)``, ``w <- w + lr (m + g)``. Both sums use the same ``g``; at ``t = 0`` the momentum is 0.
    """
    wide = at_least_float32(grad)
    state.m = state.t / (state.t + 1) * (state.m - wide)
    state.t += 1
    return (w + lr * (state.m - wide)).to(w.dtype)


class DualAcceleration(LogLossOptimizer):
    """Accelerated mirror descent on ``min_q ||Z^T q||^2 / 2`` over the simplex, written in the primal variable.

    For a linear model started at 0, exponential loss, and ``lr <= 1 / max_i ||x_i||^2``: margin gap at most
    ``4 log(n) / (lr gamma* t (t + 3))``, and the certificate ``q_min >= gamma* ||w|| - log n``. On other models it is the same
    arithmetic without the guarantee.

    Args:
        params: parameters or groups. lr: >= 0. gradients_of: see :class:`LogLossOptimizer`.

    Raises:
        ValueError: lr < 0.

    Source: Ji, Srebro & Telgarsky 2021, Algorithm 1; the rate without its log factor is this book's (chapter 3).
    """

    def __init__(
        self, params: Iterable[Any], lr: Any = 1.0, *, gradients_of: str = "log_loss", **switches: Any
    ):
        super().__init__(params, lr, gradients_of=gradients_of, switches=switches)

    def advance(self, work: Work) -> None:
        """The step of :func:`dual_update`; each tensor has its momentum ``m``."""
        t = work.joint.get("step", 0)
        # the momentum's bound: m <- t / (t + 1) (m - g)
        before = work.joint.get("largest", 0.0)
        largest = t / (t + 1) * (before + work.size)
        for state, g in zip(work.states, work.grads, strict=True):
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(g)
            state.update(step=t + 1, largest=largest)
        momenta = [state["momentum_buffer"] for state in work.states]
        longest = (largest + work.size) * max(group.number("lr") for group in work.groups)
        with work.all_or_nothing(work.moves(longest), *momenta):
            torch._foreach_sub_(momenta, work.grads)
            torch._foreach_mul_(momenta, t / (t + 1))
            for group in work.groups:
                own, lr = [state["momentum_buffer"] for state in group.states], group.number("lr")
                torch._foreach_add_(group.params, own, alpha=lr)
                torch._foreach_add_(group.params, group.grads, alpha=-lr)
