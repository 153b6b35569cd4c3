"""Mini-batch training: records, snapshots, divergence, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import DATA, OPTIMIZERS, X_TEST, X, Y, net, train

import margin_lab as ml
from margin_lab.runs.training.recorder import TrainingRecorder
from margin_lab.runs.training.result import Training


def test_records_and_snapshots() -> None:
    run = train(150, snapshots=(-1, -2, -3, -5000), X_test=X_TEST, y_test=DATA.y_test, up=2**0.1)
    assert run.epochs[0] == 0 and run.epochs[-1] == 150 and (np.diff(run.epochs) > 0).all()
    assert list(run.snapshots) == [-1, -2, -3] and run.epoch_below(-5000) is None
    for power, snapshot in run.snapshots.items():
        at = run.epochs.tolist().index(snapshot.epoch)
        assert (
            run.log10_loss[at] < power <= run.log10_loss[at - 1] and run.epoch_below(power) == snapshot.epoch
        )
        model = run.model(power)
        assert math.isclose(
            ml.log_loss(model(torch.tensor(X)), Y, "cross_entropy", "mean").item(), snapshot.log_loss
        )
    model = run.model()
    assert math.isclose(ml.normalized_margin(model, X, Y), run.margin[-1], rel_tol=1e-12)
    assert math.isclose(
        ml.smoothed_margin(model, X, Y, loss="cross_entropy"), run.smoothed_margin[-1], rel_tol=1e-9
    )
    norms = [float(layer.weight.detach().norm()) for layer in model.layers]
    assert math.isclose(run.layer_margin[-1], run.q_min[-1] / math.prod(norms), rel_tol=1e-12)
    hits = model(torch.tensor(X_TEST)).argmax(1).numpy() == DATA.y_test
    assert run.test_accuracy[-1] == hits.mean() and run.accuracy[-1] == 1
    with pytest.raises(ValueError, match="no snapshot below 1e-4"):
        run.model(-4)
    again = Training.from_dict(run.to_dict())
    np.testing.assert_allclose(again.margin, run.margin, rtol=1e-5)
    assert again.epoch_below(-3) == run.epoch_below(-3)
    with pytest.raises(ValueError, match="holds no parameters"):
        again.model()


def test_stops_below_the_loss_asked_for() -> None:
    run = train(200, until_log10=-1)
    assert run.status == "reached" and run.log10_loss[-1] < -1 <= run.log10_loss[-2]


def test_divergence_is_one_clear_error_and_the_schedule_survives_it() -> None:
    deep = ml.models.MLP([64, *[32] * 8, 10], scale=2.0)
    options: dict[str, Any] = dict(model=deep, lr=1e6, loss="exponential")
    with pytest.raises(ml.DivergedError, match='diverged in epoch 1: .*lower lr.*"loss_based"'):
        train(5, schedule="constant", **options)
    run = train(60, **options)
    assert run.rejected[-1] > 10 and np.isfinite(run.log_loss).all()
    broken = net()
    with torch.no_grad():
        broken.layers[0].weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="the outputs at the start contains NaN"):
        train(5, model=broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(y=np.full(80, 10)), "whole class indices from 0 to 9"),
        (dict(y=np.full(80, -1)), "whole class indices from 0 to 9"),
        (dict(y=Y[:10]), "do not match"),
        (dict(X=X * np.nan), "X contains NaN"),
        (dict(X_test=X_TEST, y_test=DATA.y_test + 5), "whole class indices"),
        (dict(schedule="cosine"), "schedule must be one of"),
        (dict(loss="hinge"), "loss must be one of"),
        (dict(lr=-1.0), "lr must be > 0"),
        (dict(epochs=-1), "epochs must be a whole number"),
        (dict(batch_size=0), "batch_size must be a whole number >= 1"),
        (dict(lr=0.1, optimizer=OPTIMIZERS["adam"]), "lr=0.1 is the rate of plain SGD and would be ignored"),
        (dict(optimizer=torch.optim.SGD([torch.ones(1)])), "must be a function that takes the parameters"),
        (dict(optimizer=lambda p: None), "must be a function that takes the parameters"),
        (dict(X_test=X_TEST), "X_test and y_test belong together"),
        (dict(y_test=Y), "X_test and y_test belong together"),
        (dict(X=X[None], y=np.stack([Y, Y])), "do not match"),
        (dict(snapshots=("a",)), "finite numbers such as -10, got 'a'"),
        (dict(until_log10=math.nan), "finite numbers such as -10, got nan"),
        (dict(loss_dtype=torch.int32), "loss_dtype must be a floating-point dtype"),
        (dict(reduction="none"), "reduction must be one of 'mean', 'sum'"),
        (dict(schedule=ml.optim.LossBasedLR), "schedule must be one of .* or a margin_lab.runs.LossBased"),
        (dict(device="tpu"), "device must be"),
        (dict(checkpoint_seconds=-1.0), "checkpoint_seconds must be >= 0"),
    ],
)
def test_errors(change: dict[str, Any], message: str) -> None:
    call = {"X": X, "y": Y, "epochs": 1, **change}
    with pytest.raises(ValueError, match=message):
        ml.train_network(net(), **call)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(up=-7.0), "up must be a factor > 1"),
        (dict(down=1.0), "down must be a factor > 1"),
        (dict(patience=0), "patience must be a whole number >= 1"),
    ],
)
def test_a_schedule_is_checked_where_it_is_made(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.runs.LossBased(**change)


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic", "naive"])
def test_the_sum_is_the_mean_at_another_rate(loss: str) -> None:
    """Batches of 20 of 80 samples: the gradient of a batch's sum is 20 times that of its mean."""
    options: dict[str, Any] = dict(epochs=6, schedule="constant", loss=loss)
    mean = train(lr=0.02, **options)
    summed = train(lr=0.001, reduction="sum", **options)
    np.testing.assert_allclose(summed.log_loss, mean.log_loss + math.log(80), rtol=1e-10)
    np.testing.assert_allclose(summed.theta.numpy(), mean.theta.numpy(), rtol=1e-9)
    np.testing.assert_allclose(summed.smoothed_margin, mean.smoothed_margin, rtol=1e-9)
    # thresholds are those of the loss that is trained
    reached = [train(60, until_log10=1.0, reduction=r).log10_loss for r in ("mean", "sum")]
    assert len(reached[0]) == 1 and len(reached[1]) > 1 and reached[1][-1] < 1.0 <= reached[1][-2]


def test_a_row_with_a_column_that_is_not_declared_is_refused() -> None:
    recorder = TrainingRecorder(net(), ())
    row = dict(test_accuracy=0.0, lr=1.0, rejected=0.0)
    with pytest.raises(ValueError, match=r"a row holds .*'speed'.*declare a new one"):
        recorder.record(0, 0.0, torch.ones(3), **row, speed=1.0)
    recorder.record(0, 0.0, torch.ones(3), **row)
    assert all(len(values) == 1 for values in recorder.rows.values())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32"])
def test_labels_of_any_integer_type(dtype: str) -> None:
    run = ml.train_network(net(), X, Y.astype(dtype), 2, lr=0.01)
    assert torch.equal(run.theta, ml.train_network(net(), X, Y, 2, lr=0.01).theta)


def test_whole_numbers_go_into_an_embedding_as_they_are() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Embedding(20, 4), torch.nn.Flatten(), torch.nn.Linear(64 * 4, 10))
    run = ml.train_network(model, DATA.X.astype(int) % 20, Y, 30, lr=0.1)
    assert run.accuracy[-1] > 0.5 and run.degree is None


def test_one_output_with_signs() -> None:
    data = ml.datasets.digits_pair(0, 1)
    model = ml.models.MLP([data.X.shape[1], 16, 1])
    for loss in ("exponential", "logistic"):
        run = ml.train_network(model, data.X, data.y, 30, loss=loss, schedule="loss_based", batch_size=60)
        assert run.accuracy[-1] == 1 and math.isclose(
            ml.normalized_margin(run.model(), data.X, data.y), run.margin[-1]
        )
        full = ml.log_loss(run.model()(torch.tensor(data.X)), data.y, loss, "mean").item()
        assert math.isclose(full, run.log_loss[-1], rel_tol=1e-12)
    with pytest.raises(ValueError, match="cross-entropy takes outputs"):
        ml.train_network(model, data.X, data.y, 1)


def test_a_network_with_biases_everywhere_has_layer_margins_only() -> None:
    run = train(3, model=net(bias="all"))
    assert run.degree is None and run.layer_margin.shape == run.epochs.shape
    with pytest.raises(ValueError, match="not homogeneous"):
        _ = run.margin
    smooth = train(3, model=net(activation="tanh"))
    with pytest.raises(ValueError, match="no degrees"):
        _ = smooth.layer_margin
