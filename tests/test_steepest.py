"""Steepest descent: its step in every norm, and matrices in the spectral norm."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch

import margin_lab as ml
from margin_lab import optim
from margin_lab.norms import get_norm


def test_spectral_descent_matches_the_reference() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((3, 2))
    Z = rng.standard_normal((10, 3, 2))
    Z *= np.sign((Z * truth).sum((1, 2)))[:, None, None]
    W = torch.nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
    optimizer = optim.SteepestDescent([W], lr=0.1, norm="spectral", normalized=True)
    path = [np.zeros((3, 2))]
    for _ in range(25):
        optimizer.zero_grad()
        ml.log_loss((torch.tensor(Z) * W).sum((1, 2)), torch.ones(10)).backward()
        optimizer.step()
        path.append(W.detach().numpy().copy())
    np.testing.assert_allclose(path, reference.spectral(Z, 0.1, 25, path[0]), atol=1e-11)
    lengths = np.linalg.svd(np.diff(path, axis=0), compute_uv=False)
    np.testing.assert_allclose(lengths, 0.1, rtol=1e-12)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf", "spectral", 1.5, 4])
def test_steepest_descent_takes_the_step_of_equation_1(norm: str | float) -> None:
    """``||Delta|| = ||grad L||_*`` and ``<Delta, grad L> = -||grad L||_*^2``, with the gradient of L itself."""
    W = torch.nn.Parameter(torch.tensor(np.random.default_rng(1).standard_normal((3, 2))))
    Z = torch.tensor(np.random.default_rng(2).standard_normal((5, 3, 2)))
    own = get_norm(norm)
    shape = (3, 2) if own.matrix else (6,)
    (gradient,) = torch.autograd.grad(torch.exp(-(Z * W).sum((1, 2))).sum(), W)
    optimizer = optim.SteepestDescent([W], lr=0.25, norm=norm)
    before = W.detach().clone()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = ml.log_loss((Z * W).sum((1, 2)), torch.ones(5), reduction="sum")
        value.backward()
        return value

    optimizer.step(closure)
    delta = ((W.detach() - before) / 0.25).reshape(shape)
    gradient = gradient.reshape(shape)
    dual = float(own.dual(gradient))
    assert float(own(delta)) == pytest.approx(dual, rel=1e-12)
    assert float((delta * gradient).sum()) == pytest.approx(-(dual**2), rel=1e-12)


@pytest.mark.parametrize("shapes", [[(4,)], [(2, 2), (2, 2)], [(2, 2, 2)]])
def test_the_spectral_norm_takes_one_matrix(shapes: list[tuple[int, ...]]) -> None:
    params = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
    with pytest.raises(
        ValueError, match=r"the spectral norm is of one matrix, got parameters of shapes \[\(\d"
    ):
        optim.SteepestDescent(params, norm="spectral")
