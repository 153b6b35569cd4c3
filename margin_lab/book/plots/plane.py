"""Pictures in the plane: data, directions, separators, unit balls, the region of large margins, convex hulls.

Each helper draws one thing on given axes; ``plane`` comes first, because it fixes the limits that the others fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from margin_lab.checks import choice
from margin_lab.palette import COLORS

INK = "#222222"
# A norm has the colour of the optimizer whose steps it measures: l1 coordinate descent, l2 GD, linf sign descent.
NORM_COLORS = {"l1": COLORS["coordinate"], "l2": COLORS["gd"], "linf": COLORS["sign"]}
NORM_LABELS = {"l1": r"$\ell_1$", "l2": r"$\ell_2$", "linf": r"$\ell_\infty$"}
# The two classes differ by shape as well as by shade: no colour is needed to tell them apart.
_CLASSES = {1.0: {"marker": "o", "facecolor": INK}, -1.0: {"marker": "s", "facecolor": "white"}}


def plane(ax: Any, x: Sequence[float], y: Sequence[float], labels: Sequence[str] = ("", "")) -> None:
    """Prepare axes for geometry: equal scales, limits ``x = (low, high)`` and ``y``, lines through the origin."""
    ax.set(xlim=x, ylim=y, xlabel=labels[0], ylabel=labels[1], aspect="equal")
    ax.grid(False)
    ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)


def points(ax: Any, X: np.ndarray, y: np.ndarray, **kwargs: Any) -> None:
    """Draw two classes: filled discs for +1, open squares for -1.

    Args:
        ax: Axes. X: ``[n, 2]``. y: ``[n]``, -1 or +1. kwargs: of ``Axes.scatter``, for both classes.
    """
    for label, style in _CLASSES.items():
        rows = X[y == label]
        options = {"s": 32, "edgecolor": INK, "linewidth": 1.2, "zorder": 4, "label": f"$y = {label:+.0f}$"}
        ax.scatter(rows[:, 0], rows[:, 1], **{**style, **options, **kwargs})


def direction(ax: Any, w: np.ndarray, color: str, label: str = "", start: Sequence[float] = (0, 0)) -> None:
    """Draw ``w [2]`` as an arrow from ``start``, by default the origin; ``label`` goes into the legend."""
    ends = {"xy": np.add(start, w), "xytext": start}
    ax.annotate(
        "", **ends, arrowprops={"arrowstyle": "-|>", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    )
    ax.plot([], [], color=color, label=label or "_arrow")  # annotations have no legend entries of their own


def separator(ax: Any, w: np.ndarray, level: float = 0.0, **kwargs: Any) -> None:
    """Draw the line ``<w, x> = level`` across the axes; kwargs are those of ``Axes.plot``."""
    foot, along = level * w / (w @ w), np.array([-w[1], w[0]]) / np.linalg.norm(w)
    reach = np.abs([*ax.get_xlim(), *ax.get_ylim()]).sum()
    ends = np.array([foot - reach * along, foot + reach * along])
    ax.plot(ends[:, 0], ends[:, 1], scalex=False, scaley=False, **kwargs)


def ball(ax: Any, norm: str, radius: float = 1.0, center: Sequence[float] = (0, 0), **kwargs: Any) -> None:
    """Draw the ball ``||x - center|| <= radius`` of ``"l1"``, ``"l2"`` or ``"linf"``.

    kwargs are those of a matplotlib patch; ``color`` is the norm's own unless given.
    """
    from matplotlib.patches import Circle, Patch, Polygon

    choice(norm, "norm", tuple(NORM_COLORS))
    options = {"fill": False, "edgecolor": NORM_COLORS[norm], "linewidth": 1.6, **kwargs}
    if norm == "l2":
        patch: Patch = Circle((center[0], center[1]), radius, **options)
    else:
        corners = {"l1": [[1, 0], [0, 1], [-1, 0], [0, -1]], "linf": [[1, 1], [-1, 1], [-1, -1], [1, -1]]}
        patch = Polygon(np.asarray(center) + radius * np.array(corners[norm]), closed=True, **options)
    ax.add_patch(patch)


def region(ax: Any, Z: np.ndarray, level: float = 1.0, **kwargs: Any) -> None:
    """Fill ``{w: <z_i, w> >= level for all i}``, as far as it lies within the axes' limits; none if it is empty.

    Args:
        ax: Axes with limits set. Z: ``[n, 2]`` rows z_i. level: right-hand side. kwargs: of a matplotlib polygon.
    """
    from matplotlib.patches import Polygon

    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    corners = np.array([[left, low], [right, low], [right, high], [left, high]])
    for z in Z:
        corners = clip(corners, z, level)
    if len(corners):
        options = {"facecolor": "0.9", "edgecolor": "0.55", "linewidth": 1.0, "zorder": 0.5}
        ax.add_patch(Polygon(corners, closed=True, **{**options, **kwargs}))


def clip(corners: np.ndarray, z: np.ndarray, level: float) -> np.ndarray:
    """Return the part of a convex polygon ``corners [m, 2]`` in the half-plane ``<z, w> >= level``, as corners.

    Source: Sutherland and Hodgman (1974).
    """
    kept: list[np.ndarray] = []
    excess = corners @ z - level
    for k in range(len(corners)):
        a, b = excess[k - 1], excess[k]
        if (a < 0) != (b < 0):
            kept.append(corners[k - 1] + a / (a - b) * (corners[k] - corners[k - 1]))
        if b >= 0:
            kept.append(corners[k])
    return np.array(kept).reshape(-1, 2)


def hull(ax: Any, Z: np.ndarray, **kwargs: Any) -> None:
    """Fill the convex hull of the rows of ``Z [n, 2]``; kwargs are those of a matplotlib polygon."""
    from matplotlib.patches import Polygon
    from scipy.spatial import ConvexHull

    options = {"facecolor": "0.9", "edgecolor": "0.55", "linewidth": 1.0, "zorder": 0.5}
    ax.add_patch(Polygon(Z[ConvexHull(Z).vertices], closed=True, **{**options, **kwargs}))
