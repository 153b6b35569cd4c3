"""A batch of linear runs: its data, its gradients, and the loop that iterates an update."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from margin_lab.losses import log_loss_of_margins, loss_weights
from margin_lab.runs.progress import progress

if TYPE_CHECKING:
    from margin_lab.runs.methods import Method


class Problem:
    """Z ``[S, n, d]`` and the batch of ``S * H`` runs on it."""

    def __init__(self, Z: Tensor, runs_each: int, loss: str):
        self.Z, self.runs_each, self.loss = Z, runs_each, loss

    def grouped(self, w: Tensor) -> Tensor:
        """``[S * H, ..., d]`` as ``[S, H * ..., d]``, to multiply with each dataset's rows."""
        return w.reshape(len(self.Z), -1, w.shape[-1])

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """The gradient of ``log`` of the mean loss ``[B, d]``, and that log ``[B]`` where it is needed."""
        q = self.grouped(w) @ self.Z.mT
        grad = -(loss_weights(q, self.loss) @ self.Z).reshape(w.shape)
        if not needs_loss:
            return grad, None
        # the sum less log n: the mean's own correction near L = 1 would double the cost of what only scales a step
        return grad, log_loss_of_margins(q, self.loss).reshape(-1) - math.log(q.shape[-1])

    def iterate(
        self,
        w: Tensor,
        method: Method,
        h: Mapping[str, Any],
        steps: int,
        out: tuple[list[int], Tensor] | None,
        label: str,
        diverged_at: list[int | None] | None = None,
    ) -> tuple[Tensor, list[int | None]]:
        """Take ``steps`` steps, filling ``out = (iterations, history [B, T, d])``; a diverged row stays at its last finite w."""
        update = method.update
        if update is None:
            raise TypeError("this method does not iterate on w; see runs.search")
        diverged_at = diverged_at or [None] * len(w)
        if steps == 0 and out is None:
            return w, diverged_at
        stopped = torch.tensor([t is not None for t in diverged_at], device=w.device)
        any_stopped = bool(stopped.any())
        state = method.start(w, self, h) if steps else None
        slots = {t: i for i, t in enumerate(out[0])} if out else {}
        if out and 0 in slots:
            out[1][:, slots[0]] = w
        for t in progress(range(1, steps + 1), label):
            grad, log_loss = self.gradient(w, method.needs_loss) if method.needs_gradient else (None, None)
            new = update(w, grad, log_loss, h, state)
            # one cheap look at the sum; only a suspicious one is looked at row by row
            if any_stopped or not math.isfinite(new.sum().item()):
                bad = ~torch.isfinite(new).all(-1) & ~stopped
                for b in bad.nonzero()[:, 0].tolist():
                    diverged_at[b], any_stopped = t, True
                # stopped for good: the next step of a row that has a state could be finite again
                stopped = stopped | bad
                new = torch.where(stopped[:, None], w, new)
            w = new
            if out and t in slots:
                out[1][:, slots[t]] = w
        return w, diverged_at
