"""The initialization-scale widget (chapters 7 and 10): one small network, started small or large, by several algorithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from margin_lab.book.widgets.framework.contours import level_curve, lines_in_window
from margin_lab.book.widgets.framework.controls import Choice, Control, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.book.widgets.two_layer import NORMS, Trace, carriers, outputs, ring, train
from margin_lab.checks import choice, positive
from margin_lab.palette import COLORS, LABELS

STEPS = 2000
RECORD = np.unique(np.concatenate([[0], np.geomspace(1, STEPS, 56).round()])).astype(int)
HALF = 1.5  # of the window
NAMED = 6  # bends that have a name
GRID = np.linspace(-HALF, HALF, 97)
TOLERANCE = 0.004  # to which boundaries are drawn: half a pixel
# The largest normalised margins ``q_min / ||theta||^2`` that a run of the book's grid ends with or passes.
BEST = {"l1": 0.0035974, "l2": 0.042736, "linf": 3.0048}
# Where |log L| is larger a run is not drawn: its steps are far too large.
MOST = 1e6

_SCALES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
_PLUS, _MINUS = "#009E73", "#CC79A7"
_MARGINS = {"l1": ("ℓ₁", "coordinate"), "l2": ("ℓ₂", "gd"), "linf": ("ℓ∞", "sign")}


def init_scale(algorithms: str | Sequence[str] = "gd") -> InteractiveFigure:
    """A two-layer ReLU network (48 neurons with biases) on 14 points, from a start of length α.

    Three panels: the decision boundary, with the lines where the network is as far from 0 as at its closest sample, and
    the lines at which the heaviest neurons bend; normalised margins ``q_min / ‖θ‖²`` and the loss against the iteration.
    Steps are steepest descent on ``log ℒ`` in the algorithm's norm, of length ``η ‖θ‖``, and no longer than what lowers
    ``log ℒ`` by 10 η to first order.

    Args:
        algorithms: "gd", "sign", "coordinate"; several become a control, and margins in all three norms are shown.

    Raises:
        ValueError: no algorithm, one twice, or an unknown one.

    Example:
        >>> from margin_lab.book.widgets.init_scale import init_scale
        >>> init_scale(), init_scale(["gd", "sign"])
        (InteractiveFigure('init_scale', 48 settings), InteractiveFigure('init_scale', 96 settings))
    """
    names = [algorithms] if isinstance(algorithms, str) else list(algorithms)
    for name in names:
        choice(name, "algorithm", tuple(NORMS))
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"algorithms must be one or more different ones of {', '.join(NORMS)}, got {algorithms!r}"
        )
    controls: list[Control] = [
        Slider("scale", "Scale of the start, α = ‖θ(0)‖", _SCALES, 0.1, scale="log"),
        # sign and coordinate descent need shorter steps
        Slider("lr", "Step size η", _RATES, 0.01 if names == ["gd"] else 0.003, scale="log"),
    ]
    if len(names) > 1:
        controls.insert(0, Choice("algorithm", "Algorithm", {name: LABELS[name] for name in names}))
    return InteractiveFigure(
        "init_scale",
        title="Small start, large start",
        controls=controls,
        panels=[_boundary(), _margins(names), _loss()],
        tries=_tries(names),
        compute=partial(compute, algorithms=names),
        alt="Three plots: the decision boundary of a small network among 14 points, with the lines where its neurons bend; its "
        "normalised margins and its loss against the iteration",
    )


def _tries(names: list[str]) -> dict[str, Setting]:
    if len(names) == 1:
        return {
            "Small start: few bends": {"scale": 0.1, "lr": 0.01},
            "Large start: many bends": {"scale": 30.0, "lr": 0.01},
            "Steps too long": {"scale": 0.1, "lr": 0.3},
        }
    labels = {"coordinate": "Few neurons", "gd": "Half of them", "sign": "Most of them"}
    rich = {labels[name]: {"algorithm": name, "scale": 0.1, "lr": 0.003} for name in labels if name in names}
    return {**rich, "Large start: the lazy end": {"scale": 30.0, "lr": 0.003}}


def compute(settings: list[Setting], algorithms: Sequence[str] = ("gd",)) -> list[Frame]:
    """What the panels show: for each algorithm one batch over all scales and step sizes."""
    frames: dict[int, Frame] = {}
    X, y = _data()
    for name in algorithms:
        mine = [i for i, s in enumerate(settings) if s.get("algorithm", algorithms[0]) == name]
        rates = [positive(settings[i]["lr"], "the step size") for i in mine]
        scales = [positive(settings[i]["scale"], "the scale") for i in mine]
        if mine:
            with np.errstate(over="ignore", invalid="ignore"):  # a run that overflows stays where it is
                trace = train(X, y, name, rates, scales, RECORD)
            frames |= {i: _frame(name, trace, row, len(algorithms) > 1) for row, i in enumerate(mine)}
    return [frames[i] for i in range(len(settings))]


@cache
def _data() -> tuple[np.ndarray, np.ndarray]:
    return ring()


def _frame(algorithm: str, trace: Trace, row: int, all_norms: bool) -> Frame:
    log_loss, q_min = trace.log_loss[row], trace.q_min[row]
    ok = np.isfinite(log_loss) & (np.abs(log_loss) < MOST)
    end = len(RECORD) if ok.all() else max(1, int(ok.argmin()))
    steps, log_loss, q_min = RECORD[:end], log_loss[:end], q_min[:end]
    shown = tuple(_MARGINS) if all_norms else (NORMS[algorithm],)
    margins: dict[str, Any] = {}
    for name in shown:
        best = BEST[name] * trace.norms[name][row, :end] ** 2
        margins[name] = _where_positive(steps, q_min / best)
        if not all_norms:
            margins["smoothed"] = _where_positive(steps, -log_loss / best)
    return {
        "boundary": _plane(trace.theta[row]),
        "margins": margins,
        "loss": {"loss": (steps, log_loss / math.log(10))},
    }


def _where_positive(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Margins mean nothing before all samples are fitted: there is no curve."""
    return x, np.where(y > 0, y, np.nan)


def _plane(theta: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The picture of a network, which does not depend on its length."""
    X, y = _data()
    theta = theta / np.abs(theta).max()
    theta = theta / np.linalg.norm(theta)
    values = outputs(theta, np.stack(np.meshgrid(GRID, GRID), axis=-1))
    # where neurons cancel there are rounding errors only: no boundary runs through them
    noise = 1e-12 * np.abs(values).max()
    values = np.where(np.abs(values) < noise, noise, values)
    margin = float((y * outputs(theta, X)).min())
    curves = {name: (np.empty(0), np.empty(0)) for name in ("street", "other")}
    if margin > 0:
        curves["street"] = level_curve(GRID, values, margin, TOLERANCE)
        curves["other"] = level_curve(GRID, values, -margin, TOLERANCE)
    heavy = carriers(theta)
    count = np.array([float(len(heavy))])
    bends = lines_in_window(heavy, HALF)
    return {
        "neurons": bends,
        "names": _names(*bends),
        **curves,
        "zero": level_curve(GRID, values, 0.0, TOLERANCE),
        "plus": (X[y > 0, 0], X[y > 0, 1]),
        "minus": (X[y < 0, 0], X[y < 0, 1]),
        "count": (count, count),
    }


def _names(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the names of the first bends stand: on the line, near the end that is higher up."""
    starts = np.flatnonzero(np.isfinite(x) & ~np.isfinite(np.concatenate([[np.nan], x[:-1]])))[:NAMED]
    ends = [np.array([[x[i], y[i]], [x[i + 1], y[i + 1]]]) for i in starts]
    at = np.array([e[e[:, 1].argmax()] * 0.92 + e[e[:, 1].argmin()] * 0.08 for e in ends]).reshape(-1, 2)
    return at[:, 0], at[:, 1]


def _boundary() -> Panel:
    return Panel(
        "boundary",
        "Decision boundary after the last step",
        Axis("x₁", domain=(-HALF, HALF)),
        Axis("x₂", domain=(-HALF, HALF)),
        (
            Series("neurons", "where the heaviest neurons bend: n₁, n₂, ...", MUTED, width=0.7),
            Series("names", "", MUTED, mark="ring", width=0.0, letter="n"),
            Series("street", "as far from 0 as the closest sample", INK, dash=(2, 3), width=1.3),
            Series("other", "", INK, dash=(2, 3), width=1.3),
            Series("zero", "boundary, f = 0", INK, width=2.6),
            Series("plus", "class +1", _PLUS, mark="points", width=4.5),
            Series("minus", "class −1", _MINUS, mark="points", width=4.5),
            Series("count", "neurons with 90 % of the weight", INK, mark="value"),
        ),
        aspect=1.0,
        equal=True,
        beside_controls=True,
    )


def _margins(algorithms: Sequence[str]) -> Panel:
    if len(algorithms) > 1:
        curves = tuple(
            Series(name, f"in {label}", COLORS[owner], width=2.2, last=True)
            for name, (label, owner) in _MARGINS.items()
        )
        title = "Margins in three norms"
    else:
        label, owner = _MARGINS[NORMS[algorithms[0]]]
        curves = (
            Series("smoothed", "smoothed", COLORS[owner], dash=(5, 3), width=1.6),
            Series(NORMS[algorithms[0]], f"margin in {label}", COLORS[owner], width=2.4, last=True),
        )
        title = f"Normalised margin in {label}"
    best = Rule(1.0, "largest found")
    return Panel(
        "margins",
        title,
        _iteration(),
        Axis("share of the largest", domain=(0.0, 1.15)),
        curves,
        (best,),
        empty="No margin yet: at these steps not all samples are on their side after 2000 iterations.",
    )


def _loss() -> Panel:
    return Panel(
        "loss",
        "Loss",
        _iteration(),
        Axis("log₁₀ ℒ", "symlog"),
        (Series("loss", "log₁₀ ℒ", INK, width=2.2, last=True),),
        (Rule(0.0),),
    )


def _iteration() -> Axis:
    return Axis("iteration", "log", domain=(1.0, float(STEPS)))
