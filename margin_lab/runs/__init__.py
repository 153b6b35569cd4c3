"""Running optimizers on linear models and small networks: one run, or a batched sweep over all that can vary."""

from margin_lab.runs.linear import run_linear, sweep_linear
from margin_lab.runs.methods import METHODS, Method
from margin_lab.runs.network import run_network, sweep_network
from margin_lab.runs.network_result import NetworkSweep
from margin_lab.runs.result import Run, Sweep
from margin_lab.runs.training import train_network
from margin_lab.runs.training_result import Snapshot, Training

__all__ = [
    "METHODS",
    "Method",
    "NetworkSweep",
    "Run",
    "Snapshot",
    "Sweep",
    "Training",
    "run_linear",
    "run_network",
    "sweep_linear",
    "sweep_network",
    "train_network",
]
