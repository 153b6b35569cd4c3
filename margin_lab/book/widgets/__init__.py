"""Interactive figures: the same picture in the book (precomputed) and in a notebook (recomputed by the kernel)."""

from margin_lab.book.widgets.adam import adam
from margin_lab.book.widgets.batch_size import batch_size
from margin_lab.book.widgets.direction import direction
from margin_lab.book.widgets.framework.clock import Clock, Stop
from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.book.widgets.init_scale import init_scale
from margin_lab.book.widgets.lexicographic import lexicographic
from margin_lab.book.widgets.norm import norm
from margin_lab.book.widgets.prgd import prgd
from margin_lab.book.widgets.radius import radius
from margin_lab.book.widgets.step_size import step_size

__all__ = [
    "INK",
    "MUTED",
    "Axis",
    "Choice",
    "Clock",
    "InteractiveFigure",
    "Panel",
    "Rule",
    "Series",
    "Slider",
    "Stop",
    "adam",
    "batch_size",
    "direction",
    "init_scale",
    "lexicographic",
    "norm",
    "prgd",
    "radius",
    "step_size",
]
