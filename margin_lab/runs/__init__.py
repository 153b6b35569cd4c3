"""Running optimizers on linear models: one run, or a batched sweep over hyperparameters, datasets and starts."""

from margin_lab.runs.linear import run_linear, sweep_linear
from margin_lab.runs.methods import METHODS, Method
from margin_lab.runs.result import Run, Sweep

__all__ = ["METHODS", "Method", "Run", "Sweep", "run_linear", "sweep_linear"]
