"""Margin Lab: why optimizers pick the solutions they pick.

The library under the book: losses that never underflow, norms, exact max margins with certificates, optimizers that train
through ``log L``, batched linear runs, plots and widgets. ``import margin_lab as ml`` costs little: SciPy, matplotlib,
scikit-learn and the widgets' libraries are imported when first used.
"""

from importlib import import_module
from typing import Any

from margin_lab import (
    adam_theory,
    datasets,
    flow,
    kkt,
    lexicographic,
    losses,
    margins,
    models,
    norms,
    optim,
    robustness,
)
from margin_lab.checks import DivergedError
from margin_lab.hard_margins import (
    HardMargin,
    NotSeparableError,
    hard_margin,
    hard_margin_matrix,
    hard_margin_multiclass,
)
from margin_lab.homogeneity import homogeneity_degree
from margin_lab.losses import log_loss
from margin_lab.margins import normalized_margin, smoothed_margin
from margin_lab.runs import (
    NetworkSweep,
    Run,
    Sweep,
    Training,
    run_linear,
    run_network,
    sweep_linear,
    sweep_network,
    train_network,
)

__version__ = "0.1.0"

__all__ = [
    "DivergedError",
    "HardMargin",
    "NetworkSweep",
    "NotSeparableError",
    "Run",
    "Sweep",
    "Training",
    "adam_theory",
    "datasets",
    "flow",
    "hard_margin",
    "hard_margin_matrix",
    "hard_margin_multiclass",
    "homogeneity_degree",
    "kkt",
    "labs",
    "lexicographic",
    "log_loss",
    "losses",
    "margins",
    "models",
    "normalized_margin",
    "norms",
    "optim",
    "plots",
    "prose",
    "robustness",
    "run_linear",
    "run_network",
    "smoothed_margin",
    "sweep_linear",
    "sweep_network",
    "train_network",
    "widgets",
]

_LAZY = ("labs", "plots", "prose", "widgets")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f"margin_lab.{name}")
    raise AttributeError(f"module 'margin_lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
