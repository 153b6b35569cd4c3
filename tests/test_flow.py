"""Gradient flow in log-time: how far it reaches, what it must tend to, and discrete descent where they overlap."""

import math

import numpy as np
import pytest

import margin_lab as ml
from margin_lab.theory.flows.log_time import linear_flow, log_time_flow, predicted_residual

FAR = 100 * math.log(10)  # log t at t = 1e100


def residual_at_the_end(data: ml.datasets.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``rho`` at t = 1e100, its prediction, and the support vectors."""
    sol = ml.hard_margin(data.X, data.y)
    flow = linear_flow(data.X, data.y, [10.0, 100.0, FAR])
    w_check = sol.w / sol.margin
    rho = flow.w[-1] - w_check * FAR
    return rho, predicted_residual(data.Z, w_check, sol.dual, sol.support), data.Z[sol.support]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_residual_on_spanning_data(seed: int) -> None:
    data = ml.datasets.prescribed_support(2 + seed, n=30, gamma=0.1, seed=seed)
    rho, predicted, _ = residual_at_the_end(data)
    np.testing.assert_allclose(rho, predicted, atol=1e-6 * np.linalg.norm(predicted))


def test_residual_within_the_span_otherwise() -> None:
    data = ml.datasets.prescribed_support(3, n=30, d=6, gamma=0.1, seed=1)
    rho, predicted, support = residual_at_the_end(data)
    inside = np.linalg.pinv(support) @ support
    np.testing.assert_allclose(inside @ rho, predicted, atol=1e-6 * np.linalg.norm(predicted))
    # outside the span the limit exists but depends on the whole path, and the prediction says nothing
    assert np.linalg.norm(rho - inside @ rho) > 1e-3


def test_residual_relaxes_at_the_predicted_rate() -> None:
    """``||rho(t) - w_tilde|| ~ t^-lambda``: here lambda is so small that 1e100 is not yet late."""
    data = ml.datasets.prescribed_support(3, n=30, gamma=0.3, seed=0)
    sol = ml.hard_margin(data.X, data.y)
    w_check, S = sol.w / sol.margin, data.Z[sol.support]
    rate = np.linalg.eigvalsh(S.T @ (sol.dual[sol.support, None] / sol.margin**2 * S))[0]
    log_t = np.array([0.8 * FAR, FAR])
    rho = linear_flow(data.X, data.y, log_t).w - w_check * log_t[:, None]
    error = np.linalg.norm(rho - predicted_residual(data.Z, w_check, sol.dual, sol.support), axis=1)
    assert error[1] > 1e-3
    assert np.log(error[0] / error[1]) / (0.2 * FAR) == pytest.approx(rate, rel=0.05)


def test_reaches_1e100_on_generic_data_and_drifts_like_one_over_log_t() -> None:
    data = ml.datasets.gaussian(50, 10, seed=0)
    w_star = ml.hard_margin(data.X, data.y).w
    log_t = np.array([FAR / 4, FAR / 2, FAR])
    flow = linear_flow(data.X, data.y, log_t)
    assert flow.log_loss[-1] < -220
    error = np.linalg.norm(flow.w / np.linalg.norm(flow.w, axis=1)[:, None] - w_star, axis=1)
    np.testing.assert_allclose((error * log_t)[1:], (error * log_t)[:-1], rtol=0.06)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_agrees_with_discrete_descent(loss: str) -> None:
    data = ml.datasets.gaussian(20, 4, seed=1)
    t, h = 4.0, 4e-3
    flow = linear_flow(data.X, data.y, [math.log(t / 2), math.log(t)], loss=loss)
    coarse, fine = (
        ml.run_linear(
            data.X, data.y, "gd", steps=round(t / step), lr=step, loss=loss, record=[round(t / step)]
        ).w[-1]
        for step in (2 * h, h)
    )
    # descent is first order in its step: halving it halves the error, and extrapolation leaves O(h^2)
    np.testing.assert_allclose(coarse - flow.w[-1], 2 * (fine - flow.w[-1]), rtol=0.02, atol=1e-7)
    np.testing.assert_allclose(2 * fine - coarse, flow.w[-1], atol=1e-6)


def test_one_point_has_a_closed_form() -> None:
    # dw/dt = exp(-w), so w = log(1 + t)
    log_t = np.array([-20.0, -3.0, 0.0, 5.0, 50.0, FAR])
    flow = linear_flow(np.ones((1, 1)), np.ones(1), log_t)
    np.testing.assert_allclose(flow.w[:, 0], np.logaddexp(0, log_t), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(flow.log_loss, -flow.w[:, 0], rtol=1e-14)
    assert flow.log_t.shape == flow.log_loss.shape == (6,)


def test_starts_where_it_is_told() -> None:
    data = ml.datasets.dataset_1()
    flow = linear_flow(data.X, data.y, [-15.0], w0=[0.5, -2.0])
    np.testing.assert_allclose(flow.w[0], [0.5, -2.0], atol=1e-5)


@pytest.mark.parametrize("log_t", [[], [1.0, 1.0], [2.0, 1.0], [[1.0]]])
def test_refuses_times_that_do_not_increase(log_t: list[float]) -> None:
    with pytest.raises(ValueError, match="log_t must be a list of increasing times"):
        linear_flow(np.eye(2), np.ones(2), log_t)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w0": [0.0]}, r"w0 must have shape \[2\]"),
        ({"w0": [0.0, math.nan]}, "w0 contains NaN"),
        ({"loss": "hinge"}, "loss must be one of"),
    ],
)
def test_refuses_bad_arguments(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        linear_flow(np.eye(2), np.ones(2), [1.0], **change)


def test_says_when_it_cannot_go_on() -> None:
    # the flow of exp(w) reaches infinity at t = 1
    with pytest.raises(ml.DivergedError, match="the flow left the finite numbers at log t ="):
        log_time_flow(lambda w: (float(w[0]), -np.ones(1)), np.zeros(1), [3.0])
