"""What the theory says of linear runs: attractors, rates, certificates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import margin_lab as ml


def first_below(run: ml.Run, gamma: float, gap: float) -> float:
    below = np.flatnonzero(gamma - run.margin <= gap)
    return float(run.steps[below[0]]) if len(below) else math.inf


@pytest.mark.parametrize("lr", [0.3, 1.0])
def test_ngd_on_dataset_1_has_its_attractor(lr: float) -> None:
    """``w_1 = lr gamma t`` exactly, and ``w_2 -> log 2 / (2 sqrt(1 - gamma^2))``: the direction error is of order 1/t."""
    gamma = 0.1
    d1 = ml.datasets.dataset_1(gamma)
    run = ml.run_linear(d1.X, d1.y, "ngd", 2000, lr=lr)
    np.testing.assert_allclose(run.w[:, 0], lr * gamma * run.steps, rtol=1e-12)
    limit = math.log(2) / (2 * math.sqrt(1 - gamma**2))
    np.testing.assert_allclose(run.w[run.steps > 300, 1], limit, rtol=1e-12)
    late = run.steps > 500
    slope = np.polyfit(np.log(run.steps[late]), np.log(gamma - run.margin[late]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.02)


def test_gd_on_dataset_1_is_logarithmic() -> None:
    """At NGD's attractor ``L = (2 sqrt(2) / 3) exp(-gamma w_1)``, so ``w_1 = log(1 + gamma^2 (2 sqrt(2) / 3) t) / gamma``."""
    d1 = ml.datasets.dataset_1()
    run = ml.run_linear(d1.X, d1.y, "gd", 4000, lr=1.0, record=[1000, 4000])
    np.testing.assert_allclose(run.w[:, 0], np.log1p(0.01 * math.sqrt(8) / 3 * run.steps) / 0.1, rtol=1e-3)
    np.testing.assert_allclose(run.w[:, 1], math.log(2) / (2 * math.sqrt(0.99)), rtol=1e-9)


def test_dual_acceleration_has_its_certificate_and_rate() -> None:
    """``q_min >= gamma* ||w|| - log n`` and gap ``<= 4 log n / (gamma* t (t + 3))`` at every step."""
    data_ = ml.datasets.prescribed_support(4, n=30, gamma=0.15, seed=1)
    assert data_.margin
    run = ml.run_linear(data_.X, data_.y, "dual", 2000, record="all")
    t = run.steps[1:]
    q_min, norm = (run.w[1:] @ data_.Z.T).min(1), run.norm[1:]
    assert (q_min >= data_.margin * norm - math.log(30) - 1e-9).all()
    assert (data_.margin - run.margin[1:] <= 4 * math.log(30) / (data_.margin * t * (t + 3))).all()


@pytest.mark.parametrize(
    ("radii", "measured"), [(ml.optim.exponential_radii(1.2), 112), (ml.optim.polynomial_radii(1.2), 142)]
)
def test_prgd_on_dataset_i_over_20_seeds(radii: Any, measured: int) -> None:
    """The paper reports 106 (exp) and 142 (poly) iterations to a gap of 1e-6."""
    sets = [ml.datasets.dataset_i(seed) for seed in range(20)]
    X, y = np.stack([s.X for s in sets]), np.stack([s.y for s in sets])
    gamma = sets[0].margin
    assert gamma
    runs = ml.sweep_linear(X, y, "prgd", 400, radii=radii, record="all")
    median = float(np.median([first_below(run, gamma, 1e-6) for run in runs]))
    assert 60 <= median <= 200
    assert median == pytest.approx(measured, abs=15)


def test_prgd_on_dataset_1_converges_at_the_rate_of_its_radius() -> None:
    """Gap ``~ 1 / R``: with radii growing by 1.2 every 5 iterations the log of the gap falls by log(1.2)/5 an iteration."""
    d1 = ml.datasets.dataset_1()
    run = ml.run_linear(d1.X, d1.y, "prgd", 400, record="all")
    gap = 0.1 - run.margin[4::5]  # one phase of the cycles
    steps = run.steps[4::5]
    seen = (gap > 1e-13) & (gap < 1e-3)
    assert seen.sum() > 20
    slope = np.polyfit(steps[seen], np.log(gap[seen]), 1)[0]
    assert -slope == pytest.approx(math.log(1.2) / 5, rel=0.05)
