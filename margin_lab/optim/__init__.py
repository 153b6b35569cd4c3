"""Optimizers that train through ``log L``: one idea a file, a pure update with a ``torch.optim.Optimizer`` around it."""

from margin_lab.optim.adam import Adam
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.dual import DualAcceleration
from margin_lab.optim.loss_based import LossBasedLR
from margin_lab.optim.muon import Muon
from margin_lab.optim.normalized import NormalizedGD
from margin_lab.optim.polar import NewtonSchulz, convergent_newton_schulz, newton_schulz, polar_express
from margin_lab.optim.prgd import PRGD
from margin_lab.optim.radii import (
    exponential_radii,
    linear_schedule,
    network_schedule,
    oracle_radii,
    polynomial_periods,
    polynomial_radii,
)
from margin_lab.optim.shampoo import Shampoo
from margin_lab.optim.steepest import GD, SteepestDescent

__all__ = [
    "Adam",
    "GD",
    "Muon",
    "NewtonSchulz",
    "PRGD",
    "DualAcceleration",
    "LogLossOptimizer",
    "LossBasedLR",
    "NormalizedGD",
    "Shampoo",
    "SteepestDescent",
    "convergent_newton_schulz",
    "exponential_radii",
    "linear_schedule",
    "network_schedule",
    "newton_schulz",
    "oracle_radii",
    "polar_express",
    "polynomial_periods",
    "polynomial_radii",
]
