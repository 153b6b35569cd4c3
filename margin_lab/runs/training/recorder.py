"""What training measures, and when: log-spaced in epochs, and at the first epoch below each level of the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.losses import log10_of, log_of
from margin_lab.models import Network, flat_parameters
from margin_lab.models.buffers import copy_buffers
from margin_lab.models.private import trained_parameters
from margin_lab.runs.training.result import COLUMNS, Snapshot

# Records per decade of epochs, and per decade of log10(1/L).
_PER_DECADE = 40


class TrainingRecorder:
    """Keeps the rows of a run and the snapshots asked for; its state goes into checkpoints."""

    def __init__(self, model: nn.Module, powers: Sequence[float]):
        self.model = model
        self.powers = sorted((float(p) for p in powers), reverse=True)
        self.rows: dict[str, list[float]] = {name: [] for name in COLUMNS}
        self.layers: dict[str, list[float]] = {name: [] for name in _layers(model)}
        self.snapshots: dict[float, Snapshot] = {}
        self.level = 0

    def wanted(self, epoch: int, log_loss: float) -> bool:
        """Whether this epoch is recorded: by its number alone, or because the loss went below a new level or threshold."""
        log10 = log10_of(log_loss)
        # an infinite loss is no level: log L = -inf where a naive loss has underflowed
        level = math.floor(_PER_DECADE * math.log10(-log10)) if -math.inf < log10 < -1 else 0
        new_level = level > self.level
        self.level = max(level, self.level)
        return new_level or bool(self._crossed(log_loss)) or epoch == 0 or _on_grid(epoch)

    @torch.no_grad()
    def record(self, epoch: int, log_loss: float, q: Tensor, **others: float) -> None:
        """Add a row, unless the last one is of this epoch, and the snapshots that are due.

        Raises:
            ValueError: a value that is no column, or a column without a value.
        """
        if self.rows["epochs"] and self.rows["epochs"][-1] == epoch:
            return
        squares = {
            name: float(p.double().square().sum()) for name, p in trained_parameters(self.model).items()
        }
        row = {
            "epochs": float(epoch),
            "log_loss": log_loss,
            "q_min": float(q.min()),
            "accuracy": float((q > 0).double().mean()),
            "norm": math.sqrt(sum(squares.values())),
            **others,
        }
        if row.keys() != self.rows.keys():
            raise ValueError(
                f"a row holds {sorted(row)}, but the columns of a Training are {sorted(self.rows)}; declare a new one there"
            )
        for name, value in row.items():
            self.rows[name].append(float(value))
        for name, parameters in _layers(self.model).items():
            total = sum(float(p.double().square().sum()) for p in parameters)
            self.layers[name].append(math.sqrt(total))
        for power in self._crossed(log_loss):
            theta, buffers = flat_parameters(self.model).cpu(), on_cpu(copy_buffers(self.model))
            self.snapshots[power] = Snapshot(power, epoch, log_loss, theta, buffers)

    def _crossed(self, log_loss: float) -> list[float]:
        """Thresholds that the loss is below for the first time; an underflowed loss of 0 is below none."""
        return [p for p in self.powers if p not in self.snapshots and -math.inf < log_loss < log_of(p)]

    def state_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and tensors."""
        return {
            "rows": {k: list(v) for k, v in self.rows.items()},
            "layers": {k: list(v) for k, v in self.layers.items()},
            "level": self.level,
            "snapshots": [
                (s.power, s.epoch, s.log_loss, s.theta, s.buffers) for s in self.snapshots.values()
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self.rows, self.layers, self.level = state["rows"], state["layers"], state["level"]
        self.snapshots = {power: Snapshot(power, *rest) for power, *rest in state["snapshots"]}


def on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors on the CPU."""
    return {name: t.cpu() for name, t in tensors.items()}


def _layers(model: nn.Module) -> dict[str, list[Tensor]]:
    return model.layer_parameters() if isinstance(model, Network) else {}


def _on_grid(epoch: int) -> bool:
    """Whether ``epoch`` is one of the rounded ``10^(k / 40)``, which do not depend on how long the run is."""
    k = math.log10(epoch) * _PER_DECADE
    return any(round(10 ** (j / _PER_DECADE)) == epoch for j in (math.floor(k), math.ceil(k)))
