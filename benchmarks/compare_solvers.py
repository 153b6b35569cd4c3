"""Every way to a certified l2 margin that chapter 5 compares, on four kinds of data: products, CPU seconds, the gap proved.

    OMP_NUM_THREADS=1 python benchmarks/compare_solvers.py [--largest 20000] [--budget 4]

Writes ``margin_lab/book/recordings/data/compare_solvers.json``, which the chapter shows, after every set; started again, it goes
on with the sets that are missing, as long as the commit, the budget and the versions are those of the file. Nothing is asserted
about time. Every answer's gap is evaluated by the same two products from the solver's own ``w`` and weights; methods without
weights are measured against the ruler, and marked. Clarabel is skipped where it is not installed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import contestants
import numpy as np
import torch
from contestants import KINDS, METHODS, TARGETS

import margin_lab as ml
from margin_lab.book.recordings.provenance import commit_here, write_json

SIZES = (
    (50, 10),
    (200, 50),
    (50, 2000),
    (2000, 100),
    (50, 20_000),
    (200, 20_000),
    (20_000, 100),
    (100_000, 100),
)
ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "margin_lab/book/recordings/data/compare_solvers.json"


def contest(kind: str, n: int, d: int, seed: int, budget: float) -> dict[str, Any]:
    data = KINDS[kind](n, d, seed)
    exact = ml.hard_margin(data.X, data.y, tol=1e-13)
    n, d = data.X.shape
    print(f"{kind} {n}x{d}: gamma* {exact.margin:.3g}, gap {exact.gap:.0e}", flush=True)
    methods: dict[str, Any] = {}
    for name, solve in METHODS.items():
        try:
            rows = solve(data, budget)
        except ModuleNotFoundError as error:
            methods[name] = {"missing": str(error.name)}
            continue
        for row in rows:
            if "lower" in row:
                row["error"] = 1 - row.pop("lower") / exact.margin
        methods[name] = rows
        print(f"  {name:24s}", *(f"{r['gap']:.0e} {r['seconds']:.3g}s" for r in rows), flush=True)
    return {
        "kind": kind, "n": n, "d": d, "margin": exact.margin, "gap": exact.gap, "support": len(exact.support),
        "methods": methods,
    }  # fmt: skip


def provenance(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("numpy", "scipy", "torch", "scikit-learn", "clarabel")
    installed = {d.metadata["Name"].lower() for d in metadata.distributions()}
    return {
        "command": "OMP_NUM_THREADS=1 python benchmarks/compare_solvers.py "
        f"--largest {arguments.largest} --budget {arguments.budget:g}",
        "date": dt.date.today().isoformat(),
        "seed": 0,
        "budget_seconds": arguments.budget,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread used; CPU seconds",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in names if name in installed},
        "commit": commit_here(Path(__file__).parent),
    }


def measured_before(source: dict[str, Any]) -> list[dict[str, Any]]:
    """The sets in the file, if it was made in the same way."""
    if not OUT.exists():
        return []
    record = json.loads(OUT.read_text(encoding="utf-8"))
    same = ("seed", "budget_seconds", "machine", "python", "versions", "commit")
    if any(record["provenance"].get(key) != source[key] for key in same):
        return []
    kept: list[dict[str, Any]] = record["results"]
    return kept


def finite(value: Any) -> Any:
    """JSON has no infinity: a gap that nothing proves is null."""
    if isinstance(value, dict):
        return {key: finite(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return (
        float(value)
        if isinstance(value, float) and np.isfinite(value)
        else None
        if isinstance(value, float)
        else value
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=20_000)
    parser.add_argument("--budget", type=float, default=4.0, help="CPU seconds for each iterative method")
    arguments = parser.parse_args()
    if not Path(ml.__file__).is_relative_to(ROOT):
        parser.error(
            f"margin_lab is imported from {ml.__file__}, not from this repository: set PYTHONPATH={ROOT}"
        )
    torch.set_num_threads(1)
    source = provenance(arguments)
    record: dict[str, Any] = {"provenance": source, "targets": TARGETS, "results": measured_before(source)}
    done = {(r["kind"], r["n"], r["d"]) for r in record["results"]}
    print(f"{len(done)} sets in the file", flush=True)
    for solver in (contestants.libsvm, contestants.liblinear):  # imports
        solver(contestants.generic(20, 5, 0), 1e-2)
    for n, d in SIZES:
        if n > arguments.largest:
            continue
        for kind in KINDS:
            if (kind, n, d) not in done:
                record["results"].append(contest(kind, n, d, 0, arguments.budget))
                write_json(OUT, finite(record))


if __name__ == "__main__":
    sys.exit(main())
