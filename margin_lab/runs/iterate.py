"""The loop that iterates a method's update on every row of a batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from margin_lab.runs.method import Method, Problem
from margin_lab.runs.progress import progress

# (iteration, w [B, d]) -> nothing
Record = Callable[[int, Tensor], None]
# Steps between two looks for infinities, where one look is enough. Making a block again costs as much as making it.
BLOCK = 64


@torch.no_grad()
def iterate(
    problem: Problem,
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
    ``log L`` is at most ``until_log_loss``. Where a method is absorbing, a block of steps is made blindly; if a row has left the
    finite numbers at its end, or the update raised, the block is made again with a look at every step.
    """
    if method.update is None:
        raise TypeError("this method does not iterate on w; see runs.linear.search_rows")
    wanted = frozenset(recorded) if record else frozenset()
    if record and 0 in wanted:
        record(0, w)
    loop = _Loop(problem, method, h, w, wanted, record, diverged_at, until_log_loss)
    if steps == 0:
        return w, loop.diverged_at
    loop.state = method.start(w, problem, h)
    for begin in progress(range(0, steps, BLOCK), label):
        times = range(begin + 1, min(begin + BLOCK, steps) + 1)
        if loop.watched or not loop.blindly(times):
            loop.looking(times)
    return loop.w, loop.diverged_at


class _Loop:
    """Where the batch stands: its weights, its state, which rows have stopped."""

    state: Any

    def __init__(
        self,
        problem: Problem,
        method: Method,
        h: Mapping[str, Any],
        w: Tensor,
        wanted: frozenset[int],
        record: Record | None,
        diverged_at: list[int | None] | None,
        until_log_loss: float | None,
    ):
        self.problem, self.method, self.h, self.w = problem, method, h, w
        self.wanted, self.record, self.until = wanted, record, until_log_loss
        self.diverged_at = list(diverged_at or [None] * len(w))
        self.stopped = torch.tensor([t is not None for t in self.diverged_at], device=w.device)
        self.any_stopped = bool(self.stopped.any())
        self.watched = not (method.absorbing and method.needs_gradient) or until_log_loss is not None
        self.needs_loss = method.needs_loss or until_log_loss is not None

    def blindly(self, times: range) -> bool:
        """Make a block of steps with one look at its end; False, and all as it was, where that look finds something."""
        if self.any_stopped and bool(self.stopped.all()):
            return False
        update, gradient, h = self.method.update, self.problem.gradient, self.h
        assert update is not None
        w, state, kept = self.w, copy.deepcopy(self.state), []
        try:
            for t in times:
                grad, log_loss = gradient(w, self.needs_loss)
                w = update(w, grad, log_loss, h, state)
                if t in self.wanted:
                    kept.append((t, w))
        except Exception:
            # of a row that has left the finite numbers, or the caller's own: the other loop meets it again, in its own step
            return False
        w = self._held(w)
        if not math.isfinite(w.sum().item()):
            return False
        kept = [(t, self._held(recorded)) for t, recorded in kept]
        self.w, self.state = w, state
        for t, recorded in kept:
            self._keep(t, recorded)
        return True

    def looking(self, times: range) -> None:
        """Make a block of steps with a look at each."""
        update, method = self.method.update, self.method
        assert update is not None
        for t in times:
            grad, log_loss = (
                self.problem.gradient(self.w, self.needs_loss) if method.needs_gradient else (None, None)
            )
            if self.until is not None and log_loss is not None:
                self._stop(log_loss <= self.until)
            # where all have stopped, only the records that are still wanted are left
            if not (self.any_stopped and bool(self.stopped.all())):
                new = self._held(update(self.w, grad, log_loss, self.h, self.state))
                # one cheap look at the sum; only a suspicious one is looked at row by row
                if not math.isfinite(new.sum().item()):
                    bad = ~torch.isfinite(new).all(-1)
                    for b in bad.nonzero()[:, 0].tolist():
                        self.diverged_at[b] = t
                    # stopped for good: the next step of a row that has a state could be finite again
                    self._stop(bad)
                    new = self._held(new)
                self.w = new
            if t in self.wanted:
                self._keep(t, self.w)

    def _stop(self, rows: Tensor) -> None:
        self.stopped = self.stopped | rows
        self.any_stopped = bool(self.stopped.any())

    def _held(self, new: Tensor) -> Tensor:
        """``new``, and the old weights where a row has stopped."""
        return torch.where(self.stopped[:, None], self.w, new) if self.any_stopped else new

    def _keep(self, t: int, w: Tensor) -> None:
        if self.record is not None:
            self.record(t, w)
