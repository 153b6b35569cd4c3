"""Exact hard margins with certificates: the ruler that everything else is measured with."""

from margin_lab.hard_margins.batch import HardMargins, hard_margins
from margin_lab.hard_margins.binary import hard_margin
from margin_lab.hard_margins.matrices import hard_margin_matrix, hard_margin_multiclass
from margin_lab.hard_margins.solution import HardMargin, NotSeparableError

__all__ = [
    "HardMargin",
    "HardMargins",
    "NotSeparableError",
    "hard_margin",
    "hard_margin_matrix",
    "hard_margin_multiclass",
    "hard_margins",
]
