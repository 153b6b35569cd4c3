"""Exact hard margins with certificates: the ruler that everything else is measured with."""

from margin_lab.hard_margins.batch import HardMargins, hard_margins
from margin_lab.hard_margins.binary import hard_margin
from margin_lab.hard_margins.entropy_dual import EntropyDual, max_entropy_dual
from margin_lab.hard_margins.matrices import hard_margin_matrix, hard_margin_multiclass
from margin_lab.hard_margins.soft import SoftMargin, soft_margin
from margin_lab.hard_margins.solution import HardMargin, NotSeparableError

__all__ = [
    "EntropyDual",
    "HardMargin",
    "HardMargins",
    "NotSeparableError",
    "SoftMargin",
    "hard_margin",
    "hard_margin_matrix",
    "hard_margin_multiclass",
    "hard_margins",
    "max_entropy_dual",
    "soft_margin",
]
