"""Where results files lie: those of the book inside the package, a reader's own beside the notebook.

From a copy of the repository both are one folder, ``margin_lab/book/recordings/data``: what is recorded there is what the book
shows next. An installed package is not written to: new recordings go into the folder ``recorded`` of the working directory.
"""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
# the package's parent is a copy of the repository, or some site-packages
_ROOT = DATA.parents[3]
IN_REPOSITORY = (_ROOT / "pyproject.toml").is_file() and (_ROOT / "book").is_dir()
OWN = DATA if IN_REPOSITORY else Path("recorded")
WORK = _ROOT / "_build" if IN_REPOSITORY else Path("recorded/unfinished")


def find(stem: str) -> Path | None:
    """The file ``stem.json``: a reader's own, else the book's, else None."""
    return next((path for folder in (OWN, DATA) if (path := folder / f"{stem}.json").is_file()), None)
