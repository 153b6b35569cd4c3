"""Dual acceleration: the same iterates from the dual side, its certificate, its rate."""

import numpy as np
import pytest
import torch

import margin_lab as ml


def softmax(a: np.ndarray) -> np.ndarray:
    e = np.exp(a - a.max())
    return e / e.sum()


def primal(Z: np.ndarray, steps: int, lr: float) -> np.ndarray:
    """Algorithm 1 of Ji, Srebro & Telgarsky as printed, with momentum ``g`` of the negative sign."""
    w, g, path = np.zeros(Z.shape[1]), np.zeros(Z.shape[1]), []
    for t in range(steps):
        p = softmax(-Z @ w)
        g = t / (t + 1) * (g - p @ Z)
        w = w - lr * (g - p @ Z)
        path.append(w)
    return np.array(path)


def mirror_descent(Z: np.ndarray, steps: int, lr: float) -> np.ndarray:
    """Accelerated entropic mirror descent on ``||Z^T q||^2 / 2``; returns the softmax weights ``q_t`` after each step."""
    n = len(Z)
    log_q, mu, path = np.full(n, -np.log(n)), np.full(n, 1 / n), []
    for t in range(steps):
        lam = 2 / (t + 2)
        nu = (1 - lam) * mu + lam * np.exp(log_q)
        log_q = log_q - lr / lam * (Z @ (nu @ Z))
        log_q = log_q - log_q.max() - np.log(np.exp(log_q - log_q.max()).sum())
        mu = (1 - lam) * mu + lam * np.exp(log_q)
        path.append(np.exp(log_q))
    return np.array(path)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lr", [1.0, 0.3])
def test_equals_the_algorithm_and_its_dual(seed: int, lr: float) -> None:
    data = ml.datasets.gaussian(30, 6, seed)
    run = ml.run_linear(data.X, data.y, "dual", steps=500, lr=lr, record="all")
    expected = primal(data.Z, 500, lr)
    np.testing.assert_allclose(run.w[1:], expected, rtol=1e-10, atol=1e-12)
    weights = np.array([softmax(-data.Z @ w) for w in run.w[1:]])
    np.testing.assert_allclose(weights, mirror_descent(data.Z, 500, lr), atol=1e-9)


def test_optimizer_equals_the_run() -> None:
    data = ml.datasets.gaussian(30, 6, 3)
    X, y = torch.tensor(data.X), torch.tensor(data.y)
    w = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    opt = ml.optim.DualAcceleration([w])
    for _ in range(50):
        opt.zero_grad()
        ml.log_loss(X @ w, y).backward()
        opt.step()
    np.testing.assert_allclose(w.detach(), ml.run_linear(data.X, data.y, "dual", steps=50).w[-1], rtol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_certificate_and_gap_bound(scale: float) -> None:
    """``q_min >= gamma* ||w|| - log n``, and the gap bound of derivation 1 with step ``lr / max ||x_i||^2``."""
    X, y = zip(
        *((scale * d.X, d.y) for d in (ml.datasets.gaussian(35, 10, s) for s in range(4))), strict=True
    )
    runs = ml.sweep_linear(np.stack(X), np.stack(y), "dual", steps=4000)
    for b, run in enumerate(runs):
        Z = X[b] * y[b][:, None]
        gamma = ml.hard_margin(X[b], y[b]).margin
        t, w = run.steps[1:], run.w[1:]
        length = np.linalg.norm(w, axis=1)
        assert np.all((Z @ w.T).min(0) >= gamma * length - np.log(len(Z)) - 1e-9 * length)
        step = 1 / scale**2
        assert np.all(length >= step * gamma * t * (t + 3) / 4 * (1 - 1e-9))
        assert np.all(gamma - run.margin[1:] <= 4 * np.log(len(Z)) / (step * gamma * t * (t + 3)) + 1e-12)


def test_slope_on_gaussian_data() -> None:
    data = [ml.datasets.gaussian(50, 10, s) for s in range(6)]
    steps = 20_000
    runs = ml.sweep_linear(np.stack([d.X for d in data]), np.stack([d.y for d in data]), "dual", steps=steps)
    for d, run in zip(data, runs, strict=True):
        error = ml.hard_margin(d.X, d.y).margin - run.margin
        # the gap oscillates: its right envelope does not
        envelope = np.maximum.accumulate(error[::-1])[::-1]
        fitted = (run.steps >= 300) & (run.steps <= steps / 2)
        slope = np.polyfit(np.log(run.steps[fitted]), np.log(envelope[fitted]), 1)[0]
        assert -2.3 <= slope <= -1.7
