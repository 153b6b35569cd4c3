"""A short quiz that works wherever HTML does: in the built page, in JupyterLab, in Colab.

Each answer to choose is a ``<details>`` that opens to its feedback, so mouse, keyboard and screen reader need no help; one
inline handler compares the numbers that are typed and counts the first tries. Where scripts are not run, the feedback still
is there, only the score is not.
"""

from __future__ import annotations

import html
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from margin_lab.book.inline import inline_html

_COUNT_FIRST_TRIES = """
const chosen = event.target.closest('summary, button');
if (!chosen) return;
const questions = [...this.querySelectorAll('[data-question]')];
const question = chosen.closest('[data-question]');
let verdict = chosen.parentNode.dataset.answer;
if (chosen.tagName === 'BUTTON') {
  const typed = question.querySelector('input').value.trim().replace(',', '.').replace('−', '-');
  const given = typed.split('/').map(Number).reduce((a, b) => a / b);
  const right = Number(question.dataset.right);
  const off = given - right;
  verdict = !typed || Number.isNaN(given) ? 'none' : Math.abs(off) <= Number(question.dataset.tol) ? 'right' : 'wrong';
  const says = {right: '✓ Right.', wrong: off > 0 ? '✗ Too large.' : '✗ Too small.', none: 'Type a number.'};
  question.querySelector('[data-says]').textContent = says[verdict];
  if (verdict === 'right') question.querySelector('[data-answer]').open = true;
  if (verdict === 'wrong') question.querySelector('[data-hint]')?.setAttribute('open', '');
}
if (!['right', 'wrong'].includes(verdict)) return;
question.dataset.first ??= verdict;
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


@dataclass(frozen=True)
class NumberQuestion:
    """One question that a number answers; decimals, fractions like 1/3 and powers like 1e-3 may be typed.

    Args:
        ask: the question, with ``$...$`` and `` `...` `` as in :class:`Question`.
        right: the number.
        why: why it is right; shown with the right answer, and to who gives up.
        hint: what to think of; shown with a wrong answer.
        tol: how far off an answer may be, relative to ``right`` (absolute where that is zero).

    Raises:
        ValueError: a number that is not finite, a tolerance that is not positive, or no explanation.
    """

    ask: str
    right: float
    why: str
    hint: str = ""
    tol: float = 0.01

    def __post_init__(self) -> None:
        if not math.isfinite(self.right) or not 0 < self.tol < math.inf:
            raise ValueError(
                f"right must be finite and tol above 0, got {self.right} and {self.tol}: {self.ask!r}"
            )
        if not self.why.strip():
            raise ValueError(f"the answer {self.right} has no explanation; say why: {self.ask!r}")

    def html(self) -> str:
        """Return the question as a fieldset with a field, a button and the answer folded below."""
        why, tol = inline_html(self.why), self.tol * (abs(self.right) or 1.0)
        hint = f"<details data-hint><summary>Hint</summary><p>{inline_html(self.hint)}</p></details>"
        # A form, so that Enter in the field presses the button. What gives the answer away is folded and not `hidden`, an
        # attribute that JupyterLab strips from notebooks that are not trusted.
        return (
            f'<fieldset data-question data-right="{self.right!r}" data-tol="{tol!r}">'
            f'<legend style="font-size: 1rem">{inline_html(self.ask)}</legend>'
            '<form onsubmit="return false"><input type="text" inputmode="decimal" autocomplete="off" size="12" '
            'aria-label="Your answer"> <button type="submit">Check</button></form><p aria-live="polite" data-says></p>'
            f"{hint if self.hint else ''}"
            f'<details data-answer="wrong"><summary>Answer</summary><p>{self.right:.6g}. {why}</p></details></fieldset>'
        )


class Quiz:
    """Some questions, shown with feedback to every answer and a score of the first tries.

    Args:
        *questions: :class:`Question` or :class:`NumberQuestion`, in the order in which they are asked.

    Raises:
        ValueError: no question.

    Example:
        >>> quiz = Quiz(Question("Dual of ℓ1?", right={"ℓ∞": "Yes."}, wrong={"ℓ2": "No: its own dual."}))
        >>> quiz
        Quiz of 1 question
    """

    def __init__(self, *questions: Question | NumberQuestion) -> None:
        if not questions:
            raise ValueError("a quiz needs at least one question, got none")
        self.questions: Sequence[Question | NumberQuestion] = questions

    def __repr__(self) -> str:
        return f"Quiz of {len(self.questions)} question{'s' if len(self.questions) > 1 else ''}"

    def _repr_html_(self) -> str:
        chosen = any(isinstance(question, Question) for question in self.questions)
        start = "Open the answer that you think is right." if chosen else "Type a number and check it."
        # tex2jax_process: MathJax skips cell outputs in the built page unless it is asked.
        return (
            f'<div class="ml-quiz tex2jax_process" role="group" aria-label="Quiz" onclick="{html.escape(_COUNT_FIRST_TRIES)}">'
            + "".join(question.html() for question in self.questions)
            + f'<p role="status">{start}</p></div>'
        )
