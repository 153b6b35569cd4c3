"""Geometry in the plane: clipping, and what the drawing helpers put on the axes."""

from __future__ import annotations

import numpy as np
import pytest

from margin_lab import plots
from margin_lab.book.plots.plane import clip

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def area(corners):
    x, y = corners.T
    return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


@pytest.mark.parametrize(
    ("z", "level", "expected"),
    [
        ([1, 0], 0.25, 0.75),
        ([-1, 0], -0.25, 0.25),
        ([1, 1], 1, 0.5),
        ([1, 1], 3, 0),
        ([1, 1], -1, 1),
        ([0, 0], 1, 0),
    ],
)
def test_clip_keeps_the_part_inside(z, level, expected):
    kept = clip(SQUARE, np.array(z, dtype=float), level)
    assert (kept @ np.array(z) >= level - 1e-12).all()
    assert (area(kept) if len(kept) else 0) == pytest.approx(expected)


def test_region_is_what_a_grid_of_points_says():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((4, 2)) + 1
    _, ax = plots.figure()
    plots.plane(ax, (-2, 3), (-2, 3))
    plots.region(ax, Z)
    (patch,) = ax.patches
    w = rng.uniform(-2, 3, (500, 2))
    inside = patch.get_path().contains_points(w)
    assert (inside == (w @ Z.T >= 1).all(1)).all()
    assert 0 < inside.sum() < 500


def test_an_empty_region_draws_nothing():
    _, ax = plots.figure()
    plots.plane(ax, (-2, 3), (-2, 3))
    plots.region(ax, np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert not ax.patches


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_ball_has_its_radius(norm):
    _, ax = plots.figure()
    plots.ball(ax, norm, 2.0, (1.0, -1.0))
    (patch,) = ax.patches
    corners = patch.get_transform().transform_path(patch.get_path())
    points = ax.transData.inverted().transform(corners.vertices) - [1.0, -1.0]
    order = {"l1": 1, "l2": 2, "linf": np.inf}[norm]
    if norm == "l2":  # a Bezier circle: its control points lie outside
        points = points[::3]
    assert np.linalg.norm(points, order, axis=1) == pytest.approx(2.0, rel=1e-3)


def test_unknown_ball_is_refused():
    _, ax = plots.figure()
    with pytest.raises(ValueError, match="norm must be one of 'l1', 'l2', 'linf', got 'l3'"):
        plots.ball(ax, "l3")


def test_separator_is_the_line_and_leaves_the_limits():
    _, ax = plots.figure()
    plots.plane(ax, (-1, 2), (-1, 1))
    w = np.array([3.0, 4.0])
    plots.separator(ax, w, level=2.0)
    ends = ax.lines[-1].get_xydata()
    assert ends @ w == pytest.approx(2.0)
    assert ax.get_xlim() == (-1, 2)
    assert ax.get_ylim() == (-1, 1)
