"""The loop that iterates a method's update on every row of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from margin_lab.runs.method import Method, Problem
from margin_lab.runs.progress import progress

# (iteration, w [B, d]) -> nothing
Record = Callable[[int, Tensor], None]


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
    ``log L`` is at most ``until_log_loss``.
    """
    update = method.update
    if update is None:
        raise TypeError("this method does not iterate on w; see runs.linear.search_rows")
    diverged_at = diverged_at or [None] * len(w)
    wanted = set(recorded)
    if record and 0 in wanted:
        record(0, w)
    if steps == 0:
        return w, diverged_at
    stopped = torch.tensor([t is not None for t in diverged_at], device=w.device)
    any_stopped = bool(stopped.any())
    needs_loss = method.needs_loss or until_log_loss is not None
    state = method.start(w, problem, h)
    for t in progress(range(1, steps + 1), label):
        grad, log_loss = problem.gradient(w, needs_loss) if method.needs_gradient else (None, None)
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
