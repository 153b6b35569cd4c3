"""The step-size widget (chapter 2): from far too small to divergent, on the loss or on its logarithm."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from margin_lab import datasets
from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.datasets import Dataset
from margin_lab.palette import COLORS
from margin_lab.runs import sweep_linear
from margin_lab.theory.flows.log_time import linear_flow

STEPS = 1000
# The beginning step by step, then pairs of neighbours on a log scale: a run that hops from side to side shows both.
_LATER = np.geomspace(30, STEPS - 1, 30).round().astype(int)
RECORD = sorted({*range(30), *_LATER.tolist(), *(_LATER + 1).tolist()})
# A run that overflows is drawn as long as its loss and its norm stay below these.
MAX_LOG_LOSS, MAX_NORM = 30 * math.log(10), 1e6
FLOW_LOG_T = np.linspace(-4, 8, 121) * math.log(10)

_DATA = {
    "dataset_1": ("Dataset 1: three points, γ* = 0.1", lambda: datasets.dataset_1()),
    "wide": ("20 random points, γ* = 0.3", lambda: datasets.prescribed_support(2, n=20, gamma=0.3, seed=11)),
}
# name: (label in the list, label of the curve, method, loss, colour)
_RULES = {
    "gd": ("Gradient descent on ℒ", "GD", "gd", "exponential", COLORS["gd"]),
    "ngd": ("Loss-normalised: ∇ℒ/ℒ", "NGD", "ngd", "exponential", COLORS["ngd"]),
    "logistic": ("Gradient descent, logistic loss", "GD, logistic loss", "gd", "logistic", COLORS["gd"]),
}
_SMALL = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.6)
_LARGE = (2.0, 2.3, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 300.0, 1000.0)


def step_size() -> InteractiveFigure:
    """One optimizer, one dataset, and the step size on a log slider from far too small to divergent.

    Five panels: the path of ``w`` along and across ``w*``, with gradient flow's path behind it; then against the iteration
    the loss, the margin gap ``γ* − γ(w)``, the norm, and the step size times the sharpness (the largest eigenvalue of the
    Hessian of what is descended: ``ℒ``, or ``log ℒ`` for the normalised rule), whose edge of stability is 2. A run that
    overflows stops there, with a mark.

    Example:
        >>> import margin_lab as ml
        >>> ml.widgets.step_size()
        InteractiveFigure('step_size', 168 settings)
    """
    return InteractiveFigure(
        "step_size",
        title="One step size: too small, right, too large",
        controls=[
            Slider("lr", "Step size η", _SMALL + _LARGE, 1.0, scale="log"),
            Choice("rule", "Method", {name: rule[0] for name, rule in _RULES.items()}),
            Choice("data", "Data", {name: label for name, (label, _) in _DATA.items()}),
        ],
        panels=[
            _path(),
            _panel("loss", "Loss", Axis("log₁₀ ℒ", "symlog")),
            _panel("gap", "Margin gap", Axis("γ* − γ(w)", "log"), last=True),
            _panel("norm", "Norm", Axis("‖w‖", "log"), last=True),
            _panel(
                "edge",
                "Step size × sharpness, edge at 2",
                Axis("η λₘₐₓ", "log", domain=(1e-4, 1e4)),  # what leaves it at the top overflows
                rules=(Rule(2.0),),
            ),
        ],
        compute=compute,
        predict=("gap", "gd"),
        tries={
            "Over the edge, and back": {"lr": 2.3, "rule": "gd", "data": "dataset_1"},
            "Normalised: hops for ever": {"lr": 20.0, "rule": "ngd", "data": "dataset_1"},
            "No overflow, yet stuck": {"lr": 1000.0, "rule": "gd", "data": "wide"},
        },
        alt="Five plots: the path of w beside gradient flow's, then loss, margin gap, norm and step size times "
        "sharpness against the iteration",
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show: one batched run per dataset and rule over all of its step sizes."""
    frames: dict[int, Frame] = {}
    for group in dict.fromkeys((s["data"], s["rule"]) for s in settings):
        mine = [i for i, s in enumerate(settings) if (s["data"], s["rule"]) == group]
        frames |= zip(mine, _frames(*group, [settings[i]["lr"] for i in mine]), strict=True)
    return [frames[i] for i in range(len(settings))]


def _frames(name: str, rule: str, lrs: list[float]) -> list[Frame]:
    data = _dataset(name)
    _, _, method, loss, _ = _RULES[rule]
    sweep = sweep_linear(data.X, data.y, method, STEPS, lr=lrs, loss=loss, record=RECORD)
    return [_frame(name, rule, lr, run) for lr, run in zip(lrs, sweep, strict=True)]


def _frame(name: str, rule: str, lr: float, run: Any) -> Frame:
    data = _dataset(name)
    end = len(run.steps)
    if run.diverged_at is not None:
        shown = (run.steps < run.diverged_at) & (run.log_loss <= MAX_LOG_LOSS) & (run.norm <= MAX_NORM)
        end = int(np.argmin(shown))
    curves = {
        "path": _plane(run.w, data),
        "loss": (run.steps, run.log_loss / math.log(10)),
        "gap": (run.steps, data.margin - run.margin),
        "norm": (run.steps, run.norm),
        "edge": (run.steps, lr * _sharpness(run.w[:end], data.Z, rule)),
    }
    nothing = np.empty(0), np.empty(0)
    frame: dict[str, dict[str, Any]] = {"path": {"flow": _flow_path(name)}}
    for panel, (x, y) in curves.items():
        series: dict[str, Any] = dict.fromkeys(_RULES, nothing)
        series[rule] = x[:end], y[:end]
        series["overflow"] = (x[end - 1 : end], y[end - 1 : end]) if run.status == "diverged" else nothing
        frame.setdefault(panel, {}).update(series)
    return frame


def _sharpness(w: np.ndarray, Z: np.ndarray, rule: str) -> np.ndarray:
    """The largest eigenvalue of the Hessian of what the rule descends, ``[T]`` for ``w [T, d]``."""
    q = w @ Z.T
    if rule == "logistic":
        # sigma(q) sigma(-q) = 1 / (2 + e^q + e^-q)
        return _largest_eigenvalue(1 / (2 + 2 * np.cosh(np.clip(q, -700, 700))) / len(Z), Z)
    each = np.exp(-q) / len(Z)
    if rule == "gd":
        return _largest_eigenvalue(each, Z)
    p = np.exp(-q - np.logaddexp.reduce(-q, axis=1, keepdims=True))
    mean = p @ Z  # the Hessian of log L is the covariance of the rows under the softmax weights
    return np.linalg.eigvalsh(np.einsum("ti,ij,ik->tjk", p, Z, Z) - mean[:, :, None] * mean[:, None, :])[
        :, -1
    ]


def _largest_eigenvalue(weights: np.ndarray, Z: np.ndarray) -> np.ndarray:
    top: np.ndarray = np.linalg.eigvalsh(np.einsum("ti,ij,ik->tjk", weights, Z, Z))[:, -1]
    return top


def _plane(w: np.ndarray, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """``(<w, w*>, component across)`` for data in the plane."""
    across = np.array([-data.w_star[1], data.w_star[0]])  # type: ignore[index]
    return w @ data.w_star, w @ across


@cache
def _dataset(name: str) -> Dataset:
    return _DATA[name][1]()


@cache
def _flow_path(name: str) -> tuple[np.ndarray, np.ndarray]:
    data = _dataset(name)
    return _plane(linear_flow(data.X, data.y, FLOW_LOG_T).w, data)


def _curves(**options: Any) -> tuple[Series, ...]:
    curves = [Series(name, label, color, **options) for name, (_, label, _, _, color) in _RULES.items()]
    return (*curves, Series("overflow", "overflows after this", INK, mark="points", width=4.0))


def _panel(name: str, title: str, y: Axis, rules: tuple[Rule, ...] = (), **options: Any) -> Panel:
    x = Axis("iteration", "log", domain=(1.0, float(STEPS)))
    empty = "It overflows in the first steps."
    return Panel(name, title, x, y, _curves(width=2.2, **options), rules=rules, empty=empty)


def _path() -> Panel:
    return Panel(
        "path",
        "Path of w",
        Axis("along the axis, ⟨w, w*⟩", "symlog", include=(0.0,)),
        Axis("across the axis", "symlog", include=(-1.0, 1.0)),
        (Series("flow", "gradient flow", MUTED, dash=(5, 3), width=1.6), *_curves(width=1.2, dots=True)),
        rules=(Rule(0.0),),
        aspect=0.85,
        beside_controls=True,
    )
