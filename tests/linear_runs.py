"""What the tests of linear runs share: their length, the rows of ``optimizers.py`` that run, and data with mixed labels."""

from __future__ import annotations

import numpy as np
import pytest
from optimizers import RUNNABLE, ids, problem

STEPS = 40
every_row = pytest.mark.parametrize("row", RUNNABLE, ids=ids(RUNNABLE))


def data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``X`` and ``y`` with mixed labels whose signed rows are ``problem(seed)``."""
    y = np.random.default_rng(seed).choice([-1.0, 1.0], 12)
    return problem(seed) * y[:, None], y
