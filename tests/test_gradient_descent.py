"""GD and NGD where the loss leaves the range of float64, and parameters outside the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from optimizers import problem
from walks import closure_of, tensors, walk

import margin_lab as ml
from margin_lab import optim


def test_a_step_far_below_the_smallest_number() -> None:
    """At log L = -5000 NGD still moves; GD's step is 0 in float64, not NaN."""
    Z = np.array([[1.0, 0.0], [0.0, 1.0]])
    params = tensors(np.array([5000.0, 5000.0]), (2,))
    path = walk(optim.NormalizedGD(params, lr=0.5), params, Z, 4, False)
    np.testing.assert_allclose(path[-1], [5001.0, 5001.0], rtol=1e-15)
    path = walk(optim.GD(params, lr=0.5), params, Z, 4, True)
    np.testing.assert_array_equal(path[-1], path[0])


def test_a_huge_loss_overflows_with_a_clear_error() -> None:
    params = tensors(np.array([-5000.0, -5000.0]), (2,))
    optimizer = optim.GD(params, lr=0.5)
    with pytest.raises(ml.DivergedError, match="GD: the step overflowed .*log loss 5"):
        optimizer.step(closure_of(optimizer, params, np.eye(2)))
    assert params[0].tolist() == [-5000.0, -5000.0]


def test_parameters_without_gradient_are_left_alone() -> None:
    used, unused = tensors(np.ones(4), (3, 1))
    optimizer = optim.NormalizedGD([used, unused])
    ml.log_loss(torch.tensor(problem(0)[:, :3]) @ used, torch.ones(12)).backward()
    optimizer.step()
    assert unused.item() == 1.0
    assert not torch.equal(used, torch.ones(3, dtype=torch.float64))
