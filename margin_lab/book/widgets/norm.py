"""The norm widget (chapter 6): from l1 through every l_p to linf, and to weighted norms; where each one's descent ends up."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import torch

from margin_lab.book.widgets.direction import NORMS
from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.checks import positive
from margin_lab.norms import get_norm
from margin_lab.palette import COLORS

STEPS, LR = 1000, 0.1
RECORD = np.unique(np.geomspace(1, STEPS, 36).round().astype(int))
WINDOW = (-1.6, 3.0)  # of both planes

_INNER = [[0.6, 2.1], [2, -0.2], [1.8, 0.8], [1.3, 1.7], [2, 2], [1, 2.6], [1.7, 2.4]]
# Signed samples z_i = y_i x_i.
_DATA = {
    "nine": ("Nine points", [[1, 0.1], [0.75, 0.7], *_INNER]),
    "mirror": ("Nine points, two of them mirror images", [[1, 0.5], [0.5, 1], *_INNER]),
    "flat_linf": ("Three points, several solutions in ℓ∞", [[1, 0], [1.5, 1], [2, -1]]),
    "flat_l1": ("Three points, several solutions in ℓ₁", [[1, 1], [3, 1.2], [1.1, 2.5]]),
}
_POSITIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_WEIGHTS = (0.3, 0.6, 1.0, 1.7, 3.0)
_ANGLES = np.linspace(0, 2 * np.pi, 49)


def norm() -> InteractiveFigure:
    """One norm, ``‖(w₁, a w₂)‖_p``, on a slider from l1 through every p to linf, and what it decides.

    Three panels. The plane of ``w``: the region where all margins are at least 1, the smallest ball of the norm that
    touches it, where it touches (the max-margin solution, in some norms a segment), and the path of normalised steepest descent
    in that norm from ``w = 0``, scaled to smallest margin 1. The plane of the signed samples: their hull, the ball of the dual
    norm with the largest margin as its radius, and the line that separates the two. Against the iteration: the margin of the
    path in its own norm and in l1, l2 and linf, with the largest possible ones.

    Example:
        >>> from margin_lab.book.widgets.norm import norm
        >>> norm()
        InteractiveFigure('norm', 260 settings)
    """
    return InteractiveFigure(
        "norm",
        title="One norm decides where descent ends",
        controls=[
            Slider("position", "Norm ℓₚ, at 1 − 1/p  (0: ℓ₁, ½: ℓ₂, 1: ℓ∞)", _POSITIONS, 0.0),
            Slider("weight", "Weight a of the second axis, ‖(w₁, a w₂)‖ₚ", _WEIGHTS, 1.0, "log"),
            Choice("data", "Data", {name: label for name, (label, _) in _DATA.items()}),
        ],
        panels=[_plane(), _samples(), _margins()],
        compute=compute,
        tries={
            "ℓ∞: both coordinates in full": {"position": 1.0, "weight": 1.0, "data": "nine"},
            "A dear second axis": {"position": 0.5, "weight": 3.0, "data": "nine"},
            "A whole segment of solutions": {"position": 1.0, "weight": 1.0, "data": "flat_linf"},
        },
        predict=("margins", "own"),
        alt="Three plots: the ball of the norm touching the region of margins at least 1, with the path of steepest descent; the "
        "dual ball touching the hull of the samples; margins in four norms against the iteration",
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show: for each dataset one batch over all norms."""
    frames: dict[int, Frame] = {}
    for data in dict.fromkeys(s["data"] for s in settings):
        mine = [i for i, s in enumerate(settings) if s["data"] == data]
        norms = [(order(settings[i]["position"]), positive(settings[i]["weight"], "weight")) for i in mine]
        frames |= zip(mine, _frames(data, norms), strict=True)
    return [frames[i] for i in range(len(settings))]


def order(position: float) -> float:
    """The p at a slider position ``1 - 1/p``; ValueError outside ``[0, 1]``."""
    if not 0 <= position <= 1:
        raise ValueError(f"the norm's position must be between 0 (l1) and 1 (linf), got {position}")
    return 1 / (1 - position) if position < 1 else math.inf


def nearest(Z: np.ndarray, p: float) -> tuple[float, np.ndarray]:
    """The smallest ``‖v‖_p`` where ``Z v >= 1``, that is ``1/gamma*``, and both ends ``[2, 2]`` of where it is attained.

    On the line ``<z_i, v> = 1`` the norm is smallest at the steepest direction of ``-z_i``; over the region it is smallest there
    or at a corner of the region. So a few points are enough to try; with the ball's corners among them, so are the ends of a
    flat side.
    """
    own = get_norm(p)
    along = own.direction(torch.from_numpy(-Z)).numpy()
    tried = [along / (along * Z).sum(1, keepdims=True)]
    pairs = np.array(list(itertools.combinations(Z, 2)))
    pairs = pairs[np.abs(np.linalg.det(pairs)) > 1e-12]
    tried.append(np.linalg.solve(pairs, np.ones((len(pairs), 2, 1)))[..., 0])
    for corner in np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]]):
        margins = Z @ corner
        tried.append(corner / margins[margins != 0, None])
    v = np.concatenate(tried)
    v = v[(v @ Z.T).min(1) >= 1 - 1e-12]
    sizes = own(torch.from_numpy(v)).numpy()
    smallest = float(sizes.min())
    v = v[sizes <= smallest * (1 + 1e-12)]
    angles = np.arctan2(v[:, 1], v[:, 0])
    return smallest, v[[angles.argmin(), angles.argmax()]]


@cache
def _signed(data: str) -> np.ndarray:
    return np.array(_DATA[data][1], dtype=float)


@cache
def _largest(data: str) -> dict[str, float]:
    """The largest margins in l1, l2 and linf."""
    return {name: 1 / nearest(_signed(data), p)[0] for name, p in zip(NORMS, (1, 2, math.inf), strict=True)}


def _frames(data: str, norms: list[tuple[float, float]]) -> list[Frame]:
    p, weight = np.array(norms).T
    # The weighted norm of w is the plain one of (w_1, a w_2), and <z, w> that of it with (z_1, z_2 / a).
    scale = np.stack([np.ones(len(norms)), weight], axis=1)
    scaled = _signed(data) / scale[:, None]
    paths = steepest_paths(scaled, p)
    return [_frame(data, *row) for row in zip(p, scale, scaled, paths, strict=True)]


def steepest_paths(Z: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Normalised steepest descent from 0, row b in the norm ``l_p[b]`` on ``Z[b]``: ``w [B, T, d]`` at the recorded steps.

    What ``sweep_linear(..., "steepest", rule="unit")`` computes for one norm at a time; here all norms are one batch.
    """
    w, recorded = np.zeros(Z[:, 0].shape), []
    with np.errstate(divide="ignore"):  # p = 1
        exponent = (1 / (p - 1))[:, None]
    for t in range(1, STEPS + 1):
        q = (Z @ w[:, :, None])[:, :, 0]
        weights = np.exp(q.min(1, keepdims=True) - q)
        pull = ((weights / weights.sum(1, keepdims=True))[:, None] @ Z)[:, 0]
        size = np.abs(pull)
        power = (size / size.max(1, keepdims=True)) ** exponent
        first = np.zeros_like(power)
        first[np.arange(len(p)), size.argmax(1)] = 1.0
        power = np.where(p[:, None] == 1, first, power)
        length = (power ** p[:, None]).sum(1) ** (1 / p)
        w = w + LR * np.sign(pull) * power / length[:, None]
        if t in RECORD:
            recorded.append(w)
    return np.stack(recorded, axis=1)


def _frame(data: str, p: float, scale: np.ndarray, scaled: np.ndarray, path: np.ndarray) -> Frame:
    Z, largest, w = _signed(data), _largest(data), path / scale
    smallest, ends = nearest(scaled, p)
    ends = ends / scale
    q_min = (w @ Z.T).min(1)
    right = w[q_min > 0] / q_min[q_min > 0, None]
    dual = {1.0: math.inf, math.inf: 1.0}.get(p) or p / (p - 1)
    touching = ends.mean(0)
    foot = touching / (touching @ touching)
    across = 10 * np.array([-foot[1], foot[0]])
    sides = [RECORD[0], RECORD[-1]]
    own = q_min / get_norm(p)(torch.from_numpy(path)).numpy()
    margins = {name: q_min / get_norm(name)(torch.from_numpy(w)).numpy() for name in NORMS}
    return {
        "plane": {
            "region": _columns(_region(data)),
            "ball": _columns(smallest * _ball(p) / scale),
            "path": _columns(right),
            "side": _columns(ends),
            "touch": _columns(ends),
            "p": (np.array([0.0]), np.array([p])),
        },
        "samples": {
            "hull": _columns(_hull(data)),
            "dual": _columns(_ball(dual) * scale / smallest),
            "line": _columns(np.stack([foot - across, foot + across])),
            "points": _columns(Z),
            "holds": _columns(np.where((Z @ touching <= 1 + 1e-9)[:, None], Z, np.nan)),
        },
        "margins": {
            **{f"most_{name}": (sides, [largest[name]] * 2) for name in NORMS},
            "most": (sides, [1 / smallest] * 2),
            **{name: (RECORD, values) for name, values in margins.items()},
            "own": (RECORD, own),
        },
    }


def _ball(p: float) -> np.ndarray:
    """The unit sphere of l_p, as a closed polygon ``[m, 2]`` with its points where it curves."""
    around = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    around[np.abs(around) < 1e-12] = 0
    points: np.ndarray = np.sign(around) * np.abs(around) ** (2 / p)
    return points


@cache
def _region(data: str) -> np.ndarray:
    """Where all margins are at least 1, as far as the window's surroundings reach."""
    from margin_lab.book.plots.plane import clip

    low, high = 3 * WINDOW[0], 3 * WINDOW[1]
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    for z in _signed(data):
        corners = clip(corners, z, 1.0)
    return corners


@cache
def _hull(data: str) -> np.ndarray:
    from scipy.spatial import ConvexHull

    Z = _signed(data)
    corners: np.ndarray = Z[ConvexHull(Z).vertices]
    return corners


def _columns(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points[:, 0], points[:, 1]


def _plane() -> Panel:
    return Panel(
        "plane",
        "Weights: the smallest ball touches the region",
        Axis("w₁", domain=WINDOW),
        Axis("w₂", domain=WINDOW),
        (
            Series("region", "all margins ≥ 1", MUTED, mark="area"),
            Series("ball", "ball of the norm", INK, mark="area"),
            Series("side", "", INK, width=4.0),
            Series("path", "path, scaled", COLORS["steepest"], dots=True, width=1.5),
            Series("touch", "max margin", INK, mark="points", width=4.5),
            Series("p", "p =", INK, mark="value"),
        ),
        aspect=1.0,
        equal=True,
        beside_controls=True,
    )


def _samples() -> Panel:
    return Panel(
        "samples",
        "Samples: the dual ball touches their hull",
        Axis("z₁", domain=WINDOW),
        Axis("z₂", domain=WINDOW),
        (
            Series("hull", "hull", MUTED, mark="area"),
            Series("dual", "dual ball, radius γ*", INK, mark="area"),
            Series("line", "⟨w*, z⟩ = γ*", INK, dash=(5, 3), width=1.5),
            Series("points", "samples yx", INK, mark="points", width=3.5),
            Series("holds", "holds the margin", INK, mark="ring", width=1.6),
        ),
        aspect=1.0,
        equal=True,
    )


def _margins() -> Panel:
    most = [Series(f"most_{name}", "", color, dash=(1, 3), width=1.6) for name, (_, color) in NORMS.items()]
    curves = [Series(name, label, color, last=True) for name, (label, color) in NORMS.items()]
    return Panel(
        "margins",
        "Margins of the path (dotted: the largest possible)",
        Axis("iteration", "log", domain=(1.0, float(STEPS))),
        Axis("smallest margin / norm of w"),
        (
            *most,
            Series("most", "", COLORS["steepest"], dash=(1, 3), width=1.6),
            *curves,
            Series("own", "own norm", COLORS["steepest"], dash=(6, 5), width=2.2, last=True),
        ),
        rules=(Rule(0.0),),
        aspect=1.0,
    )
