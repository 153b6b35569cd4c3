"""Certified runs: bounds that hold, gaps that close, words that are true."""

import math

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.optim.certified import certified_search

GAUSSIAN = {f"50x10 seed {s}": ml.datasets.gaussian(50, 10, s) for s in range(4)} | {
    "200x50": ml.datasets.gaussian(200, 50),
    "400x40": ml.datasets.gaussian(400, 40),
    "50x300": ml.datasets.gaussian(50, 300),
}
DIGITS = {f"digits {a}/{b}": ml.datasets.digits_pair(a, b) for a, b in [(0, 1), (3, 6), (8, 9)]}
# about twice what was measured
PAIRS = (
    dict.fromkeys(GAUSSIAN, 500) | {"200x50": 4000, "400x40": 3000} | {"digits 0/1": 800, "digits 3/6": 700}
)
PAIRS |= {"digits 8/9": 2000}
# enough for each form to reach what its test asks
STEPS = {"radius": 1500, "increment": 1200, "kl": 1600, "newton": 1000}


def gap(run: ml.Run) -> float:
    return float((run.upper_bound[-1] - run.margin[-1]) / run.margin[-1])


def long_double_bounds(Z: np.ndarray, w: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    """Both bounds of the certificate in more precision than they were found in."""
    Z, w, q = (a.astype(np.longdouble) for a in (Z, w, q))
    return float((Z @ w).min() / np.sqrt(w @ w)), float(np.sqrt(((q @ Z) ** 2).sum()) / q.sum())


@pytest.mark.parametrize("name", PAIRS)
def test_closes_the_gap_with_no_argument(name: str) -> None:
    data = (GAUSSIAN | DIGITS)[name]
    run = ml.run_linear(data.X, data.y, method="certified", steps=200_000)
    assert run.status == "certified"
    assert gap(run) <= 1e-12
    assert run.steps[-1] <= PAIRS[name]
    lower, upper = long_double_bounds(data.Z, run.w[-1], run.dual)
    assert (upper - lower) / lower <= 1.1e-12
    sol = ml.hard_margin(data.X, data.y)
    assert run.margin[-1] == pytest.approx(sol.margin, rel=1e-11)
    np.testing.assert_allclose(run.w[-1], sol.w, atol=1e-5)


def test_every_record_is_a_certificate() -> None:
    data = ml.datasets.gaussian(50, 10, 1)
    gamma = ml.hard_margin(data.X, data.y).margin
    run = ml.run_linear(data.X, data.y, method="certified", steps=10_000, record="all")
    assert run.steps[0] == 0
    assert run.margin[0] == 0
    assert np.isinf(run.upper_bound[0])
    assert np.all(np.diff(run.steps) == 1)
    assert np.all(run.margin <= gamma * (1 + 1e-14))
    assert np.all(run.upper_bound >= gamma * (1 - 1e-14))
    assert np.all(np.diff(run.upper_bound[1:]) <= 0)
    first = np.flatnonzero(run.norm)[0]
    np.testing.assert_allclose(run.norm[first:], 1, rtol=1e-14)
    assert np.all(np.diff(run.margin[first:]) >= -1e-15)
    np.testing.assert_allclose(run.margin, [max(-1, (data.Z @ w).min()) for w in run.w], atol=1e-15)


@pytest.mark.parametrize("steps", [0, 1, 7, 60])
def test_a_budget_that_is_too_small_is_said(steps: int) -> None:
    data = ml.datasets.gaussian(50, 10)
    run = ml.run_linear(data.X, data.y, method="certified", steps=steps)
    assert run.status == "limit"
    assert run.steps[-1] == steps
    assert run.upper_bound[-1] > run.margin[-1]
    # what a longer run knew at that count is what the shorter one ends with
    longer = ml.run_linear(data.X, data.y, method="certified", steps=400, record=[steps])
    assert run.upper_bound[-1] == longer.upper_bound[0]
    np.testing.assert_array_equal(run.w[-1], longer.w[0])


def test_tolerance_below_rounding_is_an_honest_floor() -> None:
    data = ml.datasets.gaussian(50, 10)
    run = ml.run_linear(data.X, data.y, method="certified", steps=20_000, tol=1e-17)
    assert run.status == "rounding floor"
    assert gap(run) <= 1e-10
    lower, upper = long_double_bounds(data.Z, run.w[-1], run.dual)
    assert lower <= upper
    assert run.steps[-1] < 20_000


def test_scale_of_the_data_does_not_matter() -> None:
    data = ml.datasets.gaussian(50, 10)
    plain = ml.run_linear(data.X, data.y, method="certified", steps=1000)
    for scale in (1e-6, 1e6):
        run = ml.run_linear(scale * data.X, data.y, method="certified", steps=1000)
        assert run.status == "certified"
        assert run.margin[-1] == pytest.approx(scale * plain.margin[-1], rel=1e-11)
        assert run.upper_bound[-1] == pytest.approx(scale * plain.upper_bound[-1], rel=1e-11)


def test_columns_of_different_scale() -> None:
    data = ml.datasets.gaussian(200, 20)
    X = data.X * 10.0 ** np.random.default_rng(0).uniform(-2, 2, 20)
    run = ml.run_linear(X, data.y, method="certified", steps=20_000)
    assert run.status in ("certified", "rounding floor")
    assert gap(run) <= 1e-8


@pytest.mark.parametrize(
    "Z",
    [
        np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]),
        np.array([[0.0, 0.0], [1.0, 1.0]]),
        np.random.default_rng(0).standard_normal((100, 5)),
    ],
    ids=["opposite rows", "zero row", "random labels"],
)
def test_no_separator(Z: np.ndarray) -> None:
    with pytest.raises(ml.NotSeparableError, match="not linearly separable") as info:
        ml.run_linear(Z, np.ones(len(Z)), method="certified", steps=5000)
    p = info.value.certificate
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1)
    assert np.linalg.norm(p @ Z) <= 1e-12
    sweep = ml.sweep_linear(Z, np.ones(len(Z)), method="certified", steps=5000)
    assert sweep.status == ["not separable"]


@pytest.mark.parametrize("form", ["radius", "increment", "kl", "newton"])
def test_every_form_is_a_certified_method(form: str) -> None:
    data = ml.datasets.gaussian(50, 10, 1)
    gamma = ml.hard_margin(data.X, data.y).margin
    run = ml.run_linear(data.X, data.y, method="certified", steps=STEPS[form], form=form)
    wanted = {"radius": 1e-2, "increment": 1e-4, "kl": 1e-8, "newton": 1e-12}[form]
    assert gap(run) <= wanted
    assert run.margin[-1] <= gamma * (1 + 1e-14)
    assert run.upper_bound[-1] >= gamma * (1 - 1e-14)


@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("form", ["auto", "kl", "radius"])
def test_polyhedral_norms_meet_the_linear_program(norm: str, form: str) -> None:
    data = ml.datasets.gaussian(50, 10)
    sol = ml.hard_margin(data.X, data.y, norm=norm)
    run = ml.run_linear(data.X, data.y, method="certified", steps=2500, tol=1e-9, norm=norm, form=form)
    assert run.norm_name == norm
    assert gap(run) <= (1e-4 if form == "radius" else 1e-9)
    assert run.margin[-1] <= sol.upper_bound * (1 + 1e-12)
    assert run.upper_bound[-1] >= sol.margin * (1 - 1e-12)
    assert run.margin[-1] == pytest.approx(sol.margin, rel=1e-9 if form != "radius" else 1e-4)


def test_sweeps_datasets_and_tolerances() -> None:
    data = [ml.datasets.gaussian(40, 8, s) for s in range(2)]
    sweep = ml.sweep_linear(
        np.stack([d.X for d in data]), np.stack([d.y for d in data]), "certified", 5000, tol=[1e-2, 1e-10]
    )
    assert sweep.status == ["certified"] * 4
    assert sweep.w.shape == (4, len(sweep.steps), 8)
    assert sweep.upper_bound.shape == sweep.margin.shape == (4, len(sweep.steps))
    for b, d in enumerate(data):
        alone = ml.run_linear(d.X, d.y, "certified", 5000, tol=1e-10)
        assert sweep[2 * b + 1].upper_bound[-1] == alone.upper_bound[-1]
        np.testing.assert_array_equal(sweep.w[2 * b + 1, -1], alone.w[-1])


def test_tensors_and_float32() -> None:
    data = ml.datasets.gaussian(50, 10)
    X, y = torch.tensor(data.X, dtype=torch.float32), torch.tensor(data.y)
    run = ml.run_linear(X, y, method="certified", steps=1000)
    assert run.status == "certified"
    assert run.w.dtype == torch.float32
    assert run.upper_bound.dtype == run.margin.dtype == torch.float64
    assert float((run.upper_bound[-1] - run.margin[-1]) / run.margin[-1]) <= 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 1.0}, "'certified' has no option 'lr'"),
        ({"form": "fast"}, "form must be one of"),
        ({"form": "newton", "norm": "l1"}, "works in l2 only"),
        ({"norm": 3}, "norm must be 'l1', 'l2' or 'linf' for a certified run, got 'l3'"),
        ({"tol": 0.0}, "tol must be > 0"),
        ({"w0": [0.0, 0.0]}, "takes no w0"),
        ({"warmup": 5}, "takes no w0, warmup"),
        ({"loss": "logistic"}, "takes no w0, warmup or other loss"),
    ],
)
def test_refuses_what_it_does_not_use(options: dict, words: str) -> None:
    data = ml.datasets.dataset_1()
    with pytest.raises(ValueError, match=words):
        ml.run_linear(data.X, data.y, method="certified", steps=10, **options)


def test_zero_to_rounding_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks not separable is said to be only where that is proved."""
    Z = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    asked = []
    monkeypatch.setattr("margin_lab.optim.certified.hard_margin", lambda *a: asked.append(a))
    run = ml.run_linear(Z, np.ones(3), method="certified", steps=5000)
    assert run.status == "rounding floor" and len(asked) == 1


def test_claims_are_checked_before_they_are_returned() -> None:
    """A bound that its own pair does not prove is replaced by what it does prove, and the status with it."""
    data = ml.datasets.gaussian(50, 10)
    search = certified_search(torch.tensor(data.Z), 1000)
    lower, upper = search.lower, search.upper
    search.lower, search.upper = 2 * lower, upper / 2
    search.close()
    assert search.lower == pytest.approx(lower) and search.upper == pytest.approx(upper)
    search.q = search.q.flip(0)
    assert search.close().status == "rounding floor" and search.upper > 1.01 * upper
    search.q = torch.full_like(search.q, math.nan)
    search.close()
    assert search.gap == math.inf


@pytest.mark.parametrize("norm", ["L2", 2, "L1", math.inf])
def test_norms_under_other_names(norm: str | float) -> None:
    data = ml.datasets.gaussian(30, 5)
    assert certified_search(torch.tensor(data.Z), 3000, norm=norm, tol=1e-6).status == "certified"
