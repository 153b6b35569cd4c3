"""The Mexican hat: the chart's field against autograd, the turns that one derivation predicts, the margin that never falls."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from margin_lab.theory.flows.mexican_hat import MexicanHat, valley_law

# (c, turns): log10 log rho, log10(1 - gamma), from the derivation's own integration with L = 2, S = 1.5, psi = 1e-3
TURNS = {
    (1.0, 1): (5.3, -5.5),
    (1.0, 3): (12.7, -12.5),
    (1.0, 10): (33.5, -33.2),
    (1.0, 20): (61.7, -61.4),
    (20.0, 1): (2.6, math.log10(1 - 0.837)),
    (20.0, 5): (3.9, math.log10(1 - 0.953)),
    (20.0, 20): (6.2, math.log10(1 - 0.9996)),
}


def points(hat: MexicanHat, n: int = 100) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    rng = np.random.default_rng(0)
    S, psi = rng.uniform(1.05, 9, n), rng.uniform(0, 2 * np.pi, n)
    phi, r = psi + hat.c * S, np.sqrt(1 - 1 / S)
    return S, psi, torch.tensor(np.column_stack([r * np.cos(phi), r * np.sin(phi), 1 / np.sqrt(S)]))


@pytest.mark.parametrize("degree", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("c", [0.5, 1.0, 20.0])
def test_gradient_in_space_is_the_field_of_the_chart(c: float, degree: float) -> None:
    hat = MexicanHat(c, degree)
    S, psi, unit = points(hat)
    rho = torch.linspace(0.5, 2, len(S), dtype=torch.float64)[:, None]
    theta = (unit * rho).requires_grad_()
    (grad,) = torch.autograd.grad(hat.margin(theta).sum(), theta)
    q = hat.margin(theta).detach()
    torch.testing.assert_close((grad * theta).sum(-1).detach(), degree * q, rtol=1e-12, atol=0)  # Euler
    across = (grad - unit * (grad * unit).sum(-1, keepdim=True)) * rho ** (1 - degree)
    dS, dphi = (field * np.exp(-S) for field in hat.chart_field(S, psi))
    phi, r = psi + c * S, np.sqrt(1 - 1 / S)
    dr = dS / (2 * r * S**2)
    expected = np.column_stack(
        [
            dr * np.cos(phi) - r * dphi * np.sin(phi),
            dr * np.sin(phi) + r * dphi * np.cos(phi),
            -r * dr * np.sqrt(S),
        ]
    )
    error = np.linalg.norm(across.detach().numpy() - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-10


@pytest.mark.parametrize("c", [0.5, 1.0, 20.0])
def test_the_spiral_is_a_path_with_exponent_three_only(c: float) -> None:
    hat = MexicanHat(c)
    S = np.linspace(1.1, 8, 50)
    dS, dphi = hat.chart_field(S, np.zeros_like(S))
    np.testing.assert_allclose(dphi, c * dS, rtol=1e-9)
    # and nowhere else in the strip is there a point where the flow rests
    dS, dphi = hat.chart_field(*np.meshgrid(S, np.linspace(0.01, np.pi - 0.01, 40)))
    assert (np.hypot(dS, dphi) > 0.01).all()


def test_the_deficit_is_smooth_across_the_equator() -> None:
    hat = MexicanHat()
    z = torch.tensor([0.2, 0.05, 0.01, 0.0, -0.2], dtype=torch.float64)
    direction = torch.stack([torch.sqrt(1 - z**2), torch.zeros_like(z), z], -1).requires_grad_()
    f = hat.deficit(direction)
    assert (f[:2] > 0).all() and (f[2:4] == 0).all() and f[4] == f[0]
    (grad,) = torch.autograd.grad(f.sum(), direction)
    assert torch.isfinite(grad).all() and (grad[2:4] == 0).all()
    assert torch.isfinite(hat.deficit(torch.tensor([0.0, 0.0, 1.0])))  # the pole


@pytest.mark.parametrize("c", [1.0, 20.0])
def test_it_circles_for_ever_while_the_margin_rises(c: float) -> None:
    hat = MexicanHat(c)
    path = hat.path(turns=20, points=201)
    np.testing.assert_allclose(np.linalg.norm(path.direction, axis=1), 1, rtol=1e-12)
    assert (np.diff(path.log_deficit) < 0).all() and (np.diff(path.log_log_rho) > 0).all()
    assert path.turns[-1] == pytest.approx(20)
    for (pitch, turns), (log_log_rho, log_deficit) in TURNS.items():
        if pitch == c:
            row = turns * 10
            # the table has two or three digits
            assert path.log_log_rho[row] / math.log(10) == pytest.approx(log_log_rho, abs=0.06)
            assert path.log_deficit[row] / math.log(10) == pytest.approx(log_deficit, abs=0.06)
    early = path.direction[:20]
    np.testing.assert_allclose(
        path.log_deficit[:20], np.log(hat.deficit(torch.from_numpy(early)).numpy()), rtol=1e-6
    )
    gap = valley_law(path, hat.degree) - path.log_log_rho
    if c == 1:
        assert abs(gap[-1]) < 0.1 and (np.diff(np.abs(gap[5:])) < 0).all()


@pytest.mark.parametrize(("S0", "psi0"), [(1.3, 1e-6), (1.3, 1.5), (3.0, 0.5)])
def test_starts_in_the_strip_are_captured_by_the_valley(S0: float, psi0: float) -> None:
    path = MexicanHat().path(turns=2, S0=S0, psi0=psi0, points=10)
    assert path.phi[-1] - path.S[-1] == pytest.approx(np.pi / 2, abs=0.02)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MexicanHat(c=0.0), "c must be > 0"),
        (lambda: MexicanHat(degree=-1), "degree must be > 0"),
        (lambda: MexicanHat().path(turns=0), "turns must be > 0"),
        (lambda: MexicanHat().path(S0=1.0), "the path starts at S0 > 1"),
        (lambda: MexicanHat().path(psi0=4.0), "0 < psi0 < pi/2, got 1.5 and 4.0"),
    ],
)
def test_refuses(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
