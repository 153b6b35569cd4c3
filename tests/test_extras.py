"""Without the extra packages the library still loads, and what needs one says how to install it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

import margin_lab as ml
from margin_lab.book.recordings.provenance import provenance
from margin_lab.checks import needs


def ica() -> None:
    ml.kkt.reconstruction.neuron_components([[1.0]], [1.0], 1)


@pytest.mark.parametrize(
    ("module", "package", "use"),
    [
        ("sklearn.datasets", "scikit-learn", ml.datasets.digits),
        ("sklearn.datasets", "scikit-learn", ml.datasets.cancer),
        ("sklearn.decomposition", "scikit-learn", ica),
        ("matplotlib", "matplotlib", ml.plots.figure),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, module: str, package: str, use: Callable[[], object]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs the package {package}.*pip install"):
        use()


def test_a_package_that_lacks_something_of_its_own_says_so_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "half_installed.py").write_text("import not_there_at_all")
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_there_at_all'"):
        needs("half_installed", "half-installed", "nothing")


def test_provenance_lists_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime as dt

    import torch

    monkeypatch.setattr("margin_lab.book.recordings.provenance.PACKAGES", ("torch", "not-a-package"))
    found = provenance("make", torch.device("cpu"), dt.datetime.now(dt.UTC), 1.0, None)
    assert list(found["versions"]) == ["torch"]
