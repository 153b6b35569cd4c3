"""Run the book's chapters, several at a time, into the cache from which jupyter-book takes their outputs.

A chapter is run again where its code has changed, a file of ``margin_lab`` that it loaded, the lock, or the data folder; and with
``--all``. Anything that a cell writes to stderr is an error, as an exception is. What succeeded is kept, whatever else failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

ROOT = Path(__file__).resolve().parent.parent
# One thread each: as many chapters as cores run at once, and sums are taken in one order on every machine. The widgets' static
# form is asked for as the extension in book/_ext does; the last keeps a warning of the debugger out of stderr.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MARGIN_LAB_STATIC": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
_PROBE = """
import json, sys
print(json.dumps([m.__file__ for n, m in list(sys.modules.items()) if n.split(".")[0] == "margin_lab" and m.__file__]))
"""


@dataclass
class Chapter:
    """An executed chapter: its outputs, the files of the library that it loaded, or what went wrong."""

    path: Path
    notebook: Any
    seconds: float
    loaded: list[str]
    error: str = ""


def run(path: Path, timeout: int) -> Chapter:
    """Execute one chapter in its folder."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    began, error, loaded = time.monotonic(), "", []
    notebook.cells.append(nbformat.v4.new_code_cell(_PROBE))
    try:
        # no times in the cells' metadata: they are part of the key under which jupyter-book looks for the outputs
        NotebookClient(
            notebook,
            timeout=timeout,
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
            extra_arguments=["--log-level=ERROR"],
        ).execute()
        loaded = json.loads(notebook.cells[-1].outputs[0].text)
    except Exception:  # the kernel's, a time limit, a dead kernel: all are told with the chapter's name
        error = traceback.format_exc()
    notebook.cells.pop()
    return Chapter(path, notebook, time.monotonic() - began, loaded, error or _stderr(notebook))


def _stderr(notebook: Any) -> str:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                return f"a cell wrote to stderr:\n{cell.source}\n\n{output.text}"
    return ""


def fingerprint(loaded: Iterable[str], root: Path) -> dict[str, str]:
    """Hashes of what a chapter depends on: the files it loaded, what lies beside them in ``static`` and ``data``, the lock."""
    modules = {Path(file) for file in loaded}
    files = modules | {
        file
        for folder in {module.parent for module in modules}
        for part in ("static", "data")
        for file in (folder / part).rglob("*")
        if file.is_file()
    }
    found = {str(file): _hash(file) for file in sorted({*files, root / "requirements.txt"})}
    return {**found, "MARGIN_LAB_DATA": os.environ.get("MARGIN_LAB_DATA", "")}


def _hash(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=10).hexdigest() if file.is_file() else "gone"


def fresh(data: dict[str, Any], root: Path) -> bool:
    """Whether a record of the cache was made with the files as they are now."""
    return "loaded" in data and data.get("fingerprint") == fingerprint(data["loaded"], root)


def execute(
    paths: Sequence[Path],
    cache_folder: Path,
    root: Path = ROOT,
    *,
    jobs: int,
    timeout: int,
    again: bool = False,
) -> list[Chapter]:
    """Run the chapters that need it, ``jobs`` at a time; return those that failed."""
    cache = get_cache(str(cache_folder))
    seconds = {record.uri: record.data.get("execution_seconds", 0.0) for record in cache.list_cache_records()}
    todo = []
    for path in paths:
        try:
            record = cache.match_cache_notebook(nbformat.read(path, as_version=4))
        except KeyError:
            todo.append(path)
            continue
        if again or not fresh(record.data, root):
            cache.remove_cache(record.pk)
            todo.append(path)
    # the longest first, so that none is left running alone at the end; unknown ones by their size
    todo.sort(key=lambda path: (seconds.get(str(path), float("inf")), path.stat().st_size), reverse=True)
    failed = []
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # spawned: a worker starts clean, and its kernel inherits nothing of this process
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, path, timeout) for path in todo]):
            chapter = future.result()
            print(
                f"{chapter.path.stem}: {chapter.seconds:.0f} s{', FAILED' if chapter.error else ''}",
                flush=True,
            )
            if chapter.error:
                failed.append(chapter)
                continue
            data = {
                "execution_seconds": chapter.seconds,
                "loaded": chapter.loaded,
                "fingerprint": fingerprint(chapter.loaded, root),
            }
            bundle = CacheBundleIn(chapter.notebook, str(chapter.path), data=data)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return failed


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", type=Path, help="notebooks; default all of the book")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument(
        "-j", "--jobs", type=int, default=cores, help="at a time; default the number of cores"
    )
    parser.add_argument("--all", action="store_true", help="also those that have not changed")
    options = parser.parse_args(arguments)
    paths = [path.resolve() for path in options.chapters] or sorted((ROOT / "book").glob("*.ipynb"))
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["execute"]["timeout"]
    began = time.monotonic()
    cache = ROOT / "_build/.jupyter_cache"
    failed = execute(paths, cache, jobs=options.jobs, timeout=timeout, again=options.all)
    for chapter in failed:
        print(f"\n{'=' * 20} {chapter.path.name}\n{chapter.error}", file=sys.stderr)
    print(
        f"{len(paths) - len(failed)} of {len(paths)} chapters are in the cache, after {time.monotonic() - began:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
