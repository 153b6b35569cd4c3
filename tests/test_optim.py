"""Every optimizer of the table: its trajectory, its state, its groups and types."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import optimizers
import pytest
import torch
from optimizers import ROWS, Row, ids, problem, start
from walks import STEPS, assert_path, closure_of, every_row, tensors, walk

import margin_lab as ml
from margin_lab import optim
from margin_lab.norms import get_norm


@every_row
@pytest.mark.parametrize("seed", range(4))
def test_matches_the_reference_step_by_step(row: Row, seed: int) -> None:
    Z, w0 = problem(seed), start(row, seed)
    params = tensors(w0, (4,))
    path = walk(row.make(params, lr=row.lr), params, Z, STEPS, row.needs_loss)
    assert_path(path, row.path(Z, row.lr, STEPS, w0))


@every_row
def test_the_reference_moves_and_separates(row: Row) -> None:
    """So that matching it means something."""
    Z = problem(0)
    path = row.path(Z, row.lr, 120, start(row, 0))
    assert np.median(np.abs(np.diff(path[:STEPS], axis=0)).max(1)) > 1e-4
    if row.name != "prgd-period-1":  # which only rescales
        assert np.log(np.exp(-Z @ path[-1]).mean()) < np.log(np.exp(-Z @ path[0]).mean()) - 0.1


@every_row
def test_a_closure_changes_nothing_where_none_is_needed(row: Row) -> None:
    Z, w0 = problem(1), start(row, 1)
    params = tensors(w0, (4,))
    optimizer = row.make(params, lr=row.lr)
    path = [w0]
    for _ in range(STEPS):
        value = optimizer.step(closure_of(optimizer, params, Z))
        assert value.item() == pytest.approx(np.log(np.exp(-Z @ path[-1]).mean()), rel=1e-9, abs=1e-12)
        path.append(params[0].detach().numpy().copy())
    assert_path(np.array(path), row.path(Z, row.lr, STEPS, w0))


@every_row
def test_several_tensors_are_one_vector(row: Row) -> None:
    Z, w0 = problem(2), start(row, 2)
    params = tensors(w0, (1, 2, 1))
    path = walk(row.make(params, lr=row.lr), params, Z, STEPS, row.needs_loss)
    assert_path(path, row.path(Z, row.lr, STEPS, w0))


@every_row
def test_groups_with_their_own_lr(row: Row) -> None:
    Z, w0 = problem(3), start(row, 3)
    params = tensors(w0, (3, 1))
    groups = [{"params": [params[0]], "lr": row.lr / 3}, {"params": [params[1]]}]
    path = walk(row.make(groups, lr=row.lr), params, Z, STEPS, row.needs_loss)
    rates = np.array([row.lr / 3] * 3 + [row.lr])
    assert_path(path, row.path(Z, rates, STEPS, w0))


@every_row
@pytest.mark.parametrize("middle", [1, 7, 20])
def test_a_restart_from_the_state_dict_equals_the_uninterrupted_run(row: Row, middle: int) -> None:
    Z, w0 = problem(4), start(row, 4)
    params = tensors(w0, (3, 1))
    optimizer = row.make(params, lr=row.lr)
    whole = [walk(optimizer, params, Z, middle, row.needs_loss)]
    state, file = optimizer.state_dict(), io.BytesIO()
    torch.save({"optimizer": state, "params": [p.data for p in params]}, file)
    whole.append(walk(optimizer, params, Z, STEPS - middle, row.needs_loss)[1:])
    file.seek(0)
    loaded = torch.load(file)
    for saved in (loaded["optimizer"], state):  # the second one was held while the run went on
        again = [torch.nn.Parameter(p.clone()) for p in loaded["params"]]
        restarted = row.make(again, lr=99.0)
        restarted.load_state_dict(saved)
        assert restarted.param_groups[0]["lr"] == row.lr
        path = walk(restarted, again, Z, STEPS - middle, row.needs_loss)
        np.testing.assert_array_equal(path, np.concatenate(whole)[middle:])


@every_row
def test_a_lr_scheduler_is_followed(row: Row) -> None:
    Z, w0 = problem(5), start(row, 5)
    params = tensors(w0, (4,))
    optimizer = row.make(params, lr=row.lr)
    first = walk(optimizer, params, Z, 1, row.needs_loss)
    optimizer.param_groups[0]["lr"] = row.lr / 10
    if not optimizer.state:  # else the second step depends on the first one too
        second = walk(optimizer, params, Z, 1, row.needs_loss)
        assert_path(second, row.path(Z, row.lr / 10, 1, first[-1]))


@every_row
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(row: Row, dtype: torch.dtype) -> None:
    Z, w0 = problem(6), start(row, 6)
    params = tensors(w0, (3, 1), dtype)
    path = walk(row.make(params, lr=row.lr), params, Z, 12, row.needs_loss)
    assert {p.dtype for p in params} == {dtype}
    assert_path(path, row.path(Z, row.lr, 12, w0), rtol=1e-4 if dtype == torch.float32 else 1e-12)


UNIT = [row for row in ROWS if row.unit_step is not None]


@pytest.mark.parametrize("row", UNIT, ids=ids(UNIT))
def test_the_length_of_a_step(row: Row) -> None:
    assert row.unit_step is not None
    Z, w0 = problem(7), start(row, 7)
    params = tensors(w0, (3, 1))
    steps = np.diff(walk(row.make(params, lr=row.lr), params, Z, STEPS, row.needs_loss), axis=0)
    lengths = get_norm(row.unit_step)(torch.tensor(steps)).numpy()
    np.testing.assert_allclose(lengths, row.lr, rtol=1e-12)


@every_row
def test_a_parameter_that_the_loss_did_not_use_has_gradient_0(row: Row) -> None:
    """As an unused branch has: the step is that of a gradient full of zeros, before and after the branch is used."""
    Z = torch.as_tensor(problem(3))

    def train(fill: bool) -> list[torch.nn.Parameter]:
        params = tensors(start(row, 3), (3, 1))
        optimizer = row.make(params, lr=row.lr)

        def closure(used: bool) -> torch.Tensor:
            optimizer.zero_grad()
            q = Z[:, :3] @ params[0]
            q = q + Z[:, 3] * params[1][0] if used else q
            value = ml.log_loss(q, torch.ones(len(q)))
            value.backward()
            if fill and not used:
                params[1].grad = torch.zeros_like(params[1])
            return value

        for used in (False, True, False):
            optimizer.step(partial(closure, used))
        return params

    for a, b in zip(train(fill=False), train(fill=True), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_every_public_optimizer_is_in_the_table() -> None:
    made = {type(row.make(tensors(np.ones(4), (4,)), lr=1.0)).__name__ for row in ROWS}
    public = {name for name in optim.__all__ if isinstance(getattr(optim, name), type(optim.GD))}
    optimizers_ = {name for name in public if issubclass(getattr(optim, name), torch.optim.Optimizer)}
    optimizers_ -= {"LogLossOptimizer", *optimizers.OF_MATRICES}
    assert optimizers_ <= made, f"add a row to tests/optimizers.py for {sorted(optimizers_ - made)}"
