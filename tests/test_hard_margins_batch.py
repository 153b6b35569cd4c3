"""Many hard margins at once: the same answers as one by one."""

import numpy as np
import pytest
import torch
from hard_margin_checks import gaussian

from margin_lab.hard_margins import NotSeparableError, hard_margin, hard_margins


def sets():
    easy = [gaussian(20, 4, seed) for seed in range(6)]
    scaled = gaussian(20, 4, 6) * [1e-6, 1e9, 1, 1e3]
    refused = np.vstack([gaussian(19, 4, 7), -gaussian(19, 4, 7)[:1]])
    zero = np.vstack([gaussian(19, 4, 8), np.zeros((1, 4))])
    return np.stack([*easy, scaled, refused, zero])


def test_the_same_as_one_by_one():
    X = sets()
    y = np.where(np.random.default_rng(0).random(X.shape[:2]) < 0.5, -1.0, 1.0)
    before = X.copy()
    found = hard_margins(X * y[..., None], y)
    assert found.status == ("certified",) * 7 + ("not separable",) * 2
    for k in range(7):
        one = hard_margin(X[k], np.ones(20))
        assert found.margin[k] == pytest.approx(one.margin, rel=1e-10)
        np.testing.assert_allclose(found.w[k], one.w, atol=1e-8)
        assert found.margin[k] <= found.upper_bound[k]
        assert 0 < found.gap[k] <= 1e-10
    for k in (7, 8):
        with pytest.raises(NotSeparableError):
            hard_margin(X[k], np.ones(20))
        assert (found.margin[k], found.upper_bound[k], found.gap[k]) == (0, 0, np.inf)
        assert np.abs(found.dual[k] @ X[k]).max() < 1e-14
    np.testing.assert_allclose(found.dual.sum(1), 1, atol=1e-12)
    np.testing.assert_array_equal(X, before)
    assert repr(found) == "HardMargins(9 sets: 7 certified, 2 not separable)"


def test_containers():
    X, y = torch.tensor(sets()[:3], dtype=torch.float32), torch.ones(3, 20)
    found = hard_margins(X, y)
    assert found.w.dtype == torch.float32
    assert found.margin.dtype == torch.float64
    assert found.w.shape == (3, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"X": np.ones((3, 2)), "y": np.ones(3)}, r"shape \[S, n, d\].*use hard_margin"),
        ({"norm": "l1"}, "norm must be one of 'l2'"),
        ({"tol": -1.0}, "tol must be > 0"),
        ({"y": np.zeros((9, 20))}, "labels y must be -1"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        hard_margins(**{"X": sets(), "y": np.ones((9, 20))} | options)


def test_no_bound_that_is_not_finite_is_believed(monkeypatch):
    """A solver that gives up, or returns NaN, costs time and no answer."""
    X = sets()[:2]
    for w, flag in ((np.zeros(4), -1), (np.full(4, np.nan), 1)):
        monkeypatch.setattr(
            "daqp.solve", lambda *_, w=w, f=flag, **__: (w, 0.0, f, {"lam": np.full(20, np.nan)})
        )
        assert hard_margins(X, np.ones((2, 20))).status == ("certified",) * 2
