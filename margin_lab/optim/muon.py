"""Muon with the polar factor as an argument: momentum, then steepest descent in the spectral norm of every matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.norms.modular import Shape
from margin_lab.norms.spectral import Polar
from margin_lab.optim.adam import LARGEST, check_beta
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.polar import get_polar
from margin_lab.optim.steepest import own_norm


@dataclass
class MuonState:
    """Running mean of gradients ``[..., P]``, divided by ``e^frame``; ``frame [..., 1]``."""

    mean: Tensor
    frame: Tensor

    @classmethod
    def start(cls, w: Tensor) -> MuonState:
        return cls(torch.zeros_like(w), torch.full_like(w[..., :1], -torch.inf))


def muon_update(
    w: Tensor,
    grad: Tensor,
    log_loss: Any,
    lr: Any,
    state: MuonState,
    shapes: Mapping[str, Shape],
    momentum: Any = 0.95,
    nesterov: bool = True,
    polar: str | Polar = "newton-schulz",
    adjust: bool = False,
) -> Tensor:
    """``M <- mu M + (1 - mu) G``, ``W <- W - lr polar(M')``, with ``M' = mu M + (1 - mu) G`` (Nesterov) or ``M``.

    With ``momentum=0`` and the exact polar factor that is spectral descent. Vectors step by ``-lr m' / ||m'||_2``.

    Args:
        w, grad: ``[..., P]``, ``grad`` that of ``log L``; G is the gradient of L. log_loss: ``[...]`` or a number.
        shapes: ``{name: shape}`` of the layers in w. momentum: a number, or a tensor that broadcasts against ``[..., 1]``.
        adjust: multiply a matrix's step by ``sqrt(max(1, rows / columns))``, as ``torch.optim.Muon`` does. Its steps then have
            no longer one length in the modular norm.
    """
    log_loss = torch.as_tensor(log_loss, dtype=w.dtype, device=w.device)[..., None]
    mu = torch.as_tensor(momentum, dtype=w.dtype, device=w.device)
    frame = torch.maximum(log_loss, state.frame + torch.log(mu))
    g = torch.exp(log_loss - frame) * grad
    mean = mu * torch.exp((state.frame - frame).clamp_max(LARGEST)) * state.mean + (1 - mu) * g
    state.mean, state.frame = mean, frame
    direction = own_norm("modular", shapes, polar).direction(mu * mean + (1 - mu) * g if nesterov else mean)
    if adjust:
        direction = direction * _ratios(shapes, w)
    return w + lr * direction


def _ratios(shapes: Mapping[str, Shape], like: Tensor) -> Tensor:
    sizes = [torch.Size(shape).numel() for shape in shapes.values()]
    factors = [
        math.sqrt(max(1.0, shape[0] ** 2 / size)) if len(shape) > 1 else 1.0
        for shape, size in zip(shapes.values(), sizes, strict=True)
    ]
    return like.new_tensor(factors).repeat_interleave(torch.tensor(sizes, device=like.device))


class Muon(LogLossOptimizer):
    """Muon on L in the dtype of its parameters, with any polar factor, stepping on gradients of ``log L``.

    ``torch.optim.Muon`` is the one to train large networks with; it computes its five Newton-Schulz steps in bfloat16, whose
    rounding hides what this one is made to show. Its ``step`` takes a closure.

    Args:
        params: parameters or groups. lr: > 0. momentum: in [0, 1). nesterov, adjust: see :func:`muon_update`.
        polar: "newton-schulz" (five steps), "exact", "convergent" or a function.

    Raises:
        ValueError: a value outside its range, an unknown polar factor.

    Source: Jordan et al. 2024 (Muon).
    """

    needs_loss = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        polar: str | Polar = "newton-schulz",
        adjust: bool = False,
    ):
        self.momentum = check_beta(momentum, "momentum")
        get_polar(polar)
        self.nesterov, self.polar, self.adjust = bool(nesterov), polar, bool(adjust)
        super().__init__(params, lr)

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """One step of :func:`muon_update`."""
        mean = MuonState(**state) if state else MuonState.start(w)
        params = [p for group in self.param_groups for p in group["params"]]
        shapes = {f"parameter {i}": tuple(p.shape) for i, p in enumerate(params)}
        new = muon_update(
            w, grad, log_loss, lr, mean, shapes, self.momentum, self.nesterov, self.polar, self.adjust
        )
        state.update(mean=mean.mean, frame=mean.frame)
        return new
