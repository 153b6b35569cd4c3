"""The chapters' executions: kept, found by jupyter-book's cache, repeated where what a chapter loaded has changed."""

from __future__ import annotations

import importlib
from pathlib import Path

import execute
import nbformat
import pytest
from jupyter_cache import get_cache

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def write(path: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells], metadata=KERNEL)
    nbformat.write(notebook, path)
    return path


# seven kernels
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("execute")]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a small library of the same name."""
    for name in (*execute.ENVIRONMENT, "PYTHONPATH"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "margin_lab").mkdir()
    (tmp_path / "margin_lab/__init__.py").write_text("")
    (tmp_path / "margin_lab/extra.py").write_text("VALUE = 1")
    (tmp_path / "requirements.txt").write_text("torch==1")
    return tmp_path


def ran(capsys: pytest.CaptureFixture[str]) -> set[str]:
    return {line.partition(":")[0] for line in capsys.readouterr().out.splitlines()}


def test_only_what_has_changed_is_run_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = write(root / "plain.ipynb", "import margin_lab", "1 + 1")
    extra = write(root / "extra.ipynb", "from margin_lab import extra", "extra.VALUE")

    def go() -> set[str]:
        assert execute.execute([plain, extra], root / "cache", root, jobs=2, timeout=60) == []
        return ran(capsys)

    assert go() == {"plain", "extra"}
    assert go() == set()
    (root / "margin_lab/extra.py").write_text("VALUE = 2")
    assert go() == {"extra"}
    _, merged = get_cache(str(root / "cache")).merge_match_into_notebook(nbformat.read(extra, as_version=4))
    assert merged.cells[1].outputs[0].data["text/plain"] == "2"
    (root / "margin_lab/__init__.py").write_text("# new")
    assert go() == {"plain", "extra"}


def test_failures_are_named_and_keep_nobody_else_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raises = write(root / "raises.ipynb", "1", "1 / 0")
    loud = write(root / "loud.ipynb", "import sys; print('psst', file=sys.stderr)")
    good = write(root / "good.ipynb", "1")
    failed = execute.execute([raises, loud, good], root / "cache", root, jobs=2, timeout=60)
    errors = {chapter.path.stem: chapter.error for chapter in failed}
    assert errors.keys() == {"raises", "loud"}
    assert "ZeroDivisionError" in errors["raises"] and "psst" in errors["loud"]
    cached = get_cache(str(root / "cache"))
    assert [Path(record.uri).stem for record in cached.list_cache_records()] == ["good"]


def test_the_environment_is_that_of_the_books_extension() -> None:
    figure = importlib.import_module("margin_lab.book.widgets.framework.figure")
    assert figure.STATIC_FLAG in execute.ENVIRONMENT
