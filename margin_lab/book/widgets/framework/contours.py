"""Curves in a window of the plane: where a function has a given value, and straight lines; for widgets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Curve = tuple[np.ndarray, np.ndarray]


def level_curve(axis: np.ndarray, values: np.ndarray, level: float, tolerance: float) -> Curve:
    """Where a function is ``level``: ``values [m, m]`` on the square grid ``axis x axis`` (second index: x).

    Pieces are separated by NaN; points that a straight line replaces to within ``tolerance`` are left out.
    """
    from contourpy import contour_generator  # comes with matplotlib

    pieces = contour_generator(axis, axis, values).lines(level)
    return joined(_thinned(np.asarray(piece), tolerance) for piece in pieces)


def lines_in_window(normals: np.ndarray, half: float) -> Curve:
    """The lines ``n_1 x + n_2 y + n_3 = 0`` for ``normals [k, 3]``, cut to ``[-half, half]^2``; NaN between them."""
    segments = []
    for a, b, c in normals:
        ends = [(x, -(a * x + c) / b) for x in (-half, half) if b]
        ends += [(-(b * y + c) / a, y) for y in (-half, half) if a]
        inside = [e for e in ends if max(map(abs, e)) <= half * (1 + 1e-9)]
        if len(inside) >= 2:
            segments.append(np.array([min(inside), max(inside)]))
    return joined(segments)


def joined(pieces: Iterable[np.ndarray]) -> Curve:
    """Pieces ``[m, 2]`` one after the other, with NaN between them."""
    gap = np.full((1, 2), np.nan)
    parts = [part for piece in pieces for part in (piece, gap)]
    points = np.concatenate(parts[:-1]) if parts else np.empty((0, 2))
    return points[:, 0], points[:, 1]


def _thinned(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Douglas and Peucker: keep the farthest point from the chord while it is farther than the tolerance."""
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    stack = [(0, len(points) - 1)]
    while stack:
        i, j = stack.pop()
        if j - i < 2:
            continue
        chord, inner = points[j] - points[i], points[i + 1 : j] - points[i]
        length = np.hypot(*chord)
        # a closed piece begins where it ends: its chord is a point
        away = (
            np.abs(chord[0] * inner[:, 1] - chord[1] * inner[:, 0]) / length if length else np.hypot(*inner.T)
        )
        k = int(away.argmax())
        if away[k] > tolerance:
            keep[i + 1 + k] = True
            stack += [(i, i + 1 + k), (i + 1 + k, j)]
    return points[keep]
