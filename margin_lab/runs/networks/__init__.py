"""Full-batch runs of small networks as one batched computation on flat parameters."""

from margin_lab.runs.networks.result import NetworkRun, NetworkSweep
from margin_lab.runs.networks.run import run_network, sweep_network

__all__ = ["NetworkRun", "NetworkSweep", "run_network", "sweep_network"]
