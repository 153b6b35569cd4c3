"""Half precision: hyperparameters and state are not rounded to the parameters' dtype; results are those of float32, rounded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conventions import MAKERS, every, parameters, train

import margin_lab as ml
from margin_lab import optim

halves = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])


@every
@halves
def test_a_step_is_that_of_float32_rounded(make: Any, dtype: torch.dtype) -> None:
    half = [torch.nn.Parameter(p.detach().to(dtype)) for p in parameters()]
    wide = [torch.nn.Parameter(p.detach().float()) for p in half]
    a, b = make(half, lr=0.1), make(wide, lr=0.1)
    for _ in range(5):  # from the same point each time, with a state that goes on
        for p, q in zip(half, wide, strict=True):
            q.data.copy_(p.data)
        gradients = [torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) for p in half]
        for p, q, g in zip(half, wide, gradients, strict=True):
            p.grad, q.grad = g.to(dtype), g.to(dtype).float()
        for optimizer in (a, b):
            ml.losses.LEDGER.backwards += 1  # gradients by hand
            optimizer.step(loss=-3.0)
        for p, q in zip(half, wide, strict=True):
            assert p.dtype == dtype
            assert torch.equal(p.detach(), q.detach().to(dtype))
    tensors = [t for s in a.state.values() for t in s.values() if isinstance(t, torch.Tensor)]
    assert all(t.dtype == torch.float32 for t in tensors)


@every
@halves
def test_a_restart_does_not_round_the_state(make: Any, dtype: torch.dtype) -> None:
    optimizer = make(parameters(dtype), lr=0.1)
    train(optimizer, 3)
    params = [torch.nn.Parameter(p.detach().clone()) for p in optimizer.param_groups[0]["params"]]
    again = make(params, lr=1.0)
    again.load_state_dict(optimizer.state_dict())
    assert torch.equal(train(again, 3), train(optimizer, 3))


@halves
@pytest.mark.parametrize("beta2", [0.999, 0.9999])
def test_adam_moves(dtype: torch.dtype, beta2: float) -> None:
    ends = {}
    for kind in (dtype, torch.float32):
        start = torch.cat([p.detach().reshape(-1).float() for p in parameters(kind)])
        ends[kind] = train(optim.Adam(parameters(kind), lr=0.05, beta2=beta2), 40).float() - start
    assert ends[dtype].abs().min() > 0.08
    torch.testing.assert_close(ends[dtype], ends[torch.float32], rtol=0, atol=0.15)


@halves
def test_an_overflow_in_half_precision_leaves_everything_as_it_was(dtype: torch.dtype) -> None:
    params = parameters(dtype)
    optimizer = optim.Adam(params, lr=0.1)
    train(optimizer, 2)
    before, state = [p.detach().clone() for p in params], str(optimizer.state_dict()["state"])
    optimizer.param_groups[0]["lr"] = 1e39
    with pytest.raises(ml.DivergedError, match="the step overflowed"):
        train(optimizer, 1)
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))
    assert str(optimizer.state_dict()["state"]) == state


@pytest.mark.parametrize(("lr", "betas"), [(1e300, (0.9, 0.999)), (1e307, (0.9, 0.5)), (1e308, (0.0, 0.0))])
def test_an_overflow_of_adam_leaves_everything_as_it_was(lr: float, betas: tuple[float, float]) -> None:
    params = parameters()
    optimizer = optim.Adam(params, lr=0.1, betas=betas, weight_decay=1e10)
    train(optimizer, 2)
    before, state = [p.detach().clone() for p in params], str(optimizer.state_dict()["state"])
    optimizer.param_groups[0]["lr"] = lr
    with pytest.raises(ml.DivergedError, match="the step overflowed"):
        train(optimizer, 1)
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))
    assert str(optimizer.state_dict()["state"]) == state


def test_tiny_gradients_have_a_norm() -> None:
    """Their squares underflow."""
    for dtype, tiny in ((torch.float64, 1e-200), (torch.float32, 1e-30)):
        w = torch.nn.Parameter(torch.zeros(2, dtype=dtype))
        optimizer = optim.NormalizedGD([w], lr=1.0, form="gradient")
        ml.losses.mark_log_loss(tiny * (3 * w[0] + 4 * w[1])).backward()
        optimizer.step()
        torch.testing.assert_close(w.detach(), torch.tensor([-0.6, -0.8], dtype=dtype))
    big = torch.nn.Parameter(torch.zeros(2))
    optimizer = optim.NormalizedGD([big], lr=1.0, form="gradient")
    ml.losses.mark_log_loss(1e30 * (3 * big[0] + 4 * big[1])).backward()
    optimizer.step()
    torch.testing.assert_close(big.detach(), torch.tensor([-0.6, -0.8]))


def test_the_makers_cover_every_optimizer() -> None:
    made = {type(make(parameters())) for make in MAKERS.values()}
    assert made >= {
        getattr(optim, name) for name in ("GD", "NormalizedGD", "PRGD", "Adam", "Muon", "Shampoo")
    }
