"""PRGD: norms at rescalings, radii and periods, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optimizers
import pytest
import torch
from optimizers import ROWS, problem, start
from walks import closure_of, tensors, walk

import margin_lab as ml
from margin_lab import optim
from margin_lab.norms import get_norm
from margin_lab.optim.radii import period_of


def recorded_prgd(radii: Any, period: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Norms after each iteration, and which iterations were rescalings (parallel to the iterate before)."""
    Z, w0 = problem(0), start(ROWS[3], 0)
    params = tensors(w0, (4,))
    path = walk(optim.PRGD(params, lr=0.7, radii=radii, period=period), params, Z, steps, False)
    norms = np.linalg.norm(path, axis=1)
    cosines = (path[1:] * path[:-1]).sum(1) / norms[1:] / norms[:-1]
    return norms, cosines


def test_norms_equal_the_radii_at_rescalings() -> None:
    for radii, period in (
        (optim.exponential_radii(1.3), 4),
        (optim.polynomial_radii(0.7), lambda k: 1 + k % 4),
        (optim.polynomial_radii(1.2), optim.polynomial_periods(3, 0.5)),
    ):
        norms, cosines = recorded_prgd(radii, period, 60)
        t, k = 0, 0
        while t < 60:
            R, length = radii(k, norms[0], None), period if isinstance(period, int) else period(k)
            assert norms[t + 1] == pytest.approx(R, rel=1e-13)
            assert cosines[t] == pytest.approx(1, abs=1e-14)
            assert (norms[t + 1 : t + length + 1] <= R * (1 + 1e-14)).all()
            t, k = t + length, k + 1


def test_the_oracle_radius_puts_w_on_the_semi_cylinder() -> None:
    w_star = optimizers.ORACLE
    Z = problem(0)
    params = tensors(start(ROWS[3], 0), (4,))
    path = walk(optim.PRGD(params, radii=optim.oracle_radii(w_star, D=2.5), period=3), params, Z, 30, False)
    across = path - np.outer(path @ w_star, w_star)
    np.testing.assert_allclose(np.linalg.norm(across[1::3], axis=1), 2.5, rtol=1e-12)


def test_an_oracle_on_the_axis_stays() -> None:
    radii = optim.oracle_radii([1.0, 0.0], D=2.0)
    assert radii(3, 1.0, torch.tensor([7.0, 0.0])) == 7.0
    assert repr(radii) == "oracle_radii(D=2.0)"


def test_prgd_refuses_to_start_at_zero() -> None:
    params = tensors(np.zeros(4), (4,))
    optimizer = optim.PRGD(params, **optim.linear_schedule())
    closure_of(optimizer, params, problem(0))()
    with pytest.raises(ValueError, match="PRGD rescales its start, which must not be 0: warm up first"):
        optimizer.step()


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan")])
def test_prgd_refuses_radii_that_are_not_positive(radius: float) -> None:
    params = tensors(np.ones(4), (4,))
    optimizer = optim.PRGD(params, radii=lambda k, R0, w: radius if k else R0, period=2)
    closure = closure_of(optimizer, params, problem(0))
    optimizer.step(closure)
    optimizer.step(closure)
    with pytest.raises(ValueError, match=rf"radius must be > 0, got {radius} from radii\(k=1, R0=2, w\)"):
        optimizer.step(closure)


def test_a_radius_that_overflows_leaves_parameters_and_schedule_as_they_were() -> None:
    params = tensors(np.ones(4), (4,))
    growth = {"now": 1e300}
    optimizer = optim.PRGD(params, radii=lambda k, R0, w: R0 * growth["now"] ** k, period=1)
    closure = closure_of(optimizer, params, problem(0))
    optimizer.step(closure)
    optimizer.step(closure)
    before, state = params[0].detach().clone(), str(optimizer.state_dict())
    growth["now"] = float("inf")
    with pytest.raises(ml.DivergedError, match="PRGD: the step overflowed .*; lower lr, or grow the radius"):
        optimizer.step(closure)
    assert torch.equal(params[0], before)
    assert str(optimizer.state_dict()) == state
    growth["now"] = 10.0
    optimizer.step(closure)
    assert params[0].norm().item() == pytest.approx(2 * 10.0**2)


def test_prgd_reaches_radii_far_beyond_the_square_root_of_the_largest_number() -> None:
    params = tensors(np.ones(4), (4,))
    optimizer = optim.PRGD(params, radii=optim.exponential_radii(1e30), period=1)
    closure = closure_of(optimizer, params, problem(0))
    for _ in range(11):
        optimizer.step(closure)
    assert float(get_norm("l2")(params[0].detach())) == pytest.approx(2e300, rel=1e-12)


def test_schedules() -> None:
    w = torch.ones(2)
    assert [optim.exponential_radii(1.5)(k, 2.0, w) for k in range(3)] == [2.0, 3.0, 4.5]
    assert optim.exponential_radii(1.5)(10**6, 2.0, w) == float("inf")
    assert [optim.polynomial_radii(2)(k, 2.0, w) for k in range(3)] == [2.0, 8.0, 18.0]
    assert [optim.polynomial_periods(2, 1)(k) for k in range(3)] == [2, 4, 6]
    assert [optim.polynomial_periods()(k) for k in range(3)] == [5, 5, 5]
    assert optim.polynomial_radii(1.2) == optim.polynomial_radii(1.2)
    assert repr(optim.exponential_radii(1.2)) == "exponential_radii(growth=1.2)"
    assert period_of(3, 10) == 3
    assert period_of(lambda k: np.int64(k + 1), 10) == 11


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.exponential_radii(0), "growth must be > 0 and finite, got 0"),
        (lambda: optim.exponential_radii("1.2"), "growth must be > 0 and finite, got '1.2'"),
        (lambda: optim.polynomial_radii(-1), "power must be >= 0 and finite, got -1"),
        (lambda: optim.polynomial_periods(0.5), "first must be >= 1, got 0.5"),
        (lambda: optim.polynomial_periods(-1), "first must be > 0 and finite, got -1"),
        (lambda: optim.polynomial_periods(2, -1), "power must be >= 0 and finite, got -1"),
        (lambda: optim.oracle_radii([1.0, 0.0], D=0), "D must be > 0 and finite, got 0"),
        (lambda: optim.oracle_radii([0.0, 0.0]), r"\|\|w_star\|\| must be > 0 and finite, got 0.0"),
        (lambda: optim.oracle_radii([[1.0], [0.0]]), r"w_star must have shape \[d\], got \(2, 1\)"),
        (lambda: optim.oracle_radii(["a"]), "w_star must be an array or tensor of numbers"),
    ],
)
def test_bad_schedules(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
