"""The teacher-student experiment of Flavors of Margin (section 4.1): three algorithms, one sparse teacher, many seeds at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import choice, positive
from margin_lab.datasets.teacher import teacher
from margin_lab.models import MLP, starts
from margin_lab.runs import NetworkSweep, sweep_network


@dataclass(frozen=True)
class Algorithm:
    """A row of the method table with its step rule: ``lr * ||grad log L||_*``, at most ``max_length``, in its own norm."""

    norm: str
    method: str
    options: dict[str, Any]
    steps: int


# Step lengths in each norm: about 1500 parameters start near 0.02, and separate within a few hundred steps of these.
ALGORITHMS = {
    "gd": Algorithm("l2", "steepest", {"norm": "l2", "max_length": 0.02}, 1000),
    "sign": Algorithm("linf", "sign", {"max_length": 5e-4}, 2000),
    # without the running mean coordinate descent jams at the kinks of ReLU
    "coordinate": Algorithm("l1", "coordinate", {"max_length": 0.02, "average": 0.95}, 4500),
}


class TeacherStudent:
    """One-hidden-layer ReLU students without biases, on one dataset of a sparse teacher for each seed, full batch.

    Args:
        seeds: each draws a teacher, its samples and a student's start. n, d, width: training samples, inputs, hidden units.
        n_test: test samples. active: inputs that each of the teacher's neurons sees; d makes it dense. The paper's
            n, d and width are not in its text; these are ours, small enough to run in a chapter.

    Attributes:
        X, y, X_test, y_test: ``[S, n, d]``, ``[S, n]`` and the same for the tests. net: the student's architecture.
    """

    def __init__(
        self,
        seeds: Iterable[int] = range(20),
        n: int = 80,
        d: int = 32,
        width: int = 48,
        n_test: int = 2000,
        active: int = 3,
    ):
        self.seeds = list(seeds)
        sets = [teacher(seed, n, d, active=active, n_test=n_test) for seed in self.seeds]
        self.X, self.y = np.stack([s.X for s in sets]), np.stack([s.y for s in sets])
        self.X_test, self.y_test = (
            np.stack([np.asarray(s.X_test) for s in sets]),
            np.stack([np.asarray(s.y_test) for s in sets]),
        )
        self.net = MLP([d, width, 1], gain=1.0)

    def start(self, scale: float, algorithm: str = "gd") -> Tensor:
        """Starts ``[S, P]``: first layer ``N(0, scale^2 / d)``, second ``N(0, scale^2 / width)``.

        For "coordinate" the second is ``N(0, scale^2 / d)`` too, as in the paper, so that single parameters have one size.
        """
        theta = starts(self.net, self.seeds, positive(scale, "scale"))
        if algorithm == "coordinate":
            d, width = self.net.sizes[:2]
            theta[:, -width:] *= math.sqrt(width / d)
        return theta

    def run(
        self,
        algorithm: str,
        scale: float | None = None,
        steps: int | None = None,
        theta0: Tensor | None = None,
        **options: Any,
    ) -> NetworkSweep:
        """Train all seeds by "gd", "sign" or "coordinate", from ``start(scale)`` or from ``theta0 [S, P]``.

        Args:
            steps: default the algorithm's own number. options: of :func:`margin_lab.sweep_network` and of the method.
        """
        chosen = ALGORITHMS[choice(algorithm, "algorithm", tuple(ALGORITHMS))]
        if (scale is None) == (theta0 is None):
            raise ValueError("give the start either by scale or by theta0")
        return sweep_network(
            self.net,
            self.X,
            self.y,
            chosen.method,
            chosen.steps if steps is None else steps,
            theta0=self.start(scale, algorithm) if scale is not None else theta0,
            X_test=self.X_test,
            y_test=self.y_test,
            **{"lr": 1.0, "rule": "log", "reduction": "sum", **chosen.options, **options},
        )


# n, d, width, seeds, test samples, scales, steps relative to ALGORITHMS
_SIZES: dict[str, tuple[int, int, int, int, int, tuple[float, ...], float]] = {
    "quick": (20, 6, 12, 3, 50, (0.1, 1.0), 0.01),
    "cpu": (80, 32, 48, 20, 20_000, (0.03, 0.1, 0.3, 1.0), 1.0),
    "paper": (200, 50, 100, 20, 20_000, (0.01, 0.03, 0.1, 0.3, 1.0), 4.0),
}


def recording(scale: str, device: str | None, checkpoints: Path, every: float) -> dict[str, Any]:
    """Accuracy and margins at the end against the scale of the start; each algorithm's result is kept once it is there."""
    n, d, width, seeds, n_test, scales, longer = _SIZES[scale]
    problem = TeacherStudent(range(seeds), n, d, width, n_test)
    problem.net.to(device or "cpu")
    rows = []
    for alpha in scales:
        for name, algorithm in ALGORITHMS.items():
            file = checkpoints / f"{name}_{alpha}.pt"
            if not file.exists():
                steps = max(1, round(longer * algorithm.steps))
                run = problem.run(name, alpha, steps, record=[steps], device=device)
                checkpoints.mkdir(parents=True, exist_ok=True)
                row = {
                    "algorithm": name,
                    "scale": alpha,
                    "steps": steps,
                    "test_accuracy": run.test_accuracy[:, -1].tolist(),
                    "accuracy": run.accuracy[:, -1].tolist(),
                    "log_loss": run.log_loss[:, -1].tolist(),
                    "margins": {norm: values[:, -1].tolist() for norm, values in run.margins.items()},
                }
                torch.save(row, file)
            rows.append(torch.load(file))
    return {"n": n, "d": d, "width": width, "seeds": seeds, "n_test": n_test, "results": rows}
