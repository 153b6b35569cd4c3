"""The lexicographic widget (chapter 12): the constrained solution as its norm is allowed to grow, and what depth decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.palette import COLORS
from margin_lab.theory.lexicographic import constrained_path, lexicographic_margin, third_level_path

# Where the book's slider stops.
RHO = (
    1.0, 1.3, 1.8, 2.4, 3.2, 4.2, 5.6, 7.5, 10.0, 13.0, 18.0, 24.0,
    32.0, 42.0, 56.0, 75.0, 100.0, 130.0, 180.0, 240.0, 320.0,
)  # fmt: skip
GRID = np.array(RHO)
FLOOR = 1e-9  # distances below this are rounding
LOWEST_SHARE = 1e-6
FIRST, SECOND, THIRD = COLORS["coordinate"], COLORS["sign"], COLORS["dual"]

INTERVAL = np.array([[1.0, 0.0], [1.5, 2.0], [2.0, -1.0]])
EDGE = np.array([[1.0, 1.0], [3.0, 1.2], [1.1, 2.5]])


@dataclass(frozen=True)
class Curve:
    """One model at radii ``rho [R]``.

    ``at [R, 2]`` and ``shallow [R, 2]`` are points of the plane; ``margins [R, n]`` are sorted and divided by the smallest;
    ``shares [R, 2 or 3]``; ``missing [R]`` is the distance of ``at`` from ``target``, the lexicographic point.
    """

    at: np.ndarray
    shallow: np.ndarray
    margins: np.ndarray
    shares: np.ndarray
    target: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        return np.maximum(np.linalg.norm(self.at - self.target, axis=1), FLOOR)


def _linear(Z: np.ndarray, norm: str) -> Callable[[np.ndarray], Curve]:
    def curve(rho: np.ndarray) -> Curve:
        ones = np.ones(len(Z))
        path, end = constrained_path(Z, ones, rho.tolist(), norm), lexicographic_margin(Z, ones, norm)
        q = np.sort(path.margins, axis=1)
        size = path.w**2 if norm == "l2" else np.abs(path.w)
        whole = rho**2 if norm == "l2" else rho
        return Curve(
            path.w / q[:, :1],
            np.zeros((len(rho), 2)),
            q / q[:, :1],
            size / whole[:, None],
            end.w / end.levels[0].margin,
        )

    return curve


def _discarded(rho: np.ndarray) -> Curve:
    """``<w, x> + <u^2 - v^2, x>`` on EDGE, exactly.

    With ``b = u^2 - v^2`` the constraint is ``||w||_2^2 + ||b||_1 <= rho^2``. Where both entries of b are positive, so are
    both of ``Z'p`` and they are equal, to the multiplier; hence ``w = (1/2, 1/2)``. Then ``w + b`` is the l1 path at radius
    ``rho^2 + 1/2``.
    """
    linear = _linear(EDGE, "l1")(rho**2 + 0.5)
    q_min = rho**2 + 0.5  # the first point's margin is the sum of the entries
    shallow = 0.5 / q_min[:, None] * np.ones(2)
    shares = np.stack([0.5 / rho**2, 1 - 0.5 / rho**2], axis=1)
    return Curve(linear.at, shallow, linear.margins, shares, linear.target)


def _needed(rho: np.ndarray) -> Curve:
    """Two points, ``0.3 w_1 + b`` and ``w_2``, with ``w_1^2 + w_2^2 + b = rho^2``: the deep part b cannot help the second.

    Stationarity: ``w_1 = 0.15`` and ``e^-w_2 = 2 w_2 e^-(0.045 + b)``, one increasing equation for ``w_2``. The plane shows the
    margins of the two points.
    """
    from scipy.optimize import brentq

    def excess(x: float, r: float) -> float:
        return float(x + np.log(2 * x) + x**2 - 0.0225 - r**2)

    x = np.array([brentq(excess, 1e-9, r + 1, args=(r,), xtol=1e-14) for r in rho])
    q = np.stack([0.045 + rho**2 - 0.0225 - x**2, x], axis=1)
    smallest = q.min(1, keepdims=True)
    shallow = np.stack([np.full_like(x, 0.045), x], axis=1) / smallest
    share = (0.0225 + x**2) / rho**2
    return Curve(q / smallest, shallow, np.sort(q) / smallest, np.stack([share, 1 - share], 1), np.ones(2))


def _third(rho: np.ndarray) -> Curve:
    a, b = third_level_path(rho)
    height = 2 * b - 1
    q = np.stack([1 - a**2, 2 + a * (1 - b), 3 + b], axis=1)
    rest = np.maximum(1 - a**2 - height**2, 0.0)
    return Curve(
        np.stack([a, height], axis=1),
        np.zeros((len(rho), 2)),
        q / q[:, :1],
        np.stack([a**2, height**2, rest], axis=1),
        np.array([0.0, 1.0]),
    )


# name: (label in the list, its curve, data of the region with all margins >= 1, the solutions of the first level)
_ENDS = {"linf": np.array([[1.0, -0.25], [1.0, 1.0]]), "l1": np.array([[0.0, 1.0], [1.0, 0.0]])}
_Model = tuple[str, Callable[[np.ndarray], Curve], np.ndarray | None, np.ndarray | None]
_MODELS: dict[str, _Model] = {
    "l1": ("Linear, ℓ1: a whole edge of maximal margins", _linear(EDGE, "l1"), EDGE, _ENDS["l1"]),
    "linf": ("Linear, ℓ∞: an interval of them", _linear(INTERVAL, "linf"), INTERVAL, _ENDS["linf"]),
    "l2": ("Linear, ℓ2: a single one", _linear(EDGE, "l2"), EDGE, None),
    "discarded": ("Linear + quadratic: the linear part is discarded", _discarded, EDGE, _ENDS["l1"]),
    "needed": ("Linear + quadratic: the linear part is needed", _needed, np.eye(2), None),
    "third": ("Three parameters: the third level fails", _third, None, None),
}


def lexicographic() -> InteractiveFigure:
    """How the minimiser of the loss on ``||theta|| <= rho`` changes with rho, for six models.

    Panels: the predictor in the plane, divided by its smallest margin ("needed": the two margins; "third": the first two
    parameters), with the region where all margins are at least 1, the solutions that share the largest smallest margin, the
    lexicographic one among them, and for sums of sub-models the shallow part; then, against rho: the sorted margins divided by
    the smallest, the shares of the norm (of each coordinate, or of the shallow and the deep part), and the distance from the
    lexicographic point.

    Example:
        >>> import margin_lab as ml
        >>> ml.widgets.lexicographic()
        InteractiveFigure('lexicographic', 126 settings)
    """
    return InteractiveFigure(
        "lexicographic",
        title="How much norm may the model use?",
        controls=[
            Slider("rho", "Norm allowed, ρ", RHO, 5.6, scale="log"),
            Choice("model", "Model", {name: entry[0] for name, entry in _MODELS.items()}),
        ],
        panels=_panels(),
        compute=compute,
        tries={
            "Slide along the edge": {"rho": 320.0, "model": "l1"},
            "The shallow part is discarded": {"rho": 100.0, "model": "discarded"},
            "The rule fails": {"rho": 100.0, "model": "third"},
        },
        predict=("shares", "s0"),
        alt="Four plots: the predictor in the plane with the region of margins at least 1; its sorted margins, the shares of the "
        "norm and the distance from the lexicographic point, all against rho",
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show: one homotopy a model over the grid, and one over all other radii asked for."""
    frames: dict[int, Frame] = {}
    for name in dict.fromkeys(s["model"] for s in settings):
        mine = [i for i, s in enumerate(settings) if s["model"] == name]
        asked = sorted({settings[i]["rho"] for i in mine})
        extra = [r for r in asked if r not in RHO]
        known = dict.fromkeys(RHO, _grid_curve(name))
        index = {r: k for k, r in enumerate(RHO)}
        if extra:
            more = _MODELS[name][1](np.array(extra))
            known |= dict.fromkeys(extra, more)
            index |= {r: k for k, r in enumerate(extra)}
        frames |= {i: _frame(name, settings[i]["rho"], known, index) for i in mine}
    return [frames[i] for i in range(len(settings))]


@cache
def _grid_curve(name: str) -> Curve:
    return _MODELS[name][1](GRID)


def _frame(name: str, rho: float, known: dict[float, Curve], index: dict[float, int]) -> Frame:
    _, _, data, maximal = _MODELS[name]
    whole, here, k = _grid_curve(name), known[rho], index[rho]
    nothing = np.empty(0), np.empty(0)
    now = np.array([rho])
    plane = {
        "region": _region(data) if data is not None else nothing,
        "maximal": (maximal[:, 0], maximal[:, 1]) if maximal is not None else nothing,
        "path": (whole.at[:, 0], whole.at[:, 1]),
        "target": (whole.target[:1], whole.target[1:]),
        "shallow": (here.shallow[k, :1], here.shallow[k, 1:]) if here.shallow.any() else nothing,
        "now": (here.at[k, :1], here.at[k, 1:]),
    }
    margins: dict[str, Any] = {f"q{j}": nothing for j in range(3)}
    shares: dict[str, Any] = {f"s{j}": nothing for j in range(3)}
    margins |= {f"q{j}": (GRID, column) for j, column in enumerate(whole.margins.T)}
    shares |= {f"s{j}": (GRID, column) for j, column in enumerate(np.maximum(whole.shares, FLOOR).T)}
    m, s = here.margins[k], np.maximum(here.shares[k], FLOOR)
    margins["now"] = (np.full(len(m), rho), m)
    shares["now"] = (np.full(len(s), rho), s)
    missing = {"missing": (GRID, whole.missing), "now": (now, here.missing[k : k + 1])}
    against_rho = {"margins": margins, "shares": shares, "missing": missing}
    for series in against_rho.values():
        heights = np.concatenate([y for x, y in series.values() if len(x)])
        series["cursor"] = (np.full(2, rho), np.array([max(heights.min(), LOWEST_SHARE), heights.max()]))
    return {"plane": plane, **against_rho}


def _region(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of ``{w: Zw >= 1}`` in and around the panel."""
    from margin_lab.book.plots.plane import clip

    low, high = -2.0, 3.0  # beyond the panel, which cuts it off
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    for z in Z:
        corners = clip(corners, z, 1.0)
    return corners[:, 0], corners[:, 1]


_WINDOW = (-1.15, 1.55)


def _panels() -> list[Panel]:
    def rho() -> Axis:
        return Axis("ρ", "log", domain=(RHO[0], RHO[-1]))

    now = (
        Series("cursor", "", MUTED, dash=(2, 3), width=1.2),
        Series("now", "", INK, mark="points", width=4.0),
    )
    return [
        Panel(
            "plane",
            "The solution, smallest margin 1",
            Axis("first coordinate", domain=(-0.45, _WINDOW[1])),
            Axis("second coordinate", domain=_WINDOW),
            (
                Series("region", "all margins ≥ 1", MUTED, mark="area"),
                Series("maximal", "first level: all of these", THIRD, width=4.0),
                Series("path", "path over ρ", MUTED, dash=(4, 3), width=1.5),
                Series("target", "lexicographic point", THIRD, mark="points", width=6.0),
                Series("now", "solution at ρ", INK, mark="arrow"),
                Series("shallow", "its shallow part", FIRST, mark="arrow", width=3.0),
            ),
            equal=True,
            aspect=1.0,
            beside_controls=True,
        ),
        Panel(
            "margins",
            "Sorted margins / the smallest",
            rho(),
            Axis("ratio", "log", include=(1.0, 4.0)),
            (
                Series("q0", "1st", FIRST),
                Series("q1", "2nd", SECOND),
                Series("q2", "3rd", THIRD),
                *now,
            ),
        ),
        Panel(
            "shares",
            "Shares of the norm",
            rho(),
            Axis("share", "log", domain=(LOWEST_SHARE, 1.3)),
            (
                Series("s0", "1st coordinate, or shallow part", FIRST),
                Series("s1", "2nd, or deep part", SECOND),
                Series("s2", "3rd", THIRD),
                *now,
            ),
            rules=(Rule(1.0),),
        ),
        Panel(
            "missing",
            "Distance from the lexicographic point",
            rho(),
            Axis("distance", "log", include=(1e-4, 1.0)),
            (Series("missing", "", INK), *now),
        ),
    ]
