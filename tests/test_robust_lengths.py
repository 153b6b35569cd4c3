"""Networks kept at several lengths of a training: what is measured of each, written and read again."""

import json

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.book.recordings.images import RECORDINGS
from margin_lab.book.recordings.robust_lengths import Length, train_lengths


@pytest.fixture(scope="module")
def measured():
    data = ml.datasets.digits(n=60)
    return data, *train_lengths(data, (16,), epochs=80, batch_size=20, powers=(-1, -2, -90), images=12)


def test_lengths_are_the_snapshots_and_the_end(measured):
    _, run, lengths = measured
    assert [l.power for l in lengths] == [*run.snapshots, None] == [-1, -2, None]
    assert [l.epoch for l in lengths[:-1]] == [run.snapshots[p].epoch for p in (-1, -2)]
    assert lengths[-1].epoch == run.epochs[-1] and lengths[-1].log10_loss == run.log10_loss[-1]
    assert all(l.log10_loss < l.power for l in lengths[:-1])
    assert lengths[-1].accuracy["train"] == run.accuracy[-1]
    assert lengths[-1].accuracy["test"] == run.test_accuracy[-1]
    np.testing.assert_allclose(lengths[-1].layer_margin, run.layer_margin[-1], rtol=1e-6)


def test_radii_are_those_of_the_centred_network(measured):
    data, run, lengths = measured
    last, model = lengths[-1], run.model()
    mean = data.X.mean(0)
    for split, X, y in (("train", data.X, data.y), ("test", data.X_test, data.y_test)):
        Xc, yc = X[:12] - mean, y[:12]
        attack = ml.robustness.smallest_perturbation(model, Xc, yc, box=(-mean, 1 - mean))
        np.testing.assert_array_equal(last.radius[split], attack.radius)
        assert (last.lipschitz[split] <= last.local[split]).all()
        assert (last.local[split] <= last.radius[split] * (1 + 1e-9)).all()
    # the theorem of the chapter: margin over product of norms, times the norms over the spectral ones, over sqrt(2)
    assert last.lipschitz["train"].min() >= last.layer_margin * last.spread / 2**0.5 * (1 - 1e-9)


def test_a_convolutional_network_has_radii_but_no_bounds():
    data = ml.datasets.mnist(30, 20, source="digits")
    net = ml.models.mnist_cnn("first", width=0.05)
    _, lengths = train_lengths(data, network=net, epochs=3, batch_size=10, images=2, starts=1)
    assert lengths[-1].spread is None and lengths[-1].local == {}
    assert lengths[-1].radius["train"].shape == (2,)
    saved = Length.from_dict(json.loads(json.dumps(lengths[-1].to_dict(), allow_nan=False)))
    np.testing.assert_allclose(saved.radius["test"], lengths[-1].radius["test"], rtol=1e-4)


def test_recording_continues_from_finished_runs(tmp_path):
    first = RECORDINGS["robustness"]("quick", "cpu", tmp_path, 30.0)
    assert set(first["runs"]) == set(first["lengths"]) == {"digits_0", "digits_1"}
    stamp = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*_done.pt")}
    assert json.dumps(RECORDINGS["robustness"]("quick", "cpu", tmp_path, 30.0)) == json.dumps(first)
    assert len(stamp) == 2 and all(p.stat().st_mtime_ns == t for p, t in stamp.items())
    assert torch.is_tensor(torch.as_tensor(first["lengths"]["digits_0"][-1]["radius"]["test"]))
