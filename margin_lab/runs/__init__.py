"""Running optimizers on linear models and networks: one run, or a batched sweep over all that can vary."""

from margin_lab.runs.linear import Run, Sweep, run_linear, sweep_linear
from margin_lab.runs.method import Method, Option
from margin_lab.runs.methods import METHODS
from margin_lab.runs.networks import NetworkRun, NetworkSweep, run_network, sweep_network
from margin_lab.runs.training import Constant, LossBased, Snapshot, Training, train_network

__all__ = [
    "METHODS",
    "Constant",
    "LossBased",
    "Method",
    "NetworkRun",
    "NetworkSweep",
    "Option",
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
