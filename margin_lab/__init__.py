"""Margin Lab: why optimizers pick the solutions they pick.

The library under the book: losses that never underflow, norms, exact max margins with certificates, optimizers that train
through ``log L``, batched runs. ``import margin_lab as ml`` loads these three wings (ground, rulers, engines) and costs little;
what chapters measure with (theory) and what pages are made of (book) load when they are first used, as ``ml.kkt`` or
``ml.widgets``, and so do SciPy, matplotlib, scikit-learn and the widgets' libraries.
"""

from importlib import import_module
from typing import Any

from margin_lab import datasets, losses, margins, models, norms, optim, results, runs
from margin_lab.checks import DivergedError
from margin_lab.hard_margins import (
    EntropyDual,
    HardMargin,
    HardMargins,
    NotSeparableError,
    SoftMargin,
    hard_margin,
    hard_margin_matrix,
    hard_margin_multiclass,
    hard_margins,
    max_entropy_dual,
    soft_margin,
)
from margin_lab.losses import log_loss
from margin_lab.margins import layers as layer_margins
from margin_lab.margins import normalized_margin, smoothed_margin
from margin_lab.margins.tracking import track
from margin_lab.models import homogeneity_degree
from margin_lab.runs import (
    METHODS,
    Method,
    NetworkRun,
    NetworkSweep,
    Option,
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

# Short names of modules that load when first used.
_LAZY = {
    "adam_theory": "theory.adam",
    "centripetal": "theory.centripetal",
    "constraints": "theory.constraints",
    "flow": "theory.flows",
    "kkt": "theory.kkt",
    "lexicographic": "theory.lexicographic",
    "robustness": "theory.robustness",
    "intervals": "book.intervals",
    "labs": "book.labs",
    "plots": "book.plots",
    "prose": "book.prose",
    "quiz": "book.quiz",
    "recordings": "book.recordings",
    "widgets": "book.widgets",
    "theory": "theory",
    "book": "book",
}

__all__ = [
    "METHODS",
    "DivergedError",
    "EntropyDual",
    "HardMargin",
    "HardMargins",
    "Method",
    "NetworkRun",
    "NetworkSweep",
    "NotSeparableError",
    "Option",
    "Run",
    "SoftMargin",
    "Sweep",
    "Training",
    "adam_theory",
    "book",
    "centripetal",
    "constraints",
    "datasets",
    "flow",
    "hard_margin",
    "hard_margin_matrix",
    "hard_margin_multiclass",
    "hard_margins",
    "homogeneity_degree",
    "intervals",
    "kkt",
    "labs",
    "layer_margins",
    "lexicographic",
    "log_loss",
    "losses",
    "margins",
    "max_entropy_dual",
    "models",
    "normalized_margin",
    "norms",
    "optim",
    "plots",
    "prose",
    "quiz",
    "recordings",
    "results",
    "robustness",
    "run_linear",
    "run_network",
    "runs",
    "smoothed_margin",
    "soft_margin",
    "sweep_linear",
    "sweep_network",
    "theory",
    "track",
    "train_network",
    "widgets",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f"margin_lab.{_LAZY[name]}")
    raise AttributeError(f"module 'margin_lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
