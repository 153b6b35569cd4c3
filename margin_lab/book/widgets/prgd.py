"""The PRGD widget (chapter 4): radius growth, period, step size and dataset; NGD beside PRGD from the same start."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from margin_lab import datasets
from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.optim import exponential_radii
from margin_lab.palette import COLORS, DASHES, LABELS
from margin_lab.runs import Run, sweep_linear

STEPS = 160  # iterations after the warm-up
WARMUP = 1000  # steps of gradient descent before both methods start, as in the paper
GAP_FLOOR = 1e-16  # below it a gap is rounding of the margin itself: drawn on the floor

_DATA = {
    "dataset_1": ("Dataset 1: three points", lambda: datasets.dataset_1()),
    "dataset_i": ("Dataset I: 100 points on the circle", lambda: datasets.dataset_i()),
    "five": ("5 support vectors in R⁵", lambda: datasets.prescribed_support(5, seed=4)),
}


def prgd() -> InteractiveFigure:
    """Progressive rescaling beside normalised gradient descent, from one warm start.

    Three panels: the data with the max-margin direction ``w*`` and the final directions; the path of ``w`` (along ``w*``,
    and its distance from that axis); the margin gap ``γ* − γ(w)`` against the iteration. Radii are
    ``R_k = R_0 · growth^k``; see :func:`margin_lab.optim.exponential_radii`.

    Example:
        >>> import margin_lab as ml
        >>> ml.widgets.prgd()
        InteractiveFigure('prgd', 216 settings)
    """
    return InteractiveFigure(
        "prgd",
        title="Progressive rescaling: stretch, then pull towards the axis",
        controls=[
            Slider(
                "growth",
                "Radius growth per cycle",
                (1.01, 1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 2.0),
                1.2,
                scale="log",
                offset=1.0,
            ),
            Slider("period", "Period (iterations per cycle)", (3, 5, 10), 5, integer=True),
            Slider("lr", "Step size", (0.3, 1.0, 2.0), 1.0, scale="log"),
            Choice("data", "Data", {name: label for name, (label, _) in _DATA.items()}),
        ],
        panels=[_plane(), _path(), _gap()],
        compute=compute,
        alt="Three plots: data with the final directions of NGD and PRGD, their paths, and their margin gaps",
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show: one batched run per dataset over all of its settings."""
    frames: dict[int, Frame] = {}
    for name in dict.fromkeys(s["data"] for s in settings):
        mine = [i for i, s in enumerate(settings) if s["data"] == name]
        frames |= zip(mine, _frames(name, [settings[i] for i in mine]), strict=True)
    return [frames[i] for i in range(len(settings))]


@dataclass(frozen=True)
class _Problem:
    """A dataset with its signed points, ``w*``, and a direction across it to draw the plane with."""

    X: np.ndarray
    y: np.ndarray
    Z: np.ndarray
    w_star: np.ndarray
    across: np.ndarray
    margin: float

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return points @ self.w_star, points @ self.across

    def path(self, run: Run) -> tuple[np.ndarray, np.ndarray]:
        """``(<w, w*>, distance from the axis)``; in the plane the distance keeps its sign."""
        along, across = self.project(run.w)
        if self.Z.shape[1] == 2:
            return along, across
        return along, np.linalg.norm(run.w - along[:, None] * self.w_star, axis=1)

    def gap(self, run: Run) -> tuple[np.ndarray, np.ndarray]:
        return run.steps, np.maximum(self.margin - run.margin, GAP_FLOOR)


@cache
def _problem(name: str) -> _Problem:
    data = _DATA[name][1]()
    w_star, Z = np.asarray(data.w_star, dtype=float), data.X * data.y[:, None]
    if Z.shape[1] == 2:
        across = np.array([-w_star[1], w_star[0]])
    else:  # the direction orthogonal to w* along which the signed data vary most
        across = np.linalg.svd(Z - np.outer(Z @ w_star, w_star), full_matrices=False)[2][0]
    return _Problem(data.X, data.y, Z, w_star, across, float(data.margin or 0.0))


# A reader who drags a slider comes back to the same step sizes; a few hundred starts are a few kilobytes.
@cache
def _warm_start(name: str, lr: float) -> np.ndarray:
    problem = _problem(name)
    start: np.ndarray = sweep_linear(problem.X, problem.y, "gd", WARMUP, lr=[lr], record=[WARMUP]).w[0, -1]
    return start


@cache
def _ngd(name: str, lr: float) -> Run:
    problem = _problem(name)
    w0 = _warm_start(name, lr)
    return sweep_linear(problem.X, problem.y, "ngd", STEPS, lr=[lr], w0=w0, record="all")[0]


def _frames(name: str, settings: list[Setting]) -> list[Frame]:
    problem = _problem(name)
    lrs, growths, periods = (sorted({s[key] for s in settings}) for key in ("lr", "growth", "period"))
    # The warm start depends on the step size alone: computed once, it is not a slider's cost.
    starts = np.stack([_warm_start(name, lr) for lr in lrs])
    sweep = sweep_linear(
        problem.X,
        problem.y,
        "prgd",
        STEPS,
        lr=lrs,
        radii=[exponential_radii(growth) for growth in growths],
        period=periods,
        warmup=0,
        w0=np.repeat(starts, len(growths) * len(periods), axis=0),
        record="all",
    )
    frames = []
    for s in settings:
        row = (lrs.index(s["lr"]) * len(growths) + growths.index(s["growth"])) * len(periods)
        prgd = sweep[row + periods.index(s["period"])]
        frames.append(_frame(problem, _ngd(name, s["lr"]), prgd))
    return frames


def _frame(problem: _Problem, ngd: Run, prgd: Run) -> Frame:
    # Three lengths, because the three directions are soon too close to be told apart.
    arrows = {"w_star": 1.25 * problem.w_star, "ngd": _unit(ngd.w[-1]), "prgd": 0.75 * _unit(prgd.w[-1])}
    along, distance = problem.path(ngd)
    return {
        "plane": {
            "margin": (np.full(2, problem.margin), np.array([-1.0, 1.0])),
            "data": problem.project(problem.Z),
            **{name: problem.project(w[None]) for name, w in arrows.items()},
        },
        "path": {
            "ngd": (along, distance),
            "prgd": problem.path(prgd),
            "start": (along[:1], distance[:1]),
        },
        "gap": {"ngd": problem.gap(ngd), "prgd": problem.gap(prgd)},
    }


def _unit(w: np.ndarray) -> np.ndarray:
    return w / float(np.linalg.norm(w))


def _curve(method: str, **options: Any) -> Series:
    return Series(method, LABELS[method], COLORS[method], dash=DASHES.get(method, ()), **options)


def _plane() -> Panel:
    arrows = [
        Series(method, LABELS[method], COLORS[method], mark="arrow", width=2.5) for method in ("ngd", "prgd")
    ]
    return Panel(
        "plane",
        "Data and final directions",
        Axis("along w*"),
        Axis("across"),
        (
            Series("margin", "", MUTED, dash=(2, 3), width=1.0),
            Series("data", "zᵢ", MUTED, mark="points", width=3.0),
            Series("w_star", "w*", INK, mark="arrow", width=1.5),
            *arrows,
        ),
        aspect=0.85,
        equal=True,
        beside_controls=True,
    )


def _path() -> Panel:
    return Panel(
        "path",
        "Path of w",
        Axis("along the axis, ⟨w, w*⟩", "log"),
        Axis("distance from the axis w*", "symlog", include=(0.0,)),
        (
            _curve("ngd", width=3.0),
            _curve("prgd", width=1.3, dots=True),
            Series("start", "common start", INK, mark="points", width=4.0),
        ),
        rules=(Rule(0.0, "w*"),),
    )


def _gap() -> Panel:
    return Panel(
        "gap",
        "Margin gap",
        Axis("iteration", domain=(0.0, float(STEPS))),
        Axis("γ* − γ(w)", "log"),
        (_curve("ngd", width=2.5, last=True), _curve("prgd", width=2.5, last=True)),
        rules=(Rule(GAP_FLOOR, "rounding"),),  # in view only where a curve reaches it
    )
