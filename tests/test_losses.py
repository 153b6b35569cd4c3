"""Losses in the log domain against 60-digit arithmetic."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from margin_lab.losses import inverse_link, log_loss, log_loss_of_margins, loss_weights

mp.mp.dps = 60
EPS = float(np.finfo(float).eps)
RTOL = 1e-12


def exact(q: list[float], loss: str, reduction: str) -> tuple[mp.mpf, list[mp.mpf]]:
    """log L and its gradient in q, with 60 digits."""
    q = [mp.mpf(v) for v in q]
    if loss == "exponential":
        each, slope = [mp.exp(-v) for v in q], [-mp.exp(-v) for v in q]
    else:
        each, slope = [mp.log1p(mp.exp(-v)) for v in q], [-mp.exp(-v) / (1 + mp.exp(-v)) for v in q]
    total = mp.fsum(each)
    value = mp.log(total / len(q) if reduction == "mean" else total)
    return value, [s / total for s in slope]


def exact_cross_entropy(F: np.ndarray, y: np.ndarray, reduction: str) -> tuple[mp.mpf, np.ndarray]:
    """log L and its gradient in the outputs ``[n, k]``, with 60 digits."""
    n, k = F.shape
    each, slope = [], [[mp.mpf(0)] * k for _ in range(n)]
    for i in range(n):
        ratios = [mp.exp(mp.mpf(F[i, j]) - mp.mpf(F[i, y[i]])) if j != y[i] else mp.mpf(0) for j in range(k)]
        others = mp.fsum(ratios)
        each.append(mp.log1p(others))
        for j in range(k):
            slope[i][j] = ratios[j] / (1 + others) if j != y[i] else -others / (1 + others)
    total = mp.fsum(each)
    value = mp.log(total / n if reduction == "mean" else total)
    return value, np.array([[float(s / total) for s in row] for row in slope])


def relative_error(value: float, reference: mp.mpf) -> float:
    return float(abs(mp.mpf(value) - reference) / abs(reference)) if reference else abs(value)


def condition(q: list[float], value: mp.mpf, gradient: list[mp.mpf]) -> float:
    """By how much a relative error of the margins is amplified in log L: what no algorithm can avoid."""
    terms = mp.fsum([abs(mp.mpf(v) * g) for v, g in zip(q, gradient, strict=True)])
    return float(terms / abs(value)) if value else math.inf


def value_and_gradient(q: np.ndarray, loss: str, reduction: str) -> tuple[float, np.ndarray]:
    f = torch.tensor(q, requires_grad=True)
    value = log_loss(f, torch.ones(len(q)), loss, reduction)
    value.backward()
    return value.item(), f.grad.numpy()


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("log10_loss", [2, -0.5, -3, -7, -20, -300, -900, -2000])
def test_binary_losses_against_mpmath(n: int, loss: str, reduction: str, log10_loss: float) -> None:
    rng = np.random.default_rng(n)
    for spread in (0.0, 0.3, 30.0):
        q = -log10_loss * math.log(10) + spread * rng.random(n)
        reference, gradient = exact(q.tolist(), loss, reduction)
        value, grad = value_and_gradient(q, loss, reduction)
        amplified = 8 * EPS * condition(q.tolist(), reference, gradient)
        assert relative_error(value, reference) <= max(RTOL, amplified)
        assert np.isfinite(grad).all()
        np.testing.assert_allclose(grad, [float(g) for g in gradient], rtol=RTOL, atol=1e-300)
        weights = loss_weights(torch.tensor(q), loss).numpy()
        np.testing.assert_allclose(-weights, grad, rtol=RTOL, atol=1e-300)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("log10_loss", [2, -0.5, -7, -300, -2000])
def test_cross_entropy_against_mpmath(k: int, reduction: str, log10_loss: float) -> None:
    for n in (1, 6):
        rng = np.random.default_rng(10 * n + k)
        y = rng.integers(k, size=n)
        F = 3 * rng.standard_normal((n, k))
        F[np.arange(n), y] = F.max(1) - log10_loss * math.log(10)
        reference, gradient = exact_cross_entropy(F, y, reduction)
        f = torch.tensor(F, requires_grad=True)
        value = log_loss(f, torch.tensor(y), "cross_entropy", reduction)
        value.backward()
        amplified = 8 * EPS * float(np.abs(F * gradient).sum() / abs(reference))
        assert relative_error(value.item(), reference) <= max(RTOL, amplified)
        assert np.isfinite(f.grad.numpy()).all()
        np.testing.assert_allclose(f.grad.numpy(), gradient, rtol=2 * RTOL, atol=1e-300)


@pytest.mark.parametrize("loss", ["exponential", "logistic", "cross_entropy"])
def test_each_samples_log_loss(loss: str) -> None:
    if loss == "cross_entropy":
        F, y = np.array([[2000.0, 1.0, 0.5], [0.3, -0.2, 0.1]]), np.array([0, 2])
        references = [exact_cross_entropy(F[i : i + 1], y[i : i + 1], "sum")[0] for i in range(2)]
    else:
        F, y = np.array([-4000.0, 0.7]), np.array([-1.0, 1.0])
        references = [exact([q], loss, "sum")[0] for q in F * y]
    each = log_loss(F, y, loss, reduction="none")
    assert each.shape == (2,)
    assert max(relative_error(v, r) for v, r in zip(each, references, strict=True)) <= RTOL


@given(
    q=st.lists(st.floats(-30, 5000), min_size=1, max_size=8),
    loss=st.sampled_from(["exponential", "logistic"]),
    reduction=st.sampled_from(["sum", "mean"]),
)
def test_any_margins_against_mpmath(q: list[float], loss: str, reduction: str) -> None:
    reference, gradient = exact(q, loss, reduction)
    value = log_loss(np.array(q), np.ones(len(q)), loss, reduction)
    assert relative_error(value, reference) <= max(RTOL, 16 * EPS * condition(q, reference, gradient))


@pytest.mark.parametrize(
    ("q", "reduction"),
    [
        ([1e-9], "sum"),
        ([1e-9], "mean"),
        ([1e-9, 60.0], "sum"),
        ([1e-8] * 10, "mean"),
        ([1e-6, 2e-6, 3e-7, 5e-6, 1e-6, 1e-5, 2e-6], "mean"),
        ([1e-12] * 1000, "mean"),
        ([-1e-10] * 3, "mean"),
    ],
)
def test_near_one_where_the_loss_is_well_conditioned(q: list[float], reduction: str) -> None:
    reference, gradient = exact(q, "exponential", reduction)
    assert condition(q, reference, gradient) < 1.1
    value, grad = value_and_gradient(np.array(q), "exponential", reduction)
    assert relative_error(value, reference) <= RTOL
    np.testing.assert_allclose(grad, [float(g) for g in gradient], rtol=RTOL)


def test_loss_and_its_log_agree_where_the_loss_is_ordinary() -> None:
    q = torch.linspace(-2, 3, 9, dtype=torch.float64)
    assert torch.allclose(log_loss(q, torch.ones(9), reduction="sum"), torch.exp(-q).sum().log(), rtol=1e-14)
    assert torch.allclose(
        log_loss(q, torch.ones(9), "logistic", "mean"),
        torch.nn.functional.softplus(-q).mean().log(),
        rtol=1e-14,
    )
    F, y = (
        torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
        torch.arange(5) % 4,
    )
    expected = torch.nn.functional.cross_entropy(F, y).log()
    assert torch.allclose(log_loss(F, y, "cross_entropy", "mean"), expected, rtol=1e-13)


def test_cross_entropy_of_two_classes_is_the_logistic_loss_of_their_difference() -> None:
    q = np.array([-3.0, 0.2, 700.0])
    F = np.stack([np.zeros(3), q], 1)
    assert log_loss(F, np.array([1, 1, 1]), "cross_entropy") == log_loss(q, np.ones(3), "logistic")


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@pytest.mark.parametrize("loss", ["exponential", "logistic", "cross_entropy"])
@pytest.mark.parametrize("shift", [0.0, 14.9, 40.0])
def test_gradcheck(loss: str, reduction: str, shift: float) -> None:
    rng = torch.Generator().manual_seed(3)
    if loss == "cross_entropy":
        y = torch.tensor([0, 2, 1])
        F = (
            torch.randn(3, 3, dtype=torch.float64, generator=rng)
            + shift * torch.eye(3, dtype=torch.float64)[y]
        )
    else:
        y = torch.tensor([1, -1, 1, 1])
        F = (torch.randn(4, dtype=torch.float64, generator=rng) + shift) * y
    assert torch.autograd.gradcheck(lambda f: log_loss(f, y, loss, reduction), F.requires_grad_())


@pytest.mark.parametrize("z", [-700.0, -30.0, -2.0, 0.0, 0.3, 0.37, 1.0, 11.0, 11.6, 40.0, 900.0, 4605.0])
def test_inverse_link_against_mpmath(z: float) -> None:
    u = mp.exp(-mp.mpf(z))
    reference = -mp.log(mp.expm1(u))
    value = inverse_link(torch.tensor(z, dtype=torch.float64), "logistic").item()
    # g(z) crosses 0 at z = -log log 2: an error of one unit in z's last place is worth |g'| eps there
    slope = float(abs(u * mp.exp(u) / mp.expm1(u)))
    assert abs(value - reference) <= RTOL * abs(reference) + 4 * EPS * slope
    assert inverse_link(torch.tensor(z), "exponential").item() == np.float32(z)


def test_inverse_link_undoes_the_loss_of_one_sample() -> None:
    q = torch.tensor([-5.0, -0.5, 0.1, 3.0, 20.0, 800.0, 4000.0], dtype=torch.float64)
    log_each = log_loss_of_margins(q, "logistic", "none")
    torch.testing.assert_close(inverse_link(-log_each, "logistic"), q, rtol=1e-13, atol=1e-15)
