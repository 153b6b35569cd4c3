"""The batch-size widget: its two ends, the theorem between them, and the picture in a browser."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched, assert_frames_equal
from widget_checks import check_telephone
from widget_toys import write_page

import margin_lab as ml
from margin_lab.book.widgets.batch_size import BATCHES, LR, STEPS, N, Z, batch_size, limit, rank_weights, run


def expected_smallest(w: np.ndarray, b: int) -> float:
    """``F_b`` by its definition: the mean over all batches."""
    return float(np.mean([(Z[list(batch)] @ w).min() for batch in itertools.combinations(range(N), b)]))


def test_the_ends_are_the_mean_and_the_max_margin() -> None:
    mean = Z.mean(0) / np.linalg.norm(Z.mean(0))
    np.testing.assert_allclose(limit(1), mean, rtol=1e-12)
    exact = ml.hard_margin(Z, np.ones(N))
    np.testing.assert_allclose(limit(N), exact.w / np.linalg.norm(exact.w), rtol=1e-8)
    assert abs(np.degrees(np.arccos(np.dot(limit(1), limit(N))))) > 20  # there is something to see


@pytest.mark.parametrize("b", [1, 3, 5, 9, 10])
def test_no_direction_beats_the_theorems(b: int) -> None:
    assert rank_weights(b).sum() == pytest.approx(1)
    best = expected_smallest(np.array(limit(b)), b)
    angles = np.linspace(-np.pi, np.pi, 721)
    assert best >= max(expected_smallest(np.array([np.cos(a), np.sin(a)]), b) for a in angles) - 1e-12


def test_runs_go_where_the_theorem_says() -> None:
    """Within twice its bound: ``E ||w_T / (lr T) - g_b||^2 <= (R^2 + 2 log(b) / lr) / T``."""
    far = (Z**2).sum(1).max()
    for b, path in zip(BATCHES, run(list(BATCHES)), strict=True):
        w_b = np.array(limit(b))
        g_b = expected_smallest(w_b, b) * w_b
        bound = (far + 2 * np.log(b) / LR) / STEPS
        assert np.linalg.norm(path[-1] / (LR * STEPS) - g_b) <= 2 * np.sqrt(bound)


def test_a_run_does_not_depend_on_its_neighbours() -> None:
    np.testing.assert_allclose(run([4])[0], run(list(BATCHES))[3], rtol=1e-12)


def test_a_batch_holds_one_to_all() -> None:
    with pytest.raises(ValueError, match="1 to 10 of the 10 samples, got b = 11"):
        batch_size().frames([{"b": 11}])


@pytest.mark.browser
def test_page(chromium: Any, tmp_path: Path) -> None:
    watched = Watched(chromium, offline=True)
    page = write_page(tmp_path, batch_size())
    assert page.stat().st_size < 100_000
    watched.open_file(page)
    widget = watched.widget("batch_size")
    before = widget.paths("plane")
    widget.press("b", "End")
    assert widget.paths("plane") != before
    assert_frames_equal(widget.state().frame, batch_size().frames([{"b": N}])[0], rtol=1e-5)
    watched.assert_clean()
    watched.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_telephone(chromium: Any, tmp_path: Path, theme: str) -> None:
    check_telephone(chromium, batch_size(), tmp_path, theme, "b")
