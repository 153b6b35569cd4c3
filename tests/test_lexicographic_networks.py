"""Paths of networks and of sums of sub-models, and the third-level counterexample: the numbers that theory predicts."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.theory.lexicographic import (
    BlindTo,
    DiagonalNet,
    Ensemble,
    ThirdLevel,
    constrained_path,
    gradient_path,
    lexicographic_margin,
    margin_path,
    network_path,
    third_level_path,
)

EDGE = np.array([[1.0, 1.0], [3.0, 1.2], [1.1, 2.5]])
ONES = np.ones(3)


def ensemble(deep: torch.nn.Module) -> Ensemble:
    return Ensemble({"linear": ml.models.MLP([2, 1]), "deep": deep})


def test_diagonal_net_is_the_l1_problem() -> None:
    """Same predictor at ``rho^2``, from random starts; and the ruler's solution is a unit vector of its parameters."""
    rho = np.sqrt([1.0, 6.0])
    net = DiagonalNet(2)
    path = network_path(net, EDGE, ONES, rho, starts=3)
    w = path.theta[:, :2] ** 2 - path.theta[:, 2:] ** 2
    np.testing.assert_allclose(w, constrained_path(EDGE, ONES, rho**2, "l1").w, rtol=1e-9)
    assert w[0] == pytest.approx([0.4848, 0.5152], abs=5e-5)
    assert (path.stationarity < 1e-10).all() and (path.agreeing >= 2).all()
    solution = lexicographic_margin(EDGE, ONES, "l1")
    theta = net.parameters_for(solution.w)
    assert np.linalg.norm(theta) == pytest.approx(1, abs=1e-14)
    q = ml.models.model_with(net, torch.tensor(theta))(torch.tensor(EDGE))
    np.testing.assert_allclose(q.detach(), solution.margins, rtol=1e-14)


def test_float64_is_flat_where_the_linear_path_is_not() -> None:
    """The trap: at rho^2 = 100 the plain loss no longer tells the points of the edge apart."""
    t = np.array([0.35, 0.40625, 0.45])
    q = 100 * np.stack([t, 1 - t], 1) @ EDGE.T
    assert np.ptp(np.logaddexp.reduce(-q, axis=1)) == 0
    w = constrained_path(EDGE, ONES, 100.0, "l1").directions[0]
    assert w[0] == pytest.approx(13 / 32 + np.log(9 / 7) / 320, abs=1e-14)


def test_linear_plus_quadratic() -> None:
    """``||theta_1||`` does not depend on rho: ``c_1 / (2 gamma_2)`` with ``c_1 = sqrt 2`` and ``gamma_2 = 1``."""
    rho = np.array([2.0, 8.0, 32.0, 128.0])
    path = network_path(ensemble(DiagonalNet(2)), EDGE, ONES, rho, starts=4)
    np.testing.assert_allclose(np.sqrt(path.shares["linear"]) * rho, 1 / np.sqrt(2), rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(path.shares["linear"]), [0.354, 0.088, 0.0221, 0.0055], atol=5e-4)
    np.testing.assert_allclose(sum(path.shares.values()), 1, rtol=1e-12)
    parts = path.outputs(EDGE, ONES)
    np.testing.assert_allclose(parts["linear"] + parts["deep"], path.margins, rtol=1e-12)
    assert (parts["linear"].max(1) / path.q_min)[-1] < 2e-4


def test_linear_plus_cubic() -> None:
    rho = np.array([2.0, 8.0, 32.0])
    path = network_path(ensemble(DiagonalNet(2, degree=3)), EDGE, ONES, rho)
    np.testing.assert_allclose(np.sqrt(path.shares["linear"]) * rho, [0.264, 0.0589, 0.0147], atol=5e-4)
    assert (path.stationarity < 1e-9).all()


def test_a_shallow_part_that_is_needed_stays() -> None:
    """The deep part is blind to the second point: the shares go the other way."""
    X = np.array([[0.3, 0.0, 1.0], [0.0, 1.0, 0.0]])
    model = Ensemble(
        {"linear": BlindTo(ml.models.MLP([3, 1]), [1, 1, 0]), "deep": BlindTo(DiagonalNet(3), [0, 0, 1])}
    )
    rho = np.array([2.0, 8.0, 32.0, 256.0])
    path = network_path(model, X, np.ones(2), rho, starts=4)
    first, second = (np.sqrt(path.shares[name]) for name in ("linear", "deep"))
    np.testing.assert_allclose(first, [0.663, 0.919, 0.983, 0.998], atol=6e-4)
    np.testing.assert_allclose((second * rho / np.sqrt(path.q_min))[2:], [1.063, 1.012], atol=5e-4)
    np.testing.assert_allclose((first * rho / path.q_min)[-1], 1, atol=1e-5)


def test_three_depths() -> None:
    """ReLU networks of depth 1, 2 and 3: each takes over from the shallower ones."""
    model = Ensemble(
        {
            "1": ml.models.MLP([2, 1]),
            "2": ml.models.MLP([2, 2, 1]),
            "3": ml.models.MLP([2, 2, 2, 1]),
        }
    )
    path = network_path(model, EDGE, ONES, [1.0, 2.0, 4.0, 16.0], starts=10, max_steps=40)
    largest = [max(path.shares, key=lambda name, k=k: path.shares[name][k]) for k in range(4)]
    assert largest == ["1", "2", "3", "3"]
    assert path.shares["3"][-1] > 0.999 and path.shares["1"][-1] < 1e-3


def test_margin_path_of_a_homogeneous_model() -> None:
    """Its margin is ``gamma rho^L``; of the linear + quadratic sum: ``rho^2 + 1/2`` at ``||theta_1|| = 1/sqrt 2``."""
    rho = np.array([3.0])
    assert margin_path(ml.models.MLP([2, 1]), EDGE, ONES, rho, starts=2).q_min == pytest.approx(
        np.sqrt(2) * rho, abs=1e-3
    )
    path = margin_path(ensemble(DiagonalNet(2)), EDGE, ONES, rho, starts=3)
    assert path.q_min == pytest.approx(rho**2 + 0.5, abs=1e-3)


def test_descent_freezes_where_the_path_moves_on() -> None:
    """On the edge each start keeps a ratio of its own; all have the largest margin."""
    starts = 0.1 * np.array([[0.9, 0.5, 0.01, 0.01], [0.4, 0.9, 0.01, 0.01]])
    runs = gradient_path(DiagonalNet(2), EDGE, ONES, starts, until=6.0)
    t = [(w := p.theta[:, :2] ** 2 - p.theta[:, 2:] ** 2)[:, 0] / w.sum(1) for p in runs]
    assert t[0][-1] > 0.6 and t[1][-1] < 0.5
    assert all(abs(x[-1] - x[-6]) < 2e-3 for x in t)
    assert all(p.q_min[-1] / p.rho[-1] ** 2 > 0.99 and (np.diff(p.rho) > 0).all() for p in runs)


def test_descent_discards_by_a_logarithm() -> None:
    """``d||theta_1|| / d log ||theta_2|| = 1 / sqrt 2``, where the constrained path keeps ``||theta_1||``."""
    start = 0.1 * np.random.default_rng(1).normal(size=(1, 6))
    (run,) = gradient_path(ensemble(DiagonalNet(2)), EDGE, ONES, start, until=8.0)
    shallow, deep = (np.sqrt(run.shares[name]) * run.rho for name in ("linear", "deep"))
    late = run.rho > 4
    assert np.polyfit(np.log(deep[late]), shallow[late], 1)[0] == pytest.approx(1 / np.sqrt(2), rel=0.01)


def test_a_sleeping_deep_part_is_not_found() -> None:
    model, start = ensemble(DiagonalNet(2, degree=3)), np.array([1.0, 1.0, 0, 0, 0, 0])
    stuck = network_path(model, EDGE, ONES, 6.0, starts=0, theta0=start)
    assert stuck.shares["deep"][0] == 0 and stuck.stationarity[0] < 1e-12
    assert network_path(model, EDGE, ONES, 6.0, starts=4).log_loss[0] < stuck.log_loss[0] - 100


def sixty_digit_b(rho: float) -> float:
    """The constrained minimiser of the third-level model itself, in 60 digits: a by its stationarity, b on a grid of 1/400."""
    with mp.workdps(60 + 2 * int(rho)):
        r = mp.mpf(rho)

        def loss(a: mp.mpf, b: mp.mpf) -> mp.mpf:
            return mp.exp(-r * (1 - a**2)) + mp.exp(-r * (2 + a * (1 - b))) + mp.exp(-r * (3 + b))

        def best(b: mp.mpf) -> mp.mpf:
            a = mp.exp(-r) * (1 - b) / 2
            for _ in range(40):  # 2 a e^{-r(1-a^2)} = (1-b) e^{-r(2 + a(1-b))}
                a = (1 - b) / 2 * mp.exp(-r * (1 + a * (1 - b) + a**2))
            return loss(a, b)

        grid = [mp.mpf(k) / 400 for k in range(201)]
        return float(min(grid, key=best))


def test_third_level_leaves_the_lexicographic_point() -> None:
    """b would be 1 at the lexicographic point; measured: .2575, .1425, .0775, .0375, .0175 on a grid of .0025."""
    rho = np.array([4.0, 6.0, 10.0, 20.0, 40.0, 200.0, 600.0])
    a, b = third_level_path(rho)
    np.testing.assert_allclose(b[:5], [0.2575, 0.1425, 0.0775, 0.0375, 0.0175], atol=1.3e-3)
    assert sixty_digit_b(6.0) == pytest.approx(b[1], abs=1.3e-3)
    np.testing.assert_allclose(a, np.exp(-rho) * (1 - b) / 2, rtol=2e-2)
    assert (b * rho / np.log(2))[-1] == pytest.approx(1, abs=5e-3)
    assert (np.diff(b) < 0).all()


def test_third_level_model_is_what_it_says() -> None:
    model, X = ThirdLevel(), torch.eye(3, dtype=torch.float64)
    assert ml.homogeneity_degree(model, X) == 1.0
    a, b = 0.01, 0.3
    third = np.sqrt(1 - a**2 - (2 * b - 1) ** 2)
    q = ml.models.model_with(model, 5 * torch.tensor([a, 2 * b - 1, third]))(X).detach()
    np.testing.assert_allclose(q, 5 * np.array([1 - a**2, 2 + a * (1 - b), 3 + b]), rtol=1e-14)
    path = network_path(model, X.numpy(), ONES, [4.0], starts=6)
    unit = path.theta[0] / 4
    assert (1 + unit[1]) / 2 == pytest.approx(third_level_path(np.array([4.0]))[1][0], abs=1e-6)


BAD = {
    "rho": (lambda: network_path(DiagonalNet(2), EDGE, ONES, -1.0), "rho must be > 0"),
    "labels": (lambda: network_path(DiagonalNet(2), EDGE, [0, 1, 1], 1.0), r"labels y must be -1 or \+1"),
    "nan": (lambda: network_path(DiagonalNet(2), np.full((3, 2), np.nan), ONES, 1.0), "X contains NaN"),
    "outputs": (lambda: network_path(ml.models.MLP([2, 3]), EDGE, [0, 1, 2], 1.0), "one output a sample"),
    "starts": (lambda: network_path(DiagonalNet(2), EDGE, ONES, 1.0, starts=0), "starts >= 1 or theta0"),
    "sharpness": (
        lambda: network_path(DiagonalNet(2), EDGE, ONES, 1.0, sharpness=0.0),
        "sharpness must be > 0",
    ),
    "degree": (lambda: DiagonalNet(2, degree=0), "degree must be a whole number >= 1"),
    "parts": (lambda: Ensemble({}), "at least one sub-model"),
    "shares": (
        lambda: network_path(DiagonalNet(2), EDGE, ONES, 1.0, starts=1).shares,
        "sub-models of an Ensemble",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_descent_that_does_not_arrive() -> None:
    with pytest.raises(ml.DivergedError, match="1 of 1 starts did not reach norm 50 in 5 steps"):
        gradient_path(DiagonalNet(2), EDGE, ONES, np.ones((1, 4)), until=50.0, max_steps=5)
