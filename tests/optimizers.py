"""The one table of optimizers: what they take, what they refuse and in which words, and what they must equal.

A new optimizer is one row here and one trajectory in ``reference.py``; the generic tests of ``test_optim.py``,
``test_optim_errors.py``, ``test_runs.py``, ``test_sweeps.py`` and ``test_gpu.py`` then run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import reference
import torch

from margin_lab import optim

BAD_LR = tuple(({"lr": lr}, "lr must be >= 0 and finite, got") for lr in (-1.0, float("nan"), float("inf")))


@dataclass(frozen=True)
class Row:
    """One optimizer with settings.

    name: of the row. make: ``make(params, lr=...)``. path: the reference trajectory. lr: a good step size.
    needs_loss: whether ``step`` must get a closure. start: scale of a random start (0: start at 0).
    unit_step: the norm in which each step has length lr. run: ``(method, options)`` for ``run_linear``, if it has it.
    bad: keyword arguments and the words of the error.
    """

    name: str
    make: Callable[..., torch.optim.Optimizer]
    path: Callable[..., np.ndarray]
    lr: float = 0.5
    needs_loss: bool = False
    start: float = 0.0
    unit_step: str | float | None = None
    run: tuple[str, dict[str, Any]] | None = None
    bad: tuple[tuple[dict[str, Any], str], ...] = ()


def _prgd(radii: Any, period: Any, path: Callable[..., np.ndarray], name: str) -> Row:
    return Row(
        name,
        partial(optim.PRGD, radii=radii, period=period),
        path,
        lr=0.7,
        start=1.0,
        run=("prgd", {"radii": radii, "period": period, "warmup": 0}),
        bad=(
            *BAD_LR,
            ({"radii": 1.2}, r"radii must be callable as radii\(k, R0, w\), got 1.2; see exponential_radii"),
            ({"period": 0}, "period must be a whole number >= 1, got 0"),
            ({"period": 2.5}, "period must be a whole number >= 1, got 2.5"),
            ({"period": lambda k: 0}, "period must be a whole number >= 1, got 0"),
        ),
    )


ORACLE = np.array([0.6, 0.0, -0.8, 0.0])

UNKNOWN_NORMS = (
    ({"norm": "l3"}, r"unknown norm 'l3'; use one of 'l1', 'l2', 'linf', 'spectral' or a number p >= 1"),
    ({"norm": 0.5}, "a norm is a name or a number p >= 1, got 0.5"),
    ({"norm": None}, "a norm is a name or a number p >= 1, got None"),
)


def _steepest(norm: str | float, path: Callable[..., np.ndarray]) -> Row:
    return Row(
        f"steepest-{norm if isinstance(norm, str) else f'l{norm}'}",
        partial(optim.SteepestDescent, norm=norm),
        path,
        needs_loss=True,
        run=("steepest", {"norm": norm}),
    )


# Optimizers of matrices, to which several tensors are not one vector: test_matrix_optimizers.py.
OF_MATRICES = ("Muon", "Shampoo")

ROWS: tuple[Row, ...] = (
    Row("gd", optim.GD, reference.gd, needs_loss=True, run=("gd", {}), bad=BAD_LR),
    Row(
        "ngd",
        optim.NormalizedGD,
        reference.ngd,
        run=("ngd", {}),
        bad=(*BAD_LR, ({"form": "l2"}, "form must be one of 'loss', 'gradient', got 'l2'")),
    ),
    Row(
        "ngd-gradient",
        partial(optim.NormalizedGD, form="gradient"),
        reference.ngd_gradient,
        unit_step="l2",
        run=("ngd", {"form": "gradient"}),
    ),
    _prgd(optim.exponential_radii(1.2), 5, reference.prgd, "prgd-exp"),
    _prgd(
        optim.polynomial_radii(1.2),
        5,
        partial(reference.prgd, radius=lambda k, R0, w: R0 * (k + 1) ** 1.2),
        "prgd-poly",
    ),
    _prgd(
        optim.polynomial_radii(0.8),
        optim.polynomial_periods(3, 0.5),
        partial(
            reference.prgd,
            radius=lambda k, R0, w: R0 * (k + 1) ** 0.8,
            period=lambda k: round(3 * (k + 1) ** 0.5),
        ),
        "prgd-eq7",
    ),
    _prgd(
        optim.oracle_radii(5 * ORACLE, D=3.0),
        lambda k: 2 + k % 3,
        partial(reference.prgd, radius=reference.oracle_radius(ORACLE, 3.0), period=lambda k: 2 + k % 3),
        "prgd-oracle",
    ),
    _prgd(
        optim.exponential_radii(1.1),
        1,
        partial(reference.prgd, radius=lambda k, R0, w: R0 * 1.1**k, period=lambda k: 1),
        "prgd-period-1",
    ),
    Row(
        "sign",
        partial(optim.SteepestDescent, norm="linf", normalized=True),
        reference.sign,
        lr=0.1,
        unit_step="linf",
        run=("sign", {}),
        bad=BAD_LR,
    ),
    Row(
        "coordinate",
        partial(optim.SteepestDescent, norm="l1", normalized=True),
        reference.coordinate,
        lr=0.1,
        unit_step="l1",
        run=("coordinate", {}),
        bad=BAD_LR,
    ),
    Row("dual", optim.DualAcceleration, reference.dual, run=("dual", {}), bad=BAD_LR),
    Row(
        "steepest-l2",
        optim.SteepestDescent,
        reference.gd,
        needs_loss=True,
        run=("steepest", {}),
        bad=(
            *BAD_LR,
            *UNKNOWN_NORMS,
            ({"norm": "modular", "lr": -1.0}, "lr must be >= 0"),
            ({"rule": "length"}, "rule must be one of 'gradient', 'log', 'unit', 'relative', got 'length'"),
            ({"rule": "log", "normalized": True}, "normalized=True is rule='unit', got rule='log'"),
            ({"max_length": 0.0}, "max_length must be > 0 and finite, got 0.0"),
            ({"max_fall": -1.0}, "max_fall must be > 0 and finite, got -1.0"),
            ({"average": 1.0}, "average must be below 1, got 1.0"),
            ({"polar": "convergent"}, "polar= goes with the norms 'spectral' and 'modular', got norm 'l2'"),
            ({"norm": "modular", "polar": "fast"}, "polar must be one of 'exact', .*got 'fast'"),
        ),
    ),
    _steepest("linf", reference.steepest_sign),
    _steepest("l1", reference.steepest_coordinate),
    _steepest(3, reference.steepest_p(3)),
    _steepest(1.5, reference.steepest_p(1.5)),
    Row(
        "steepest-log",
        partial(optim.SteepestDescent, norm="linf", rule="log", max_length=0.05),
        partial(reference.steepest_log, longest=0.05),
        lr=0.05,
        run=("sign", {"rule": "log", "max_length": 0.05}),
    ),
    Row(
        "coordinate-averaged",
        partial(optim.SteepestDescent, norm="l1", normalized=True, average=0.8),
        partial(reference.coordinate_averaged, weight=0.8),
        lr=0.1,
        unit_step="l1",
        run=("coordinate", {"average": 0.8}),
    ),
    Row(
        "adam",
        optim.Adam,
        reference.adam,
        lr=0.05,
        needs_loss=True,
        run=("adam", {}),
        bad=(
            *BAD_LR,
            ({"beta1": 1.0}, "beta1 must be below 1, got 1.0"),
            ({"beta2": -0.1}, "beta2 must be >= 0 and finite, got -0.1"),
            ({"eps": -1e-8}, "eps must be >= 0 and finite, got -1e-08"),
        ),
    ),
    Row(
        "adam-options",
        partial(optim.Adam, beta1=0.0, beta2=0.9, eps=0.1),
        partial(reference.adam, beta1=0.0, beta2=0.9, eps=0.1),
        lr=0.1,
        needs_loss=True,
        run=("adam", {"beta1": 0.0, "beta2": 0.9, "eps": 0.1}),
    ),
)

RUNNABLE = tuple(row for row in ROWS if row.run)


def problem(seed: int, n: int = 12, d: int = 4) -> np.ndarray:
    """Signed rows ``[n, d]`` of separable data, rows of norm at most 1."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, d))
    Z *= np.sign(Z @ rng.standard_normal(d))[:, None]
    return Z / np.linalg.norm(Z, axis=1).max()


def start(row: Row, seed: int, d: int = 4) -> np.ndarray:
    """Where the row starts: 0, or a random point for methods that must not start at 0."""
    return row.start * np.random.default_rng(100 + seed).standard_normal(d)


def ids(rows: Iterable[Row]) -> list[str]:
    return [row.name for row in rows]
