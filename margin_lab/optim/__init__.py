"""Optimizers that train through ``log L``: one idea a file, a pure update with a ``torch.optim.Optimizer`` around it."""

from margin_lab.optim.dual import DualAcceleration
from margin_lab.optim.normalized import NormalizedGD
from margin_lab.optim.prgd import PRGD
from margin_lab.optim.radii import exponential_radii, oracle_radii, polynomial_periods, polynomial_radii
from margin_lab.optim.steepest import GD, SteepestDescent

__all__ = [
    "GD",
    "PRGD",
    "DualAcceleration",
    "NormalizedGD",
    "SteepestDescent",
    "exponential_radii",
    "oracle_radii",
    "polynomial_periods",
    "polynomial_radii",
]
