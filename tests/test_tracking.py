"""``ml.track``: the numbers of the rulers, in anyone's loop, on networks of every kind, harming none."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import margin_lab as ml
from margin_lab.margins.tracking import Tracked
from margin_lab.margins.tracking.measure import COLUMNS


def fitted(loss: str = "exponential") -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    data = ml.datasets.gaussian(30, 5, seed=1)
    X, y = torch.from_numpy(data.X), torch.from_numpy(data.y)
    net = nn.Sequential(nn.Linear(5, 12, bias=False), nn.ReLU(), nn.Linear(12, 1, bias=False)).double()
    torch.manual_seed(0)
    for p in net.parameters():
        nn.init.normal_(p, std=0.5)
    optimizer = ml.optim.NormalizedGD(net.parameters(), lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        ml.log_loss(net(X), y, loss).backward()
        optimizer.step()
    return net, X, y


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_numbers_are_those_of_the_rulers(loss):
    net, X, y = fitted(loss)
    row = ml.track(net, X, y, loss=loss)()
    assert row["q_min"] > 0
    assert row["degree"] == 2
    assert row["margin"] == pytest.approx(ml.normalized_margin(net, X, y), rel=1e-12)
    assert row["smoothed"] == pytest.approx(ml.smoothed_margin(net, X, y, loss=loss), rel=1e-12)
    assert row["log_loss"] == pytest.approx(float(ml.log_loss(net(X).detach(), y, loss)), rel=1e-12)
    product = math.prod(float(p.detach().norm()) for p in net.parameters())
    assert row["layer_margin"] == pytest.approx(row["q_min"] / product, rel=1e-12)
    spectral = math.prod(float(torch.linalg.matrix_norm(p.detach(), 2)) for p in net.parameters())
    assert row["spectral_margin"] == pytest.approx(row["q_min"] / spectral, rel=1e-12)
    report = ml.kkt.residuals(net, X, y, loss=loss)
    assert row["alignment"] == pytest.approx(report.alignment, rel=1e-10)
    assert row["epsilon"] == pytest.approx(report.epsilon, rel=1e-6)


def test_layer_margin_is_that_of_the_declared_networks():
    data = ml.datasets.gaussian(20, 4)
    net = ml.models.MLP([4, 6, 5, 1], seed=1)
    row = ml.track(net, data.X, data.y, kkt=False)()
    assert row["layer_margin"] == pytest.approx(ml.layer_margins.layer_margin(net, data.X, data.y), rel=1e-12)


def test_several_classes_in_batches_and_from_a_shuffling_loader():
    torch.manual_seed(3)
    X, y = torch.randn(50, 6, dtype=torch.float64), torch.randint(0, 3, (50,))
    net = nn.Sequential(nn.Linear(6, 9, bias=False), nn.ReLU(), nn.Linear(9, 3, bias=False)).double()
    whole = ml.track(net, X, y, loss="cross_entropy")()
    parts = ml.track(net, X, y, loss="cross_entropy", batch_size=7)()
    loader = DataLoader(TensorDataset(X, y), batch_size=8, shuffle=True)
    before = torch.get_rng_state()
    loaded = ml.track(net, loader, loss="cross_entropy")()
    assert torch.equal(before, torch.get_rng_state())
    log_probabilities = torch.log_softmax(net(X).detach(), -1).gather(1, y[:, None])
    assert whole["log_loss"] == pytest.approx(math.log(-float(log_probabilities.mean())), rel=1e-12)
    for name in COLUMNS:
        assert parts[name] == pytest.approx(whole[name], rel=1e-10, nan_ok=True)
        assert loaded[name] == pytest.approx(whole[name], rel=1e-10, nan_ok=True)


def test_classes_need_a_loss_by_name():
    net, X = nn.Linear(4, 3), torch.randn(5, 4)
    with pytest.raises(ValueError, match="cross_entropy"):
        ml.track(net, X, torch.tensor([0, 1, 2, 0, 1]))()


class Block(nn.Module):
    """A transformer block with a linear head on the mean of the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(x).mean(1))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


@pytest.mark.parametrize(("model", "shape"), [(cnn, (1, 6, 6)), (Block, (5, 8))], ids=["cnn", "transformer"])
def test_real_networks_have_the_margins_of_their_heads(model, shape):
    torch.manual_seed(0)
    net = model().double().train()
    X, y = torch.randn(12, *shape, dtype=torch.float64), torch.arange(12) % 3
    before = copy.deepcopy(net.state_dict())
    tracker = ml.track(net, X, y, every=1, loss="cross_entropy")
    with pytest.warns(UserWarning, match="degree"):
        row = tracker()
    tracker()  # the reason is told once: a second warning would be an error
    assert math.isnan(row["margin"])
    assert math.isfinite(row["q_min"]) and math.isfinite(row["spectral_margin"])
    assert "not homogeneous" in tracker.reasons["degree"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head = ml.track(net, X, y, params="head", loss="cross_entropy")()
    assert head["degree"] == 1
    own = [p for name, p in net.named_parameters() if name.startswith(("5.", "head."))]
    length = math.sqrt(sum(float((p.detach() ** 2).sum()) for p in own))
    assert head["norm"] == pytest.approx(length, rel=1e-12)
    assert head["margin"] == pytest.approx(head["q_min"] / length, rel=1e-12)
    assert net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_named_parameters():
    net, X, y = fitted()
    row = ml.track(net, X, y, params=["2.weight"])()
    assert row["degree"] == 1
    assert row["norm"] == pytest.approx(float(net[2].weight.detach().norm()))


def test_it_looks_when_it_is_due_and_keeps_what_it_saw(tmp_path):
    net, X, y = fitted()
    tracker = ml.track(net, X, y, every=3, kkt=False)
    due = [bool(tracker()) for _ in range(7)]
    assert due == [True, False, False, True, False, False, True]
    record = tracker.record
    np.testing.assert_array_equal(record.table()["step"], [0, 3, 6])
    assert len(tracker) == 3
    back = Tracked.load(record.save(tmp_path / "track.npz"))
    np.testing.assert_array_equal(back.table()["margin"], record.table()["margin"])
    assert "3 looks" in repr(record)
    assert "<table>" in tracker._repr_html_()

    log = ml.track(net, X, y, kkt=False)
    steps = [t for t in range(300) if log(step=10 * t)]
    assert steps[:10] == list(range(10))
    assert len(steps) < 80
    np.testing.assert_array_equal(log.record.table()["step"], 10 * np.array(steps))


def test_it_sees_the_model_as_it_is_at_each_call():
    net, X, y = fitted()
    tracker = ml.track(net, X, y, every=1)
    first = tracker()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(2.0)
    second = tracker()
    assert second["q_min"] == pytest.approx(4 * first["q_min"], rel=1e-12)
    assert second["margin"] == pytest.approx(first["margin"], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every"),
        ({"every": "often"}, "every"),
        ({"loss": "hinge"}, "loss"),
        ({"params": ["3.weight"]}, "trains no parameters"),
        ({"params": "tail"}, "params must be"),
    ],
)
def test_bad_arguments(options, message):
    net = nn.Linear(2, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        ml.track(net, [[1.0, 2.0]], [1], **options)()


def test_a_model_without_labels_needs_a_loader():
    with pytest.raises(ValueError, match="DataLoader"):
        ml.track(nn.Linear(2, 1), 3.0)
    with pytest.raises(ValueError, match="pairs"):
        ml.track(nn.Linear(2, 1), [torch.ones(4, 2)])()
