"""Adam on networks: torch's own, and at losses far below the smallest number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from coordinate_labels import data

import margin_lab as ml
from margin_lab.models import MLP, flat_parameters
from margin_lab.optim.adam import AdamState, adam_update


@pytest.mark.parametrize(("beta1", "beta2", "eps"), [(0.9, 0.999, 1e-8), (0.0, 0.9, 1e-3)])
def test_adam_is_torchs(beta1: float, beta2: float, eps: float) -> None:
    X, y = data(20, 4)
    run = ml.run_network(
        MLP([4, 6, 1]), X, y, "adam", 300, lr=0.02, beta1=beta1, beta2=beta2, eps=eps, reduction="sum"
    )
    model = MLP([4, 6, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, betas=(beta1, beta2), eps=eps)
    for _ in range(300):
        optimizer.zero_grad()
        torch.exp(-torch.tensor(y) * model(torch.tensor(X))).sum().backward()
        optimizer.step()
    assert run.log_loss[-1] < 1.2 < 3 < run.log_loss[0]
    np.testing.assert_allclose(run.theta, flat_parameters(model), rtol=1e-7, atol=1e-9)


def test_adam_far_below_the_smallest_number() -> None:
    """A run from log L = -1 and one from log L = -5001 with the same gradients of log L take the same steps if eps = 0."""
    rng = np.random.default_rng(0)
    w = torch.zeros(2, 3, dtype=torch.float64)
    state = AdamState.start(w)
    for t in range(400):
        grad = torch.tensor(rng.standard_normal(3)).expand(2, 3)
        log_loss = -torch.tensor([1.0, 5001.0], dtype=w.dtype) - 0.5 * t + 30 * np.sin(t / 9)
        w = adam_update(w, grad, log_loss, 0.1, state, eps=torch.tensor([[0.0], [0.0]]))
    assert torch.isfinite(w).all()
    assert float(w.abs().max()) > 0.1
    torch.testing.assert_close(w[0], w[1], rtol=1e-9, atol=0)
    # with eps > 0 there is nothing left to step on
    rest = adam_update(w, grad, log_loss, 0.1, AdamState.start(w), eps=1e-8)
    assert float((rest - w)[1].abs().max()) == 0
    # and no memory at all is sign descent, however fast the loss falls
    state = AdamState.start(w)
    for value in (0.0, -2000.0):
        new = adam_update(w, grad, torch.tensor([value, value]), 0.1, state, 0.0, 0.0, 0.0)
        torch.testing.assert_close(new, w - 0.1 * torch.sign(grad))
