"""The pages that ``make book`` built, for the tests that open them."""

from __future__ import annotations

from pathlib import Path

SITE = Path(__file__).resolve().parent.parent / "_build/html"

# Folders with an underscore hold the theme's own files, among them templates that are no pages.
_FOUND = sorted(p for p in SITE.rglob("*.html") if not p.relative_to(SITE).parts[0].startswith("_"))
_TEXT = {p.relative_to(SITE).as_posix(): p.read_text(encoding="utf-8") for p in _FOUND}

PAGES = [name for name, text in _TEXT.items() if 'http-equiv="refresh"' not in text.lower()]
WITH_WIDGET = [name for name in PAGES if "data-widget=" in _TEXT[name]]
