"""The book's figures: one style, one colour per optimizer, alt text on every one."""

from margin_lab.book.plots.curves import against_steps
from margin_lab.book.plots.field import axis_frame, path, semi_cylinder, vector_field
from margin_lab.book.plots.plane import (
    INK,
    NORM_COLORS,
    NORM_LABELS,
    ball,
    direction,
    hull,
    plane,
    points,
    region,
    separator,
)
from margin_lab.book.plots.style import WIDTH, figure, line, show
from margin_lab.palette import COLORS, LABELS

__all__ = [
    "COLORS",
    "INK",
    "LABELS",
    "NORM_COLORS",
    "NORM_LABELS",
    "WIDTH",
    "against_steps",
    "axis_frame",
    "ball",
    "direction",
    "figure",
    "hull",
    "line",
    "path",
    "plane",
    "points",
    "region",
    "semi_cylinder",
    "separator",
    "show",
    "vector_field",
]
