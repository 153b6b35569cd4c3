"""Gradient and steepest flow, in log-time where the loss underflows, and the inequalities along them."""

from margin_lab.theory.flows.log_time import (
    Flow,
    linear_flow,
    log_time_flow,
    network_flow,
    predicted_residual,
)
from margin_lab.theory.flows.mexican_hat import HatPath, MexicanHat, valley_law
from margin_lab.theory.flows.monotonicity import Growth, lemma_5_1, smoothed_growth, theorem_3_1
from margin_lab.theory.flows.steepest import SteepestFlow, steepest_flow

__all__ = [
    "Flow",
    "Growth",
    "HatPath",
    "MexicanHat",
    "SteepestFlow",
    "lemma_5_1",
    "linear_flow",
    "log_time_flow",
    "network_flow",
    "predicted_residual",
    "smoothed_growth",
    "steepest_flow",
    "theorem_3_1",
    "valley_law",
]
