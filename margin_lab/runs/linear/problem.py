"""A batch of linear models as one problem: gradients of every row in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from margin_lab.losses import log_loss_of_margins, loss_weights


class LinearProblem:
    """Linear models: Z ``[S, n, d]`` and the batch of ``S * runs_each`` runs on it; ``reduction`` "mean" or "sum"."""

    shapes: Mapping[str, torch.Size] = {}

    def __init__(self, Z: Tensor, runs_each: int, loss: str, reduction: str = "mean"):
        self.Z, self.runs_each, self.loss, self.reduction = Z, runs_each, loss, reduction
        # what the log of the sum exceeds log L by; the mean's own correction near L = 1 would double the cost of what only
        # scales a step
        self.excess = math.log(Z.shape[1]) if reduction == "mean" else 0.0

    def grouped(self, w: Tensor) -> Tensor:
        """``[S * H, ..., d]`` as ``[S, H * ..., d]``, to multiply with each dataset's rows."""
        return w.reshape(len(self.Z), -1, w.shape[-1])

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """In closed form, without autograd."""
        q = self.grouped(w) @ self.Z.mT
        grad = -(loss_weights(q, self.loss) @ self.Z).reshape(w.shape)
        if not needs_loss:
            return grad, None
        return grad, log_loss_of_margins(q, self.loss, "sum").reshape(-1) - self.excess
