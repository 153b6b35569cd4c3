"""Find numbers in a chapter's prose that no cell of the chapter computes, states or asserts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

# What is not prose: code, roles, formulas, tags, link targets, addresses, directive lines and their options.
_NOT_PROSE = re.compile(
    r"""
      ^[ ]*(?P<fence>`{3,}|~{3,}).*?^[ ]*(?P=fence)   # fenced code
    | <!--.*?--> | <[^<>]+>                           # HTML
    | \$\$.*?\$\$ | \\begin\{(?P<env>\w+\*?)\}.*?\\end\{(?P=env)\}
    | (?<!\\)\$[^$]+(?<!\\)\$                         # formulas
    | (?:\{[\w:-]+\})?(?P<tick>`+).*?(?P=tick)        # inline code and roles
    | \[[^\]]*\]\([^)]*\.ipynb[^)]*\)                   # other chapters, by their titles
    | \]\([^)]*\) | https?://\S+ | arXiv:\s?[\d.]+
    | ^[ ]*:{3,}.*?$ | ^[ ]*:\w[\w-]*:.*?$
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
# Labels, not quantities: "Theorem 6.2", "Appendix E.1", "Python 3.11".
_LABEL = re.compile(
    r"(?:\b(?:theorem|thm|lemma|proposition|prop|corollary|cor|section|sec|appendix|app|figure|fig|table|algorithm|assumption"
    r"|definition|def|equation|eq|chapter|exercise|python|pytorch|version)s?\b\.?|§)\s*\(?[A-Z]?\.?\d+(?:\.\d+)*[a-z]?\)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?P<point>\.\d+)?(?P<power>[eE][-−+]?\d+)?(?![\w]|[.,]\d)(?P<percent>\s?%)?"
)


def prose(markdown: str) -> str:
    """The text with everything blanked that is not prose; lines stay where they are."""
    for pattern in (_NOT_PROSE, _LABEL):
        markdown = pattern.sub(lambda m: "¤" + "\n" * m[0].count("\n"), markdown)
    return markdown


def literals(sources: Iterable[str]) -> set[float]:
    """All numbers that stand in the code, those in its strings included (a printed table, an f-string)."""
    found: set[float] = set()
    for source in sources:
        code = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Constant):
                if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
                    found.add(abs(float(node.value)))
                elif isinstance(node.value, str):
                    found |= {_value(m) for m in _NUMBER.finditer(node.value)}
    return found


def unsupported(markdown: str, known: set[float]) -> list[str]:
    """Numbers with a point, an exponent or a thousands comma that are not in ``known`` and not the paper's.

    A line that says "paper" speaks for its numbers; so does a table column whose head says it.
    """
    found = []
    head: list[str] = []
    for line in prose(markdown).split("\n"):
        cells = line.split("|")
        if len(cells) < 3:
            head = []
        elif not head:
            head = cells
        if re.search(r"\bpapers?\b", line, re.IGNORECASE):
            continue
        for column, cell in enumerate(cells):
            if column < len(head) and re.search(r"\bpapers?\b", head[column], re.IGNORECASE):
                continue
            for match in _NUMBER.finditer(cell):
                plain = not (match["point"] or match["power"] or "," in match[0])
                value = _value(match)
                if (
                    not plain
                    and value not in known
                    and not (match["percent"] and round(value / 100, 12) in known)
                ):
                    found.append(match[0].strip())
    return found


def _value(match: re.Match[str]) -> float:
    text = match[0].rstrip("% \u00a0")
    return float(text.replace(",", "").replace("−", "-"))
