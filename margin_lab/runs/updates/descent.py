"""Descent along the gradient, however long the step: GD, momentum, normalised and accelerated descent, PRGD."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.optim.dual import DualState, dual_update
from margin_lab.optim.normalized import normalized_update
from margin_lab.optim.prgd import PRGDState, ball_norm, prgd_update
from margin_lab.runs.method import Problem


def gd(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Any) -> Tensor:
    """Gradient descent on L."""
    return w - h["lr"] * torch.exp(log_loss)[:, None] * grad


@dataclass
class Form:
    """Which rows are normalised by their loss ``[B, 1]``, the others by their gradient; None where all rows are by the loss."""

    by_loss: Tensor | None

    @classmethod
    def start(cls, w: Tensor, problem: Problem, h: Mapping[str, Any]) -> Form:
        by_loss = [form == "loss" for form in h["form"]]
        return cls(None if all(by_loss) else torch.tensor(by_loss, device=w.device)[:, None])


def ngd(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Form) -> Tensor:
    """Normalised descent, loss- or gradient-normalised row by row."""
    if state.by_loss is None:
        return w - h["lr"] * grad
    return torch.where(
        state.by_loss,
        normalized_update(w, grad, h["lr"], "loss"),
        normalized_update(w, grad, h["lr"], "gradient"),
    )


@dataclass
class Momentum:
    """The heavy ball's velocity ``[B, d]``."""

    velocity: Tensor

    @classmethod
    def start(cls, w: Tensor, problem: Problem, h: Mapping[str, Any]) -> Momentum:
        return cls(torch.zeros_like(w))


def momentum(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Momentum) -> Tensor:
    """Heavy ball on L as in ``torch.optim.SGD``: ``v <- momentum v + grad L``, ``w <- w - lr v``."""
    state.velocity = h["momentum"] * state.velocity + torch.exp(log_loss)[:, None] * grad
    return w - h["lr"] * state.velocity


def nacson(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: dict[str, int]) -> Tensor:
    """Gradient-normalised descent with step ``lr / sqrt(t + 1)`` (Nacson et al. 2019)."""
    state["t"] = state.get("t", 0) + 1
    return normalized_update(w, grad, h["lr"] / math.sqrt(state["t"]), "gradient")


@dataclass
class Dual:
    """Each row's step ``[B, 1]``, at most ``lr / max ||x_i||^2``, and its momentum."""

    step: Tensor
    momentum: DualState

    @classmethod
    def start(cls, w: Tensor, problem: Problem, h: Mapping[str, Any]) -> Dual:
        longest = torch.linalg.vector_norm(problem.Z, dim=-1).amax(-1).repeat_interleave(problem.runs_each)
        return cls(h["lr"] / longest[:, None].clamp_min(1) ** 2, DualState(torch.zeros_like(w)))


def dual(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Dual) -> Tensor:
    """Dual acceleration; the guarantee needs ``||x_i|| <= 1`` (rounding aside), or a step of ``lr / max ||x_i||^2``."""
    return dual_update(w, grad, state.step, state.momentum)


def prgd(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: PRGDState) -> Tensor:
    """Progressive rescaling, each row on its own schedule."""
    norm = ball_norm(h["norm"][0])
    return prgd_update(w, grad, h["lr"], state, h["radii"], h["period"], norm, h["decay"])


def start_prgd(w: Tensor, problem: Problem, h: Mapping[str, Any]) -> PRGDState:
    """At the start of the first cycle; the blocks of a linear model are one."""
    split = h["blocks"][0] == "tensors" and problem.shapes
    sizes = [shape.numel() for shape in problem.shapes.values()] if split else None
    return PRGDState.start(w, ball_norm(h["norm"][0]), sizes)
