"""How far an input can be moved before the network changes its mind: attacks from above, certificates from below."""

from margin_lab.theory.robustness.attack import Attack
from margin_lab.theory.robustness.perturbation import robust_accuracy, smallest_perturbation
from margin_lab.theory.robustness.radius import certified_radius, margin_in_ball

__all__ = ["Attack", "certified_radius", "margin_in_ball", "robust_accuracy", "smallest_perturbation"]
