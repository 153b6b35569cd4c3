"""Curves of runs against iterations."""

from __future__ import annotations

from typing import Any

import numpy as np

from margin_lab.book.plots.style import line
from margin_lab.palette import color_of


def against_steps(ax: Any, runs: Any, values: Any, method: str | None = None, **kwargs: Any) -> None:
    """Draw ``values`` of a run, or the median and range over a sweep's runs, in the method's colour.

    Args:
        ax: Axes. runs: a ``Run`` or ``Sweep``. values: ``[T]``, or ``[B, T]`` for a sweep (say margin gaps).
        method: whose colour and label; default the runs' own. kwargs: for the line.
    """
    method = method or runs.method
    steps, values = np.asarray(runs.steps), np.asarray(values)
    if values.ndim == 2:
        ax.fill_between(steps, values.min(0), values.max(0), color=color_of(method), alpha=0.18, linewidth=0)
        values = np.median(values, axis=0)
    ax.plot(steps, values, **line(method, **kwargs))
