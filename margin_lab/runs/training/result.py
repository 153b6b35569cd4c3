"""What mini-batch training of one network returns, and how it is written to a results file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from margin_lab.losses import inverse_link, log10_of
from margin_lab.margins.layers import log_product, over_layers
from margin_lab.models import model_with
from margin_lab.models.buffers import restore_buffers
from margin_lab.runs.template import OfNetwork, needs_template

# Columns of the record; all are numbers, NaN where something was not measured.
COLUMNS = ("epochs", "log_loss", "q_min", "accuracy", "test_accuracy", "norm", "lr", "rejected")


class _Column:
    """An attribute of a :class:`Training` that is a column of its record."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, run: Training | None, owner: type | None = None) -> np.ndarray:
        if run is None:
            raise AttributeError(f"{self.name} is a column of a run, not of the class")
        return run.columns[self.name]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A network kept at the first epoch whose loss was below a threshold: ``theta [P]`` and buffers, on the CPU."""

    power: float
    epoch: int
    log_loss: float
    theta: torch.Tensor
    buffers: dict[str, torch.Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Snapshot(below 1e{self.power:g} at epoch {self.epoch}: log loss {self.log_loss:.6g})"


@dataclass(frozen=True, eq=False, repr=False)
class Training(OfNetwork):
    """Mini-batch training of one network. Arrays are NumPy, float64.

    ``run.model()`` is the trained network; ``run.model(-10)`` the one of the first epoch with a loss below ``1e-10``, for
    every power of ten asked for in ``snapshots``; ``run.snapshots[-10].epoch`` says which epoch that was.

    Attributes:
        settings: everything that determines the run. status: "finished" (all epochs), "reached" (``until_log10``), or
            "underflowed" (loss "naive" only: the computed loss is exactly 0).
        epochs: ``[T]`` recorded epochs from 0, the start: log-spaced, the first below each level of the loss, and the last.
        log_loss: ``[T]`` natural log of the loss over the training data, ``settings["reduction"]``: its "mean" or its "sum".
            q_min: ``[T]`` smallest margin.
        accuracy, test_accuracy: ``[T]``; the second is NaN without test data.
        norm: ``[T]`` l2 norm of all trained parameters. layer_norms: ``{layer: [T]}``, the bias counted in the first layer only.
        lr: ``[T]`` learning rate of the first group (``alpha`` if loss-based). rejected: ``[T]`` epochs rolled back.
        degree: joint degree of homogeneity, or None. layer_degrees: ``{layer: k_j}``.
        snapshots: ``{power of ten: Snapshot}`` of the thresholds reached, each with ``epoch``, ``log_loss``, ``theta``.
        seconds: wall time, over all resumptions. theta: ``[P]`` at the end. buffers: at the end, by name (BatchNorm's running
            means). template: the architecture, with the constants that were not trained.
    """

    settings: dict[str, Any]
    status: str
    columns: dict[str, np.ndarray]
    layer_norms: dict[str, np.ndarray]
    degree: float | None
    layer_degrees: dict[str, float]
    seconds: float
    snapshots: dict[float, Snapshot] = field(default_factory=dict)
    theta: torch.Tensor | None = None
    buffers: dict[str, torch.Tensor] = field(default_factory=dict)
    template: nn.Module | None = None

    _x, _y, _parts, _left_out = "epoch", "log10_loss", (Snapshot,), ("template",)

    epochs, log_loss, q_min, accuracy = map(_Column, COLUMNS[:4])
    test_accuracy, norm, lr, rejected = map(_Column, COLUMNS[4:])

    @property
    def log10_loss(self) -> np.ndarray:
        """``[T]`` decimal logarithm of the loss."""
        values: np.ndarray = log10_of(self.log_loss)
        return values

    @property
    def margin(self) -> np.ndarray:
        """``[T]`` normalised margin ``q_min / ||theta||^L``.

        Raises:
            ValueError: a network that is not homogeneous.
        """
        return self.q_min / self.norm ** self._joint_degree()

    @property
    def smoothed_margin(self) -> np.ndarray:
        """``[T]`` ``g(log 1/L) / ||theta||^L`` of the **summed** loss; it means something where that is below its threshold."""
        summed = self.settings.get("reduction") == "sum"
        z = torch.as_tensor(-(self.log_loss + (0 if summed else math.log(self.settings["n"]))))
        link = "exponential" if self.settings["loss"] == "exponential" else "logistic"
        smoothed: np.ndarray = inverse_link(z, link).numpy() / self.norm ** self._joint_degree()
        return smoothed

    @property
    def layer_margin(self) -> np.ndarray:
        """``[T]`` ``q_min / prod_j ||w_j||^{k_j}`` over layers; with biases everywhere, as if there were none (Lyu & Li, K.1).

        Raises:
            ValueError: an activation without a degree, or a module that declares no layers.
        """
        if not self.layer_degrees:
            raise ValueError("this network declares no degrees of its layers, so it has no layer-wise margin")
        return over_layers(self.q_min, log_product(self.layer_norms, self.layer_degrees))

    def model(self, power: float | None = None) -> nn.Module:
        """The trained network, or the snapshot of the first epoch with a loss below ``10^power``.

        Raises:
            ValueError: a threshold that was not asked for or not reached, or a run read from a file without its network.
        """
        if power is not None and power not in self.snapshots:
            raise ValueError(
                f"there is no snapshot below 1e{power:g}, only below {[f'1e{p:g}' for p in self.snapshots]}"
            )
        kept = self if power is None else self.snapshots[power]
        if kept.theta is None or not len(kept.theta):
            raise ValueError("a run read from a results file holds no parameters; train again")
        template = needs_template(self.template)
        model = model_with(template, kept.theta.to(next(template.parameters()).device))
        restore_buffers(model, kept.buffers)
        return model

    def epoch_below(self, power: float) -> int | None:
        """The first recorded epoch with a loss below ``10^power``, or None. Exact for powers in ``snapshots``."""
        if power in self.snapshots:
            return self.snapshots[power].epoch
        below = np.flatnonzero(self.log10_loss < power)
        return int(self.epochs[below[0]]) if len(below) else None

    def to_dict(self) -> dict[str, Any]:
        """Numbers for a JSON file, without the parameters."""
        return {
            "settings": self.settings,
            "status": self.status,
            "seconds": round(self.seconds, 1),
            "degree": self.degree,
            "layer_degrees": self.layer_degrees,
            "snapshots": {
                f"{power:g}": {"epoch": s.epoch, "log_loss": s.log_loss}
                for power, s in self.snapshots.items()
            },
            "columns": {name: _plain(values) for name, values in self.columns.items()},
            "layer_norms": {name: _plain(values) for name, values in self.layer_norms.items()},
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Training:
        """A run read from a results file: all numbers, no parameters."""
        nothing = torch.empty(0)
        return cls(
            saved["settings"],
            saved["status"],
            {name: np.array(values, dtype=float) for name, values in saved["columns"].items()},
            {name: np.array(values, dtype=float) for name, values in saved["layer_norms"].items()},
            saved["degree"],
            saved["layer_degrees"],
            saved["seconds"],
            {
                float(power): Snapshot(float(power), s["epoch"], s["log_loss"], nothing)
                for power, s in saved["snapshots"].items()
            },
        )

    def table(self) -> dict[str, np.ndarray]:
        """Records: epoch, log10_loss, log_loss and the other columns, the layers' norms, and the margins that there are."""
        columns = {"epoch": self.epochs, "log10_loss": self.log10_loss}
        columns |= {name: self.columns[name] for name in COLUMNS if name != "epochs"}
        columns |= {f"norm_{name}": values for name, values in self.layer_norms.items()}
        if self.degree is not None:
            columns |= {"margin": self.margin}
        if self.layer_degrees:
            columns |= {"layer_margin": self.layer_margin}
        return columns

    def _title(self) -> str:
        return (
            f"Training({int(self.epochs[-1])} epochs, {self.status}: loss 1e{self.log10_loss[-1]:.1f}, "
            f"accuracy {self.accuracy[-1]:.4f}, test accuracy {self.test_accuracy[-1]:.4f})"
        )

    def _joint_degree(self) -> float:
        if self.degree is None:
            raise ValueError(
                "this network is not homogeneous in all its parameters together; see layer_margin"
            )
        return self.degree


def _plain(values: np.ndarray) -> list[float | None]:
    """Seven digits are more than a figure shows; NaN and infinity are not JSON."""
    return [float(f"{v:.7g}") if math.isfinite(v) else None for v in values.tolist()]
