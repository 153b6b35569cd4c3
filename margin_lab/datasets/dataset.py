"""What a dataset is here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """A binary dataset, with the exact answer where it is known by construction.

    Attributes:
        X: ``[n, d]`` float64.
        y: ``[n]`` float64, -1 or +1.
        name: for titles and captions.
        w_star: ``[d]`` unit l2 max-margin direction, or None where only a solver knows.
        margin: its l2 margin ``gamma*``, or None.
    """

    X: np.ndarray
    y: np.ndarray
    name: str
    w_star: np.ndarray | None = None
    margin: float | None = None

    @property
    def Z(self) -> np.ndarray:
        """Signed rows ``y_i x_i [n, d]``."""
        return self.X * self.y[:, None]
