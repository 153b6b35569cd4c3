"""What a batch of linear runs measures at its recorded iterations."""

from __future__ import annotations

import torch
from torch import Tensor

from margin_lab.losses import log_loss_of_margins
from margin_lab.margins.normalized import linear_margin
from margin_lab.norms import Norm
from margin_lab.runs.linear.problem import LinearProblem

# Margins that are measured together, over records and runs.
_TOGETHER = 2**22


class LinearRecorder:
    """Margins, log losses and norms ``[B, T]`` of all runs, and their weights: ``[B, T, d]``, or the last ``[B, 1, d]``."""

    def __init__(self, problem: LinearProblem, recorded: list[int], measure: Norm, keep: str):
        runs, d = len(problem.Z) * problem.runs_each, problem.Z.shape[-1]
        self.measure, self.recorded, self.keep = measure, recorded, keep
        self.w = problem.Z.new_empty(runs, len(recorded) if keep == "all" else 1, d)
        self.margin, self.log_loss, self.norm = (
            problem.Z.new_empty(runs, len(recorded)) for _ in ("margin", "log loss", "norm")
        )

    def part(self, problem: LinearProblem, rows: range) -> LinearPart:
        """The recorder of those runs that step together."""
        return LinearPart(self, problem, slice(rows.start, rows.stop))


class LinearPart:
    """Records of some of the runs, measured several at a time."""

    def __init__(self, whole: LinearRecorder, problem: LinearProblem, rows: slice):
        self.whole, self.problem, self.rows = whole, problem, rows
        self.measured, self.waiting = 0, list[Tensor]()
        self.most = max(1, _TOGETHER // ((rows.stop - rows.start) * problem.Z.shape[1]))

    def __call__(self, t: int, w: Tensor) -> None:
        self.waiting.append(w)
        if len(self.waiting) == self.most:
            self.measure()

    def measure(self) -> None:
        """Measure what is waiting."""
        if not self.waiting:
            return
        whole, problem = self.whole, self.problem
        w = torch.stack(self.waiting, 1)
        times = slice(self.measured, self.measured + w.shape[1])
        if whole.keep == "all":
            whole.w[self.rows, times] = w
        else:
            whole.w[self.rows, 0] = w[:, -1]
        grouped = problem.grouped(w)
        q = grouped @ problem.Z.mT
        margin = linear_margin(grouped, problem.Z, whole.measure)
        whole.margin[self.rows, times] = margin.reshape(w.shape[:2])
        loss = log_loss_of_margins(q, problem.loss, problem.reduction)
        whole.log_loss[self.rows, times] = loss.reshape(w.shape[:2])
        whole.norm[self.rows, times] = whole.measure(w)
        self.measured, self.waiting = times.stop, []
