"""What a dataset is here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """A dataset, with held-out data where there is some, and the exact answer where it is known by construction.

    Attributes:
        X: ``[n, d]`` float64; images ``[n, channels, height, width]`` float32 with pixels in [0, 1].
        y: ``[n]``: -1 or +1 as float64, or classes ``0 .. k-1`` as int64.
        name: for titles and captions.
        w_star: ``[d]`` unit l2 max-margin direction, or None where only a solver knows.
        margin: its l2 margin ``gamma*``, or None.
        X_test, y_test: held-out samples of the same kind, or None.
        description: one sentence that says what the data is and where it came from, where that can vary; captions use it.
    """

    X: np.ndarray
    y: np.ndarray
    name: str
    w_star: np.ndarray | None = None
    margin: float | None = None
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    description: str = ""

    @property
    def Z(self) -> np.ndarray:
        """Signed rows ``y_i x_i [n, d]`` of binary data."""
        if self.y.dtype.kind != "f":
            raise ValueError(f"{self.name} has classes, not the labels -1 and +1 that signed rows need")
        return self.X * self.y[:, None]
