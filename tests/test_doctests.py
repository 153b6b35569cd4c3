"""Every example in a docstring of margin_lab gives what it says."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import margin_lab

MODULES = sorted(m.name for m in pkgutil.walk_packages(margin_lab.__path__, "margin_lab."))


@pytest.mark.parametrize("name", ["margin_lab", *MODULES])
def test_examples(name: str) -> None:
    module = import_module(name)
    assert module.__doc__, f"{name} does not say what it is"
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = sum(len(t.examples) for name in MODULES for t in finder.find(import_module(name)))
    assert examples >= 10


def test_public_names_exist() -> None:
    for package in (
        "margin_lab",
        "margin_lab.optim",
        "margin_lab.datasets",
        "margin_lab.runs",
        "margin_lab.book.plots",
    ):
        module = import_module(package)
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert getattr(module, name) is not None
    assert set(margin_lab.__all__) <= set(dir(margin_lab))
    with pytest.raises(AttributeError, match="module 'margin_lab' has no attribute 'prgd'"):
        margin_lab.prgd  # noqa: B018
