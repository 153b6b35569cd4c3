"""A batch of linear models as one problem: gradients of every row in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from margin_lab.losses import log_loss_of_margins, loss_weights

# What the margins and weights of the runs that step together may take: of a processor's cache, of a GPU's memory.
_CACHE_BYTES = 2**20
_DEVICE_BYTES = 2**31


class LinearProblem:
    """Linear models: Z ``[S, n, d]`` and the batch of ``S * runs_each`` runs on it; ``reduction`` "mean" or "sum"."""

    shapes: Mapping[str, torch.Size] = {}

    def __init__(self, Z: Tensor, runs_each: int, loss: str, reduction: str = "mean"):
        self.Z, self.runs_each, self.loss, self.reduction = Z, runs_each, loss, reduction
        # what the log of the sum exceeds log L by; the mean's own correction near L = 1 would double the cost of what only
        # scales a step
        self._excess = math.log(Z.shape[1]) if reduction == "mean" else 0.0
        # -Z, so that no step changes a sign; of one dataset as a matrix, whose products cost less than a batch of one
        self._down = -Z[0] if len(Z) == 1 else -Z
        self._up = self._down.mT
        self._one_set, self._exponential = len(Z) == 1, loss == "exponential"

    def grouped(self, w: Tensor) -> Tensor:
        """``[S * H, ..., d]`` as ``[S, H * ..., d]``, to multiply with each dataset's rows."""
        return w.reshape(len(self.Z), -1, w.shape[-1])

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """In closed form, without autograd."""
        one_set, exponential = self._one_set, self._exponential
        minus_q = torch.mm(w, self._up) if one_set else self.grouped(w) @ self._up
        weights = torch.softmax(minus_q, -1) if exponential else loss_weights(-minus_q, self.loss)
        grad = torch.mm(weights, self._down) if one_set else (weights @ self._down).reshape(w.shape)
        if not needs_loss:
            return grad, None
        # steps use exp(log L), for which torch.logsumexp's absolute error is good enough
        total = (
            torch.logsumexp(minus_q, -1) if exponential else log_loss_of_margins(-minus_q, self.loss, "sum")
        )
        return grad, total.reshape(-1) - self._excess

    def part(self, rows: range) -> LinearProblem:
        """The same of the runs in ``rows``: of whole datasets, or all of one dataset."""
        Z = self.Z[rows.start // self.runs_each : (rows.stop - 1) // self.runs_each + 1]
        return LinearProblem(Z, len(rows) // len(Z), self.loss, self.reduction)

    def parts(self, at_once: int | None) -> list[range]:
        """All runs in parts of at most ``at_once``, each of whole datasets or of one; None: as many as fit the cache."""
        each, total = self.runs_each, len(self.Z) * self.runs_each
        if at_once is None:
            at_once = self._fitting()
        if at_once >= each:
            size = at_once // each * each
            return [range(b, min(b + size, total)) for b in range(0, total, size)]
        return [
            range(b, min(b + at_once, first + each))
            for first in range(0, total, each)
            for b in range(first, first + each, at_once)
        ]

    def _fitting(self) -> int:
        one, Z = self.Z.element_size() * sum(self.Z.shape[1:]), self.Z[0].numel() * self.Z.element_size()
        if self.Z.device.type != "cpu":
            return max(1, _DEVICE_BYTES // one)
        # a step reads Z once, whatever the number of rows: a large Z wants many of them
        return max(1, max(_CACHE_BYTES, 2 * Z) // one)
