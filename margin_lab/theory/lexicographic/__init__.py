"""Lexicographic margins: a ruler for them, the paths that lead to them, and models on which depth decides.

Definitions (Nacson et al. 2019): the constrained path is ``argmin_{||theta|| <= rho} L``, the margin path
``argmax_{||theta|| <= rho} q_min``; a lexicographic max-margin point maximises the smallest margin, among those that do
the second smallest, and so on.
"""

from margin_lab.theory.lexicographic.ensembles import (
    BlindTo,
    DiagonalNet,
    Ensemble,
    ThirdLevel,
    third_level_path,
)
from margin_lab.theory.lexicographic.gradient_path import gradient_path
from margin_lab.theory.lexicographic.linear_path import LinearPath, constrained_path, regularization_path
from margin_lab.theory.lexicographic.network_path import NetworkPath, margin_path, network_path
from margin_lab.theory.lexicographic.ruler import Level, LexicographicMargin, lexicographic_margin

__all__ = [
    "BlindTo",
    "DiagonalNet",
    "Ensemble",
    "Level",
    "LexicographicMargin",
    "LinearPath",
    "NetworkPath",
    "ThirdLevel",
    "constrained_path",
    "gradient_path",
    "lexicographic_margin",
    "margin_path",
    "network_path",
    "regularization_path",
    "third_level_path",
]
