"""Linear models ``f(x) = <w, x>``: every method, batched over hyperparameters, datasets and starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import DivergedError, as_tensor, choice, finite, integer, signed_data
from margin_lab.hard_margins.solution import NotSeparableError
from margin_lab.losses import MARGIN_LOSSES
from margin_lab.norms import Norm, get_norm
from margin_lab.runs.iterate import iterate
from margin_lab.runs.linear.problem import LinearProblem
from margin_lab.runs.linear.recorder import LinearRecorder
from margin_lab.runs.linear.result import Run, Sweep
from margin_lab.runs.linear.search_rows import search_rows
from margin_lab.runs.method import Method, Update
from margin_lab.runs.methods import COMMON, METHODS
from margin_lab.runs.outside import chosen_method
from margin_lab.runs.settings import (
    LISTS,
    combinations,
    compute_device,
    hyperparameters,
    of_rows,
    recorded_steps,
)


def run_linear(
    X: Any,
    y: Any,
    method: str | Method | Update = "gd",
    steps: int = 1000,
    *,
    lr: float | None = None,
    seed: int = 0,
    loss: str = "exponential",
    reduction: str = "mean",
    w0: Any = None,
    warmup: int | None = None,
    record: str | Sequence[int] = "log",
    norm: str | float | Norm | None = None,
    keep: str = "all",
    device: str | torch.device | None = None,
    **options: Any,
) -> Run:
    """Train a linear classifier without bias by one method and record its margin.

    Every method starts at ``w = 0`` (or ``w0``); only "prgd" warms up, with ``warmup`` steps
    of gradient descent at the same lr that are not counted in ``run.steps``.

    Args:
        X: ``[n, d]`` array or tensor; results have its type, dtype and device. y: ``[n]``, -1 or +1.
        method: "gd", "momentum" (``momentum=0.9``), "sgd" (``batch_size=32``, ``momentum=0``, ``normalized=False``), "ngd"
            (``form="loss"`` or ``"gradient"``), "nacson", "dual", "loss_based" (``up=``, ``down=``), "prgd" (``radii=``,
            ``period=``, ``decay=``: see :class:`margin_lab.optim.PRGD`), "sign", "coordinate" (steps
            of length lr in their own norm), "steepest" (in the norm ``norm=``, default l2; ``rule="unit"`` normalised),
            "adam" (``beta1=``, ``beta2=``, ``eps=``), "certified" (``form=``, ``tol=1e-12``). Or one of your own: a function
            ``update(w, grad, log_loss, h, state) -> w`` whose options are any keywords given here, or a
            :class:`margin_lab.Method`; :func:`margin_lab.runs.outside.chosen_method` says what it gets.
        steps: iterations; pairs of products ``Z w`` and ``Z^T q`` for "certified", which stops at ``tol`` and then has fewer.
        lr: step size, > 0, default 1; "certified" has none. seed: for methods that draw random numbers.
        loss: "exponential" or "logistic". reduction: L is the "mean" or the "sum" over samples; ``run.log_loss`` follows it, and
            the steps of methods that use L itself ("gd", "adam", ...).
        w0: start ``[d]``. warmup: only for "prgd", default 1000.
        record: "log" (about 200 log-spaced iterations), "all", or a list of iterations; 0 and the last are always recorded
            by "log" and "all", the last one always.
        norm: of ``run.margin`` and ``run.norm``; default the method's own. For "steepest", and for "certified" and "prgd" ("l1",
            "l2" or "linf"), it is also the norm whose margin they maximise. device: where to compute ("auto": CUDA if there
            is one); default where X is.

    Raises:
        ValueError: bad data (entries so large that squares overflow too), method, option or value.
        DivergedError: an iterate that is not finite.
        NotSeparableError: "certified" found weights that prove that no direction separates the data.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.dataset_1()
        >>> run = ml.run_linear(data.X, data.y, method="ngd", steps=100)
        >>> round(float(run.w[-1][0]), 6)  # eta * gamma * t
        10.0
    """
    if lr is not None:
        options["lr"] = lr
    for name, value in {**options, "seed": seed}.items():
        if isinstance(value, LISTS) and np.ndim(value) > 0:
            raise ValueError(f"run_linear takes one {name}, got {value!r}; use sweep_linear for several")
    single: dict[str, Any] = {name: [value] for name, value in {"seed": seed, **options}.items()}
    batch = sweep_linear(
        X, y, method, steps, loss=loss, reduction=reduction, w0=w0, warmup=warmup, record=record, norm=norm, keep=keep,
        device=device, **single,
    )  # fmt: skip
    if len(batch) != 1:
        raise ValueError(f"run_linear makes one run, but X or w0 asks for {len(batch)}; use sweep_linear")
    run = batch[0]
    if run.status == "not separable":
        raise NotSeparableError(run.dual, float(run.upper_bound[-1]), run.norm_name)
    if run.status == "diverged":
        slower = ", grow the radius more slowly" if "radii" in run.settings else ""
        raise DivergedError(
            f"{run.method} with lr={run.settings['lr']} diverged at step {run.diverged_at} "
            f"(log loss {float(run.log_loss[-1]):.3g} before it); "
            f"lower lr{slower}, or use sweep_linear, which records such runs as diverged"
        )
    return run


def sweep_linear(
    X: Any,
    y: Any,
    method: str | Method | Update = "gd",
    steps: int = 1000,
    *,
    loss: str = "exponential",
    reduction: str = "mean",
    w0: Any = None,
    warmup: int | None = None,
    record: str | Sequence[int] = "log",
    norm: str | float | Norm | None = None,
    keep: str = "all",
    rows_at_once: int | None = None,
    device: str | torch.device | None = None,
    **options: Any,
) -> Sweep:
    """Many runs of one method as one batched computation: all combinations of the values given as lists.

    Args:
        X: ``[n, d]``, or ``[S, n, d]`` for S datasets of one shape (``y [S, n]``), the outermost axis of the batch.
        options: ``lr``, ``seed`` and the method's own (see :func:`run_linear`): a list, tuple or array is swept over, in
            the order of the keywords with the last one fastest; anything else is shared by all runs.
        w0: ``[d]``, or ``[B, d]`` with one start per run.
        keep: "all" for the weights at every record, ``w [B, T, d]``, or "last" for ``w [B, 1, d]`` alone.
        rows_at_once: how many runs step together, which bounds the memory in use beside the results; by default as many as keep
            their margins in the processor's cache.
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
        (3, 51, 2)
    """
    name, row = chosen_method(method)
    choice(loss, "loss", MARGIN_LOSSES)
    choice(reduction, "reduction", ("mean", "sum"))
    choice(keep, "keep", ("all", "last"))
    if rows_at_once is not None:
        integer(rows_at_once, "rows_at_once", least=1)
    Z, restore = signed_data(X, y, batched=True)
    Z = Z.to(compute_device(device, Z.device))
    Z = Z if Z.ndim == 3 else Z[None]
    known = {**COMMON, **row.options}
    own = (row.norm or "l2") if norm is None else norm
    if "norm" in row.options:  # here the norm of run.margin is also the method's
        own = options["norm"] = row.options["norm"].default if norm is None else norm
    if row.update is None:
        del known["lr"]
    settings = combinations(options, known, name, row.any_option)
    problem = LinearProblem(Z, len(settings), loss, reduction)
    settings = [dict(s) for _ in range(len(Z)) for s in settings]
    if row.update is None:
        if w0 is not None or warmup or loss != "exponential":
            raise ValueError(
                f"{name!r} starts at 0 on the exponential loss: it takes no w0, warmup or other loss"
            )
        recorded = recorded_steps(record, integer(steps, "steps"))
        return search_rows(problem, name, settings, recorded, own, restore)
    _refuse_huge(Z, name)
    measure = get_norm(own)
    if measure.matrix:
        raise ValueError(
            f"w is a vector, which has no {measure.name} norm; use 'l1', 'l2', 'linf' or a number p >= 1"
        )
    h = hyperparameters(settings, known, Z)
    steps, warmup = integer(steps, "steps"), _warmup_steps(row, warmup, name)
    start = _start(w0, len(settings), Z)
    recorded = recorded_steps(record, steps)
    recorder, diverged_at = LinearRecorder(problem, recorded, measure, keep), list[int | None]()
    parts = problem.parts(rows_at_once)
    for k, rows in enumerate(parts):
        part, some, w = problem.part(rows), of_rows(h, rows), start[rows.start : rows.stop]
        label = name if len(parts) == 1 else f"{name}, part {k + 1} of {len(parts)}"
        w, diverged = iterate(part, w, METHODS["gd"], some, warmup, f"{label} warm-up")
        before = [None if t is None else 0 for t in diverged]  # before the run's first step
        records = recorder.part(part, rows)
        diverged_at += iterate(part, w, row, some, steps, label, recorded, records, before)[1]
        records.measure()
    return Sweep(
        method=name,
        settings=settings,
        steps=restore(torch.tensor(recorded)),
        w=restore(recorder.w),
        margin=restore(recorder.margin),
        log_loss=restore(recorder.log_loss),
        norm=restore(recorder.norm),
        norm_name=measure.name,
        reduction=reduction,
        status=["finished" if t is None else "diverged" for t in diverged_at],
        diverged_at=diverged_at,
    )


def _refuse_huge(Z: Tensor, method: str) -> None:
    """After one step ``w = lr x`` an output is ``lr |x|^2``: past the square root of the largest number it overflows."""
    largest, limit = float(Z.abs().max()), 1e-4 * torch.finfo(Z.dtype).max ** 0.5
    if largest > limit:
        raise ValueError(
            f"X has entries up to {largest:.1e}, at which the outputs of {method!r} overflow (limit {limit:.0e} in {Z.dtype}); "
            "divide X by its largest entry: the max-margin direction stays the same"
        )


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
    w = finite(as_tensor(w0, "w0", device=Z.device).to(Z.dtype), "w0", "start from finite weights")
    if w.shape not in ((d,), (runs, d)):
        raise ValueError(
            f"w0 must have shape [{d}] or [{runs}, {d}] (one start per run), got {tuple(w.shape)}"
        )
    return w.expand(runs, d).clone()
