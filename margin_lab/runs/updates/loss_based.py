"""Lyu & Li's loss-based learning rate, full batch, on a batch of runs: every step is kept or taken back, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.runs.method import Problem


@dataclass
class RollBack:
    """The last kept point of each row: ``w`` and ``grad log L [B, d]``, ``log L [B]``, and the factor ``[B, 1]`` on ``lr``."""

    w: Tensor
    grad: Tensor
    log_loss: Tensor
    factor: Tensor

    @classmethod
    def start(cls, w: Tensor, problem: Problem, h: Mapping[str, Any]) -> RollBack:
        # the first point is kept, whatever its loss, and that brings the factor to 1
        return cls(w, torch.zeros_like(w), w.new_full((len(w),), torch.inf), 1 / h["up"])


def loss_based(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: RollBack) -> Tensor:
    """One gradient evaluation of :class:`margin_lab.optim.LossBasedLR` around full-batch gradient descent.

    ``w`` is a trial step. Where the loss did not rise it is kept and the rate grows by ``up``, else the row goes back and its
    rate shrinks by ``down``; then the next trial, ``w - lr factor grad log L`` from the last kept point. The loss that judges a
    trial comes with the gradient of the next one, so that no pass over the data is spent on it. What is recorded are the trials.
    """
    kept = log_loss <= state.log_loss
    state.log_loss = torch.where(kept, log_loss, state.log_loss)
    state.w, state.grad = (
        torch.where(kept[:, None], new, old) for new, old in ((w, state.w), (grad, state.grad))
    )
    state.factor = torch.where(kept[:, None], state.factor * h["up"], state.factor / h["down"])
    return state.w - h["lr"] * state.factor * state.grad
