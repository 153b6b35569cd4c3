"""Adam's rate law and the eps handover: roots, limits, and predictions against runs."""

import math

import numpy as np
import pytest

import margin_lab as ml
from margin_lab import adam_theory

BETAS = [(0.9, 0.999), (0.9, 0.99), (0.0, 0.99), (0.9, 0.9), (0.0, 0.9), (0.5, 0.0), (0.95, 0.95), (0.0, 0.0)]


def geometric(rate: float, beta1: float, beta2: float) -> float:
    """``m / sqrt(v)`` after many steps of Adam's recursion on gradients ``e^(-rate t)``, in the frame of the gradient."""
    m = v = 0.0
    slowest = max(beta1 * math.exp(rate), beta2 * math.exp(2 * rate), 1e-3)
    for _ in range(math.ceil(20 / math.log(1 / slowest))):
        m = beta1 * m * math.exp(rate) + (1 - beta1)
        v = beta2 * v * math.exp(2 * rate) + (1 - beta2)
    return m / math.sqrt(v)


@pytest.mark.parametrize(("beta1", "beta2"), BETAS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_throttle_is_the_limit_of_adams_recursion(beta1: float, beta2: float, share: float) -> None:
    fastest = min([math.log(1 / beta1) if beta1 else 3.0, 0.5 * math.log(1 / beta2) if beta2 else 3.0])
    rate = share * fastest
    assert adam_theory.throttle(rate, beta1, beta2) == pytest.approx(geometric(rate, beta1, beta2), rel=1e-6)


@pytest.mark.parametrize(("beta1", "beta2"), BETAS)
def test_the_rate_is_the_smallest_root_below_the_limit(beta1: float, beta2: float) -> None:
    for speed in np.geomspace(1e-8, 0.1, 15):
        rate = adam_theory.sign_phase_rate(0.1, speed / 0.1, beta1, beta2)
        if math.isinf(rate):
            assert beta1**2 >= beta2 and beta1 > 0
            continue
        assert 0 < rate < adam_theory.rate_limit(beta1, beta2)
        assert rate == pytest.approx(speed * adam_theory.throttle(rate, beta1, beta2), rel=1e-6)
        below = np.linspace(0, rate * (1 - 1e-6), 50)
        assert all(speed * adam_theory.throttle(r, beta1, beta2) > r for r in below)


@pytest.mark.parametrize(
    ("beta1", "beta2", "speed", "expected"),
    [
        (0.9, 0.811, 0.025, [0.02940, 0.09934, 0.10466]),
        (0.9, 0.82, 0.0434, [0.07076, 0.08497, 0.09255]),
        (0.9, 0.999, 0.025, 1),
        (0.9, 0.9, 1e9, 1),
        (0.9, 0.5, 0.01, 2),
        (0.9, 0.5, 0.5, 0),
        (0.9, 0.0, 1e-3, 2),
        (0.9, 0.81, 1e-3, 2),
        (0.0, 0.0, 0.2, 1),
    ],
)
def test_all_rates(beta1: float, beta2: float, speed: float, expected: int | list[float]) -> None:
    """One, three, two or none: each is a root, they ascend, and the smallest is the rate of the sign phase."""
    rates = adam_theory.sign_phase_rates(0.5, speed / 0.5, beta1, beta2)
    assert len(rates) == (expected if isinstance(expected, int) else len(expected))
    if isinstance(expected, list):
        assert rates == pytest.approx(expected, abs=2e-5)
    assert list(rates) == sorted(rates) and min(rates, default=math.inf) == adam_theory.sign_phase_rate(
        0.5, speed / 0.5, beta1, beta2
    )
    for r in rates if speed < 1 else ():
        assert r == pytest.approx(speed * adam_theory.throttle(r, beta1, beta2), rel=1e-6)


def test_number_of_rates_against_a_fine_grid() -> None:
    """The count changes sign by sign as on a grid of 20,000 rates; it is odd below the parabola and even above."""
    for beta1, beta2 in [(0.9, 0.811), (0.9, 0.82), (0.95, 0.903), (0.99, 0.981), (0.9, 0.7), (0.5, 0.3)]:
        limit = min(math.log(1 / beta1), 0.5 * math.log(1 / beta2))
        grid = limit * np.linspace(1e-6, 1 - 1e-9, 20000)
        inverse = np.array([r / adam_theory.throttle(r, beta1, beta2) for r in grid])
        for speed in np.geomspace(1e-3, 0.1, 9):
            crossings = int((np.diff(np.sign(inverse - speed)) != 0).sum())
            rates = adam_theory.sign_phase_rates(1.0, speed, beta1, beta2)
            assert len(rates) % 2 == (beta1**2 < beta2)
            assert len(rates) - crossings in (0, 1)  # the last root may lie beyond the grid


def settled(start: float, speed: float, beta1: float, beta2: float, steps: int = 20_000) -> float:
    """The rate that Adam's two memories settle on for one sample, when the loss has fallen like ``e^(-start t)`` so far."""
    m = (1 - beta1) / (1 - beta1 * math.exp(start))
    v = (1 - beta2) / (1 - beta2 * math.exp(2 * start))
    for _ in range(steps):
        rate = speed * m / math.sqrt(v)
        m, v = beta1 * m * math.exp(rate) + 1 - beta1, beta2 * v * math.exp(2 * rate) + 1 - beta2
    return speed * m / math.sqrt(v)


@pytest.mark.parametrize(("beta1", "beta2", "speed"), [(0.9, 0.811, 0.025), (0.9, 0.82, 0.0434)])
def test_a_run_settles_on_the_outer_rates(beta1: float, beta2: float, speed: float) -> None:
    low, middle, high = adam_theory.sign_phase_rates(1.0, speed, beta1, beta2)
    below, above = (settled(share * middle, speed, beta1, beta2) for share in (0.98, 1.02))
    assert settled(0.0, speed, beta1, beta2) == pytest.approx(low, rel=1e-6)
    assert (below, above) == pytest.approx((low, high), rel=1e-4)


@pytest.mark.parametrize(
    ("beta1", "beta2", "speed"), [(0.9, 0.5, 0.5), (0.9, 0.8, 0.2), (0.99, 0.95, 0.1), (0.5, 0.2, 1)]
)
def test_without_a_rate_the_rate_of_a_run_rises_for_ever(beta1: float, beta2: float, speed: float) -> None:
    """From a loss at rest; ``m / sqrt(v)`` and ``g / sqrt(v)`` are carried, since g itself soon is 0 in float64."""
    assert not adam_theory.sign_phase_rates(1.0, speed, beta1, beta2)
    ratio = share = 1.0
    for _ in range(3000):
        new = share * math.exp(-speed * ratio)
        size = math.sqrt(beta2 + (1 - beta2) * new**2)
        before, ratio, share = ratio, (beta1 * ratio + (1 - beta1) * new) / size, new / size
        assert ratio > before
        if speed * ratio > 100:
            return
    raise AssertionError("the rate stayed below 100")


def test_limits() -> None:
    assert adam_theory.rate_limit(0.9, 0.999) == pytest.approx(0.5 * math.log(1 / 0.999))
    assert math.isinf(adam_theory.rate_limit(0.99, 0.95))
    # no memory at all is sign descent: gamma lr
    assert adam_theory.sign_phase_rate(0.3, 0.01, 0.0, 0.0) == pytest.approx(0.003)
    # a step a thousand times as large, and hardly faster: the throttle of b2
    small, large = (adam_theory.sign_phase_rate(0.1, lr) for lr in (0.1, 100.0))
    assert 0.95 < small / large < 1


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.99), (0.0, 0.99), (0.9, 0.9)])
def test_rate_predicted_before_it_is_measured(beta1: float, beta2: float) -> None:
    """Dataset 1 and a Gaussian set; free and throttled; within 5 % of the law, which knows the linf margin alone."""
    for data in (ml.datasets.dataset_1(), ml.datasets.gaussian(20, 5, seed=2)):
        margin = ml.hard_margin(data.X, data.y, "linf").margin
        lrs = [speed / margin for speed in (1e-2, 1e-1)]
        runs = ml.sweep_linear(
            data.X, data.y, "adam", 1600, lr=lrs, beta1=beta1, beta2=beta2, eps=0.0, record=[1000, 1600]
        )
        for lr, run in zip(lrs, runs, strict=True):
            law = adam_theory.sign_phase_rate(margin, lr, beta1, beta2)
            assert (run.log_loss[0] - run.log_loss[1]) / 600 == pytest.approx(law, rel=0.05)


@pytest.mark.parametrize("eps", [1e-6, 1e-10])
def test_handover_predicted_before_it_is_measured(eps: float) -> None:
    """On Dataset 1 from the data alone; on Gaussian data from the loss after 150 steps; time within 5 %."""
    beta2, speed, early = 0.9, 2e-2, 150
    for data, start in ((ml.datasets.dataset_1(), 0), (ml.datasets.gaussian(20, 5, seed=2), early)):
        sol = ml.hard_margin(data.X, data.y, "linf")
        lr, pull = speed / sol.margin, (data.X * data.y[:, None]).T @ sol.dual
        loss = adam_theory.handover_loss(pull, lr, eps, beta2=beta2)
        run = ml.run_linear(data.X, data.y, "adam", 1400, lr=lr, beta2=beta2, eps=eps, record="all")
        time = start + adam_theory.handover_time(
            pull, lr, eps, beta2=beta2, log_loss=float(run.log_loss[start])
        )
        reached = int(np.flatnonzero(run.log_loss < loss)[0])
        assert reached == pytest.approx(time, rel=0.05)
        around = run.log_loss[reached - 25] - run.log_loss[reached + 25]
        law = adam_theory.sign_phase_rate(sol.margin, lr, beta2=beta2)
        assert 0.2 < around / 50 / law < 0.6  # about half of the sign phase's rate


def test_handover_of_one_coordinate_in_closed_form() -> None:
    """Slow steps: ``dx/dt = -lr / (1 + e^(x_eps - x))``, ``x_eps = log eps``."""
    lr, eps, start = 1e-7, 1e-4, -2.0
    end = adam_theory.handover_loss([1.0], lr, eps)
    assert end == pytest.approx(math.log(eps), abs=1e-3)
    expected = (start - math.log(eps) + 1 - eps * math.exp(-start)) / lr
    assert adam_theory.handover_time([1.0], lr, eps, log_loss=start) == pytest.approx(expected, rel=1e-3)
    assert adam_theory.handover_time([1.0], lr, eps, log_loss=end - 1) == 0


def test_coordinates_that_are_zero_do_not_count() -> None:
    once, padded = ([0.2, 0.1], [0.2, -0.1, 0.0, 1e-17])
    assert adam_theory.handover_loss(padded, 1e-3, 1e-8) == adam_theory.handover_loss(once, 1e-3, 1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: adam_theory.sign_phase_rate(0.0, 1e-3), "margin must be > 0"),
        (lambda: adam_theory.sign_phase_rate(0.1, -1e-3), "lr must be > 0"),
        (lambda: adam_theory.sign_phase_rate(0.1, 1e-3, beta2=1.0), "beta2 must be below 1"),
        (lambda: adam_theory.throttle(1e-3), r"rate must be in \[0, 0.0005\), got 0.001"),
        (lambda: adam_theory.handover_loss([0.0, 0.0], 1e-3, 1e-8), "pull must be a vector that is not zero"),
        (lambda: adam_theory.handover_loss([1.0], 1e-3, 0.0), "eps must be > 0"),
        (lambda: adam_theory.handover_loss([1.0], 0.5, 1e-8, 0.99, 0.95), "run away"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
