"""The same lines on CUDA: trajectories of every optimizer and sweep, hard margins, networks against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hard_margin_checks import METHODS as SOLVERS
from hard_margin_checks import gaussian, near_duplicates, random_labels
from optimizers import ROWS, RUNNABLE, Row, ids, problem, start

import margin_lab as ml
from margin_lab.hard_margins import NotSeparableError, hard_margin
from margin_lab.losses import log_loss_of_margins, loss_weights
from margin_lab.norms import get_norm
from margin_lab.runs import METHODS

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
# float32: few steps, since rounding errors grow with the radius and along kinks of the norms
PRECISIONS = [(torch.float64, 40, 1e-10), (torch.float32, 10, 1e-3)]
precisions = pytest.mark.parametrize(("dtype", "steps", "rtol"), PRECISIONS, ids=["float64", "float32"])


def assert_close(cpu: torch.Tensor, gpu: torch.Tensor, rtol: float) -> None:
    assert gpu.device.type == DEVICE
    assert gpu.dtype == cpu.dtype
    size = 1 + cpu.abs().amax(-1, keepdim=True)
    torch.testing.assert_close(gpu.cpu() / size, cpu / size, rtol=0, atol=rtol)


def trajectory(row: Row, seed: int, steps: int, dtype: torch.dtype, device: str) -> torch.Tensor:
    Z = torch.tensor(problem(seed), dtype=dtype, device=device)
    w0 = torch.tensor(start(row, seed), dtype=dtype, device=device)
    params = [torch.nn.Parameter(p.clone()) for p in w0.split([3, 1])]
    optimizer = row.make(params, lr=row.lr)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = ml.log_loss(Z @ torch.cat(params), torch.ones(len(Z), device=device), reduction="mean")
        value.backward()
        return value

    path = [w0]
    for _ in range(steps):
        optimizer.step(closure)
        path.append(torch.cat(params).detach())
    return torch.stack(path)


@pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))
@precisions
def test_optimizers(row: Row, dtype: torch.dtype, steps: int, rtol: float) -> None:
    for seed in range(2):
        cpu, gpu = (trajectory(row, seed, steps, dtype, device) for device in ("cpu", DEVICE))
        assert_close(cpu, gpu, rtol)


@pytest.mark.parametrize("row", RUNNABLE, ids=ids(RUNNABLE))
@precisions
def test_sweeps(row: Row, dtype: torch.dtype, steps: int, rtol: float) -> None:
    assert row.run
    method, options = row.run
    Z, y = torch.tensor(problem(0), dtype=dtype), torch.ones(12)
    kwargs: dict[str, Any] = {"lr": [row.lr / 2, row.lr], "w0": start(row, 0), "record": "all", **options}
    cpu = ml.sweep_linear(Z, y, method, steps, **kwargs)
    for sweep in (
        ml.sweep_linear(Z.to(DEVICE), y.to(DEVICE), method, steps, **kwargs),
        ml.sweep_linear(Z.to(DEVICE), y, method, steps, **kwargs),  # labels follow the data
    ):
        for name in ("w", "margin", "log_loss", "norm"):
            a, b = getattr(cpu, name), getattr(sweep, name)
            assert_close(a, b, rtol) if name == "w" else assert_close(a[..., None], b[..., None], rtol)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"certified"}))
@precisions
def test_every_method_over_batched_datasets(method: str, dtype: torch.dtype, steps: int, rtol: float) -> None:
    Z = torch.tensor(np.stack([problem(seed) for seed in range(3)]), dtype=dtype)
    kwargs: dict[str, Any] = {"warmup": 50} if method == "prgd" else {}
    cpu = ml.sweep_linear(Z, torch.ones(3, 12), method, steps, lr=[0.1, 0.3], **kwargs)
    gpu = ml.sweep_linear(Z.to(DEVICE), torch.ones(3, 12), method, steps, lr=[0.1, 0.3], **kwargs)
    assert_close(cpu.w, gpu.w, rtol)
    assert gpu.status == cpu.status


def test_device_argument_computes_there_and_returns_here() -> None:
    Z = problem(1)
    here = ml.run_linear(Z, np.ones(12), "prgd", 20, warmup=20)
    for device in (DEVICE, "auto", torch.device(DEVICE)):
        there = ml.run_linear(Z, np.ones(12), "prgd", 20, warmup=20, device=device)
        assert isinstance(there.w, np.ndarray)
        np.testing.assert_allclose(there.w, here.w, rtol=1e-10, atol=1e-12)
    tensor = ml.run_linear(torch.tensor(Z), torch.ones(12), "ngd", 20, device=DEVICE)
    assert tensor.w.device.type == "cpu"


def test_a_diverging_row() -> None:
    d1 = ml.datasets.dataset_1()
    sweep = ml.sweep_linear(d1.X, d1.y, "gd", 30, lr=[1.0, 1e6], device=DEVICE)
    assert sweep.diverged_at == [None, 2]


@pytest.mark.parametrize("p", ["l1", "l2", "linf", 1.5, 4, "spectral"])
@precisions
def test_norms(p: str | float, dtype: torch.dtype, steps: int, rtol: float) -> None:
    norm = get_norm(p)
    v = torch.tensor(np.random.default_rng(0).standard_normal((5, 4, 3)), dtype=dtype)
    for f in (norm, norm.dual, norm.direction, norm.steepest):
        torch.testing.assert_close(f(v.to(DEVICE)).cpu(), f(v), rtol=rtol, atol=rtol)
    if p in ("l1", "l2", "linf"):
        torch.testing.assert_close(
            norm.project(v.to(DEVICE), 0.7).cpu(), norm.project(v, 0.7), rtol=rtol, atol=rtol
        )


@pytest.mark.parametrize("loss", ["exponential", "logistic", "cross_entropy"])
def test_losses_far_below_the_smallest_number(loss: str) -> None:
    rng = np.random.default_rng(0)
    y = torch.tensor([0, 1, 1])
    f = torch.tensor(4605 + rng.random((3, 2)))
    f = f * torch.eye(2, dtype=f.dtype)[y] if loss == "cross_entropy" else f[:, 0]
    labels = y if loss == "cross_entropy" else torch.ones(3)
    values, grads = [], []
    for device in ("cpu", DEVICE):
        leaf = f.to(device).requires_grad_()
        value = ml.log_loss(leaf, labels, loss)  # labels follow the outputs
        value.backward()
        values.append(value.item())
        grads.append(leaf.grad.cpu())
    assert values[0] == pytest.approx(values[1], rel=1e-14)
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-11, atol=0)
    q = torch.tensor(rng.standard_normal((4, 6)))
    for other in ("exponential", "logistic"):
        torch.testing.assert_close(
            loss_weights(q.to(DEVICE), other).cpu(), loss_weights(q, other), rtol=1e-13, atol=0
        )
        torch.testing.assert_close(
            log_loss_of_margins(q.to(DEVICE), other, "mean").cpu(), log_loss_of_margins(q, other, "mean")
        )


def test_margins_of_a_network() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 6, bias=False), torch.nn.ReLU(), torch.nn.Linear(6, 1, bias=False)
    ).double()
    X, y = torch.randn(9, 4, dtype=torch.float64), torch.ones(9)
    cpu = ml.normalized_margin(model, X, y), ml.smoothed_margin(model, X, y)
    model.to(DEVICE)
    gpu = ml.normalized_margin(model, X.numpy(), y), ml.smoothed_margin(model, X, y)  # data follows the model
    assert gpu == pytest.approx(cpu, rel=1e-11)


@pytest.mark.parametrize("method", ["gd", "ngd", "sign"])
def test_networks(method: str) -> None:
    X, y = torch.randn(12, 3, dtype=torch.float64), torch.tensor([-1.0, 1.0] * 6)
    net = ml.models.MLP([3, 6, 1])
    sweeps = [
        ml.sweep_network(net, X, y, method, 20, lr=0.01, seed=[0, 1], device=device)
        for device in ("cpu", "auto")
    ]
    assert all(sweep.theta.device.type == "cpu" for sweep in sweeps)
    torch.testing.assert_close(sweeps[0].theta, sweeps[1].theta, rtol=1e-9, atol=1e-11)
    assert next(sweeps[1].model(0).parameters()).device.type == "cpu"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("norm", "method"), SOLVERS)
def test_cuda_agrees_with_the_cpu(norm: str, method: str, dtype: torch.dtype) -> None:
    for Z in (gaussian(2000, 50), gaussian(60, 300), near_duplicates()):
        X = torch.tensor(Z, dtype=dtype)
        cpu = hard_margin(X, torch.ones(len(Z)), norm=norm, method=method)
        gpu = hard_margin(X.cuda(), torch.ones(len(Z)).cuda(), norm=norm, method=method)
        assert gpu.status == cpu.status == "certified"
        assert gpu.w.device.type == gpu.dual.device.type == gpu.support.device.type == "cuda"
        assert gpu.w.dtype == dtype
        assert gpu.margin == pytest.approx(cpu.margin, rel=2e-10)
        torch.testing.assert_close(gpu.w.cpu(), cpu.w, atol=2e-5, rtol=0)


def test_cuda_refuses_what_is_not_separable() -> None:
    Z = torch.tensor(random_labels()).cuda()
    for norm, method in SOLVERS:
        with pytest.raises(NotSeparableError) as e:
            hard_margin(Z, torch.ones(len(Z)).cuda(), norm=norm, method=method)
        assert e.value.certificate.device.type == "cuda"
