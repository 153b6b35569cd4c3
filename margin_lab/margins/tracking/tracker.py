"""``ml.track``: an object to call in a training loop."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from margin_lab.checks import choice, integer
from margin_lab.losses import LOSSES
from margin_lab.margins.tracking.measure import COLUMNS, Data, measure
from margin_lab.results import Result

# With every="log": all of the first calls, then one whenever the count has grown by this share.
_DENSE, _SHARE = 10, 1.05


@dataclass(frozen=True, eq=False, repr=False)
class Tracked(Result):
    """What a tracker has seen: one row a look.

    Attributes:
        name: of the model's class. params: what was normalised by.
        columns: ``{name: [T]}``, first the step. reasons: why a quantity was NaN when it first was.
    """

    name: str
    params: str
    columns: dict[str, np.ndarray]
    reasons: dict[str, str]

    _x, _y = "step", "q_min"

    def table(self) -> dict[str, np.ndarray]:
        """Columns: step and those of :func:`track`."""
        return self.columns

    def _title(self) -> str:
        count = len(self.columns["step"])
        missing = f"; not there: {', '.join(self.reasons)}" if self.reasons else ""
        return f"Tracked({self.name}, params={self.params}: {count} looks{missing})"


class Tracker:
    """Made by :func:`track`; calling it looks at the model where a look is due."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        every: str | int,
        params: str | Sequence[str],
        loss: str | None,
        kkt: bool,
    ):
        self.model, self.every, self.params, self.loss, self.kkt = model, every, params, loss, kkt
        self.reasons: dict[str, str] = {}
        self._data, self._calls, self._next = data, 0, 0
        self._rows: list[dict[str, float]] = []

    def __call__(self, step: int | None = None) -> dict[str, float]:
        """Look at the model if this call is due, and return the row; an empty dict where it is not.

        Args:
            step: what to call this moment in the record; default the number of calls before this one.
        """
        calls, self._calls = self._calls, self._calls + 1
        if calls < self._next:
            return {}
        if self.every == "log":
            self._next = calls + 1 if calls < _DENSE else math.ceil(_SHARE * calls)
        else:
            self._next = calls + int(self.every)
        return self.look(calls if step is None else step)

    def look(self, step: int) -> dict[str, float]:
        """Look at the model now, and return the row."""
        row, reasons = measure(self.model, self._data, self.params, self.loss, self.kkt)
        new = {name: why for name, why in reasons.items() if name not in self.reasons}
        self.reasons |= new
        if new:
            told = "; ".join(f"{name} ({why})" for name, why in new.items())
            warnings.warn(f"{type(self.model).__name__} has no {told}", stacklevel=3)
        self._rows.append({"step": step, **row})
        return dict(self._rows[-1])

    @property
    def record(self) -> Tracked:
        """All looks so far, as a result that can be saved."""
        columns = {name: np.array([row[name] for row in self._rows]) for name in ("step", *COLUMNS)}
        params = self.params if isinstance(self.params, str) else ", ".join(self.params)
        return Tracked(type(self.model).__name__, params, columns, dict(self.reasons))

    def __len__(self) -> int:
        return len(self._rows)

    def plot(self, y: str | None = None, **options: Any) -> Any:
        """Draw a column against the step; see :meth:`margin_lab.results.Result.plot`."""
        return self.record.plot(y, **options)

    def to_frame(self) -> Any:
        """All looks as a pandas DataFrame."""
        return self.record.to_frame()

    def __repr__(self) -> str:
        return f"Tracker({type(self.model).__name__}, every={self.every!r}: {len(self)} looks in {self._calls} calls)"

    def _repr_html_(self) -> str:
        return self.record._repr_html_() if self._rows else f"<code>{self!r}</code>"


def track(
    model: nn.Module,
    X: Any,
    y: Any = None,
    every: str | int = "log",
    params: str | Sequence[str] = "all",
    *,
    loss: str | None = None,
    kkt: bool = True,
    batch_size: int = 1000,
) -> Tracker:
    """Follow the margins of any network through anyone's training loop.

    ``tracker = track(model, X, y)``, then ``tracker()`` after every step. Where a look is due it returns a dict of floats, which
    any logger takes; else an empty one. It keeps the rows: ``tracker.record``, ``.plot("margin")``, ``.to_frame()``.

    A row holds, over all of the data: ``log_loss`` (of the mean), ``q_min`` (smallest raw margin), ``accuracy``; of the chosen
    parameters: ``norm`` (l2), ``degree`` (measured), ``margin`` and ``smoothed`` (``q_min`` and ``g(log 1/L)``, L the sum, over
    ``||theta||^degree``), ``layer_margin`` (over ``prod_j ||W_j||^k_j``, every layer's degree measured), ``spectral_margin``
    (``q_min`` over the product of the weights' largest singular values, convolutions flattened to ``[out, rest]``),
    ``alignment`` (beta, of theta with -grad L) and, once the data are fitted, ``epsilon`` (the KKT residual
    ``sqrt(2 gamma^(-2/L) (1 - beta))`` in l2). What does not exist for a model is NaN; the reason is told once, as a warning, and
    kept in ``tracker.reasons``.

    It costs one forward pass over the data a look, and with ``kkt`` a second one with a backward pass; besides, a copy of the
    model and two forward passes of 64 samples for it and for each layer. With ``every="log"`` there are about 150 looks in
    10,000 calls. The model is copied, evaluated in eval mode, and left as it is.

    Args:
        model: any ``nn.Module`` with outputs ``[n]``, ``[n, 1]`` or ``[n, k]``, looked at as it is when the tracker is called.
        X: inputs ``[n, ...]``, or without y a DataLoader (any iterable of pairs that can be gone through again).
        y: ``[n]``, -1 or +1 for one output, class indices for k.
        every: "log", or a number: every so many calls.
        params: "all" trained ones, "head" (of the last linear or convolutional module: then networks with biases, normalisation
            and attention have a degree as well, that of the head on fixed features), or names as in ``named_parameters``.
        loss: "exponential" (default for one output), "logistic" or "cross_entropy"; k outputs need one by name.
        kkt: whether to take gradients. batch_size: rows of X at once.

    Raises:
        ValueError: a bad ``every``, ``params`` or ``loss``, no data; labels or outputs that do not fit, at the first look.

    Example:
        >>> import torch, margin_lab as ml
        >>> data = ml.datasets.gaussian(20, 4)
        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8, bias=False), torch.nn.Linear(8, 1, bias=False)).double()
        >>> tracker = ml.track(net, data.X, data.y)
        >>> row = tracker()
        >>> row["degree"], abs(row["margin"] - ml.normalized_margin(net, data.X, data.y)) < 1e-12
        (2.0, True)

    Sources: Lyu & Li 2020, sections 4.1 and 4.4, appendix F; for products of spectral norms Bartlett, Foster and Telgarsky 2017.
    """
    if every != "log":
        if isinstance(every, str):
            choice(every, "every", ("log",))
        integer(every, "every", least=1)
    if loss is not None:
        choice(loss, "loss", LOSSES)
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {type(model).__name__}")
    if y is None and not hasattr(X, "__iter__"):
        raise ValueError(
            "without labels y, X must be a DataLoader, or another iterable of pairs (inputs, labels)"
        )
    data = Data(X, y, integer(batch_size, "batch_size", least=1))
    return Tracker(model, data, every, params, loss, bool(kkt))
