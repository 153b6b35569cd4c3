"""What a widget is made of: controls, panels, numbers packed for the page, and its live half."""

from margin_lab.book.widgets.framework.clock import Clock, Stop
from margin_lab.book.widgets.framework.controls import Choice, Control, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series

__all__ = [
    "INK",
    "MUTED",
    "Axis",
    "Choice",
    "Clock",
    "Control",
    "Frame",
    "InteractiveFigure",
    "Panel",
    "Rule",
    "Series",
    "Setting",
    "Slider",
    "Stop",
]
