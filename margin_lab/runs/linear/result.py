"""What a run returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from margin_lab.results import Batch, Result
from margin_lab.results.base import as_numpy
from margin_lab.results.text import pairs

# What has no batch axis.
_COMMON = ("method", "steps", "norm_name", "reduction")


@dataclass(frozen=True, eq=False, repr=False)
class Run(Result):
    """The recorded trajectory of one run; arrays are of the data's type (NumPy or tensor).

    Attributes:
        method: name. settings: hyperparameters of this run.
        steps: ``[T]`` recorded iterations, from 0 (the start, after any warm-up); the last step is always there.
        w: ``[T, d]``. margin: ``[T]``, normalised, in the norm ``norm``; 0 at ``w = 0``.
        log_loss: ``[T]`` natural log of the mean loss (or of the sum: ``reduction``). norm: ``[T]`` length of w in the same norm.
        norm_name: which norm. status: "finished" or "diverged"; for "certified" runs "certified", "limit" (out of steps),
            "rounding floor" or "not separable".
        diverged_at: the iteration whose result was not finite (0: one of the warm-up), or None; records from there on
            repeat the last finite w.
        upper_bound: ``[T]`` best certificate ``||Z^T q||_dual >= gamma*`` so far, and dual: ``[n]`` the weights q of the
            last one; only for "certified" runs, whose ``w`` is the best certified direction so far.
    """

    method: str
    settings: dict[str, Any]
    steps: Any
    w: Any
    margin: Any
    log_loss: Any
    norm: Any
    norm_name: str
    status: str = "finished"
    diverged_at: int | None = None
    upper_bound: Any = None
    dual: Any = None
    reduction: str = "mean"

    _y = "margin"

    def _title(self) -> str:
        return (
            f"Run({self.method}, {pairs(self.settings)}: {self.status} at step {int(self.steps[-1])}, "
            f"{self.norm_name} margin {float(self.margin[-1]):.6g}, log loss {float(self.log_loss[-1]):.6g})"
        )

    def table(self) -> dict[str, np.ndarray]:
        """Records: step, margin, log_loss, norm, and upper_bound of "certified" runs."""
        columns = {name: as_numpy(getattr(self, name)) for name in ("margin", "log_loss", "norm")}
        if self.upper_bound is not None:
            columns["upper_bound"] = as_numpy(self.upper_bound)
        return {"step": as_numpy(self.steps), **columns}


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Batch[Run], Result):
    """Runs of one method side by side, computed as one batch: attributes as :class:`Run` with a batch axis first.

    ``len(sweep)`` is B, ``sweep[i]`` one :class:`Run`, ``sweep[:2]`` a Sweep of two; iterating gives all runs. ``settings[i]``
    says what varied; ``status[i]`` and ``diverged_at[i]`` how each ended; ``steps [T]`` is common.
    """

    method: str
    settings: list[dict[str, Any]]
    steps: Any
    w: Any
    margin: Any
    log_loss: Any
    norm: Any
    norm_name: str
    status: list[str]
    diverged_at: list[int | None]
    upper_bound: Any = None
    dual: Any = None
    reduction: str = "mean"

    _x, _y, _group = "step", "margin", "run"
    _common, _run = _COMMON, Run

    def _title(self) -> str:
        return f"Sweep({self.method}: {len(self)} runs of {int(self.steps[-1])} steps)"
