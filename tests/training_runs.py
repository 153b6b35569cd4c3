"""Small trainings on digits, for the tests of ``train_network``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import margin_lab as ml
from margin_lab.runs.training.result import Training

DATA = ml.datasets.digits(n=80)
X, Y = DATA.X - DATA.X.mean(0), DATA.y
X_TEST = DATA.X_test - DATA.X.mean(0)

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "ngd": lambda p: ml.optim.NormalizedGD(p, lr=0.1),
    "gd": lambda p: ml.optim.GD(p, lr=0.1),
    "sign": lambda p: ml.optim.SteepestDescent(p, lr=1e-3, norm="linf", normalized=True),
}


def net(**options: Any) -> ml.models.MLP:
    return ml.models.MLP([64, 16, 16, 10], **options)


def train(epochs: int = 40, model: Any = None, **options: Any) -> Training:
    factors = {name: options.pop(name) for name in ("up", "down", "patience") if name in options}
    options = {"batch_size": 20, "schedule": ml.runs.LossBased(**factors), **options}
    return ml.train_network(model or net(), X, Y, epochs, **options)
