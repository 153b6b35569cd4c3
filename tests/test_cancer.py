"""The breast cancer data: what it is made of, and which preprocessing makes it separable."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import margin_lab as ml
from margin_lab.datasets import cancer

SETTINGS = [("standard", False), ("standard", True), ("max", False), ("max", True)]


@pytest.mark.parametrize(("scaling", "bias"), SETTINGS)
def test_form(scaling, bias):
    data = cancer(scaling, bias)
    features, target = load_breast_cancer(return_X_y=True)
    assert data.X.shape == (569, 31 if bias else 30)
    assert data.X.dtype == data.y.dtype == np.float64
    np.testing.assert_array_equal(data.y == 1, target == 1)
    assert (data.y == -1).sum() == 212  # malignant
    assert np.linalg.norm(data.X, axis=1).max() == pytest.approx(1, rel=1e-15)
    # each column is an increasing linear function of one feature
    for column, feature in zip(data.X.T, features.T, strict=False):
        assert np.corrcoef(column, feature)[0, 1] == pytest.approx(1, abs=1e-12)
    assert data.w_star is None
    assert scaling in data.name
    assert ("bias" in data.name) == bias


def test_standard_scaling():
    X, X1 = cancer().X, cancer(bias=True).X
    np.testing.assert_allclose(X.mean(0), 0, atol=1e-15)
    np.testing.assert_allclose(X.std(0), X.std(0)[0], rtol=1e-12)
    # the ones are in units of the features' standard deviation
    np.testing.assert_allclose(X1[:, -1], X1[:, :-1].std(0)[0], rtol=1e-12)


def test_max_scaling():
    X = cancer("max").X
    assert (X >= 0).all()
    np.testing.assert_allclose(X.max(0), X.max(), rtol=1e-14)


@pytest.mark.parametrize(("scaling", "bias"), SETTINGS[1:])
def test_separable_with_a_bias_or_without_centring(scaling, bias):
    data = cancer(scaling, bias)
    sol = ml.hard_margin(data.X, data.y)
    assert sol.status == "certified"
    assert 1e-5 < sol.margin < 1e-3
    assert (data.Z @ sol.w > 0).all()


def test_standardised_without_bias_is_not_separable():
    data = cancer()
    with pytest.raises(ml.NotSeparableError) as caught:
        ml.hard_margin(data.X, data.y)
    p = caught.value.certificate
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1)
    assert np.linalg.norm(p @ data.Z) < 1e-15
    # a program that knows nothing of certificates does not find a separator either
    model = LogisticRegression(C=1e8, fit_intercept=False, max_iter=5000, tol=1e-8).fit(data.X, data.y)
    assert model.score(data.X, data.y) < 1


def test_errors():
    with pytest.raises(ValueError, match="scaling"):
        cancer("minmax")
