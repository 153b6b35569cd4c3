"""PRGD on the balls of l1 and linf: the optimizer and the batched runs agree, and both go to that norm's max margin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.norms import get_norm
from margin_lab.optim import PRGD, exponential_radii

RADII = exponential_radii(1.1)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_optimizer_equals_run(norm: str) -> None:
    data = ml.datasets.gaussian(n=8, d=4, seed=3)
    start = np.array([0.3, -0.1, 0.2, 0.5])
    run = ml.run_linear(
        data.X, data.y, "prgd", 60, lr=0.7, w0=start, warmup=0, radii=RADII, norm=norm, record="all"
    )
    w = torch.tensor(start, requires_grad=True)
    optimizer = PRGD([w], lr=0.7, radii=RADII, norm=norm)
    for t in range(60):
        np.testing.assert_allclose(run.w[t], w.detach(), rtol=1e-10, atol=1e-12)
        optimizer.zero_grad()
        ml.log_loss(torch.from_numpy(data.X) @ w, torch.from_numpy(data.y), reduction="mean").backward()
        optimizer.step()
    assert run.norm_name == norm


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_iterates_stay_in_the_ball_and_rescalings_reach_its_sphere(norm: str) -> None:
    data = ml.datasets.gaussian(seed=1)
    run = ml.run_linear(data.X, data.y, "prgd", 100, radii=RADII, warmup=100, norm=norm, record="all")
    radius = run.norm[0] * 1.1 ** (np.maximum(run.steps - 1, 0) // 5)
    assert np.all(run.norm <= radius * (1 + 1e-12))
    np.testing.assert_allclose(run.norm[1::5], radius[1::5], rtol=1e-12)
    np.testing.assert_allclose(run.norm, get_norm(norm)(torch.from_numpy(run.w)), rtol=1e-14)


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_exponentially_fast_to_that_norms_margin(norm: str) -> None:
    """Three points on which the solution in linf is the corner (1, 1) of the ball, and in l1 another direction."""
    X, radii = np.array([[0.5, 0.1], [0.2, 0.6], [0.9, -0.3]]), exponential_radii(1.2)
    run, other = (
        ml.run_linear(X, np.ones(3), "prgd", 500, lr=4.0, radii=radii, norm=n, record="all")
        for n in (norm, "l1" if norm == "linf" else "linf")
    )
    exact = ml.hard_margin(X, np.ones(3), norm=norm).margin
    gap = 1 - np.maximum.accumulate(run.margin) / exact
    assert gap[100] < 0.01
    assert -1e-12 < gap[-1] < 1e-8
    assert (X @ other.w[-1]).min() / float(get_norm(norm)(torch.from_numpy(other.w[-1]))) < 0.95 * exact


@pytest.mark.parametrize("norm", ["spectral", 3, "l3"])
def test_other_norms_have_no_ball_to_project_on(norm: object) -> None:
    data = ml.datasets.dataset_1()
    with pytest.raises(ValueError, match=r"'l1', 'l2' and 'linf' can do; got norm|unknown norm"):
        ml.run_linear(data.X, data.y, "prgd", 10, norm=norm)
    with pytest.raises(ValueError, match=r"'l1', 'l2' and 'linf' can do; got norm|unknown norm"):
        PRGD([torch.ones(2, requires_grad=True)], radii=RADII, norm=norm)
