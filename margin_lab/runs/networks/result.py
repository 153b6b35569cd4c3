"""What batched runs of networks return."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from torch import nn

from margin_lab.checks import as_tensor
from margin_lab.losses import inverse_link
from margin_lab.models import model_with

# What has no batch axis.
_COMMON = ("method", "steps", "loss", "reduction", "samples", "degree", "template")


@dataclass(frozen=True)
class NetworkSweep:
    """Runs of one method on one architecture, side by side; one run has no batch axis. Arrays are of the data's type.

    ``sweep[i]`` is one run, iterating gives all; ``len(sweep)`` is B.

    Attributes:
        method: name. settings: of each run. steps: ``[T]`` recorded iterations.
        log_loss: ``[B, T]`` natural log of the mean loss (or of the sum: ``reduction``).
        q_min: ``[B, T]`` smallest margin on the training data.
        accuracy, test_accuracy: ``[B, T]``, the share with a positive margin; the second is None without test data.
        norms: ``{name: [B, T]}`` of all trained parameters as one vector.
        margins: ``{name: [B, T]}`` normalised margins ``q_min / ||theta||^degree``; empty for a model that is not homogeneous.
        theta: ``[B, P]`` at the end. history: ``[B, T, P]`` with ``keep="all"``, else None.
        loss, reduction, samples, degree: as trained, on how many samples; degree is None for a model that is not homogeneous.
        status: "finished", "stopped" (at ``until_log_loss``) or "diverged". diverged_at: the iteration, or None.
        template: the architecture, with the constants that were not trained.
    """

    method: str
    settings: Any
    steps: Any
    log_loss: Any
    q_min: Any
    accuracy: Any
    test_accuracy: Any
    norms: dict[str, Any]
    margins: dict[str, Any]
    theta: Any
    history: Any
    loss: str
    reduction: str
    samples: int
    degree: float | None
    status: Any
    diverged_at: Any
    template: nn.Module

    def smoothed(self, norm: str = "l2") -> Any:
        """Smoothed margins ``g(log 1/L) / ||theta||^degree`` ``[B, T]`` of the **summed** loss, as in Theorem 4.1 of Lyu & Li:
        meaningful where it is below its threshold.

        Raises:
            ValueError: a norm that was not recorded, or a model that is not homogeneous.
        """
        if norm not in self.margins:
            raise ValueError(f"no margins in {norm!r} were recorded, only in {list(self.margins)}")
        link = "exponential" if self.loss == "exponential" else "logistic"
        total = as_tensor(self.log_loss, "log_loss") + (
            math.log(self.samples) if self.reduction == "mean" else 0
        )
        z: Any = inverse_link(-total, link)
        return (z.numpy() if isinstance(self.log_loss, np.ndarray) else z) / self.norms[norm] ** self.degree

    def model(self, i: int | None = None, at: int | None = None) -> nn.Module:
        """The network of run ``i`` (none for a single run) at its end, or at record ``at``, which needs ``keep="all"``."""
        run = self if i is None else self[i]
        if at is not None and run.history is None:
            raise ValueError('the trajectory was not kept; run with keep="all"')
        theta = run.theta if at is None else run.history[at]
        return model_with(self.template, as_tensor(theta, "theta"))

    def __len__(self) -> int:
        return len(self.settings)

    def __getitem__(self, i: int) -> NetworkSweep:
        def row(value: Any) -> Any:
            return {k: v[i] for k, v in value.items()} if isinstance(value, dict) else value[i]

        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _COMMON}
        rows: dict[str, Any] = {name: None if part is None else row(part) for name, part in parts.items()}
        return replace(self, **rows)

    def __iter__(self) -> Iterator[NetworkSweep]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        runs = f"{len(self)} runs" if isinstance(self.settings, list) else f"1 run, {self.status}"
        return f"NetworkSweep({self.method}: {runs} of {type(self.template).__name__}, {int(self.steps[-1])} steps)"
