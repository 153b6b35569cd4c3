"""KKT conditions of the max-margin problem: residuals along a run, and training data recovered from them."""

from margin_lab.theory.kkt.conditions import (
    KKT,
    MULTIPLIERS,
    KernelCheck,
    kernel_support_vectors,
    residuals,
    reversed_bregman,
)
from margin_lab.theory.kkt.reconstruction import (
    Reconstruction,
    alternating,
    best_cosines,
    misalignment,
    neuron_components,
    reconstruct,
    span_share,
)

__all__ = [
    "KKT",
    "MULTIPLIERS",
    "KernelCheck",
    "Reconstruction",
    "alternating",
    "best_cosines",
    "kernel_support_vectors",
    "misalignment",
    "neuron_components",
    "reconstruct",
    "residuals",
    "reversed_bregman",
    "span_share",
]
