"""ml.book.check: the cells of the exercises say whether an answer is right, and never fail on a wrong one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import margin_lab as ml


@pytest.mark.parametrize(
    ("answer", "right", "options"),
    [
        (0.5, 0.5, {}),
        (0.5004, 0.5, {"tol": 1e-3}),
        (1e-9, 0.0, {}),
        (np.float32(2), 2, {}),
        ([1, 2], np.array([1.0, 2.0]), {}),
        (torch.ones(2, requires_grad=True), [1, 1], {}),
        (np.inf, np.inf, {}),
        (" Linf", "linf", {}),
        (np.True_, True, {}),
    ],
)
def test_right_answers(answer, right, options, capsys):
    assert ml.book.check(answer, right, **options) is True
    assert capsys.readouterr().out == "✓ Right.\n"


@pytest.mark.parametrize(
    ("answer", "right", "says"),
    [
        (0.6, 0.5, "0.6 is too large"),
        (-0.6, 0.5, "-0.6 is too small"),
        (float("nan"), 0.5, "nan"),
        (1e-3, 2e-3, "too small"),  # relative to the answer's size, not to 1
        ([1, 3], [1, 2], "1 of 2 numbers"),
        ([1, 2, 3], [1, 2], "shape is (3,), expected (2,)"),
        (0.5, [0.5, 0.5], "shape"),
        ("a half", 0.5, "'a half' is not a number"),
        ([[1], [1, 2]], [1, 2], "not a list of numbers"),
        (object, 0.5, "not a number"),
        (1 + 1j, 1.0, "not a number"),
        ("l2", "linf", "it is not 'l2'"),
        (2, "linf", "no text"),
        (False, True, "it is not False"),
        (1, True, "no True or False"),
    ],
)
def test_wrong_answers_are_told_why_and_never_raise(answer, right, says, capsys):
    assert ml.book.check(answer, right, hint="Look again.") is False
    message = capsys.readouterr().out
    assert says in message
    assert message.endswith("Look again.\n")


def test_no_answer_yet(capsys):
    assert ml.book.check(None, 1.0, hint="Look again.") is False
    assert "Your turn" in capsys.readouterr().out


@pytest.mark.parametrize(("right", "tol"), [(None, 1e-6), (1.0, -1.0), (1.0, float("nan"))])
def test_a_mistake_of_the_exercise_is_an_error(right, tol):
    with pytest.raises(ValueError, match="must be"):
        ml.book.check(1.0, right, tol=tol)
