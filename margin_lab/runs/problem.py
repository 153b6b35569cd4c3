"""A batch of runs: gradients of every row, and the loop that iterates an update on all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from margin_lab.losses import log_loss_of_margins, loss_weights
from margin_lab.runs.progress import progress

if TYPE_CHECKING:
    from margin_lab.runs.methods import Method

# (iteration, w [B, d]) -> nothing
Record = Callable[[int, Tensor], None]


class Problem:
    """What a batch of B runs trains: subclasses give the gradient of each row's ``log L``.

    Attributes:
        Z: signed rows ``[S, n, d]`` of linear models, which some methods need; networks have none.
        runs_each: how many runs share a dataset: ``B = S * runs_each``.
        loss: "exponential", "logistic" or "cross_entropy".
        shapes: of a network's named parameters, in the order in which w holds them; empty for linear models.
    """

    Z: Tensor
    runs_each: int
    loss: str
    shapes: Mapping[str, torch.Size] = {}

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """The gradient of ``log L`` ``[B, d]``, and ``log L`` ``[B]`` where it is needed."""
        raise NotImplementedError

    def iterate(
        self,
        w: Tensor,
        method: Method,
        h: Mapping[str, Any],
        steps: int,
        label: str,
        recorded: Iterable[int] = (),
        record: Record | None = None,
        diverged_at: list[int | None] | None = None,
        until_log_loss: float | None = None,
    ) -> tuple[Tensor, list[int | None]]:
        """Take ``steps`` steps, calling ``record`` at the ``recorded`` iterations.

        A row stays where it is from the step on that would leave the finite numbers (its iteration is returned), or once its
        ``log L`` is at most ``until_log_loss``.
        """
        update = method.update
        if update is None:
            raise TypeError("this method does not iterate on w; see runs.search")
        diverged_at = diverged_at or [None] * len(w)
        wanted = set(recorded)
        if record and 0 in wanted:
            record(0, w)
        if steps == 0:
            return w, diverged_at
        stopped = torch.tensor([t is not None for t in diverged_at], device=w.device)
        any_stopped = bool(stopped.any())
        needs_loss = method.needs_loss or until_log_loss is not None
        state = method.start(w, self, h)
        for t in progress(range(1, steps + 1), label):
            grad, log_loss = self.gradient(w, needs_loss) if method.needs_gradient else (None, None)
            if until_log_loss is not None and log_loss is not None:
                stopped = stopped | (log_loss <= until_log_loss)
                any_stopped = bool(stopped.any())
            # where all have stopped, only the records that are still wanted are left
            if not (any_stopped and bool(stopped.all())):
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
            if record and t in wanted:
                record(t, w)
        return w, diverged_at


class LinearProblem(Problem):
    """Linear models: Z ``[S, n, d]`` and the batch of ``S * runs_each`` runs on it; the **mean** loss."""

    def __init__(self, Z: Tensor, runs_each: int, loss: str):
        self.Z, self.runs_each, self.loss = Z, runs_each, loss

    def grouped(self, w: Tensor) -> Tensor:
        """``[S * H, ..., d]`` as ``[S, H * ..., d]``, to multiply with each dataset's rows."""
        return w.reshape(len(self.Z), -1, w.shape[-1])

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """In closed form, without autograd."""
        q = self.grouped(w) @ self.Z.mT
        grad = -(loss_weights(q, self.loss) @ self.Z).reshape(w.shape)
        if not needs_loss:
            return grad, None
        # the sum less log n: the mean's own correction near L = 1 would double the cost of what only scales a step
        return grad, log_loss_of_margins(q, self.loss).reshape(-1) - math.log(q.shape[-1])
