"""What ``import margin_lab`` costs on top of ``import torch``, in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

CODE = "import time, torch; t = time.perf_counter(); import margin_lab; print(time.perf_counter() - t)"


def test_import(benchmark: Any, table: list[tuple[str, ...]]) -> None:
    seen: list[float] = []

    def start_python() -> None:
        out = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
        seen.append(1000 * float(out.stdout))

    # the benchmark's own figure includes the interpreter and torch; the table holds the difference
    benchmark.pedantic(start_python, rounds=5, warmup_rounds=1)
    table += [
        ("import margin_lab over import torch", "median", "range"),
        ("ms", f"{sorted(seen)[3]:.0f}", f"{min(seen):.0f}-{max(seen):.0f}"),
    ]
