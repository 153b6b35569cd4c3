from __future__ import annotations

import pytest

from margin_lab.book.quiz import NumberQuestion, Question, Quiz

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


def test_number_question_holds_answer_tolerance_and_both_feedbacks():
    page = Quiz(
        NumberQuestion("Margin $g$?", right=-0.2, tol=0.05, why="By `a < b`.", hint="Divide.")
    )._repr_html_()
    assert r"Margin \(g\)?" in page
    assert 'data-right="-0.2" data-tol="0.010000000000000002"' in page
    # folded, and nowhere else: JupyterLab strips the attribute `hidden` from notebooks that are not trusted
    assert (
        page.count("By <code>a &lt; b</code>.")
        == page.count("<summary>Answer</summary><p>-0.2. By <code>")
        == 1
    )
    assert page.count("Divide.") == page.count("<summary>Hint</summary><p>Divide.") == 1
    assert "hidden" not in page
    assert "Type a number and check it." in page
    assert 'data-tol="0.01"' in NumberQuestion("0?", right=0.0, why="Zero.").html()  # absolute at zero


@pytest.mark.parametrize("change", [{"right": float("nan")}, {"tol": 0.0}, {"why": " "}])
def test_bad_number_questions_are_refused(change):
    with pytest.raises(ValueError, match="must be finite and tol above 0|has no explanation"):
        NumberQuestion(**{"ask": "?", "right": 1.0, "why": "So it is.", **change})
