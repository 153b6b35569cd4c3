"""The built pages as a reader opens them from the disk: nothing leaves the page, nothing is logged, nothing overflows."""

from __future__ import annotations

import pytest
from browser import Watched
from built_site import PAGES, SITE

from margin_lab.book.quiz import NumberQuestion, Question, Quiz

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("site"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright's sockets, closed at exit
]

SETTLED = """async () => {
  if (window.MathJax?.startup?.promise) await window.MathJax.startup.promise;
  await document.fonts.ready;
}"""
WIDGETS_DRAWN = "[...document.querySelectorAll('[data-widget]')].every(w => w.dataset.state)"


@pytest.mark.skipif(not PAGES, reason="the book is not built: make book")
@pytest.mark.parametrize("name", PAGES)
def test_page_is_quiet_complete_and_self_contained(chromium, name):
    watched = Watched(chromium, offline=True)
    page = watched.open_file(SITE / name)
    page.evaluate(SETTLED)
    page.wait_for_function(WIDGETS_DRAWN)
    watched.assert_clean()
    assert "{{" not in page.locator("body").inner_text(), "a substitution that was not made"
    assert page.locator("mjx-merror").count() == 0, "a formula that MathJax cannot read"
    assert (
        page.evaluate(
            "[...document.querySelectorAll('article img')].filter(i => !i.alt || !i.naturalWidth).length"
        )
        == 0
    )
    watched.context.close()


@pytest.mark.skipif(not PAGES, reason="the book is not built: make book")
def test_front_door_leads_to_the_introduction(chromium):
    watched = Watched(chromium, offline=True)
    watched.open_file(SITE / "index.html").wait_for_url("**/book/intro.html")
    watched.context.close()


@pytest.mark.skipif(not PAGES, reason="the book is not built: make book")
@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("book/")])
def test_page_fits_a_phone(chromium, name):
    watched = Watched(chromium, offline=True, width=360, height=740)
    page = watched.open_file(SITE / name)
    page.evaluate(SETTLED)
    # Wide tables, formulas and code may scroll inside their own box; the page may not.
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth <= 360 ? [] :
        [...document.querySelectorAll('article *')].filter(e => {
          for (let p = e; p; p = p.parentElement) if (getComputedStyle(p).overflowX === 'auto') return false;
          return e.getBoundingClientRect().right > 360;
        }).slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""
    )
    assert wide == []
    watched.context.close()


def test_quiz_counts_first_tries_by_mouse_and_keyboard(chromium, tmp_path):
    quiz = Quiz(
        Question("Dual of ℓ1?", right={"ℓ∞": "Yes: the largest entry."}, wrong={"ℓ2": "No: its own dual."}),
        Question("Dual of ℓ2?", right={"ℓ2": "Yes."}, wrong={"ℓ1": "No & never < that."}),
    )
    path = tmp_path / "quiz.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{quiz._repr_html_()}", encoding="utf-8")
    watched = Watched(chromium, offline=True)
    page = watched.open_file(path)
    first, second = page.locator("[data-question]").all()
    status = page.get_by_role("status")

    first.locator("[data-answer=wrong] summary").click()
    assert first.get_by_text("No: its own dual.").is_visible()
    assert status.inner_text() == "0 of 1 right at the first try, 1 to go."
    first.locator("[data-answer=right] summary").click()  # too late for the score, not for the feedback
    assert first.get_by_text("Yes: the largest entry.").is_visible()
    assert status.inner_text() == "0 of 1 right at the first try, 1 to go."
    second.locator("[data-answer=right] summary").focus()
    page.keyboard.press("Enter")
    assert status.inner_text() == "1 of 2 right at the first try."
    watched.assert_clean()
    watched.context.close()


def test_number_question_answers_offline_by_mouse_and_keyboard(chromium, tmp_path):
    quiz = Quiz(
        NumberQuestion("Half?", right=0.5, why="One of two.", hint="Divide."),
        NumberQuestion("A tenth?", right=0.1, why="One of ten."),
    )
    path = tmp_path / "quiz.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{quiz._repr_html_()}", encoding="utf-8")
    watched = Watched(chromium, offline=True)
    page = watched.open_file(path)
    first, second = page.locator("[data-question]").all()
    status = page.get_by_role("status")

    first.get_by_text("Hint").click()  # is no answer
    first.get_by_text("Hint").click()
    assert status.inner_text() == "Type a number and check it."
    first.get_by_role("button").click()
    assert first.get_by_text("Type a number.").is_visible()
    first.get_by_role("textbox").fill("0,7")
    first.get_by_role("button").click()
    assert first.get_by_text("Too large.").is_visible()
    assert first.get_by_text("Divide.").is_visible()
    assert not first.get_by_text("One of two.").is_visible()
    assert status.inner_text() == "0 of 1 right at the first try, 1 to go."
    first.get_by_role("textbox").fill("1/2")
    page.keyboard.press("Enter")
    assert first.get_by_text("One of two.").is_visible()
    assert not first.get_by_text("Too large.").is_visible()
    second.get_by_role("textbox").fill("1e-1")
    page.keyboard.press("Enter")
    assert status.inner_text() == "1 of 2 right at the first try."
    watched.assert_clean()
    watched.context.close()
