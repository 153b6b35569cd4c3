"""The Adam widget (chapter 11): eps and the memories, and which margin the direction heads for when."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.checks import positive
from margin_lab.hard_margins import HardMargin, hard_margin
from margin_lab.palette import COLORS
from margin_lab.runs import sweep_linear
from margin_lab.theory.adam import handover_loss, handover_time, sign_phase_rate

STEPS, LR = 2000, 0.01
_GRID = np.unique(np.geomspace(1, STEPS - 1, 50).round().astype(int))
# Neighbours too: their difference is a step.
RECORD = sorted({0, *_GRID.tolist(), *(_GRID + 1).tolist()})
# Signed samples whose widest margins in linf and in l2 lie far apart.
Z = np.array([[0.9, 0.2], [1.4, 0.4], [1.1, 0.9], [0.7, 1.6]])

_EPS = (1e-16, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_MEMORY = (1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def adam() -> InteractiveFigure:
    """Full-batch Adam from 0 on four points in the plane: its eps, and the memories of its two running means.

    Three panels against the iteration. The angle of w, between those of the widest margins in linf (sign descent's) and in l2
    (gradient descent's). The loss, with the predicted straight line of the sign phase and the predicted handover to eps. The
    length of the steps in units of lr, with the predicted throttle.

    Example:
        >>> from margin_lab.book.widgets.adam import adam
        >>> adam()
        InteractiveFigure('adam', 176 settings)
    """
    x = Axis("iteration", "log", domain=(1.0, float(STEPS)))
    color = COLORS["adam"]
    linf, l2 = (_angle(_exact(norm).w) for norm in ("linf", "l2"))
    return InteractiveFigure(
        "adam",
        title="Adam: two phases, two brakes",
        controls=[
            Slider("eps", "ε", _EPS, 1e-4, "log"),
            Slider("memory", "Memory of √v, 1/(1 − β₂) steps", _MEMORY, 10.0, "log"),
            Choice("beta1", "Momentum β₁", {"0.9": "0.9", "0": "0"}),
        ],
        panels=[
            Panel(
                "direction",
                "Direction of w",
                x,
                Axis("angle of w, degrees", include=(l2 - 4, linf + 4)),
                (Series("adam", "Adam", color, last=True),),
                rules=(Rule(linf, "widest in ℓ∞"), Rule(l2, "widest in ℓ₂")),
                beside_controls=True,
            ),
            Panel(
                "loss",
                "Loss",
                x,
                Axis("log₁₀ ℒ"),
                (
                    Series("law", "sign phase, predicted", MUTED, dash=(5, 3), width=1.6),
                    Series("adam", "Adam", color, last=True),
                    Series("handover", "handover, predicted", INK, mark="points", width=4.5),
                ),
            ),
            Panel(
                "step",
                "Length of the steps",
                x,
                Axis("largest entry of the step / lr", "log", include=(0.1, 1.0)),
                (
                    Series("law", "sign phase, predicted", MUTED, dash=(5, 3), width=1.6),
                    Series("adam", "Adam", color, last=True),
                ),
            ),
        ],
        compute=compute,
        tries={
            "As sign descent": {"eps": 1e-16, "memory": 10.0, "beta1": "0.9"},
            "ε takes over": {"eps": 1e-3, "memory": 10.0, "beta1": "0.9"},
            "The memory takes over": {"eps": 1e-16, "memory": 300.0, "beta1": "0.9"},
        },
        alt="Three plots against the iteration: the angle of w between the widest margins in linf and l2, the loss with the "
        "predicted rate and handover, and the length of Adam's steps",
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show: one batched run over all combinations of the values asked for."""
    wanted = [(float(s["beta1"]), second_beta(s["memory"]), positive(s["eps"], "eps")) for s in settings]
    beta1, beta2, eps = (list(dict.fromkeys(values)) for values in zip(*wanted, strict=True))
    runs = sweep_linear(
        Z, np.ones(len(Z)), "adam", STEPS, lr=LR, beta1=beta1, beta2=beta2, eps=eps, record=RECORD
    )
    found = {(run.settings["beta1"], run.settings["beta2"], run.settings["eps"]): run for run in runs}
    return [_frame(found[key], *key) for key in wanted]


def second_beta(memory: float) -> float:
    """``1 - 1/memory``; ValueError for a memory shorter than one step."""
    if memory < 1:
        raise ValueError(f"the memory of sqrt(v) is at least 1 step, got {memory}")
    return 1 - 1 / memory


@cache
def _exact(norm: str) -> HardMargin:
    return hard_margin(Z, np.ones(len(Z)), norm)


def _angle(w: np.ndarray) -> Any:
    return np.degrees(np.arctan2(w[..., 1], w[..., 0]))


def _frame(run: Any, beta1: float, beta2: float, eps: float) -> Frame:
    nothing = np.empty(0), np.empty(0)
    started = run.steps > 0
    rate = sign_phase_rate(_exact("linf").margin, LR, beta1, beta2)
    pair = np.flatnonzero(np.diff(run.steps) == 1)
    lengths = np.abs(run.w[pair + 1] - run.w[pair]).max(-1) / LR
    law = throttled = handover = nothing
    if math.isfinite(rate):
        # from the loss at the start, which the sign phase knows
        law = run.steps[started], -rate * run.steps[started] / math.log(10)
        throttled = np.array([1, STEPS]), np.full(2, rate / LR / _exact("linf").margin)
        pull = _exact("linf").dual @ Z
        at = handover_time(pull, LR, eps, beta1, beta2)
        if 1 <= at <= STEPS:
            handover = np.array([at]), np.array([handover_loss(pull, LR, eps, beta1, beta2) / math.log(10)])
    return {
        "direction": {"adam": (run.steps[started], _angle(run.w[started]))},
        "loss": {
            "law": law,
            "adam": (run.steps[started], run.log_loss[started] / math.log(10)),
            "handover": handover,
        },
        "step": {"law": throttled, "adam": (run.steps[pair] + 1, lengths)},
    }
