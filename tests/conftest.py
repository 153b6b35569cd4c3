"""What all tests share: one thread, reproducible hypothesis examples, no CUDA test without CUDA, a browser with a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import Watched, Widget, open_browser
from hypothesis import HealthCheck, settings
from widget_toys import write_page

from margin_lab.book.widgets import InteractiveFigure

torch.set_num_threads(1)

# A failed assertion of a helper shows its values, as one in a test does.
pytest.register_assert_rewrite("hard_margin_checks", "walks", "widget_checks")

# The same examples on every machine and in every run; a slow machine is not a failure.
settings.register_profile(
    "margin_lab",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
settings.load_profile("margin_lab")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch.cuda finds none"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium for one test file."""
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, figure: InteractiveFigure) -> Path:
    """The static page of the file's own ``figure``."""
    return write_page(tmp_path_factory.mktemp(figure.name), figure)


@pytest.fixture
def widget(chromium: Any, page: Path, figure: InteractiveFigure) -> Iterator[Widget]:
    """``figure`` on its page, from ``file://`` with the network cut; anything logged or requested fails the test."""
    watched = Watched(chromium, offline=True)
    watched.open_file(page)
    yield watched.widget(figure.name)
    watched.assert_clean()
    watched.context.close()
