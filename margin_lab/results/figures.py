"""A result's plot: one quantity against another, in the method's colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from margin_lab.checks import needs
from margin_lab.palette import OWN_COLOR, line_style

# What counts from 0 to many: drawn on a logarithmic axis that has a 0.
_COUNTS = ("step", "epoch")
_LABELS = {
    "log_loss": "log loss (natural)",
    "log10_loss": "loss, power of ten",
    "log_t": "log time (natural)",
    "q_min": "smallest margin",
    "margin": "normalised margin",
    "norm": "norm of the parameters",
}


def draw(
    table: Mapping[str, np.ndarray],
    x: str,
    y: str,
    *,
    method: str | None,
    group: str | None,
    points: bool,
    ax: Any,
    options: Mapping[str, Any],
) -> Any:
    """Draw column ``y`` of a table against column ``x``, one line for each value of ``group``; returns the Axes."""
    if ax is None:
        _, ax = needs("matplotlib.pyplot", "matplotlib", ".plot()").subplots(layout="constrained")
    style = {"color": OWN_COLOR} if method is None else line_style(method)
    if points:
        style = {k: v for k, v in style.items() if k != "dashes"} | {"linestyle": "none", "marker": "o"}
    for k, rows in enumerate(_rows(table, group)):
        # one entry in a legend for all lines of a method
        label = {"label": "_nolegend_"} if k and "label" in style else {}
        ax.plot(
            np.asarray(table[x][rows], dtype=float),
            np.asarray(table[y][rows], dtype=float),
            **{**style, **options, **label},
        )
    if x in _COUNTS:
        ax.set_xscale("symlog", linthresh=1)
        ax.set_xlim(left=0)
    ax.set_xlabel(_LABELS.get(x, x.replace("_", " ")))
    ax.set_ylabel(_LABELS.get(y, y.replace("_", " ")))
    return ax


def _rows(table: Mapping[str, np.ndarray], group: str | None) -> list[Any]:
    if group is None:
        return [slice(None)]
    return [table[group] == value for value in np.unique(table[group])]
