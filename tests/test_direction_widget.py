"""The direction widget draws the margins that the library computes."""

from __future__ import annotations

import numpy as np
import pytest

import margin_lab as ml
from margin_lab.book.widgets.direction import _DATA, compute, direction, margins


@pytest.mark.parametrize("data", list(_DATA))
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_top_of_the_curve_is_the_hard_margin(data, norm):
    _, Z, _ = _DATA[data]
    exact = ml.hard_margin(Z, np.ones(len(Z)), norm=norm)
    best = np.degrees(np.arctan2(exact.w[1], exact.w[0]))
    assert margins(Z, np.array([best]))[norm][0] == pytest.approx(exact.margin, rel=1e-12)
    _, curve = compute([{"data": data, "angle": 0.0}])[0]["margins"][norm]
    assert curve.max() <= exact.margin * (1 + 1e-12)
    assert curve.max() > exact.margin * 0.99


def test_norms_disagree_on_the_first_dataset_and_agree_on_the_second():
    def spread(data):
        Z = _DATA[data][1]
        best = [ml.hard_margin(Z, np.ones(len(Z)), norm=norm).w for norm in ("l1", "l2", "linf")]
        angles = np.degrees([np.arctan2(w[1], w[0]) for w in best])
        return angles.max() - angles.min()

    assert spread("nine") > 30
    assert spread("mirror") < 1e-6


def test_samples_on_the_wrong_side_are_shown_as_wrong():
    frame = direction().frames([{"data": "nine", "angle": 88.0}])[0]["plane"]
    _, Z, _ = _DATA["nine"]
    angle = np.radians(88.0)
    wrong = (Z @ [np.cos(angle), np.sin(angle)] <= 0).sum()
    assert 0 < wrong == len(frame["wrong"][0])
    assert sum(len(frame[name][0]) for name in ("plus", "minus", "wrong")) == len(Z)
