"""The package as a stranger gets it: built, installed alone, used from elsewhere."""

from __future__ import annotations

import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
import yaml
from clean_install import ROOT, build, environment, readme_blocks, run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installed")]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, built: tuple[Path, Path]) -> Path:
    return environment(tmp_path_factory.mktemp("clean") / "venv", built[1])


def test_wheel_and_sdist_hold_the_whole_package(built: tuple[Path, Path]) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "margin_lab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"margin_lab/py.typed", "margin_lab/book/recordings/data/mnist_cnn_cpu.json"} < here
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
    assert {name for name in names if ".dist-info/" not in name} == here
    with tarfile.open(built[0]) as sdist:
        assert {name.partition("/")[2] for name in sdist.getnames()} >= here


def test_metadata(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        found = message_from_string(wheel.read(name).decode("utf-8"))
    url = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    urls = dict(entry.split(", ") for entry in found.get_all("Project-URL") or [])
    assert {"Homepage", "Source", "Issues", "Changelog"} <= urls.keys()
    assert all(address.startswith(url) for address in urls.values())
    assert "Typing :: Typed" in (found.get_all("Classifier") or [])
    assert "# Margin Lab" in str(found.get_payload())


def test_import_from_elsewhere_is_light(python: Path, tmp_path: Path) -> None:
    code = """
import sys
import margin_lab as ml
print(ml.__file__)
wings = [m for m in sys.modules if m.split(".")[:2] in (["margin_lab", "theory"], ["margin_lab", "book"])]
assert not wings, wings
from pathlib import Path
assert (Path(ml.__file__).parent / "py.typed").is_file()
from margin_lab.book.widgets.framework import front_end
assert "addEventListener" in front_end.page_script() and front_end.style()
assert ml.recordings.load("mnist_cnn").runs["constant"].epochs.size
for name in ml.__all__:
    getattr(ml, name)
"""
    place = Path(run(python, code, tmp_path).strip())
    assert place.is_relative_to(python.parent.parent) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", range(len(readme_blocks())))
def test_readme_example_runs_there(python: Path, tmp_path: Path, number: int) -> None:
    run(python, readme_blocks()[number], tmp_path)


def test_what_is_not_there_is_said(python: Path, tmp_path: Path) -> None:
    code = """
import margin_lab as ml
try:
    ml.datasets.digits()
except ImportError as e:
    print(e)
"""
    assert "needs the package scikit-learn" in run(python, code, tmp_path)
