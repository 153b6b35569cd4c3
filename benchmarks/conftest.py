"""Collects what the benchmarks measured and prints it as one table a benchmark file."""

import pytest

TABLES: dict[str, list[tuple[str, ...]]] = {}


@pytest.fixture
def table(request):
    """Return the rows of this file's table: append tuples of text, the header first."""
    return TABLES.setdefault(request.node.path.stem, [])


def pytest_terminal_summary(terminalreporter):
    for name, rows in TABLES.items():
        terminalreporter.section(name)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for k, row in enumerate(rows):
            terminalreporter.line(
                "| " + " | ".join(t.ljust(n) for t, n in zip(row, widths, strict=True)) + " |"
            )
            if k == 0:
                terminalreporter.line("|" + "|".join("-" * (n + 2) for n in widths) + "|")
