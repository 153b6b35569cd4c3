"""One colour and one dash per optimizer, the same in matplotlib and in the widgets.

The hues are those of Okabe and Ito, which colour-blind readers tell apart; orange, sky blue and yellow are darker than theirs, so
that every colour has a contrast of 3:1 both on white and on the widgets' dark ground (a test computes it).
"""

from __future__ import annotations

from typing import Any

COLORS = {
    "gd": "#6E6E6E",
    "momentum": "#6E6E6E",
    "sgd": "#6E6E6E",
    "ngd": "#C98300",
    "nacson": "#C98300",
    "loss_based": "#C98300",
    "dual": "#009E73",
    "prgd": "#CC79A7",
    "certified": "#9A5585",
    "sign": "#D55E00",
    "coordinate": "#0072B2",
    "spectral": "#3E9BD3",
    "shampoo": "#3E9BD3",
    "muon": "#3E9BD3",
    "steepest": "#8466CC",  # in any other norm
    "adam": "#7F7A00",
}

# A method that is not of the table: a reader's own.
OWN_COLOR = "#9A9A9A"
OWN_DASH = (6, 2, 1, 2)

# Methods that share a colour with their parent differ by the dash (on, off, in points).
DASHES: dict[str, tuple[int, ...]] = {
    "momentum": (4, 2),
    "sgd": (1, 2),
    "nacson": (4, 2),
    "loss_based": (1, 2),
    "shampoo": (4, 2),
    "muon": (1, 2),
}

LABELS = {
    "gd": "GD",
    "momentum": "momentum",
    "sgd": "SGD",
    "ngd": "NGD",
    "nacson": "Nacson",
    "loss_based": "loss-based rate",
    "dual": "dual acceleration",
    "prgd": "PRGD",
    "certified": "certified",
    "sign": "sign descent",
    "coordinate": "coordinate descent",
    "spectral": "spectral descent",
    "shampoo": "Shampoo",
    "muon": "Muon",
    "steepest": "steepest descent",
    "adam": "Adam",
}


def color_of(method: str) -> str:
    """The colour of a method, grey for a reader's own."""
    return COLORS.get(method, OWN_COLOR)


def dash_of(method: str) -> tuple[int, ...]:
    """The dash of a method, () for a solid line."""
    return DASHES.get(method, () if method in COLORS else OWN_DASH)


def label_of(method: str) -> str:
    """The name of a method in legends and tables: a reader's own is called as its function is."""
    return LABELS.get(method, method)


def line_style(method: str) -> dict[str, Any]:
    """Keyword arguments of ``Axes.plot`` for a method: its colour, dash and label; grey for a reader's own."""
    style: dict[str, Any] = {"color": color_of(method), "label": label_of(method)}
    return {**style, "dashes": dash_of(method)} if dash_of(method) else style
