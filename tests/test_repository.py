"""The repository keeps its own promises: one lock, one address, two commands, a light import, a README that runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import address
import chapter_list
import pytest
import yaml
from clean_install import readme_blocks
from jupyterlab_server.settings_utils import _get_overrides
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import margin_lab as ml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = [
    line for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"
]
URL = "https://github.com/someone/elsewhere"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """Text files of the repository, those that others made left out."""
    try:
        names = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a clone")
    paths = [ROOT / name for name in names.splitlines() if "/vendor/" not in name and "/mathjax/" not in name]
    return [
        path for path in paths if path.is_file() and path.suffix not in {".png", ".woff", ".woff2", ".npz"}
    ]


# ---- the lock


def test_lock_holds_exact_public_versions_only():
    assert [line for line in LOCK if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", line)] == []


@pytest.mark.parametrize("group", ["run", *PROJECT["optional-dependencies"]])
def test_lock_covers_pyproject(group):
    versions = {canonicalize_name(name): version for name, version in (line.split("==") for line in LOCK)}
    wanted = PROJECT["dependencies"] if group == "run" else PROJECT["optional-dependencies"][group]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("requirement", map(Requirement, PROJECT["dependencies"]), ids=lambda r: r.name)
def test_dependencies_have_lower_bounds_only(requirement):
    assert [spec.operator for spec in requirement.specifier] == [">="], "a pin or a cap here breaks Colab"


def test_versions_agree():
    assert ml.__version__ == PROJECT["version"] == str(yaml.safe_load(read("CITATION.cff"))["version"])


# ---- two commands


TARGETS = read("Makefile").partition(".PHONY:")[2].splitlines()[0].split()


def test_every_command_that_the_pages_name_is_there():
    named = re.findall(r"`make ([a-z-]+)", read("README.md") + read("CONTRIBUTING.md"))
    assert {"book", "test", *named} <= set(TARGETS)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", TARGETS)
def test_make_knows(target):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")
    }
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_ci_runs_the_readmes_commands():
    shell = "\n".join(re.findall(r"(?ms)^```(?:bash|sh)\n(.*?)^```", read("README.md")))
    commands = [line.split("#")[0].strip() for line in shell.splitlines()]
    ci = read(".ci/run").splitlines()
    for command in ("make book", "make test"):
        assert command in commands
        assert command in ci
    assert ci[-1] == "make test", "pytest's summary must be the last thing that CI prints"


def test_ci_runs_the_fast_tests_once_more_with_other_sums_in_another_order():
    assert "make test-elsewhere" in read(".ci/run").splitlines()
    recipe = re.search(r"(?m)^test-elsewhere:.*\n\t(.*)$", read("Makefile"))
    assert recipe is not None
    assert recipe[1].startswith("MKL_CBWR=COMPATIBLE ATEN_CPU_CAPABILITY=default ")
    assert " -p randomly " in recipe[1]


def test_jupyterlab_opens_with_the_chapters_and_without_news(monkeypatch):
    assert read("book/README.md") == chapter_list.chapter_list(ROOT), (
        "run `make lab`, or tools/chapter_list.py"
    )
    assert len(re.findall(r"\.ipynb\)", read("book/README.md"))) == len(address.chapters(ROOT))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(ROOT / "tools/jupyter"))
    settings, error = _get_overrides(str(ROOT / "nothing-here"))
    assert not error
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert settings["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"] == {
        "markdown": "Markdown Preview"
    }


def test_ci_script_is_executable_bash():
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert read(".ci/run").startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", str(ROOT / ".ci/run")], check=True)


def test_workflow_runs_the_same_script():
    jobs = yaml.safe_load(read(".github/workflows/book.yml"))["jobs"]
    assert "bash .ci/run" in [step.get("run") for step in jobs["build"]["steps"]]
    assert "GITHUB_REPOSITORY" in json.dumps(jobs)


# ---- one address


def test_address_stands_in_one_place():
    assert address.main(["--check"]) == 0
    url = address.book_url(ROOT)
    holders = [
        path.relative_to(ROOT).as_posix() for path in tracked() if url in path.read_text(encoding="utf-8")
    ]
    assert set(holders) <= {
        "_config.yml",
        "pyproject.toml",
        *(f"book/{path.name}" for path in address.chapters(ROOT)),
    }


@pytest.fixture
def book(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "a",
        "metadata": {"tags": list(address.INSTALL_TAGS)},
        "outputs": [],
        "source": address.install_cell(address.book_url(ROOT)).splitlines(keepends=True),
    }
    text = {"cell_type": "markdown", "id": "b", "metadata": {}, "source": ["# Größe γ"]}
    notebook = {"cells": [text, cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "book/01.ipynb").write_text(
        json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    monkeypatch.setattr(address, "ROOT", tmp_path)
    monkeypatch.setattr(address.chapters, "__defaults__", (tmp_path,))
    monkeypatch.setattr(address.book_url, "__defaults__", (tmp_path,))
    return tmp_path


def test_address_moves_and_comes_back(book, capsys):
    before = {path: path.read_bytes() for path in book.rglob("*.*")}
    old = address.book_url()
    assert address.main([f"{URL}.git"]) == 0
    assert address.book_url() == URL
    assert f'margin-lab[book] @ git+{URL}\\"' in (book / "book/01.ipynb").read_text(encoding="utf-8")
    assert old not in "".join(path.read_text(encoding="utf-8") for path in before)
    assert address.main(["--check"]) == 0
    assert address.main(["--check", old]) == 1
    assert address.main([old]) == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "http://github.com/a/b", "https://github.com", "https://x.org/a b"]
)
def test_address_refuses_what_is_none(book, capsys, url):
    assert address.main([url]) == 2
    assert "must look like https://" in capsys.readouterr().err


def test_address_never_overwrites_another_cell(book, capsys):
    path = book / "book/01.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notebook["cells"][1]["metadata"]["tags"] = []
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert address.main([URL]) == 2
    assert "first code cell must carry the tags" in capsys.readouterr().err


# ---- the sources


def test_sources_name_no_machine_and_no_third_party_host():
    forbidden = re.compile(
        r"/(?:home|root|Users|tmp|work)/\w|file:///\w|[A-Z]:\\\\Users|cdn\.|\bunpkg\b|jsdelivr|googleapis|pypi\.org|pythonhosted"
        r"|npmjs|download\.pytorch"
    )
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path != Path(__file__)
        for match in forbidden.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_import_is_light():
    code = (
        "import sys, margin_lab\n"
        "heavy = ['scipy', 'matplotlib', 'sklearn', 'ipywidgets', 'anywidget', 'IPython', 'pooch']\n"
        "print(*[name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize("number", range(len(readme_blocks())))
def test_readme_example_runs(number):
    exec(compile(readme_blocks()[number], f"<example {number} of README.md>", "exec"), {})
