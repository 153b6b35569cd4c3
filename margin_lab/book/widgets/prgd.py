"""The PRGD widget (chapter 4): radius growth, period, step size and dataset; NGD beside PRGD from the same start."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from margin_lab import datasets
from margin_lab.book.widgets.framework.clock import Clock, Stop
from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.optim import exponential_radii
from margin_lab.palette import COLORS, DASHES, LABELS
from margin_lab.runs import Run, sweep_linear

STEPS = 160  # iterations after the warm-up
WARMUP = 1000  # steps of gradient descent before both methods start, as in the paper
SHOWN = (5.0, 5e6)  # along the axis: growths beyond 1.5 go on to 1e16, where nothing happens any more
ANGLE_FLOOR = 1e-8  # degrees
GAP_FLOOR = 1e-16  # below it a gap is rounding of the margin itself: drawn on the floor

_DATA = {
    "dataset_1": ("Dataset 1: three points", lambda: datasets.dataset_1()),
    "dataset_i": ("Dataset I: 100 points on the circle", lambda: datasets.dataset_i()),
    "five": ("5 support vectors in R⁵", lambda: datasets.prescribed_support(5, seed=4)),
}


def prgd() -> InteractiveFigure:
    """Progressive rescaling beside normalised gradient descent, from one warm start.

    Four panels: the angle between ``w`` and the max-margin direction ``w*``, and the margin gap ``γ* − γ(w)``, against the
    iteration; the path of ``w`` (along ``w*``, and its distance from that axis) with the watershed
    ``p* = m η v / (b − 1)``, beyond which a stretch by ``b`` outdoes the ``m`` pulls of a cycle (chapter 4); the data, with
    rings around the samples that hold the margin. Radii are ``R_k = R_0 · b^k``; see
    :func:`margin_lab.optim.exponential_radii`. A clock goes through the run by stretches and by pulls.

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
        panels=[_angle(), _gap(), _path(), _plane()],
        compute=compute,
        alt="Four plots: the angle to w* and the margin gap of NGD and PRGD against the iteration; their paths, with the "
        "watershed; the data, with rings around the samples that hold the margin",
        tries={
            "No faster than NGD": {"growth": 1.01, "period": 5, "lr": 1.0, "data": "dataset_1"},
            "The paper's growth": {"growth": 1.2, "period": 5, "lr": 1.0, "data": "dataset_1"},
            "Beyond the watershed": {"growth": 1.5, "period": 5, "lr": 1.0, "data": "five"},
        },
        predict=("angle", "prgd"),
        clock=Clock(
            "Iteration",
            "angle",
            "prgd",
            (Stop("Next stretch", "period", phase=1), Stop("Next pull", "period", phase=1, others=True)),
        ),
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

    def path(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(<w, w*>, distance from the axis)``."""
        along = w @ self.w_star
        return along, np.linalg.norm(w - along[..., None] * self.w_star, axis=-1)

    def angle(self, run: Run) -> tuple[np.ndarray, np.ndarray]:
        """In degrees; below 1e-8 the distance from the axis is rounding."""
        along, distance = self.path(run.w)
        return run.steps, np.maximum(np.degrees(np.arctan2(distance, along)), ANGLE_FLOOR)

    def far_pull(self, w: np.ndarray) -> float:
        """The velocity towards the axis far out in the direction of ``w``: there the sample lowest in it has all the weight."""
        off = w - (w @ self.w_star) * self.w_star
        return float(-(self.Z @ off).min() / np.linalg.norm(off))

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
        frames.append(_frame(problem, s, _ngd(name, s["lr"]), prgd))
    return frames


def _frame(problem: _Problem, s: Setting, ngd: Run, prgd: Run) -> Frame:
    along, distance = problem.path(ngd.w)
    pull = problem.far_pull(prgd.w[-1])
    watershed = (
        (s["period"] - 1) * s["lr"] * pull / (s["growth"] - 1) if pull > 0 and s["growth"] > 1 else np.nan
    )
    holds = problem.Z @ problem.w_star <= problem.margin * (1 + 1e-6)
    return {
        "angle": {"ngd": problem.angle(ngd), "prgd": problem.angle(prgd)},
        "gap": {"ngd": problem.gap(ngd), "prgd": problem.gap(prgd)},
        "path": {
            "watershed": (np.array(SHOWN), np.full(2, watershed)),
            "ngd": (along, distance),
            "prgd": problem.path(prgd.w),
            "start": (along[:1], distance[:1]),
        },
        "plane": {
            "margin": (np.full(2, problem.margin), np.array([-1.0, 1.0])),
            "data": problem.project(problem.Z),
            "holds": problem.project(np.where(holds[:, None], problem.Z, np.nan)),
            "w_star": problem.project(problem.w_star[None]),
        },
    }


def _curve(method: str, **options: Any) -> Series:
    return Series(method, LABELS[method], COLORS[method], dash=DASHES.get(method, ()), **options)


def _against_iteration(name: str, title: str, y: Axis, rules: tuple[Rule, ...], **options: Any) -> Panel:
    curves = tuple(_curve(method, width=2.5, last=True) for method in ("ngd", "prgd"))
    return Panel(
        name, title, Axis("iteration", domain=(0.0, float(STEPS))), y, curves, rules=rules, **options
    )


def _angle() -> Panel:
    rounding = Rule(ANGLE_FLOOR, "rounding")
    return _against_iteration(
        "angle", "Angle between w and w*", Axis("degrees", "log"), (rounding,), beside_controls=True
    )


def _gap() -> Panel:
    rounding = Rule(GAP_FLOOR, "rounding")
    return _against_iteration("gap", "Margin gap", Axis("γ* − γ(w)", "log"), (rounding,))


def _path() -> Panel:
    return Panel(
        "path",
        "Path of w",
        Axis("along the axis, ⟨w, w*⟩", "log", domain=SHOWN),
        Axis("distance from the axis", "log", domain=(0.02, 5e4)),
        (
            Series("watershed", "watershed p*, at the latest", INK, dash=(5, 3), width=1.5, last=True),
            _curve("ngd", width=3.0),
            _curve("prgd", width=1.3, dots=True),
            Series("start", "common start", INK, mark="points", width=4.0),
        ),
    )


def _plane() -> Panel:
    return Panel(
        "plane",
        "Data: the ringed samples hold the margin",
        Axis("along w*"),
        Axis("across"),
        (
            Series("margin", "", MUTED, dash=(2, 3), width=1.0),
            Series("w_star", "w*", INK, mark="arrow", width=1.5),
            Series("data", "zᵢ", MUTED, mark="points", width=3.0),
            Series("holds", "holds the margin", INK, mark="ring", width=1.5),
        ),
        aspect=0.85,
        equal=True,
    )
