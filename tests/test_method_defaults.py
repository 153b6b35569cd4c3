"""The table of methods and the optimizers have one set of defaults."""

from __future__ import annotations

import inspect

import pytest

import margin_lab as ml

OPTIMIZERS = {
    "ngd": ml.optim.NormalizedGD,
    "prgd": ml.optim.PRGD,
    "steepest": ml.optim.SteepestDescent,
    "sign": ml.optim.SteepestDescent,
    "adam": ml.optim.Adam,
    "shampoo": ml.optim.Shampoo,
    "muon": ml.optim.Muon,
    "loss_based": ml.optim.LossBasedLR,
}
# None in the signature: chosen by the norm, given under another name (betas), or for networks to choose
LEFT_OPEN = {("prgd", "radii"), ("steepest", "rule"), ("sign", "rule"), ("adam", "beta1"), ("adam", "beta2")}


@pytest.mark.parametrize("method", OPTIMIZERS)
def test_defaults_are_the_optimizers(method: str) -> None:
    parameters = inspect.signature(OPTIMIZERS[method]).parameters
    for name, option in ml.METHODS[method].options.items():
        expected = parameters[name].default
        assert expected == (None if (method, name) in LEFT_OPEN else option.default), name


def test_one_norm_has_polar_factors() -> None:
    assert "polar" in ml.METHODS["spectral"].options
    for method in ("sign", "coordinate"):
        assert not {"polar", "norm"} & set(ml.METHODS[method].options)
