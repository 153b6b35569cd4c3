"""Answers to a chapter's exercises, checked where they are given: right, wrong and by how much, or not answered yet."""

from __future__ import annotations

from typing import Any

import numpy as np


def check(answer: Any, right: Any, *, tol: float = 1e-6, hint: str = "") -> bool:
    """Say whether an answer is right, and return it. A wrong answer never raises: it is told what is wrong with it.

    Numbers and arrays are right within ``tol`` times the largest absolute value of ``right`` (within ``tol`` where that is
    zero); arrays must have its shape. Texts and truth values must be equal; capitals and outer blanks do not count. End the
    cell's line with a semicolon, so that the notebook shows the message only.

    Args:
        answer: the reader's; ``None`` means "not answered yet".
        right: a number, a text, a truth value, an array or a list of numbers, best computed by the library.
        tol: how far off a number may be, relative to the size of ``right``.
        hint: a sentence shown with a wrong answer.

    Raises:
        ValueError: ``tol`` is negative, or ``right`` is ``None``: a mistake of the exercise, not of the answer.

    Example:
        >>> check(None, 0.5)
        Your turn: put your answer in the place of None, and run the cell again.
        False
        >>> check(0.6, 0.5, hint="Divide by the norm.")
        ✗ Not yet: 0.6 is too large. Divide by the norm.
        False
        >>> check(0.5, 0.5)
        ✓ Right.
        True
    """
    if not tol >= 0:
        raise ValueError(f"tol must be at least 0, got {tol}; 1e-3 allows an error of a thousandth")
    if right is None:
        raise ValueError("right must be a value to compare with, got None; None is the answer not given yet")
    if answer is None:
        print("Your turn: put your answer in the place of None, and run the cell again.")
        return False
    if isinstance(right, str):
        fault = _text_fault(answer, right)
    elif isinstance(right, bool | np.bool_):
        fault = _truth_fault(answer, bool(right))
    else:
        fault = _fault(answer, right, tol)
    print(f"✗ Not yet: {fault}. {hint}".rstrip() if fault else "✓ Right.")
    return not fault


def _text_fault(answer: Any, right: str) -> str:
    if not isinstance(answer, str):
        return f"{_short(answer)} is no text"
    same = answer.strip().casefold() == right.strip().casefold()
    return "" if same else f"it is not {_short(answer)}"


def _truth_fault(answer: Any, right: bool) -> str:
    # np.True_ is what a comparison of arrays gives; 1 is not an answer to a question of yes and no
    if not isinstance(answer, bool | np.bool_):
        return f"{_short(answer)} is no True or False"
    return "" if bool(answer) == right else f"it is not {_short(bool(answer))}"


def _fault(answer: Any, right: Any, tol: float) -> str:
    """What is wrong with a number or an array; empty where it is right."""
    expected = _numbers(right)
    try:
        given = _numbers(answer)
    except (TypeError, ValueError, RuntimeError):
        return f"{_short(answer)} is not a {'number' if expected.ndim == 0 else 'list of numbers'}"
    if given.shape != expected.shape:
        return f"the shape is {given.shape}, expected {expected.shape}"
    size = np.abs(expected).max(initial=0.0) or 1.0
    with np.errstate(invalid="ignore"):
        off = ~((np.abs(given - expected) <= tol * size) | (given == expected))
    if not off.any():
        return ""
    if expected.ndim:
        return f"{int(off.sum())} of {expected.size} numbers are wrong"
    if np.isnan(given):
        return "it is not a number (nan)"
    return f"{given:.6g} is too {'large' if given > expected else 'small'}"


def _numbers(value: Any) -> Any:
    # a tensor of a model carries a gradient, which NumPy refuses
    value = value.detach() if hasattr(value, "detach") else value
    return np.asarray(value, dtype=float)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
