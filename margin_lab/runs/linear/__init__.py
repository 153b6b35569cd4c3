"""Runs of linear models: one, or a batched sweep."""

from margin_lab.runs.linear.result import Run, Sweep
from margin_lab.runs.linear.run import run_linear, sweep_linear

__all__ = ["Run", "Sweep", "run_linear", "sweep_linear"]
