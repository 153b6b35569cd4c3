"""What a run returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
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

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v}" for k, v in self.settings.items())
        return (
            f"Run({self.method}, {settings}: {self.status} at step {int(self.steps[-1])}, "
            f"{self.norm_name} margin {float(self.margin[-1]):.6g}, log loss {float(self.log_loss[-1]):.6g})"
        )


@dataclass(frozen=True)
class Sweep:
    """Runs of one method side by side, computed as one batch: attributes as :class:`Run` with a batch axis first.

    ``sweep[i]`` is one :class:`Run`; iterating gives all; ``settings[i]`` says what varied; ``status[i]`` and
    ``diverged_at[i]`` how each ended; ``steps [T]`` is common.
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

    def __len__(self) -> int:
        return len(self.settings)

    def __getitem__(self, i: int) -> Run:
        return Run(
            self.method,
            self.settings[i],
            self.steps,
            self.w[i],
            self.margin[i],
            self.log_loss[i],
            self.norm[i],
            self.norm_name,
            self.status[i],
            self.diverged_at[i],
            None if self.upper_bound is None else self.upper_bound[i],
            None if self.dual is None else self.dual[i],
            self.reduction,
        )

    def __iter__(self) -> Iterator[Run]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Sweep({self.method}: {len(self)} runs of {int(self.steps[-1])} steps)"
