"""A training in a process of its own, which a test kills: BatchNorm, dropout, momentum, roll-back, all that has a state."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from training_runs import DATA, X_TEST, train

import margin_lab as ml

EPOCHS = 60


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 10)
    ).double()


def work(checkpoint: Path, out: Path) -> None:
    """Train, saving after every epoch, and write the result."""
    torch.set_num_threads(1)
    run = train(
        EPOCHS,
        network(),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        schedule=ml.runs.LossBased(patience=3),
        snapshots=(0, -1),
        X_test=X_TEST,
        y_test=DATA.y_test,
        checkpoint=checkpoint,
        checkpoint_seconds=0.0,
    )
    run.save(out)
