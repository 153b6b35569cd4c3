"""The radius widget (chapter 5): a radius that follows a schedule, one that follows the certificate, one that stays bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from margin_lab import datasets
from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Series
from margin_lab.datasets import Dataset
from margin_lab.optim import exponential_radii
from margin_lab.palette import COLORS
from margin_lab.runs import sweep_linear

PAIRS = 1500  # pairs of products Zw and Z'p
RECORD = np.unique(np.geomspace(2, PAIRS, 48).round().astype(int))
WARMUP = 10  # steps of gradient descent before PRGD starts; they cost a pair each, and are counted
PERIOD = 5
CAP = 1000.0  # the KL-proximal radius grows up to this, as in ``optim.certified``
GAP_FLOOR = 1e-16
SHOWN = 1e30  # a schedule's radius is drawn up to here: its direction has been frozen for long

_DATA = {
    "spanning": ("5 support vectors spanning R⁵", lambda: datasets.prescribed_support(5)),
    "flat": ("5 support vectors in R¹⁰: not spanning", lambda: datasets.prescribed_support(5, d=10)),
    "dataset_1": ("Dataset 1: three points in the plane", lambda: datasets.dataset_1()),
}
_RULES = {
    "fixed": ("PRGD: grow every 5 iterations", COLORS["prgd"]),
    "certified": ("Certified: grow when the gap is proved", COLORS["certified"]),
    "kl": ("KL-proximal: bounded radius, read increments", COLORS["certified"]),
}


def radius() -> InteractiveFigure:
    """When may the radius grow? Three answers on one dataset, their work counted in pairs of products.

    Panels: the certified gap (upper minus lower bound, both the best so far) with the true gap ``γ* − γ(w)``; the radius ``R``,
    for the KL-proximal rule also ``Σ R_k``, which bounds the length of the sum of its increments; the distance of the current
    ``w`` from the axis ``w*``. The certified rules take accelerated projected steps of size 1. "certified" stays until
    ``‖Z'p‖ − γ(w) <= c log(n)/R``; "kl" until the duality gap of its inner problem is at most ``c/2`` of ``KL(q‖p)``; ``c`` means
    nothing to "fixed".

    Example:
        >>> from margin_lab.book.widgets.radius import radius
        >>> radius()
        InteractiveFigure('radius', 225 settings)
    """
    return InteractiveFigure(
        "radius",
        title="When may the radius grow?",
        controls=[
            Choice("rule", "Rule", {name: label for name, (label, _) in _RULES.items()}, "certified"),
            Choice("data", "Data", {name: label for name, (label, _) in _DATA.items()}),
            Slider("growth", "Growth of the radius", (1.05, 1.2, 1.5, 2.0, 4.0), 1.2, "log", offset=1.0),
            Slider(
                "c", "Patience c (small: wait for a better proof)", (0.1, 0.3, 1.0, 3.0, 10.0), 1.0, "log"
            ),
        ],
        panels=_panels(),
        compute=compute,
        tries={
            "A schedule freezes": {"rule": "fixed", "data": "spanning", "growth": 1.2, "c": 1.0},
            "Wait for the proof": {"rule": "certified", "data": "spanning", "growth": 1.5, "c": 1.0},
            "To the axis itself": {"rule": "kl", "data": "dataset_1", "growth": 1.2, "c": 1.0},
        },
        alt="Three plots against the products spent: certified and true margin gap, radius, distance of w from the axis",
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show: for each dataset one batch over the schedules and one over all certified searches."""
    frames: dict[int, Frame] = {}
    for name in dict.fromkeys(s["data"] for s in settings):
        mine = [i for i, s in enumerate(settings) if s["data"] == name]
        keys = {i: _key(settings[i]) for i in mine}
        distinct = list(dict.fromkeys(keys.values()))
        fixed = [k for k in distinct if k[0] == "fixed"]
        proved = [k for k in distinct if k[0] != "fixed"]
        traces = dict(zip(fixed, _schedules(name, [k[1] for k in fixed]), strict=True)) if fixed else {}
        traces |= dict(zip(proved, _searches(name, proved), strict=True)) if proved else {}
        frames |= {i: _frame(name, *keys[i], traces[keys[i]]) for i in mine}
    return [frames[i] for i in range(len(settings))]


def _key(s: Setting) -> tuple[str, float, float]:
    """What a run depends on: a schedule knows no ``c``."""
    return s["rule"], s["growth"], s["c"] if s["rule"] != "fixed" else 0.0


@dataclass(frozen=True)
class Trace:
    """One run at its recorded ``pairs [T]``: best bounds, radius, ``Σ R_k`` of finished steps, distance from the axis."""

    pairs: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    radius: np.ndarray
    total: np.ndarray
    distance: np.ndarray


@cache
def _dataset(name: str) -> Dataset:
    return _DATA[name][1]()


def _schedules(name: str, growths: list[float]) -> list[Trace]:
    """PRGD, with the certificate that its own softmax weights give."""
    data = _dataset(name)
    steps = RECORD[RECORD > WARMUP] - WARMUP
    sweep = sweep_linear(
        data.X, data.y, "prgd", PAIRS - WARMUP, radii=[exponential_radii(b) for b in growths], period=PERIOD,
        warmup=WARMUP, record=[0, *steps.tolist()],
    )  # fmt: skip
    traces = []
    for growth, run in zip(growths, sweep, strict=True):
        q = run.w @ data.Z.T
        p = np.exp(q.min(1, keepdims=True) - q)
        upper = np.linalg.norm(p @ data.Z, axis=1) / p.sum(1)
        R = run.norm[0] * growth ** (np.maximum(run.steps - 1, 0) // PERIOD).astype(float)
        traces.append(
            Trace(
                run.steps + WARMUP,
                np.maximum.accumulate(run.margin),
                np.minimum.accumulate(upper),
                R,
                np.zeros_like(R),
                _distance(run.w, data),
            )
        )
    return traces


def _searches(name: str, keys: list[tuple[str, float, float]]) -> list[Trace]:
    """All rows ``(rule, growth, c)`` in lockstep, a pair of products at a time: accelerated projected steps of size 1.

    Each minimises ``log sum_i p_i exp(-<z_i, w>)`` on ``||w|| <= R`` until its rule lets the radius grow. ``p`` stays uniform for
    "certified"; for "kl" it becomes the softmax weights of every finished step, and the increment starts anew.
    """
    data = _dataset(name)
    Z, (n, d), B = data.Z, data.Z.shape, len(keys)
    kl = np.array([rule == "kl" for rule, _, _ in keys])
    growth, c = (np.array([key[k] for key in keys]) for k in (1, 2))
    R, total, momentum = np.ones(B), np.zeros(B), np.ones(B)
    log_p = np.full((B, n), -math.log(n))
    w, v, m, mv = np.zeros((B, d)), np.zeros((B, d)), np.zeros((B, n)), np.zeros((B, n))
    lower, upper = np.full(B, -np.inf), np.full(B, np.inf)
    rows = []
    for pair in range(1, PAIRS + 1):
        F = np.logaddexp.reduce(log_p - mv, axis=1)[:, None]
        ratio = -mv - F
        q = np.exp(log_p + ratio)
        q /= q.sum(1, keepdims=True)  # 1 but for rounding, which grows with R
        g = q @ Z
        size, length = _norm(g), np.maximum(_norm(v), 1e-300)
        upper, lower = np.minimum(upper, size), np.maximum(lower, mv.min(1) / length)
        proved = size - mv.min(1) / length <= c * math.log(n) / R
        solved = R * size - (g * v).sum(1) <= c / 2 * (q * ratio).sum(1)
        done = np.where(kl, solved, proved) & (length > 1e-300)
        if done.any():
            total += np.where(done & kl, R, 0.0)
            log_p[done & kl] += ratio[done & kl]
            new_R = np.where(done, np.where(kl, np.minimum(R * growth, np.maximum(R, CAP)), R * growth), R)
            v, mv, R = v * (new_R / R)[:, None], mv * (new_R / R)[:, None], new_R
            w[done], m[done], momentum[done] = v[done], mv[done], 1.0
        new = _ball(v + g, R)
        m_new = new @ Z.T
        step = new - w
        momentum = np.where((g * step).sum(1) < 0, 1.0, momentum)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = ((momentum - 1) / following)[:, None]
        v_new, mv_new = new + ahead * step, m_new + ahead * (m_new - m)
        shrink = np.minimum(1, R / np.maximum(_norm(v_new), 1e-300))[:, None]
        go = ~done[:, None]  # a row whose radius has just grown looks at its new problem first
        v, mv = np.where(go, shrink * v_new, v), np.where(go, shrink * mv_new, mv)
        w, m = np.where(go, new, w), np.where(go, m_new, m)
        momentum = np.where(done, 1.0, following)
        if pair in RECORD:
            rows.append((lower, upper, R, total.copy(), _distance(v, data)))
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    return [Trace(RECORD, *(column[:, b] for column in columns)) for b in range(B)]


def _norm(a: np.ndarray) -> np.ndarray:
    length: np.ndarray = np.sqrt(np.einsum("bd,bd->b", a, a))
    return length


def _ball(a: np.ndarray, R: np.ndarray) -> np.ndarray:
    return a * np.minimum(1, R / np.maximum(_norm(a), 1e-300))[:, None]


def _distance(w: np.ndarray, data: Dataset) -> np.ndarray:
    scale = np.maximum(np.abs(w).max(1, keepdims=True), 1e-300)  # squares of a schedule's radii overflow
    u = w / scale
    distance: np.ndarray = scale[:, 0] * np.linalg.norm(u - (u @ data.w_star)[:, None] * data.w_star, axis=1)
    return distance


def _frame(name: str, rule: str, growth: float, c: float, trace: Trace) -> Frame:
    data = _dataset(name)
    x, nothing = trace.pairs, (np.empty(0), np.empty(0))
    near = trace.radius <= SHOWN
    gap, true = trace.upper - trace.lower, float(data.margin or 0.0) - trace.lower
    shown = {
        "gap": {rule: (x, np.maximum(gap, GAP_FLOOR)), "true": (x, np.maximum(true, GAP_FLOOR))},
        "radius": {
            rule: (x[near], trace.radius[near]),
            "total": (x, trace.total) if rule == "kl" else nothing,
        },
        "distance": {rule: (x[near], np.maximum(trace.distance, GAP_FLOOR)[near])},
    }
    return {panel: {**dict.fromkeys(_RULES, nothing), **series} for panel, series in shown.items()}


def _panels() -> list[Panel]:
    def curves(labels: tuple[str, str, str], **options: Any) -> tuple[Series, ...]:
        return tuple(
            Series(rule, label, color, width=2.5, **options)
            for (rule, (_, color)), label in zip(_RULES.items(), labels, strict=True)
        )

    def x() -> Axis:
        return Axis("pairs of products", "log", domain=(1.0, float(PAIRS)))

    proved = "certified gap"
    return [
        Panel(
            "gap",
            "Margin gap",
            x(),
            Axis("upper − lower bound", "log", include=(1e-12, 1.0)),
            (
                *curves((proved, proved, proved), last=True),
                Series("true", "true gap γ* − γ(w)", INK, dash=(2, 3), width=1.5),
            ),
            beside_controls=True,
        ),
        Panel(
            "radius",
            "Radius",
            x(),
            Axis("R", "log", include=(1.0, 1e6)),
            (*curves(("R", "R", "R")), Series("total", "Σ R", MUTED, dash=(5, 3), width=1.6)),
        ),
        Panel(
            "distance",
            "Distance of w from the axis w*",
            x(),
            Axis("distance", "log", include=(1e-4, 1e3)),
            curves(("", "", "")),
        ),
    ]
