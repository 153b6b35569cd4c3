"""Step rules on networks: caps that hold, averaged selection, what a sweep cannot mix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from coordinate_labels import data

import margin_lab as ml
from margin_lab import norms
from margin_lab.models import MLP
from margin_lab.runs import METHODS


def test_rows_share_what_cannot_be_swept() -> None:
    X, y = data()
    with pytest.raises(ValueError, match="norm must be the same for all runs of a sweep"):
        ml.sweep_network(MLP([4, 3, 1]), X, y, "steepest", 3, lr=0.1, norm=["l1", "l2"])
    with pytest.raises(ValueError, match="rule must be one of 'log', 'unit', 'relative', got 'gradient'"):
        ml.sweep_network(MLP([4, 3, 1]), X, y, "sign", 3, lr=0.1, rule="gradient")
    assert METHODS["steepest"].norm is None


def test_caps_hold() -> None:
    X, y = data(20, 4)
    net = MLP([4, 6, 1])
    for norm in ("l1", "l2", "linf", "modular"):
        own = norms.on_flat(norm, norms.modular(net).shapes)
        run = ml.run_network(
            net,
            X,
            y,
            "steepest",
            60,
            lr=[1.0],
            norm=norm,
            rule="log",
            max_length=0.01,
            record="all",
            keep="all",
        )
        lengths = own(torch.tensor(np.diff(run.history, axis=0))).numpy()
        assert lengths.max() == pytest.approx(0.01, rel=1e-9)
        run = ml.run_network(
            net,
            X,
            y,
            "steepest",
            60,
            lr=1e-2,
            norm=norm,
            rule="relative",
            max_fall=0.01,
            record="all",
            keep="all",
        )
        sizes = own(torch.tensor(run.history)).numpy()
        lengths = own(torch.tensor(np.diff(run.history, axis=0))).numpy()
        assert (lengths <= 1e-2 * sizes[:-1] * (1 + 1e-12)).all()
        # first order: the fall exceeds 0.01 by curvature only
        assert (-np.diff(run.log_loss)).max() < 0.0115
        assert (-np.diff(run.log_loss)).max() > 0.008


def test_averaged_selection_frees_coordinate_descent_from_a_kink() -> None:
    """A ReLU net with exact coordinate steps dithers across a kink; with the running mean it goes on to fit the data."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    y = np.sign(np.maximum(X[:, 0], 0) - np.maximum(X[:, 1] + X[:, 2], 0) + 0.3 * np.maximum(-X[:, 0], 0))
    options: dict[str, Any] = {"seed": range(2), "scale": 0.2, "rule": "log", "max_length": 0.02}
    runs = {
        average: ml.sweep_network(
            MLP([8, 16, 1]), X, y, "coordinate", 1600, lr=1.0, average=average, **options
        )
        for average in (0.0, 0.95)
    }
    assert np.median(runs[0.95].log_loss[:, -1]) < 0
    assert np.median(runs[0.95].accuracy[:, -1]) > np.median(runs[0.0].accuracy[:, -1])
