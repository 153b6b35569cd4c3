"""Write what the book says of other people's works from the one bibliography, ``book/references.bib``::

    python tools/works.py           # writes the bibliography and every chapter's list of works
    python tools/works.py --check   # says what is not up to date

A citation is a plain link, ``[Lyu and Li (2020)](appendix/bibliography.md#lyu2020margin)``, or in brackets
``([Lyu and Li, 2020](...))``. Works of the same authors and year are told apart by letters.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.richtext import Text

ROOT = Path(__file__).resolve().parent.parent
PAGE = "book/appendix/bibliography.md"
TAG = "works"
LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?:\.\./)?(?:appendix/)?bibliography\.md#(?P<key>[\w:-]+)\)")


@cache
def works(root: Path = ROOT) -> BibliographyData:
    """The parsed bibliography."""
    return parse_file(str(root / "book/references.bib"), bib_format="bibtex")


def surnames(entry: Entry) -> list[str]:
    """The authors' surnames, particles included."""
    people = entry.persons["author"]
    return [_plain(" ".join([*p.prelast_names, *p.last_names])) for p in people]


@cache
def labels(root: Path = ROOT) -> dict[str, tuple[str, str]]:
    """``{key: (authors, year)}`` as a citation says them; a letter after the year where both coincide."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, entry in works(root).entries.items():
        names = surnames(entry)
        who = (
            names[0]
            if len(names) == 1
            else f"{names[0]} and {names[1]}"
            if len(names) == 2
            else f"{names[0]} et al."
        )
        found[who, entry.fields["year"]].append(key)
    return {
        key: (who, year + (chr(ord("a") + i) if len(keys) > 1 else ""))
        for (who, year), keys in found.items()
        for i, key in enumerate(sorted(keys))
    }


def citation(key: str, root: Path = ROOT) -> tuple[str, str]:
    """How a sentence cites the work, and how brackets do: ``Lyu and Li (2020)``, ``Lyu and Li, 2020``."""
    who, year = labels(root)[key]
    return f"{who} ({year})", f"{who}, {year}"


def reference(key: str, root: Path = ROOT) -> str:
    """The whole reference, one line of Markdown."""
    entry = works(root).entries[key]
    people = [
        _plain(" ".join([*p.first_names, *p.middle_names, *p.prelast_names, *p.last_names]))
        for p in entry.persons["author"]
    ]
    who = people[0] if len(people) == 1 else f"{', '.join(people[:-1])} and {people[-1]}"
    field = {name: _plain(value) for name, value in entry.fields.items()}
    place = (
        field.get("journal") or field.get("booktitle") or field.get("publisher") or field.get("school") or ""
    )
    if "volume" in field:
        place += f" {field['volume']}" + (f"({field['number']})" if "number" in field else "")
    if "pages" in field:
        place += f", {field['pages']}" if place else field["pages"]
    parts = [f"{who} ({labels(root)[key][1]}).", f"*{field['title']}*."]
    if place:
        parts.append(f"{place}.")
    note = field.get("note", "")
    if arxiv := re.search(r"arXiv:\s?([\d.]+\d)", note) or re.search(r"([\d.]+\d)", field.get("eprint", "")):
        note = note.replace(arxiv[0], "").strip(" ;,.")
        parts.append(f"[arXiv:{arxiv[1]}](https://arxiv.org/abs/{arxiv[1]}).")
    if "doi" in field:
        parts.append(f"[doi:{field['doi']}](https://doi.org/{field['doi']}).")
    elif "url" in field:
        parts.append(f"<{field['url']}>.")
    if note:
        parts.append(f"{note}.")
    return " ".join(parts)


def page(root: Path = ROOT) -> str:
    """The bibliography: what the page says first, as it is, and every work under an anchor of its own."""
    preface = (root / PAGE).read_text(encoding="utf-8").partition("<a id=")[0].rstrip()
    keys = sorted(works(root).entries, key=lambda key: (labels(root)[key][0].lower(), labels(root)[key][1]))
    entries = "\n\n".join(f'<a id="{key}"></a>\n{reference(key, root)}' for key in keys)
    return f"{preface}\n\n{entries}\n"


def listed(notebook: dict[str, Any], root: Path = ROOT) -> str:
    """The chapter's own list of the works that its text links to."""
    cells = [
        c
        for c in notebook["cells"]
        if c["cell_type"] == "markdown" and TAG not in c["metadata"].get("tags", [])
    ]
    keys = {m["key"] for cell in cells for m in LINK.finditer("".join(cell["source"]))}
    if missing := sorted(keys - set(labels(root))):
        raise SystemExit(f"not in book/references.bib: {', '.join(missing)}")
    return "\n".join(
        f"* {reference(key, root)}" for key in sorted(keys, key=lambda key: (*labels(root)[key], key))
    )


def update(path: Path, root: Path = ROOT) -> str:
    """The chapter's text with its list of works as it should be."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    text = listed(notebook, root)
    for cell in notebook["cells"]:
        if TAG in cell["metadata"].get("tags", []):
            cell["source"] = text.splitlines(keepends=True)
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 where ``--check`` finds something out of date."""
    check = "--check" in (sys.argv[1:] if arguments is None else arguments)
    wanted = {ROOT / PAGE: page()}
    wanted |= {path: update(path) for path in sorted((ROOT / "book").glob("*.ipynb"))}
    stale = [path for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'run tools/works.py' if check else 'written'}")
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
    return int(check and bool(stale))


def _plain(text: str) -> str:
    """LaTeX's accents as letters, braces gone."""
    return str(Text.from_latex(text)).replace("--", "–")


if __name__ == "__main__":
    sys.exit(main())
