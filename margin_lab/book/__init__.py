"""What the book's pages are made of: widgets, figures, quizzes, recorded runs. Nothing in the library below knows it."""

from margin_lab.book.exercises import check

__all__ = ["check"]
