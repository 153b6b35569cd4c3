"""What full-batch runs of networks return: one run, or many side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from margin_lab.checks import as_tensor
from margin_lab.losses import inverse_link
from margin_lab.models import model_with
from margin_lab.results import Batch
from margin_lab.results.base import as_numpy
from margin_lab.results.text import pairs
from margin_lab.runs.template import OfNetwork, needs_template

# What has no batch axis.
_COMMON = ("method", "steps", "loss", "reduction", "samples", "degree", "template")


@dataclass(frozen=True, eq=False, repr=False)
class NetworkResult(OfNetwork):
    """What one run and many have in common; see :class:`NetworkRun` and :class:`NetworkSweep`."""

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

    _x, _y, _left_out = "step", "log_loss", ("template",)

    def smoothed(self, norm: str = "l2") -> Any:
        """Smoothed margins ``g(log 1/L) / ||theta||^degree`` of the **summed** loss (Theorem 4.1 of Lyu & Li): meaningful where
        it is below its threshold.

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

    def _size(self) -> str:
        name = "a network" if self.template is None else type(self.template).__name__
        return f"{name}, {int(self.steps[-1])} steps"


@dataclass(frozen=True, eq=False, repr=False)
class NetworkRun(NetworkResult):
    """One full-batch run of one network; arrays are of the data's type.

    Attributes:
        method: name. settings: of this run. steps: ``[T]`` recorded iterations.
        log_loss: ``[T]`` natural log of the mean loss (or of the sum: ``reduction``).
        q_min: ``[T]`` smallest margin on the training data.
        accuracy, test_accuracy: ``[T]``, the share with a positive margin; the second is None without test data.
        norms: ``{name: [T]}`` of all trained parameters as one vector.
        margins: ``{name: [T]}`` normalised margins ``q_min / ||theta||^degree``; empty for a model that is not homogeneous.
        theta: ``[P]`` at the end. history: ``[T, P]`` with ``keep="all"``, else None.
        loss, reduction, samples, degree: as trained, on how many samples; degree is None for a model that is not homogeneous.
        status: "finished", "stopped" (at ``until_log_loss``) or "diverged". diverged_at: the iteration, or None.
        template: the architecture, with the constants that were not trained.
    """

    def model(self, at: int | None = None) -> nn.Module:
        """The network at the end, or at record ``at``, which needs ``keep="all"``.

        Raises:
            ValueError: a trajectory that was not kept, or a run read from a file without its network.
        """
        if at is not None and self.history is None:
            raise ValueError('the trajectory was not kept; run with keep="all"')
        theta = self.theta if at is None else self.history[at]
        return model_with(needs_template(self.template), as_tensor(theta, "theta"))

    def table(self) -> dict[str, np.ndarray]:
        """Records: step, log_loss, q_min, accuracy, test_accuracy, and norm and margin in every recorded norm."""
        columns = {name: getattr(self, name) for name in ("log_loss", "q_min", "accuracy", "test_accuracy")}
        columns |= {f"norm_{name}": values for name, values in self.norms.items()}
        columns |= {f"margin_{name}": values for name, values in self.margins.items()}
        kept = {name: as_numpy(values) for name, values in columns.items() if values is not None}
        return {"step": as_numpy(self.steps), **kept}

    def _title(self) -> str:
        return (
            f"NetworkRun({self.method}, {pairs(self.settings)}: {self._size()}, {self.status}, "
            f"log loss {float(self.log_loss[-1]):.6g})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class NetworkSweep(Batch[NetworkRun], NetworkResult):
    """Runs of one method on one architecture, side by side: attributes as :class:`NetworkRun` with a batch axis first.

    ``len(sweep)`` is B, ``sweep[i]`` one :class:`NetworkRun`, ``sweep[:2]`` a NetworkSweep of two; iterating gives all runs.
    ``settings``, ``status`` and ``diverged_at`` are lists; ``steps [T]``, ``loss``, ``reduction``, ``samples``, ``degree``
    and ``template`` are common.
    """

    _group = "run"
    _common, _run = _COMMON, NetworkRun

    def model(self, i: int, at: int | None = None) -> nn.Module:
        """The network of run ``i`` at its end, or at record ``at``, which needs ``keep="all"``."""
        return self._one(range(len(self))[i]).model(at)

    def _title(self) -> str:
        return f"NetworkSweep({self.method}: {len(self)} runs of {self._size()})"
