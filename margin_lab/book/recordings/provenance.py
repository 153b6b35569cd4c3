"""Where recorded numbers come from: command, date, commit, machine, versions, seed, time; as data and as a sentence."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "numpy", "scikit-learn")


def provenance(
    command: str, device: torch.device, start: dt.datetime, seconds: float, commit: str | None
) -> dict[str, Any]:
    """What :func:`sentence` tells; ``start`` in UTC, ``seconds`` of computation."""
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "command": command,
        "date": start.date().isoformat(),
        "commit": commit,
        "machine": hardware,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {package: metadata.version(package) for package in PACKAGES if _installed(package)},
        "seed": 0,
        "seconds": round(seconds, 1),
    }


def sentence(p: dict[str, Any], seconds: float | None = None) -> str:
    """One sentence on where numbers come from and how old they are; ``seconds``, if other than those of ``p``."""
    age = (dt.datetime.now(dt.UTC).date() - dt.date.fromisoformat(p["date"])).days
    old = {0: "the day", 1: "the day before"}.get(age, f"{age} days before")
    minutes = (p["seconds"] if seconds is None else seconds) / 60
    versions = ", ".join(f"{package} {version}" for package, version in p["versions"].items())
    seed = "" if p["seed"] is None else f"seed {p['seed']}, "
    threads = f"{p['threads']} thread{'s' if p['threads'] > 1 else ''}"
    return (
        f"Recorded on {p['date']}, {old} this page was built, by `{p['command']}`: {minutes:.0f} minutes on "
        f"{p['machine']} with {threads}; {seed}Python {p['python']}, {versions}; "
        f"repository at {p['commit'] or 'an unknown commit'}."
    )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` in one piece or not at all; NaN and infinities are refused by ValueError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def commit_here(*also: str | os.PathLike[str]) -> str | None:
    """The commit of the repository that this package is in; None outside of one.

    It is marked where the package has changes, or one of the files and folders in ``also`` that numbers depend on, too. Results
    files inside the package are no change: no number depends on them.
    """
    here = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    try:
        commit = git("rev-parse", "--short", "HEAD")
        places = [str(Path(p).resolve()) for p in (here, *also)]
        results = f":(exclude){Path(__file__).resolve().parent / 'data'}"
        changed = git("status", "--porcelain", "--", *places, results)
    except OSError:
        return None
    return f"{commit}, with changes" if commit and changed else commit or None


def _installed(package: str) -> bool:
    return any(True for _ in metadata.distributions(name=package))


def _processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
