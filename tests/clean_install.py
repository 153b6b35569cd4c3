"""Wheel and sdist, and an environment with the wheel and what it declares to need: no more, and without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist of this tree, and the wheel made of that sdist alone, in ``folder``."""
    tree, unpacked = folder / "tree", folder / "unpacked"
    tree.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "margin_lab", tree / "margin_lab", ignore=shutil.ignore_patterns("__pycache__"))
    sdist = folder / _setuptools(tree, "build_sdist", folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return sdist, folder / _setuptools(source, "build_wheel", folder)


def _setuptools(source: Path, hook: str, folder: Path) -> str:
    code = f"from setuptools import build_meta; print(build_meta.{hook}({str(folder)!r}))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def environment(folder: Path, wheel: Path) -> Path:
    """The Python of a new environment that holds the wheel; what it needs is linked from the environment of the tests."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    where = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    site = Path(where.stdout.strip())
    with_pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run([*with_pip, *install], check=True)
    (installed,) = metadata.distributions(name="margin-lab", path=[str(site)])
    for distribution in _closure(list(installed.requires or [])):
        for name in {
            file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")
        }:
            if not (site / name).exists():
                (site / name).symlink_to(distribution.locate_file(name))
    return python


def _closure(requirements: list[str]) -> list[metadata.Distribution]:
    """The distributions that these requirements lead to, without those of extras."""
    found: dict[str, metadata.Distribution] = {}
    open_ = [Requirement(text) for text in requirements]
    while open_:
        wanted = open_.pop()
        if wanted.name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found[wanted.name] = metadata.distribution(wanted.name)
        open_ += [Requirement(text) for text in found[wanted.name].requires or []]
    return list(found.values())


def run(python: Path, code: str, folder: Path) -> str:
    """What ``code`` prints there, run from ``folder`` with warnings as errors."""
    command = [str(python), "-I", "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def readme_blocks() -> list[str]:
    """The README's Python examples."""
    return re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"))
