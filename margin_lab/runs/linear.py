"""Linear models ``f(x) = <w, x>``: every method, batched over hyperparameters, datasets and starts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import DivergedError, Restore, as_tensor, choice, finite, integer, signed_data
from margin_lab.losses import MARGIN_LOSSES, log_loss_of_margins, loss_weights
from margin_lab.margins import linear_margin
from margin_lab.norms import Norm, get_norm
from margin_lab.runs.methods import COMMON, METHODS, Method
from margin_lab.runs.progress import progress
from margin_lab.runs.result import Run, Sweep

# About this many records on a logarithmic axis look continuous at book width.
_LOG_RECORDS = 200


def run_linear(
    X: Any,
    y: Any,
    method: str = "gd",
    steps: int = 1000,
    *,
    lr: float = 1.0,
    seed: int = 0,
    loss: str = "exponential",
    w0: Any = None,
    warmup: int | None = None,
    record: str | Sequence[int] = "log",
    norm: str | float | Norm | None = None,
    device: str | torch.device | None = None,
    **options: Any,
) -> Run:
    """Train a linear classifier without bias by one method and record its margin.

    Minimises the **mean** loss. Every method starts at ``w = 0`` (or ``w0``); only "prgd" warms up, with ``warmup`` steps
    of gradient descent at the same lr that are not counted in ``run.steps``.

    Args:
        X: ``[n, d]`` array or tensor; results have its type, dtype and device. y: ``[n]``, -1 or +1.
        method: "gd", "ngd" (``form="loss"`` or ``"gradient"``), "prgd" (``radii=``, ``period=``), "sign", "coordinate".
            "sign" and "coordinate" take steps of length lr in their own norm.
        steps: iterations. lr: step size, > 0. seed: for methods that draw random numbers.
        loss: "exponential" or "logistic". w0: start ``[d]``. warmup: only for "prgd", default 1000.
        record: "log" (about 200 log-spaced iterations), "all", or a list of iterations; 0 and the last are always recorded
            by "log" and "all", the last one always.
        norm: of ``run.margin`` and ``run.norm``; default the method's own. device: where to compute ("auto": CUDA if there
            is one); default where X is.

    Raises:
        ValueError: bad data, method, option or value. DivergedError: an iterate that is not finite.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.dataset_1()
        >>> run = ml.run_linear(data.X, data.y, method="ngd", steps=100)
        >>> round(float(run.w[-1][0]), 6)  # eta * gamma * t
        10.0
    """
    batch = sweep_linear(
        X, y, method, steps, lr=[lr], seed=seed, loss=loss, w0=w0, warmup=warmup, record=record, norm=norm, device=device,
        **{name: [value] for name, value in options.items()},
    )  # fmt: skip
    if len(batch) != 1:
        raise ValueError(f"run_linear makes one run, but X or w0 asks for {len(batch)}; use sweep_linear")
    run = batch[0]
    if run.status == "diverged":
        raise DivergedError(
            f"{method} with lr={lr} diverged at step {run.diverged_at} (log loss {float(run.log_loss[-1]):.3g} before it); "
            "lower lr, grow the radius more slowly, or use sweep_linear, which records such runs as diverged"
        )
    return run


def sweep_linear(
    X: Any,
    y: Any,
    method: str = "gd",
    steps: int = 1000,
    *,
    loss: str = "exponential",
    w0: Any = None,
    warmup: int | None = None,
    record: str | Sequence[int] = "log",
    norm: str | float | Norm | None = None,
    device: str | torch.device | None = None,
    **options: Any,
) -> Sweep:
    """Many runs of one method as one batched computation: all combinations of the values given as lists.

    Args:
        X: ``[n, d]``, or ``[S, n, d]`` for S datasets of one shape (``y [S, n]``), the outermost axis of the batch.
        options: ``lr``, ``seed`` and the method's own (see :func:`run_linear`): a list, tuple or array is swept over, in
            the order of the keywords with the last one fastest; anything else is shared by all runs.
        w0: ``[d]``, or ``[B, d]`` with one start per run.
        Other arguments: as :func:`run_linear`.

    Returns:
        A :class:`Sweep` with B = (datasets x combinations) runs. A run that leaves the finite numbers stops there, with status
        "diverged"; the others go on.

    Raises:
        ValueError: as :func:`run_linear`.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.dataset_1()
        >>> ml.sweep_linear(data.X, data.y, method="ngd", steps=50, lr=[0.1, 0.3, 1.0]).w.shape
        (3, 35, 2)
    """
    row = METHODS[choice(method, "method", tuple(METHODS))]
    choice(loss, "loss", MARGIN_LOSSES)
    Z, restore = signed_data(X, y, batched=True)
    Z = Z.to("cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device or Z.device)
    Z = Z if Z.ndim == 3 else Z[None]
    settings = _combinations(row, options, method)
    problem = _Problem(Z, len(settings), loss)
    settings = [dict(s) for _ in range(len(Z)) for s in settings]
    h = _hyperparameters(row, settings, Z)
    steps = integer(steps, "steps")
    warmup = _warmup_steps(row, warmup, method)
    w = _start(w0, len(settings), Z)
    w, diverged = problem.iterate(w, METHODS["gd"], h, warmup, None, f"{method} warm-up")
    recorded = _recorded_steps(record, steps)
    history = w.new_empty(len(settings), len(recorded), w.shape[-1])
    w, diverged_at = problem.iterate(w, row, h, steps, (recorded, history), method, diverged)
    return _finish(problem, row, method, settings, recorded, history, diverged_at, norm, restore)


class _Problem:
    """Z ``[S, n, d]`` and the batch of ``S * H`` runs on it."""

    def __init__(self, Z: Tensor, runs_each: int, loss: str):
        self.Z, self.runs_each, self.loss = Z, runs_each, loss

    def grouped(self, w: Tensor) -> Tensor:
        """``[S * H, ..., d]`` as ``[S, H * ..., d]``, to multiply with each dataset's rows."""
        return w.reshape(len(self.Z), -1, w.shape[-1])

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """The gradient of ``log`` of the mean loss ``[B, d]``, and that log ``[B]`` where it is needed."""
        q = self.grouped(w) @ self.Z.mT
        grad = -(loss_weights(q, self.loss) @ self.Z).reshape(w.shape)
        return grad, log_loss_of_margins(q, self.loss, "mean").reshape(-1) if needs_loss else None

    def iterate(
        self,
        w: Tensor,
        method: Method,
        h: Mapping[str, Any],
        steps: int,
        out: tuple[list[int], Tensor] | None,
        label: str,
        diverged_at: list[int | None] | None = None,
    ) -> tuple[Tensor, list[int | None]]:
        """Take ``steps`` steps, filling ``out = (iterations, history [B, T, d])``; a diverged row keeps its last finite w."""
        diverged_at = diverged_at or [None] * len(w)
        if steps == 0 and out is None:
            return w, diverged_at
        state = method.start(w) if steps else None
        slots = {t: i for i, t in enumerate(out[0])} if out else {}
        if out and 0 in slots:
            out[1][:, slots[0]] = w
        for t in progress(range(1, steps + 1), label):
            grad, log_loss = self.gradient(w, method.needs_loss)
            new = method.update(w, grad, log_loss, h, state)
            # one cheap look at the sum; only a suspicious one is looked at row by row
            if not math.isfinite(new.sum().item()):
                bad = ~torch.isfinite(new).all(-1)
                new = torch.where(bad[:, None], w, new)
                for b in bad.nonzero()[:, 0].tolist():
                    diverged_at[b] = t if diverged_at[b] is None else diverged_at[b]
            w = new
            if out and t in slots:
                out[1][:, slots[t]] = w
        return w, diverged_at


def _finish(
    problem: _Problem,
    row: Method,
    method: str,
    settings: list[dict[str, Any]],
    recorded: list[int],
    history: Tensor,
    diverged_at: list[int | None],
    norm: str | float | Norm | None,
    restore: Restore,
) -> Sweep:
    measure = get_norm(row.norm if norm is None else norm)
    shape, W = history.shape[:2], problem.grouped(history)
    q = W @ problem.Z.mT
    return Sweep(
        method=method,
        settings=settings,
        steps=restore(torch.tensor(recorded)),
        w=restore(history),
        margin=restore(linear_margin(W, problem.Z, measure).reshape(shape)),
        log_loss=restore(log_loss_of_margins(q, problem.loss, "mean").reshape(shape)),
        norm=restore(measure(history)),
        norm_name=measure.name,
        status=["finished" if t is None else "diverged" for t in diverged_at],
        diverged_at=diverged_at,
    )


def _combinations(row: Method, options: Mapping[str, Any], method: str) -> list[dict[str, Any]]:
    checks = {**COMMON, **row.check}
    values = {"lr": 1.0, "seed": 0, **row.options}
    for name, value in options.items():
        if name not in values:
            raise ValueError(f"{method!r} has no option {name!r}; it takes {', '.join(values)}")
        values[name] = value
    # swept options vary in the order in which they were given
    order = [*options, *(name for name in values if name not in options)]
    axes = [_as_list(name, values[name]) for name in order]
    for name, axis in zip(order, axes, strict=True):
        for value in axis:
            checks[name](value)
    return [{name: combo[order.index(name)] for name in values} for combo in itertools.product(*axes)]


def _as_list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple, range, np.ndarray, Tensor)):
        return [value]
    values = value.tolist() if isinstance(value, (np.ndarray, Tensor)) else list(value)
    if not values:
        raise ValueError(f"{name} is an empty list; give at least one value to sweep over")
    return values


def _hyperparameters(row: Method, settings: list[dict[str, Any]], Z: Tensor) -> dict[str, Any]:
    h: dict[str, Any] = {name: [s[name] for s in settings] for name in settings[0]}
    for name in ("lr", *row.numeric):
        h[name] = torch.tensor(h[name], dtype=Z.dtype, device=Z.device)[:, None]
    return h


def _warmup_steps(row: Method, warmup: int | None, method: str) -> int:
    if warmup is None:
        return row.warmup
    if warmup and not row.warmup:
        raise ValueError(f"{method!r} takes no warm-up (only 'prgd' does); start from w0 instead")
    return integer(warmup, "warmup")


def _start(w0: Any, runs: int, Z: Tensor) -> Tensor:
    d = Z.shape[-1]
    if w0 is None:
        return Z.new_zeros(runs, d)
    w = finite(as_tensor(w0, "w0", device=Z.device).to(Z.dtype), "w0")
    if w.shape not in ((d,), (runs, d)):
        raise ValueError(f"w0 must have shape [{d}] or [{runs}, {d}] (one start per run), got {tuple(w.shape)}")
    return w.expand(runs, d).clone()


def _recorded_steps(record: str | Sequence[int], steps: int) -> list[int]:
    if isinstance(record, str):
        choice(record, "record", ("log", "all"))
        wanted: Any = range(steps + 1) if record == "all" else np.geomspace(1, max(steps, 1), _LOG_RECORDS).round().astype(int)
        return sorted({0, steps, *(int(t) for t in wanted if t <= steps)})
    times = {integer(t, "record: a step") for t in record}
    if times and max(times) > steps:
        raise ValueError(f"record asks for step {max(times)}, but the run has {steps}")
    return sorted({*times, steps})
