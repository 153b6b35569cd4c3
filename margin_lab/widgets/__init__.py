"""Interactive figures: the same picture in the book (precomputed) and in a notebook (recomputed by the kernel)."""

from margin_lab.widgets.adam import adam
from margin_lab.widgets.base import InteractiveFigure
from margin_lab.widgets.controls import Choice, Slider
from margin_lab.widgets.direction import direction
from margin_lab.widgets.init_scale import init_scale
from margin_lab.widgets.lexicographic import lexicographic
from margin_lab.widgets.norm import norm
from margin_lab.widgets.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.widgets.prgd import prgd
from margin_lab.widgets.radius import radius
from margin_lab.widgets.step_size import step_size

__all__ = [
    "INK",
    "MUTED",
    "Axis",
    "Choice",
    "InteractiveFigure",
    "Panel",
    "Rule",
    "Series",
    "Slider",
    "adam",
    "direction",
    "init_scale",
    "lexicographic",
    "norm",
    "prgd",
    "radius",
    "step_size",
]
