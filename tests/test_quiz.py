from __future__ import annotations

import pytest

from margin_lab.book.quiz import Question, Quiz

GOOD = {"ask": "Dual of $\\ell_1$?", "right": {"ℓ∞": "Yes."}, "wrong": {"ℓ2": "No, `a < b`.", "ℓ1": "No."}}


def test_text_is_escaped_and_formulas_and_code_are_marked():
    page = Quiz(Question(**GOOD))._repr_html_()
    assert r"Dual of \(\ell_1\)?" in page
    assert "<code>a &lt; b</code>" in page
    assert page.count('data-answer="right"') == 1
    assert page.count('data-answer="wrong"') == 2


def test_order_of_answers_is_reproducible_and_not_always_right_first():
    pages = [Question(f"{k}?", right={"a": "Yes."}, wrong={"b": "No."}).html() for k in range(20)]
    assert pages == [Question(f"{k}?", right={"a": "Yes."}, wrong={"b": "No."}).html() for k in range(20)]
    assert 0 < sum(page.index('"right"') < page.index('"wrong"') for page in pages) < 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right": {}}, "one right answer"),
        ({"right": {"a": "Yes.", "b": "Yes."}}, "one right answer"),
        ({"wrong": {}}, "at least one wrong one"),
        ({"wrong": {"ℓ∞": "No."}}, "both right and wrong"),
        ({"wrong": {"ℓ2": " "}}, "has no feedback"),
    ],
)
def test_bad_questions_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Question(**{**GOOD, **change})


def test_empty_quiz_is_refused():
    with pytest.raises(ValueError, match="at least one question"):
        Quiz()
