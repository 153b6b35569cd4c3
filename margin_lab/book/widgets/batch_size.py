"""The batch-size widget (lab 13c): from one sample a batch to all of them, from the mean of the samples to the max margin."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from margin_lab.book.widgets.framework.controls import Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.palette import COLORS

# Signed samples: three hold the max margin, the crowd lies elsewhere.
Z = np.array(
    [[0.4, 0.5], [0.5, -0.2], [0.6, 0.35], [0.3, 1.2], [0.5, 1.4], [0.8, 1.3], [0.1, 1.6], [0.9, 1.7], [0.4, 1.8], [1.0, 1.1]]
)  # fmt: skip
N = len(Z)
BATCHES = tuple(range(1, N + 1))
STEPS, LR = 3000, 1.0
RECORD = np.unique(np.geomspace(1, STEPS, 60).round().astype(int))


def batch_size() -> InteractiveFigure:
    """Steps divided by the loss of their own batch, and the direction that they go to at each batch size.

    That direction maximises the expected smallest margin of a batch, ``F_b(w) = Σ_r ρ_r q_(r)(w)`` (lab 13c, thm-batch-margin),
    with the sorted margins ``q_(r)`` and ``ρ_r = C(n − r, b − 1) / C(n, b)``. It is the mean of the samples at ``b = 1`` and the
    max margin at ``b = n``. Three panels: the samples with the two ends, the direction at b and rings around the samples that
    are lowest in it; how much the sample of each rank counts; the angle of a run beside that of the theorem.

    Example:
        >>> from margin_lab.book.widgets.batch_size import batch_size
        >>> batch_size()
        InteractiveFigure('batch_size', 10 settings)
    """
    return InteractiveFigure(
        "batch_size",
        title="From the mean to the max margin: how large is a batch?",
        controls=[Slider("b", "Samples in a batch, b", BATCHES, 1, integer=True)],
        panels=_panels(),
        compute=compute,
        alt="Three plots: ten signed samples with the mean, the max-margin direction and the direction for this batch size; the "
        "weight of each rank; the angle of a run with this batch size",
        tries={
            "One sample: the mean": {"b": 1},
            "Half of them: most of the way": {"b": N // 2},
            "All: the max margin": {"b": N},
        },
        predict=("angle", "run"),
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show: one batch of runs over all batch sizes."""
    sizes = [s["b"] for s in settings]
    for b in sizes:
        if not 1 <= b <= N:
            raise ValueError(f"a batch holds 1 to {N} of the {N} samples, got b = {b}")
    steps = run(sizes)
    return [_frame(b, w) for b, w in zip(sizes, steps, strict=True)]


def run(sizes: list[int]) -> np.ndarray:
    """``w [B, T, 2]`` at the recorded steps: from 0, each step along the gradient of a batch over that batch's own loss.

    Batches are independent, as in the theorem (``sweep_linear`` shuffles epochs, which end with a shorter batch where b does
    not divide n); all rows see the same order of the samples at a step, so that a run does not depend on its neighbours.
    """
    rng, b = np.random.default_rng(0), np.array(sizes)[:, None]
    w, recorded, wanted = np.zeros((len(sizes), 2)), [], set(RECORD.tolist())
    for t in range(1, STEPS + 1):
        inside = rng.permutation(N) < b
        q = np.where(inside, w @ Z.T, np.inf)
        p = np.exp(q.min(1, keepdims=True) - q)
        w = w + LR * (p / p.sum(1, keepdims=True)) @ Z
        if t in wanted:
            recorded.append(w)
    return np.stack(recorded, axis=1)


def rank_weights(b: int) -> np.ndarray:
    """``ρ [N]``: the chance that the sample of rank r is the lowest of a batch of b."""
    return np.array([math.comb(N - r, b - 1) / math.comb(N, b) for r in range(1, N + 1)])


@cache
def limit(b: int) -> tuple[float, float]:
    """The unit vector that maximises ``F_b``, exactly: F_b is linear between the directions in which two margins tie.

    There its maximum on the circle is its gradient's direction, where that lies in the piece; else it is at a tie.
    """
    rho = rank_weights(b)
    pairs = np.array([Z[i] - Z[j] for i in range(N) for j in range(i)])
    ties = np.concatenate([[[-d[1], d[0]], [d[1], -d[0]]] for d in pairs])
    angles = np.sort(np.arctan2(ties[:, 1], ties[:, 0]))
    between = (angles + np.append(angles[1:], angles[0] + 2 * np.pi)) / 2
    inside = np.stack([np.cos(between), np.sin(between)], axis=1)
    gradients = np.array([rho @ Z[np.argsort(Z @ w)] for w in inside])
    tried = np.concatenate([ties, gradients])
    tried = tried / np.linalg.norm(tried, axis=1, keepdims=True)
    best = tried[(np.sort(tried @ Z.T, axis=1) @ rho).argmax()]
    return float(best[0]), float(best[1])


def _degrees(w: np.ndarray) -> Any:
    return np.degrees(np.arctan2(w[..., 1], w[..., 0]))


def _frame(b: int, path: np.ndarray) -> Frame:
    w, mean, widest = (np.array(limit(k)) for k in (b, 1, N))
    q = Z @ w
    ends = np.array([1.0, float(STEPS)])
    return {
        "plane": {
            "samples": (Z[:, 0], Z[:, 1]),
            "holds": (
                np.where(q <= q.min() + 1e-9, Z[:, 0], np.nan),
                np.where(q <= q.min() + 1e-9, Z[:, 1], np.nan),
            ),
            "mean": (1.3 * mean[:1], 1.3 * mean[1:]),
            "widest": (1.3 * widest[:1], 1.3 * widest[1:]),
            "limit": (1.15 * w[:1], 1.15 * w[1:]),
            "margin": (np.zeros(1), q.min(keepdims=True)),
        },
        "ranks": {"rho": (np.arange(1.0, N + 1), rank_weights(b))},
        "angle": {
            "limit": (ends, np.full(2, _degrees(w))),
            "run": (RECORD, _degrees(path)),
        },
    }


def _panels() -> list[Panel]:
    here = COLORS["ngd"]
    mean, widest = (float(_degrees(np.array(limit(k)))) for k in (1, N))
    return [
        Panel(
            "plane",
            "Signed samples",
            Axis("z₁"),
            Axis("z₂"),
            (
                Series("samples", "samples", MUTED, mark="points", width=4.0),
                Series("mean", "mean", MUTED, mark="arrow", dash=(5, 3), width=1.5),
                Series("widest", "max margin", INK, mark="arrow", dash=(5, 3), width=1.5),
                Series("limit", "this batch size", here, mark="arrow", width=2.5),
                Series("holds", "lowest", INK, mark="ring", width=1.6),
                Series("margin", "smallest margin", INK, mark="value"),
            ),
            equal=True,
            aspect=1.0,
            beside_controls=True,
        ),
        Panel(
            "ranks",
            "How much each rank counts",
            Axis("rank of a sample's margin", domain=(0.5, N + 0.5)),
            Axis("ρ", domain=(0.0, 1.05)),
            (Series("rho", "chance to be the lowest of a batch", here, dots=True),),
        ),
        Panel(
            "angle",
            "Angle of w",
            Axis("step", "log", domain=(1.0, float(STEPS))),
            Axis("degrees"),
            (
                Series("limit", "theorem", INK, dash=(5, 3), width=1.6, last=True),
                Series("run", "a run, divided by each batch's loss", here, last=True),
            ),
            rules=(Rule(mean, "mean"), Rule(widest, "max margin")),
        ),
    ]
