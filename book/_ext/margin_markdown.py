"""Local Sphinx extension: plain Markdown, promoted while Sphinx reads it.

A chapter is written so that JupyterLab, Colab, VS Code and GitHub show it well. Only the book knows more:

    <a id="thm-slow"></a>
    > **Theorem (Slow drift).** Let ...                    a numbered box with a label
    [Theorem: slow drift](04_prgd.ipynb#thm-slow)          its number, with a link
    [Lyu and Li (2020)](appendix/bibliography.md#lyu2020margin)   a citation that shows the work on hover
    #### Evidence: ...                                     a section that is folded
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import works

KINDS = "Theorem|Lemma|Proposition|Corollary|Definition|Algorithm|Remark|Proof"
# The title may hold links and formulas, so one level of brackets within its own.
BOX = re.compile(
    rf'(?:^<a id="(?P<label>[\w-]+)"></a>\n+)?^> \*\*(?P<kind>{KINDS})'
    r"(?: \((?P<title>(?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\))?\.\*\* ?(?P<body>.*(?:\n>.*)*)",
    re.MULTILINE,
)
BOXED = re.compile(r"\[[^\[\]]*\]\((?:[\w./-]+\.ipynb)?#(?P<label>(?:thm|lem|prop|cor|def|alg|rem)-[\w-]+)\)")
TARGET = re.compile(r'^<a id="([\w:-]+)"></a>[ \t]*\n', re.MULTILINE)
# The heading of a section that is folded, here and, by its metadata, in JupyterLab and Colab.
FOLDED = "Evidence"


def _box(match: re.Match[str]) -> str:
    kind, label, title = match["kind"].lower(), match["label"], match["title"]
    body = re.sub(r"^> ?", "", match["body"], flags=re.MULTILINE)
    head = f":::{{prf:{kind}}}" + (f" {title}" if title else "")
    return "\n".join([head, *([f":label: {label}"] if label else []), "", body, ":::"])


def promote(text: str) -> str:
    """Markdown that any renderer shows, as the Markdown that Sphinx knows."""
    text = BOX.sub(_box, text)
    text = BOXED.sub(r"{prf:ref}`\g<label>`", text)
    text = works.LINK.sub(r"[\g<text>](#\g<key>)", text)
    return TARGET.sub(r"(\1)=\n", text)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    if source[0].lstrip().startswith("{"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = promote("".join(cell["source"]))
        source[0] = json.dumps(notebook)
    else:
        source[0] = promote(source[0])


def _fold(app: Sphinx, doctree: nodes.document) -> None:
    """Sections of evidence become blocks that open; their headings leave the table of contents."""
    for section in [s for s in doctree.findall(nodes.section) if _is_folded(s)]:
        if section.parent is None:
            continue
        title, *rest = section.children
        for inner in [s for part in rest for s in part.findall(nodes.section)]:
            head, *content = inner.children
            rubric = nodes.rubric("", "", *head.children, ids=inner["ids"])
            inner.parent.replace(inner, [rubric, *content])
        rest = section.children[1:]
        opening = f'<details class="ml-evidence" id="{section["ids"][0]}"><summary>'
        section.parent.replace(
            section,
            [
                nodes.raw("", opening, format="html"),
                nodes.inline("", "", *title.children),
                nodes.raw("", "</summary>", format="html"),
                *rest,
                nodes.raw("", "</details>", format="html"),
            ],
        )


def _is_folded(section: nodes.section) -> bool:
    return bool(section.children) and section.children[0].astext().split(":")[0].strip() == FOLDED


def _cite(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """A link to a work says on hover which work it is."""
    known = works.labels()
    for link in doctree.findall(nodes.reference):
        key = link.get("refuri", "").partition("#")[2]
        if key in known and "bibliography" in link["refuri"]:
            link["reftitle"] = re.sub(r"[*<>]|\[([^\]]*)\]\([^)]*\)", r"\1", works.reference(key))
            link["classes"].append("ml-citation")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the hooks."""
    app.connect("source-read", _read)
    app.connect("doctree-read", _fold)
    app.connect("doctree-resolved", _cite)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
