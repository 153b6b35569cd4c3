"""A short quiz that works wherever HTML does: in the built page, in JupyterLab, in Colab.

Each answer is a ``<details>`` that opens to its feedback, so mouse, keyboard and screen reader need no help; one
inline handler counts the first tries. Where scripts are not run, the feedback still is there, only the score is not.
"""

from __future__ import annotations

import html
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from margin_lab.book.inline import inline_html

_COUNT_FIRST_TRIES = """
const summary = event.target.closest('summary');
if (!summary) return;
const questions = [...this.querySelectorAll('[data-question]')];
const question = summary.closest('[data-question]');
question.dataset.first ??= summary.parentNode.dataset.answer;
const tried = questions.filter(q => q.dataset.first).length;
const right = questions.filter(q => q.dataset.first === 'right').length;
this.querySelector('[role=status]').textContent = `${right} of ${tried} right at the first try`
  + (tried < questions.length ? `, ${questions.length - tried} to go.` : '.');
"""


@dataclass(frozen=True)
class Question:
    """One question with one right answer.

    Args:
        ask: the question. ``$...$`` is set as a formula where the page can, `` `...` `` as code.
        right: ``{answer: why it is right}``, one entry.
        wrong: ``{answer: why it is wrong}``, at least one entry.

    Raises:
        ValueError: not exactly one right answer, no wrong one, an answer on both sides, or one without feedback.
    """

    ask: str
    right: Mapping[str, str]
    wrong: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(self.right) != 1 or not self.wrong:
            raise ValueError(
                f"a question needs one right answer and at least one wrong one, got {len(self.right)} and "
                f"{len(self.wrong)}: {self.ask!r}"
            )
        if twice := self.right.keys() & self.wrong.keys():
            raise ValueError(f"{twice.pop()!r} is both right and wrong: {self.ask!r}")
        for answer, feedback in {**self.right, **self.wrong}.items():
            if not feedback.strip():
                raise ValueError(f"the answer {answer!r} has no feedback; say why: {self.ask!r}")

    def html(self) -> str:
        """Return the question as a fieldset; the order of the answers depends on nothing but its text."""
        answers = [(a, f, "right") for a, f in self.right.items()] + [
            (a, f, "wrong") for a, f in self.wrong.items()
        ]
        random.Random(self.ask).shuffle(answers)
        items = "".join(
            f'<details data-answer="{kind}"><summary>{inline_html(answer)}</summary>'
            f"<p>{'✓' if kind == 'right' else '✗'} {inline_html(feedback)}</p></details>"
            for answer, feedback, kind in answers
        )
        return f'<fieldset data-question><legend style="font-size: 1rem">{inline_html(self.ask)}</legend>{items}</fieldset>'


class Quiz:
    """Some questions, shown with feedback to every answer and a score of the first tries.

    Args:
        *questions: in the order in which they are asked.

    Raises:
        ValueError: no question.

    Example:
        >>> quiz = Quiz(Question("Dual of ℓ1?", right={"ℓ∞": "Yes."}, wrong={"ℓ2": "No: its own dual."}))
        >>> quiz
        Quiz of 1 question
    """

    def __init__(self, *questions: Question) -> None:
        if not questions:
            raise ValueError("a quiz needs at least one question, got none")
        self.questions: Sequence[Question] = questions

    def __repr__(self) -> str:
        return f"Quiz of {len(self.questions)} question{'s' if len(self.questions) > 1 else ''}"

    def _repr_html_(self) -> str:
        # tex2jax_process: MathJax skips cell outputs in the built page unless it is asked.
        return (
            f'<div class="ml-quiz tex2jax_process" role="group" aria-label="Quiz" onclick="{html.escape(_COUNT_FIRST_TRIES)}">'
            + "".join(question.html() for question in self.questions)
            + '<p role="status">Open the answer that you think is right.</p></div>'
        )
