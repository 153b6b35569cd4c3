"""The repository's address stands in _config.yml; this carries it to pyproject.toml and to the chapters' install cells.

``python tools/address.py`` brings them in line with _config.yml, ``python tools/address.py URL`` moves the
book to another address, and ``--check`` changes nothing but fails where something differs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
INSTALL_TAGS = ["install", "remove-cell"]
_URL = re.compile(r"https://[\w.-]+(?:/[\w.-]+)+")
_PROJECT_URL = re.compile(r'(?m)^Homepage = "(\S+)"$')
_CONFIG_URL = re.compile(r"(?m)^(repository:\n(?:  .*\n)*?  url:[ ]*)(\S+)$")


def install_cell(url: str) -> str:
    """Return the source of every chapter's first code cell: it installs the library where there is none (Colab)."""
    return (
        "import importlib.util\n"
        "\n"
        'if importlib.util.find_spec("margin_lab") is None:\n'
        f'    %pip install -q "margin-lab[book] @ git+{url}"'
    )


def checked_url(url: str) -> str:
    """Return ``url`` without a trailing slash or ``.git``; raise ``ValueError`` unless it is an https address."""
    short = url.strip().rstrip("/").removesuffix(".git")
    if not _URL.fullmatch(short):
        raise ValueError(f"the address must look like https://github.com/owner/name, got {url!r}")
    return short


def book_url(root: Path = ROOT) -> str:
    """Return ``repository.url`` of _config.yml."""
    match = _CONFIG_URL.search((root / "_config.yml").read_text(encoding="utf-8"))
    if match is None:
        raise ValueError("_config.yml has no 'url:' under 'repository:'; put the repository's address there")
    return match.group(2)


def chapters(root: Path = ROOT) -> list[Path]:
    """Return the book's notebooks, in the order of their names."""
    return sorted((root / "book").glob("*.ipynb"))


def first_code_cell(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the first code cell; raise ``ValueError`` where there is none."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            return cell
    raise ValueError("the notebook has no code cell; its first one must be the install cell")


def set_config_url(root: Path, url: str) -> bool:
    """Write ``url`` into _config.yml; return whether the file changed."""
    path = root / "_config.yml"
    old = path.read_text(encoding="utf-8")
    new = _CONFIG_URL.sub(lambda match: match.group(1) + url, old)
    if new != old:
        path.write_text(new, encoding="utf-8")
    return new != old


def set_project_urls(root: Path, url: str, *, write: bool = True) -> bool:
    """Bring the package's own addresses in line, those in pyproject.toml; return whether they differed."""
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    match = _PROJECT_URL.search(text)
    if match is None:
        raise ValueError(
            "pyproject.toml has no Homepage under [project.urls]; put the repository's address there"
        )
    if write and match.group(1) != url:
        path.write_text(text.replace(match.group(1), url), encoding="utf-8")
    return match.group(1) != url


def set_install_cell(path: Path, url: str, *, write: bool = True) -> bool:
    """Bring one chapter's install cell in line; return whether it differed.

    Raises:
        ValueError: the chapter's first code cell is something else, which must not be overwritten.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = first_code_cell(notebook)
    if "install" not in cell["metadata"].get("tags", []):
        raise ValueError(
            f"{path.name}: the first code cell must carry the tags {INSTALL_TAGS}; add the install cell"
        )
    source = install_cell(url)
    same = "".join(cell["source"]) == source and cell["metadata"]["tags"] == INSTALL_TAGS
    if write and not same:
        cell["source"] = source.splitlines(keepends=True)
        cell["metadata"]["tags"] = list(INSTALL_TAGS)
        path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return not same


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Carry the repository's address to every place that needs it."
    )
    parser.add_argument("url", nargs="?", help="new address; without it, the one in _config.yml")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where something differs")
    options = parser.parse_args(arguments)
    try:
        url = checked_url(options.url or book_url())
        stale = ["_config.yml"] if url != book_url() else []
        if stale and not options.check:
            set_config_url(ROOT, url)
        stale += ["pyproject.toml"] if set_project_urls(ROOT, url, write=not options.check) else []
        stale += [path.name for path in chapters() if set_install_cell(path, url, write=not options.check)]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for name in stale:
        print(f"{name}: {'differs from' if options.check else 'now'} {url}")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
