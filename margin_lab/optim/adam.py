"""Adam in the frame of ``log L``: the same steps as ``torch.optim.Adam``, at any loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import nonnegative
from margin_lab.optim.base import LogLossOptimizer

# With b2 = 0 a loss may fall by more than float64's range in one step; what is multiplied by 0 then must not be inf.
LARGEST = 300.0


@dataclass
class AdamState:
    """Means of gradients ``[..., P]`` (over ``e^frame``), of their squares (over ``e^(2 frame)``); ``frame [..., 1]``; steps."""

    m: Tensor
    v: Tensor
    frame: Tensor
    t: int = 0

    @classmethod
    def start(cls, w: Tensor) -> AdamState:
        return cls(torch.zeros_like(w), torch.zeros_like(w), torch.full_like(w[..., :1], -torch.inf))


def adam_update(
    w: Tensor,
    grad: Tensor,
    log_loss: Any,
    lr: Any,
    state: AdamState,
    beta1: Any = 0.9,
    beta2: Any = 0.999,
    eps: Any = 1e-8,
) -> Tensor:
    """One step on L: ``m <- b1 m + (1 - b1) g``, ``v <- b2 v + (1 - b2) g^2``, ``w <- w - lr m_hat / (sqrt(v_hat) + eps)``.

    Args:
        w, grad: ``[..., P]``; ``grad`` is that of ``log L``, so ``g = L * grad``. log_loss: ``[...]`` or a number.
        lr, beta1, beta2, eps: numbers, or tensors that broadcast against ``w``. Where ``sqrt(v_hat) + eps`` is 0, so is the step.

    ``eps`` is compared with gradients of L itself: Adam slows down where they fall below ``eps``; with ``eps=0`` it never does.
    """
    log_loss = torch.as_tensor(log_loss, dtype=w.dtype, device=w.device)[..., None]
    b1, b2, eps = (torch.as_tensor(v, dtype=w.dtype, device=w.device) for v in (beta1, beta2, eps))
    # sqrt(v) cannot shrink faster than by sqrt(b2) a step: in this frame it neither under- nor overflows, however fast L falls
    frame = torch.maximum(log_loss, state.frame + 0.5 * torch.log(b2))
    shift = torch.exp((state.frame - frame).clamp_max(LARGEST))
    g = torch.exp(log_loss - frame) * grad
    state.m = b1 * shift * state.m + (1 - b1) * g
    state.v = b2 * shift**2 * state.v + (1 - b2) * g**2
    state.frame, state.t = frame, state.t + 1
    # eps / e^frame as one exponential: inf far below eps, where the step is 0, and 0 (not nan) for eps = 0
    size = (state.v / (1 - b2**state.t)).sqrt() + torch.exp(torch.log(eps) - frame)
    m = state.m / (1 - b1**state.t)
    return w - lr * torch.where(size > 0, m / torch.where(size > 0, size, torch.ones_like(size)), 0.0)


class Adam(LogLossOptimizer):
    """Adam on L, stepping on gradients of ``log L``: equal to ``torch.optim.Adam`` while L does not underflow, and right below.

    Use ``torch.optim.Adam`` where the loss stays above 1e-300.

    Args:
        params: parameters or groups. lr: > 0. beta1, beta2: in [0, 1). eps: >= 0.

    Raises:
        ValueError: a value outside its range.

    Source: Kingma & Ba 2015, Algorithm 1.
    """

    needs_loss = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ):
        self.beta1, self.beta2 = check_beta(beta1, "beta1"), check_beta(beta2, "beta2")
        self.eps = nonnegative(eps, "eps")
        super().__init__(params, lr)

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """One step of :func:`adam_update`."""
        moments = AdamState(**state) if state else AdamState.start(w)
        new = adam_update(w, grad, log_loss, lr, moments, self.beta1, self.beta2, self.eps)
        state.update(m=moments.m, v=moments.v, frame=moments.frame, t=moments.t)
        return new


def check_beta(value: Any, name: str) -> Any:
    """Return ``value``; raise ValueError unless 0 <= value < 1."""
    nonnegative(value, name)
    if value >= 1:
        raise ValueError(f"{name} must be below 1, got {value!r}; at 1 no new gradient would count")
    return value
