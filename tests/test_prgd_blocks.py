"""PRGD with a ball for every tensor and with steps that shrink as the radius grows: the optimizer, the runs, a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import margin_lab as ml
from margin_lab.optim import PRGD, exponential_radii

RADII = exponential_radii(1.1)
DATA = ml.datasets.gaussian(n=12, d=4, seed=3)
NET = ml.models.MLP([4, 6, 5, 1], seed=1)


def run(steps: int, **options: Any) -> ml.NetworkSweep:
    return ml.run_network(
        NET, DATA.X, DATA.y, "prgd", steps, lr=0.05, record="all", keep="all", radii=RADII, **options
    )


def layer_norms(history: np.ndarray) -> np.ndarray:
    """``[T, layers]``."""
    sizes = [p.numel() for p in NET.parameters()]
    return np.stack([np.linalg.norm(part, axis=1) for part in np.split(history, np.cumsum(sizes)[:-1], 1)], 1)


@pytest.mark.parametrize("blocks", ["joint", "tensors"])
@pytest.mark.parametrize("decay", [0.0, 4.0])
def test_optimizer_equals_run(blocks: str, decay: float) -> None:
    options: dict[str, Any] = {"period": 4, "blocks": blocks, "decay": decay}
    history = run(40, **options).history
    model = ml.models.MLP([4, 6, 5, 1], seed=1)
    optimizer = PRGD(model.parameters(), lr=0.05, radii=RADII, **options)
    X, y = torch.tensor(DATA.X), torch.tensor(DATA.y)
    for t in range(41):
        np.testing.assert_allclose(
            history[t], ml.models.flat_parameters(model), rtol=1e-9, atol=1e-12, err_msg=f"{t}"
        )
        if t == 20:  # as after a restart
            state = optimizer.state_dict()
            optimizer = PRGD(model.parameters(), lr=9.0, radii=RADII, **options)
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        ml.log_loss(model(X), y).backward()
        optimizer.step()


def test_every_tensor_stays_in_its_ball_and_reaches_its_sphere() -> None:
    norms = layer_norms(run(60, period=5, blocks="tensors").history)
    radius = norms[0] * 1.1 ** (np.maximum(np.arange(61) - 1, 0) // 5)[:, None]
    assert np.all(norms <= radius * (1 + 1e-12))
    np.testing.assert_allclose(norms[1::5], radius[1::5], rtol=1e-12)
    joint = layer_norms(run(60, period=5).history)
    assert np.ptp(joint[-1] / joint[0]) > 0.1, "joint balls let the layers grow differently"


def test_the_margin_of_each_direction_is_kept_by_a_rescaling_of_layers() -> None:
    sweep = run(1, period=5, blocks="tensors")
    assert sweep.margins["l2"][1] == pytest.approx(sweep.margins["l2"][0], rel=1e-12)


def test_steps_shrink_with_the_radius() -> None:
    """One step a cycle, so small that nothing leaves the ball: its length is ``lr (R_0 / R_k)^decay ||grad log L||``."""
    X, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, -1.0])
    steps = ml.run_linear(
        X, y, "prgd", 12, lr=1e-9, w0=[3.0, 4.0], warmup=0, radii=RADII, period=2, decay=1.5, record="all"
    ).w
    for k in range(6):
        w = steps[2 * k + 1]
        p = np.exp(-y * w - np.max(-y * w))
        gradient = -(y * p) / p.sum()
        length = 1e-9 * 1.1 ** (-1.5 * k)
        inside = w - length * gradient
        expected = inside * min(1.0, 5 * 1.1**k / np.linalg.norm(inside))
        np.testing.assert_allclose(steps[2 * k + 2] - w, expected - w, rtol=1e-4, atol=1e-14)


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks must be one of 'joint', 'tensors', got 'layers'"):
        run(1, blocks="layers")
    with pytest.raises(ValueError, match="blocks must be the same for all runs of a sweep"):
        ml.sweep_network(NET, DATA.X, DATA.y, "prgd", 1, lr=0.1, blocks=["joint", "tensors"])
    with pytest.raises(ValueError, match="decay must be >= 0 and finite, got -1"):
        PRGD(NET.parameters(), radii=RADII, decay=-1)
    with pytest.raises(ValueError, match="blocks must be one of"):
        PRGD(NET.parameters(), radii=RADII, blocks="all")
    biased = nn.Linear(4, 1).double()
    nn.init.zeros_(biased.bias)
    ml.log_loss(biased(torch.tensor(DATA.X)), torch.tensor(DATA.y)).backward()
    PRGD(biased.parameters(), radii=RADII).step()
    with pytest.raises(ValueError, match="its start, which must not be 0"):
        PRGD(biased.parameters(), radii=RADII, blocks="tensors").step()
