"""The book's figures: one style, one colour per optimizer, alt text on every one."""

from margin_lab.palette import COLORS, LABELS
from margin_lab.plots.curves import against_steps
from margin_lab.plots.field import axis_frame, path, semi_cylinder, vector_field
from margin_lab.plots.style import WIDTH, figure, line, show

__all__ = [
    "COLORS",
    "LABELS",
    "WIDTH",
    "against_steps",
    "axis_frame",
    "figure",
    "line",
    "path",
    "semi_cylinder",
    "show",
    "vector_field",
]
