"""The parts of the proximal-point method."""

import numpy as np
import pytest
import torch
from hard_margin_checks import gaussian

from margin_lab.hard_margins import proximal
from margin_lab.hard_margins.solution import unit_rows


def run_proximal(Z, tol=1e-10, **options):
    U, c = unit_rows(torch.as_tensor(Z), 2.0)
    out = proximal.proximal_point(U, c, tol, **options)
    return out, U, c


@pytest.mark.parametrize(("n", "d"), [(200, 30), (30, 200), (60, 60)])
def test_proximal_by_conjugate_gradients(n, d):
    direct, _, _ = run_proximal(gaussian(n, d))
    out, _, _ = run_proximal(gaussian(n, d), direct=5)
    assert out.status == direct.status == "certified"
    assert out.lower == pytest.approx(direct.lower, rel=2e-10)


def test_conjugate_gradients_solve_columns_of_different_scale():
    # without the diagonal: gap 2e-7 after 46,000 products
    Z = gaussian(800, 80) * 10.0 ** np.random.default_rng(0).uniform(-2, 2, 80)
    out, _, _ = run_proximal(Z, direct=0)
    assert out.status == "certified"
    assert out.products < 2000


def test_proximal_stops_at_its_limit():
    out, _, _ = run_proximal(gaussian(200, 30), max_systems=2)
    assert (out.status, out.systems) == ("limit", 2)
    assert out.lower <= out.upper


@pytest.mark.parametrize(("k", "d"), [(5, 20), (20, 5)])
@pytest.mark.parametrize("gram_known", [False, True])
def test_newton_direction_solves_its_system(k, d, gram_known):
    rng = np.random.default_rng(0)
    UJ = unit_rows(torch.tensor(rng.standard_normal((k, d))), 2.0)[0]
    r, sigma = torch.tensor(rng.standard_normal(d)), 50.0
    for direct in (100, 2):
        K = UJ @ UJ.T if gram_known else None
        x, _ = proximal.newton_direction(UJ, K, r, sigma, 1e-12, direct)
        np.testing.assert_allclose(x + sigma * UJ.T @ (UJ @ x), -r, atol=1e-9)


def test_an_indefinite_system_falls_back_to_lu():
    A = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    b = torch.tensor([3.0, 0.0], dtype=torch.float64)
    np.testing.assert_allclose(A @ proximal.solve(A, b), b, atol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_line_search_finds_the_root(seed):
    rng = np.random.default_rng(seed)
    u, v = (torch.tensor(rng.standard_normal(40)) for _ in range(2))
    sigma, b = 3.0, torch.tensor(0.7, dtype=torch.float64)
    a = v @ u.clamp_min(0) - 5  # so that the slope at 0 is -5
    t = proximal.line_search(a, b, u, v, sigma)
    assert t > 0
    assert abs(float(a + b * t - v @ (u - sigma * t * v).clamp_min(0))) < 1e-12
