"""What seeds say: a mean with its confidence interval, and the verdict that follows from it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean over seeds, half the width of its 95 % confidence interval, and how many of the values are positive.

    In text: ``mean [low, high]``.
    """

    mean: float
    half: float
    wins: int

    @property
    def low(self) -> float:
        """The interval's lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The interval's upper end."""
        return self.mean + self.half

    @property
    def verdict(self) -> str:
        """One of "higher" and "lower" where the interval leaves 0 out, else "uncertain"."""
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "uncertain"

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def interval(values: Any) -> Interval:
    """Mean of ``values [S]`` and its 95 % confidence interval by Student's t, whose width needs at least two values.

    Raises:
        ValueError: fewer than two values, or NaN among them.
    """
    from scipy.stats import t

    v = np.asarray(values, dtype=float)
    if v.ndim != 1 or len(v) < 2 or np.isnan(v).any():
        raise ValueError(
            f"an interval needs two values or more, none of them NaN; got {v.tolist()}. Run more seeds"
        )
    half = t.ppf(0.975, len(v) - 1) * v.std(ddof=1) / math.sqrt(len(v))
    return Interval(float(v.mean()), float(half), int((v > 0).sum()))


def paired(a: Any, b: Any) -> Interval:
    """The interval of the differences ``a - b`` seed by seed; ``wins`` counts the seeds with ``a > b``.

    Raises:
        ValueError: of :func:`interval`, or arrays of different lengths.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"paired values need one length, got shapes {a.shape} and {b.shape}")
    return interval(a - b)
