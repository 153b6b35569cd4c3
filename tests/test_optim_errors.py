"""Every optimizer of the table refuses what it cannot take, in clear words, and stays as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from optimizers import ROWS, Row, problem, start
from walks import STEPS, assert_path, closure_of, every_row, tensors, walk

import margin_lab as ml


@every_row
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_leaves_everything_as_it_was(row: Row, bad: float) -> None:
    Z, w0 = problem(8), start(row, 8)
    params = tensors(w0, (3, 1))
    optimizer = row.make(params, lr=row.lr)
    walk(optimizer, params, Z, 3, row.needs_loss)
    before = [p.detach().clone() for p in params]
    state = str(optimizer.state_dict())
    closure = closure_of(optimizer, params, Z)

    def poisoned() -> torch.Tensor:
        value = closure()
        params[0].grad[1] = bad
        return value

    with pytest.raises(
        ml.DivergedError, match=r"the gradient is not finite .*train through margin_lab.log_loss, lower lr"
    ):
        optimizer.step(poisoned)
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))
    assert str(optimizer.state_dict()) == state
    # and the run goes on as if nothing had been
    path = walk(optimizer, params, Z, STEPS - 3, row.needs_loss)
    assert_path(path, row.path(Z, row.lr, STEPS, w0)[3:])


@every_row
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(row: Row, value: float) -> None:
    Z = problem(9)
    params = tensors(start(row, 9), (4,))
    optimizer = row.make(params, lr=row.lr)
    closure = closure_of(optimizer, params, Z)
    before = params[0].detach().clone()
    with pytest.raises(
        ml.DivergedError, match=rf"{type(optimizer).__name__}: the loss is not finite \(log loss {value}\)"
    ):
        optimizer.step(lambda: torch.full_like(closure(), value))
    assert torch.equal(params[0], before)


@every_row
def test_no_gradients(row: Row) -> None:
    optimizer = row.make(tensors(start(row, 0), (4,)), lr=row.lr)
    words = "no parameter has a gradient; call backward\\(\\) on log_loss first"
    with pytest.raises(ValueError, match=words):
        optimizer.step(lambda: 0.0)


@every_row
def test_the_parameters_are_the_same_at_every_step(row: Row) -> None:
    params = tensors(start(row, 0), (4,))
    optimizer = row.make(params, lr=row.lr)
    closure = closure_of(optimizer, params, problem(0))
    optimizer.step(closure)
    late = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    if optimizer.state:
        with pytest.raises(ValueError, match="its state is joint over the parameters it began with"):
            optimizer.add_param_group({"params": [late]})
    frozen = late.detach().requires_grad_(False)
    with pytest.raises(
        ValueError, match=r"parameters of shapes \[\(2,\)\] are frozen, but the norm is joint"
    ):
        row.make([*tensors(start(row, 0), (4,)), frozen], lr=row.lr)
    closure()
    params[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r"are frozen, .* to a new optimizer if you froze them on the way"):
        optimizer.step(None if not row.needs_loss else lambda: torch.zeros(()))


@every_row
def test_the_loss_is_asked_for_where_it_is_needed(row: Row) -> None:
    params = tensors(start(row, 0), (4,))
    optimizer = row.make(params, lr=row.lr)
    closure = closure_of(optimizer, params, problem(0))
    closure()
    if not row.needs_loss:
        optimizer.step()
        optimizer.step(lambda: None)
        return
    name = type(optimizer).__name__
    with pytest.raises(
        ValueError, match=rf"{name} needs the loss itself: call step\(closure\) with a closure that clears"
    ):
        optimizer.step()
    with pytest.raises(
        ValueError, match=f"{name} needs the loss itself, but the closure returned None; let it return"
    ):
        optimizer.step(lambda: None)


BAD = [(row, kwargs, words) for row in ROWS for kwargs, words in row.bad]


@pytest.mark.parametrize(
    ("row", "kwargs", "words"), BAD, ids=[f"{i}-{r.name}-{'-'.join(k)}" for i, (r, k, _) in enumerate(BAD)]
)
def test_bad_inputs(row: Row, kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        row.make(tensors(start(row, 0), (4,)), **kwargs)


@every_row
def test_a_groups_lr_is_checked_when_it_comes(row: Row) -> None:
    first, second = tensors(np.ones(4), (3, 1))
    with pytest.raises(ValueError, match="lr must be >= 0 and finite, got -1"):
        row.make([{"params": [first], "lr": -1}], lr=row.lr)
    optimizer = row.make([first], lr=row.lr)
    with pytest.raises(ValueError, match="lr must be >= 0 and finite, got nan"):
        optimizer.add_param_group({"params": [second], "lr": float("nan")})
    assert len(optimizer.param_groups) == 1


@every_row
def test_mixed_dtypes_are_refused(row: Row) -> None:
    params = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2, dtype=torch.float64))]
    optimizer = row.make(params, lr=row.lr)
    for p in params:
        p.grad = torch.ones_like(p)
    with pytest.raises(
        ValueError, match="all parameters must share one dtype and device, since norms are joint"
    ):
        optimizer.step(lambda: 0.0)
