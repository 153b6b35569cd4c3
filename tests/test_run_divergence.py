"""Runs that diverge: one row of a sweep stops where it was, a single run raises."""

from __future__ import annotations

import numpy as np
import pytest

import margin_lab as ml


def test_one_row_diverges_and_the_others_go_on() -> None:
    d1 = ml.datasets.dataset_1()
    sweep = ml.sweep_linear(d1.X, d1.y, "gd", 50, lr=[0.5, 1e6, 1.0], record="all")
    assert sweep.status == ["finished", "diverged", "finished"]
    assert sweep.diverged_at[0] is sweep.diverged_at[2] is None
    t = sweep.diverged_at[1]
    assert t == 2
    assert (sweep.w[1, t:] == sweep.w[1, t - 1]).all()
    assert all(np.isfinite(getattr(sweep, name)).all() for name in ("w", "margin", "log_loss", "norm"))
    for b, lr in ((0, 0.5), (2, 1.0)):
        single = ml.run_linear(d1.X, d1.y, "gd", 50, lr=lr, record="all")
        np.testing.assert_allclose(sweep.w[b], single.w, rtol=1e-13, atol=1e-13)
    assert "diverged at step 50" in repr(sweep[1])


def test_a_diverged_row_with_a_schedule_stays_where_it_was() -> None:
    """After a radius of infinity the projected steps are finite again; the run must not come back to life."""
    d1 = ml.datasets.dataset_1()
    growths = [ml.optim.exponential_radii(1.2), ml.optim.exponential_radii(1e100)]
    sweep = ml.sweep_linear(d1.X, d1.y, "prgd", 40, radii=growths, warmup=50, record="all")
    assert sweep.status == ["finished", "diverged"]
    t = sweep.diverged_at[1]
    assert t == 5 * 4 + 1  # R_0 * 1e400
    assert (sweep.w[1, t:] == sweep.w[1, t - 1]).all()


def test_a_warm_up_that_diverges_is_a_run_that_diverged_at_its_start() -> None:
    d1 = ml.datasets.dataset_1()
    sweep = ml.sweep_linear(d1.X, d1.y, "prgd", 20, lr=[1.0, 1e6], warmup=50, record="all")
    assert sweep.diverged_at == [None, 0]
    assert (sweep.w[1] == sweep.w[1, 0]).all()


def test_run_linear_raises_where_it_diverges() -> None:
    d1 = ml.datasets.dataset_1()
    with pytest.raises(
        ml.DivergedError, match=r"gd with lr=1000000.0 diverged at step 2 \(log loss .* lower lr"
    ):
        ml.run_linear(d1.X, d1.y, "gd", 50, lr=1e6)
    with pytest.raises(
        ml.DivergedError, match="prgd with lr=1.0 diverged at step 21 .*grow the radius more slowly"
    ):
        ml.run_linear(d1.X, d1.y, "prgd", 40, radii=ml.optim.exponential_radii(1e100), warmup=50)


def test_only_a_method_with_a_radius_is_told_to_grow_it_slowly() -> None:
    d1 = ml.datasets.dataset_1()
    with pytest.raises(ml.DivergedError) as info:
        ml.run_linear(d1.X, d1.y, "gd", 50, lr=1e6)
    assert "radius" not in str(info.value)


@pytest.mark.parametrize("method", ["gd", "ngd", "dual", "prgd", "momentum"])
def test_data_at_which_outputs_overflow(method: str) -> None:
    d1 = ml.datasets.dataset_1()
    with pytest.raises(
        ValueError, match=rf"X has entries up to 9.9e\+199, .*'{method}' overflow .* divide X by its"
    ):
        ml.run_linear(1e200 * d1.X, d1.y, method, 50)
    assert ml.run_linear(1e200 * d1.X, d1.y, "certified", 500).status == "certified"
