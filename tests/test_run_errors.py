"""Linear runs and sweeps name what is wrong with their arguments, and what to do."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from linear_runs import data

import margin_lab as ml
from margin_lab.runs.progress import progress

X1, Y1 = data(0)
NAN = X1.copy()
NAN[3, 1] = np.nan

BAD: list[tuple[dict[str, Any], str]] = [
    ({"y": (Y1 + 1) / 2}, r"labels y must be -1 or \+1, got \[0.0, 1.0\]; for 0/1 labels pass 2 \* y - 1"),
    ({"y": np.where(Y1 > 0, 2, -2)}, r"labels y must be -1 or \+1, got \[-2.0, 2.0\]"),
    ({"y": ["a"] * 12}, "y must be an array or tensor of numbers"),
    ({"X": NAN}, r"X contains NaN or infinite values, the first at index \(3, 1\); clean the data first"),
    ({"X": NAN.tolist()}, r"X contains NaN or infinite values, the first at index \(3, 1\)"),
    ({"X": X1 + 1j}, "X must be real"),
    (
        {"X": np.ones((0, 4)), "y": np.ones(0)},
        r"X is empty: shape \(0, 4\); at least one sample and one feature",
    ),
    ({"X": np.ones((12, 0))}, r"X is empty: shape \(12, 0\)"),
    ({"X": X1[:, 0]}, r"X must have shape \[n, d\], got \(12,\); one sample a row"),
    ({"X": X1[:11]}, r"X \(11, 4\) and y \(12,\) do not match; y needs shape \(11,\)"),
    ({"y": Y1[:, None]}, r"X \(12, 4\) and y \(12, 1\) do not match; y needs shape \(12,\)"),
    ({"method": "newton"}, "method must be one of 'gd', .*'prgd'.*, got 'newton'"),
    ({"loss": "hinge"}, "loss must be one of 'exponential', 'logistic', got 'hinge'"),
    ({"loss": "cross_entropy"}, "loss must be one of 'exponential', 'logistic', got 'cross_entropy'"),
    ({"lr": 0.0}, "lr must be > 0 and finite, got 0.0"),
    ({"lr": -1.0}, "lr must be > 0 and finite, got -1.0"),
    ({"lr": math.nan}, "lr must be > 0 and finite, got nan"),
    ({"lr": "fast"}, "lr must be > 0 and finite, got 'fast'"),
    ({"lr": True}, "lr must be > 0 and finite, got True"),
    ({"steps": -1}, "steps must be a whole number >= 0, got -1"),
    ({"steps": 2.5}, "steps must be a whole number >= 0, got 2.5"),
    ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
    ({"period": 5}, "'ngd' has no option 'period'; it takes lr, seed, form"),
    ({"form": "l2"}, "form must be one of 'loss', 'gradient', got 'l2'"),
    ({"method": "prgd", "radii": 1.2}, r"radii must be callable as radii\(k, R0, w\), got 1.2"),
    ({"method": "prgd", "period": 0}, "period must be a whole number >= 1, got 0"),
    ({"method": "prgd", "warmup": -1}, "warmup must be a whole number >= 0, got -1"),
    (
        {"method": "prgd", "warmup": 0},
        "PRGD rescales its start, which must not be 0: warm up first, or start from",
    ),
    (
        {"method": "prgd", "warmup": 5, "radii": lambda k, R0, w: -1.0},
        r"radius must be > 0, got -1.0 from radii\(k=0, R0=.*, w\)",
    ),
    ({"method": "momentum", "momentum": 1.0}, "momentum must be below 1, got 1.0"),
    ({"method": "momentum", "momentum": -0.1}, "momentum must be >= 0 and finite, got -0.1"),
    ({"method": "sgd", "batch_size": 0}, "batch_size must be a whole number >= 1, got 0"),
    ({"method": "sgd", "normalized": 1}, "normalized must be True or False, got 1"),
    ({"warmup": 10}, r"'ngd' takes no warm-up \(only 'prgd' does\); start from w0 instead"),
    ({"w0": np.ones(3)}, r"w0 must have shape \[4\] or \[1, 4\] \(one start per run\), got \(3,\)"),
    ({"w0": np.ones((2, 4))}, r"w0 must have shape \[4\] or \[1, 4\] \(one start per run\), got \(2, 4\)"),
    ({"w0": np.full(4, np.inf)}, "w0 contains NaN or infinite values"),
    ({"record": "some"}, "record must be one of 'log', 'all', got 'some'"),
    ({"record": [3, 99]}, "record asks for step 99, but the run has 9"),
    ({"record": [1.5]}, "record: a step must be a whole number >= 0, got 1.5"),
    ({"norm": "l7"}, "unknown norm 'l7'"),
    (
        {"norm": "spectral"},
        "w is a vector, which has no spectral norm; use 'l1', 'l2', 'linf' or a number p >= 1",
    ),
]


@pytest.mark.parametrize(("kwargs", "words"), BAD, ids=[f"{i}-{'-'.join(k)}" for i, (k, _) in enumerate(BAD)])
@pytest.mark.parametrize("function", [ml.run_linear, ml.sweep_linear])
def test_errors(function: Callable[..., Any], kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        function(**{"X": X1, "y": Y1, "method": "ngd", "steps": 9, **kwargs})


def test_errors_of_one_function_only() -> None:
    with pytest.raises(ValueError, match="lr is an empty list; give at least one value to sweep over"):
        ml.sweep_linear(X1, Y1, "ngd", 9, lr=[])
    with pytest.raises(ValueError, match="lr must be > 0 and finite, got -0.1"):
        ml.sweep_linear(X1, Y1, "ngd", 9, lr=[0.1, -0.1])
    with pytest.raises(ValueError, match=r"run_linear takes one lr, got \[0.1, 0.2\]; use sweep_linear"):
        ml.run_linear(X1, Y1, "ngd", 9, lr=[0.1, 0.2])
    with pytest.raises(
        ValueError, match=r"run_linear takes one lr, got array\(\[0.1, 0.2\]\); use sweep_linear"
    ):
        ml.run_linear(X1, Y1, "ngd", 9, lr=np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match=r"run_linear takes one seed, got \[1, 2\]; use sweep_linear"):
        ml.run_linear(X1, Y1, "ngd", 9, seed=[1, 2])
    with pytest.raises(
        ValueError, match="run_linear makes one run, but X or w0 asks for 2; use sweep_linear"
    ):
        ml.run_linear(np.stack([X1, X1]), np.stack([Y1, Y1]), "ngd", 9)
    with pytest.raises(
        ValueError, match=r"X \(2, 12, 4\) and y \(12,\) do not match; y needs shape \(2, 12\)"
    ):
        ml.sweep_linear(np.stack([X1, X1]), Y1, "ngd", 9)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_moves_on_a_terminal_and_never_in_a_log(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("margin_lab.runs.progress._DELAY_SECONDS", 0.0)
    monkeypatch.delenv("MARGIN_LAB_STATIC", raising=False)
    assert sum(progress(range(5), "counting")) == 10
    assert ("counting" in stream.getvalue()) == terminal
