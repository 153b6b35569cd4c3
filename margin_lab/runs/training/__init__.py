"""Mini-batch training of one network, with checkpoints, snapshots and the loss-based rate."""

from margin_lab.runs.training.result import Snapshot, Training
from margin_lab.runs.training.schedules import Constant, LossBased
from margin_lab.runs.training.train import train_network

__all__ = ["Constant", "LossBased", "Snapshot", "Training", "train_network"]
