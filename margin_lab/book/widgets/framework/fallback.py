"""The default setting as a PNG: what a reader without JavaScript sees, an untrusted notebook, or GitHub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from margin_lab.book.picture import inline_image
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Panel, Series

_THEME = {INK: "#222222", MUTED: "#888888"}


def fallback_image(frame: Frame, panels: Sequence[Panel], alt: str) -> str:
    """Return an ``<img>`` with the picture inline and ``alt`` as its description."""
    # The object-oriented interface: pyplot would register the figure, and the notebook would show it a second time.
    from matplotlib.figure import Figure

    figure = Figure((3.1 * len(panels), 3.0), dpi=80, layout="constrained")
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for series in panel.series:
            _draw(axes, series, *(np.asarray(v, dtype=np.float64) for v in frame[panel.name][series.name]))
        # Blended coordinates: these points stretch one axis only.
        axes.plot(
            panel.x.include, [0.5] * len(panel.x.include), alpha=0, transform=axes.get_xaxis_transform()
        )
        axes.plot(
            [0.5] * len(panel.y.include), panel.y.include, alpha=0, transform=axes.get_yaxis_transform()
        )
        _scale(axes, panel)
        for rule in panel.rules:
            low, high = axes.get_ylim() if rule.axis == "y" else axes.get_xlim()
            if low <= rule.value <= high:  # a reference line must not stretch the axes
                line = axes.axhline if rule.axis == "y" else axes.axvline
                line(rule.value, color=_THEME[MUTED], lw=0.8, ls=":")
        if panel.equal:
            axes.set_aspect("equal", adjustable="box")
        axes.set_title(panel.title, fontsize=9)
        axes.tick_params(labelsize=7)
        if any(s.label for s in panel.series):
            axes.legend(fontsize=7, frameon=False)
    return inline_image(figure, alt, figure.dpi, "ml-fallback")


def _scale(axes: Any, panel: Panel) -> None:
    for which, axis in (("x", panel.x), ("y", panel.y)):
        # Near its linear part matplotlib's symlog has no legible ticks: the front end draws it as linear, too.
        wide = np.abs(getattr(axes, f"get_{which}lim")()).max() > 4 * axis.constant
        if axis.scale == "log" or (axis.scale == "symlog" and wide):
            options = {"linthresh": axis.constant} if axis.scale == "symlog" else {}
            getattr(axes, f"set_{which}scale")(axis.scale, **options)
        getattr(axes, f"set_{which}label")(axis.label, fontsize=8)
        if axis.domain is not None:
            getattr(axes, f"set_{which}lim")(axis.domain)


def _draw(axes: Any, series: Series, x: np.ndarray, y: np.ndarray) -> None:
    color = _THEME.get(series.color, series.color)
    label = (
        series.label if series.label and len(x) else None
    )  # as in the front end: what is not there has no entry
    if series.mark == "value":
        value = f"{y[-1]:.3g}".replace("inf", "∞") if len(y) else ""
        axes.plot([], [], " ", label=label and f"{label} {value}")
    elif series.mark == "points":
        axes.scatter(x, y, s=(2 * series.width) ** 2, color=color, label=label, linewidths=0)
    elif series.mark == "ring":
        axes.scatter(x, y, s=120, facecolors="none", edgecolors=color, label=label, linewidths=series.width)
    elif series.mark == "area":
        axes.fill(x, y, color=color, alpha=0.25, label=label)
    elif series.mark == "arrow":
        axes.quiver(0 * x, 0 * y, x, y, angles="xy", scale_units="xy", scale=1, color=color, width=0.012)
        axes.plot([], [], color=color, lw=2, label=label)  # a quiver's own legend entry is a block
        axes.plot([0, *x], [0, *y], alpha=0)  # autoscaling knows nothing of arrows
    else:
        dash = (0, series.dash) if series.dash else "-"
        marker = "." if series.dots else ""
        axes.plot(x, y, color=color, lw=0.8 * series.width, ls=dash, marker=marker, ms=4, label=label)
