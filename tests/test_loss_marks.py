"""Log losses are marked: training on another loss is noticed, and nothing else is; autocast and compiled losses."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import margin_lab as ml
from margin_lab import losses, optim

X = torch.tensor([[1.0, 0.2], [0.3, 1.0], [0.5, 0.9]], dtype=torch.float64)
Y = torch.ones(3)


def weights() -> nn.Parameter:
    return nn.Parameter(torch.zeros(2, dtype=torch.float64))


def steps(optimizer: torch.optim.Optimizer, w: nn.Parameter) -> None:
    for _ in range(3):
        optimizer.zero_grad()
        torch.exp(-X @ w).mean().backward()
        optimizer.step()


def test_another_loss_is_noticed_once() -> None:
    w = weights()
    optimizer = optim.NormalizedGD([w])
    with pytest.warns(
        UserWarning, match='no backward pass went through a log loss.*gradients_of="loss"'
    ) as seen:
        steps(optimizer, w)
    assert len(seen) == 1
    assert seen[0].filename == __file__  # the user's line


def test_another_loss_in_a_closure_is_noticed() -> None:
    w = weights()
    optimizer = optim.Adam([w])

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = torch.exp(-X @ w).mean()
        value.backward()
        return value

    with pytest.warns(UserWarning, match="Adam steps on gradients of log L"):
        optimizer.step(closure)


def graphs(w: nn.Parameter) -> dict[str, Any]:
    q = lambda: X @ w  # noqa: E731
    return {
        "plain": lambda: ml.log_loss(q(), Y).backward(),
        "scaled": lambda: (ml.log_loss(q(), Y, "logistic") / 8).backward(),
        "in a larger graph": lambda: (ml.log_loss(q(), Y).square() + w.square().sum()).backward(),
        "each sample": lambda: ml.log_loss(q(), Y, reduction="none").mean().backward(),
        "accumulated": lambda: [ml.log_loss(q()[k : k + 1], Y[:1]).backward() for k in range(3)],
        "by margins": lambda: losses.log_loss_of_margins(q()).backward(),
        "autograd.grad": lambda: setattr(w, "grad", torch.autograd.grad(ml.log_loss(q(), Y), w)[0]),
        "func.grad": lambda: setattr(w, "grad", torch.func.grad(lambda v: ml.log_loss(X @ v, Y))(w.detach())),
        "one's own": lambda: losses.mark_log_loss(torch.logsumexp(-q(), 0)).backward(),
        "retained": lambda: [v := ml.log_loss(q(), Y), v.backward(retain_graph=True), v.backward()],
    }


@pytest.mark.parametrize("name", graphs(weights()))
def test_no_false_warning(name: str) -> None:
    w = weights()
    optimizer = optim.NormalizedGD([w], lr=0.1)
    backward = graphs(w)[name]
    for _ in range(2):
        optimizer.zero_grad()
        backward()
        optimizer.step()
        optimizer.step()  # once more along the same gradient


def test_no_false_warning_from_gradients_of_before_or_zeros() -> None:
    w = weights()
    ml.log_loss(X @ w, Y).backward()
    optimizer = optim.NormalizedGD([w])
    optimizer.step()
    optimizer.zero_grad()
    ml.log_loss(X @ w, Y).backward()
    again = optim.NormalizedGD([w])
    again.load_state_dict(optimizer.state_dict())
    again.step()
    again.zero_grad(set_to_none=False)
    again.step()


def test_a_marked_loss_can_be_saved_and_differentiated_twice() -> None:
    w = weights()
    torch.save(ml.log_loss(X @ w, Y), io.BytesIO())
    hessian = torch.autograd.functional.hessian(lambda v: ml.log_loss(X @ v, Y), w.detach())
    assert torch.linalg.eigvalsh(hessian).min() >= 0


@pytest.mark.parametrize("make", [optim.NormalizedGD, optim.GD, optim.Adam])
def test_gradients_of_the_loss_itself(make: Any) -> None:
    """Whoever has L gets the same trajectory, with the user's gradients left as they are."""
    a, b = weights(), weights()
    by_log, by_loss = make([a], lr=0.2), make([b], lr=0.2, gradients_of="loss")
    for _ in range(5):
        by_log.zero_grad()
        value = ml.log_loss(X @ a, Y, reduction="sum")
        value.backward()
        by_log.step(loss=value)
        by_loss.zero_grad()
        plain = torch.exp(-X @ b).sum()
        plain.backward()
        before = b.grad.clone()  # type: ignore[union-attr]
        assert by_loss.step(loss=plain) is plain
        assert torch.equal(b.grad, before)  # type: ignore[arg-type]
    torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match=r"needs the loss itself: .*computes loss, calls backward"):
        by_loss.step()
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ml.DivergedError, match="divided by L, which must be > 0 and finite"):
            by_loss.step(loss=bad)
    with pytest.raises(ValueError, match="gradients_of must be one of 'log_loss', 'loss', got 'l'"):
        make([a], gradients_of="l")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_does_not_round_the_loss(dtype: torch.dtype) -> None:
    head = nn.Linear(2, 1, bias=False)
    nn.init.constant_(head.weight, 3001.0)
    rows = torch.eye(2)
    with torch.autocast("cpu", dtype=dtype):
        outputs = head(rows)
        value = ml.log_loss(outputs, torch.ones(2), reduction="mean")
    assert outputs.dtype == dtype and value.dtype == torch.float32
    first, second = outputs.detach()[:, 0].tolist()
    exact = -first + math.log((1 + math.exp(first - second)) / 2)
    assert value.item() == pytest.approx(exact, rel=1e-6)
    value.backward()
    assert head.weight.grad is not None and torch.isfinite(head.weight.grad).all()
    half = ml.log_loss(torch.full((3,), 301.0, dtype=dtype), torch.ones(3), "logistic", "sum")
    assert half.item() == pytest.approx(-float(torch.tensor(301.0, dtype=dtype)) + math.log(3), rel=1e-6)


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
def test_compiles_without_a_break(loss: str, reduction: str) -> None:
    classes = loss == "cross_entropy"
    y = torch.tensor([0, 1, 2, 1]) if classes else torch.tensor([1, -1, 1, 1])
    f = torch.randn(4, 3 if classes else 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    results, before = [], losses.LEDGER.unseen
    torch._dynamo.reset()
    compiled = torch.compile(ml.log_loss, fullgraph=True, backend="aot_eager")
    try:
        for function in (ml.log_loss, compiled):
            outputs = f.clone().requires_grad_()
            value = function(outputs, y, loss, reduction)
            value.sum().backward()
            results.append((value.detach(), outputs.grad))
        assert losses.LEDGER.unseen  # so that no optimizer concludes anything from a mark that is missing
        w = weights()
        optimizer = optim.NormalizedGD([w])
        torch.exp(-X @ w).sum().backward()
        optimizer.step()
    finally:
        losses.LEDGER.unseen = before
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-15)
