"""MNIST and CIFAR-10: local files, one checked download, or digits that say so."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from margin_lab import datasets
from margin_lab.datasets import files
from margin_lab.datasets.mnist import _FILES

REAL = os.environ.get("MARGIN_LAB_DATA", "")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder and no network."""
    monkeypatch.delenv("MARGIN_LAB_DATA", raising=False)
    import sys

    for name in ("mnist", "cifar10"):
        monkeypatch.setattr(sys.modules[f"margin_lab.datasets.{name}"], "download", lambda *a: None)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with six tiny training images a digit and two test images."""
    rng = np.random.default_rng(0)
    (tmp_path / "mnist").mkdir()
    for name in _FILES:
        n = 60 if name.startswith("train") else 20
        labels = np.arange(n, dtype=np.uint8) % 10
        images = rng.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = 255
        (tmp_path / "mnist" / name).write_bytes(idx(images if "images" in name else labels))
    monkeypatch.setenv("MARGIN_LAB_DATA", str(tmp_path))
    return tmp_path


def test_local_mnist(folder: Path) -> None:
    data = datasets.mnist(n=40, n_test=15, seed=3)
    assert data.X.shape == (40, 1, 28, 28) and data.X.dtype == np.float32 and data.y.dtype == np.int64
    assert data.X.min() >= 0 and data.X.max() == 1 and data.X_test.shape == (15, 1, 28, 28)
    assert data.name == "MNIST" and data.description == "40 of MNIST's images"
    other = datasets.mnist(n=40, n_test=15, seed=4)
    assert not np.array_equal(other.y, data.y) and np.array_equal(other.X_test, data.X_test)
    assert len(datasets.mnist().y) == 60 and len(datasets.mnist(n=10**6).y) == 60
    with pytest.raises(ValueError, match="labels -1 and \\+1"):
        _ = data.Z


def test_a_pair_of_mnist(folder: Path) -> None:
    data = datasets.mnist_pair(2, 7, n=10)
    assert data.X.shape == (10, 784) and data.X.dtype == np.float64 and data.X.max() == 1
    assert set(data.y) == {-1.0, 1.0} and data.X_test.shape == (4, 784) and set(data.y_test) == {-1.0, 1.0}
    assert data.name == "MNIST 2 and 7" and data.description == "10 images of MNIST 2 and 7"
    for wrong in ((3, 3), (3, 10)):
        with pytest.raises(ValueError, match="mnist_pair needs two different digits"):
            datasets.mnist_pair(*wrong)


def test_part_of_mnist_and_what_is_wrong_with_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("images-idx3", "labels-idx1"):
        (folder / f"mnist/train-{kind}-ubyte.gz").rename(folder / f"mnist/train10k-{kind}-ubyte.gz")
    assert len(datasets.mnist().y) == 60
    images = folder / "mnist/train10k-images-idx3-ubyte.gz"
    whole = gzip.decompress(images.read_bytes())
    for broken, message in (
        (gzip.compress(whole[:-5]), "cut short"),
        (gzip.compress(b"no idx"), "not an IDX file"),
        (b"no gzip", "not a gzipped file"),
        (idx(np.zeros((3, 28, 28), np.uint8)), "differ in number"),
    ):
        images.write_bytes(broken)
        with pytest.raises(ValueError, match=message):
            datasets.mnist()
    images.unlink()
    with pytest.raises(ValueError, match="mnist must hold train-images"):
        datasets.mnist()
    monkeypatch.setenv("MARGIN_LAB_DATA", str(folder / "nowhere"))
    with pytest.raises(ValueError, match="must name a folder"):
        datasets.mnist()


def test_without_network_digits_stand_in_and_say_so(offline: None) -> None:
    for data, shape in ((datasets.mnist(50, 20), (1, 28, 28)), (datasets.cifar10(50, 20), (3, 32, 32))):
        assert data.X.shape == (50, *shape) and data.X_test.shape == (20, *shape)
        assert data.X.dtype == np.float32 and data.X.min() >= 0 and data.X.max() == 1
        assert (
            data.name == "digits"
            and "could not be downloaded" in data.description
            and "digits" in data.description
        )
    pair = datasets.cifar10_pair("bird", "cat", n=100, n_test=30)
    assert pair.X.shape == (100, 3072) and pair.X_test.shape == (30, 3072)
    assert pair.name == "digits 2 and 3" and "could not be downloaded" in pair.description
    held_out = datasets.digits()
    assert len(datasets.cifar10_pair("bird", "cat").y_test) == np.isin(held_out.y_test, (2, 3)).sum()
    pair = datasets.mnist_pair(3, 6, n=100)
    assert pair.X.shape == (100, 64) and "could not be downloaded" in pair.description
    asked = datasets.mnist(50, source="digits")
    assert "could not" not in asked.description and "digits" in asked.description
    np.testing.assert_array_equal(
        asked.X[:, 0, 2:26:3, 2:26:3].reshape(50, 64), datasets.digits(50).X.astype(np.float32)
    )


def test_digits_hold_out_the_same_images() -> None:
    a, b = datasets.digits(100), datasets.digits(seed=1)
    assert len(a.X) == 100 and len(b.X) == 1297 and len(a.X_test) == 500
    assert np.array_equal(a.X_test, b.X_test) and set(a.y) == set(range(10))
    seen = {row.tobytes() for row in b.X}
    assert sum(row.tobytes() in seen for row in a.X_test) == 0


def test_the_published_cifar_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cifar10").mkdir()
    path = tmp_path / "cifar10/cifar-10-python.tar.gz"
    rng = np.random.default_rng(0)
    batches = {
        name: {b"data": rng.integers(0, 255, (4, 3072), dtype=np.uint8), b"labels": [0, 1, 2, 9]}
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
    }

    def write(names: list[str]) -> None:
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                raw = pickle.dumps(batches[name])
                info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
                info.size = len(raw)
                archive.addfile(info, io.BytesIO(raw))

    monkeypatch.setenv("MARGIN_LAB_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"cifar10 must hold cifar-10-python\.tar\.gz or"):
        datasets.cifar10()
    write(list(batches))
    data = datasets.cifar10()
    assert data.X.shape == (20, 3, 32, 32) and data.X_test.shape == (4, 3, 32, 32) and data.name == "CIFAR-10"
    flat = np.round(data.X.reshape(20, -1) * 255).astype(int)
    stored = np.concatenate([batches[f"data_batch_{i}"][b"data"] for i in range(1, 6)])
    assert sorted(map(tuple, flat)) == sorted(map(tuple, stored.astype(int)))
    pair = datasets.cifar10_pair("truck", "airplane", n=6, seed=1)
    assert (
        pair.X.shape == (6, 3072)
        and pair.X.dtype == np.float64
        and pair.name == "CIFAR-10 truck and airplane"
    )
    of_class = {tuple(row): label for row, label in zip(stored.astype(int), [0, 1, 2, 9] * 5, strict=True)}
    found = [of_class[tuple(row)] for row in np.round(pair.X * 255).astype(int)]
    assert [{0: 1.0, 9: -1.0}[label] for label in found] == pair.y.tolist()
    assert pair.description == "6 images of CIFAR-10 truck and airplane" and len(pair.y_test) == 2
    assert not np.array_equal(datasets.cifar10_pair("truck", "airplane", n=6, seed=2).X, pair.X)
    assert len(datasets.cifar10_pair("truck", "airplane", n=None).y) == 10
    for wrong, words in (
        (("cat", "cat"), "two different classes"),
        (("cat", "cow"), "a class must be one of"),
    ):
        with pytest.raises(ValueError, match=words):
            datasets.cifar10_pair(*wrong)
    write(list(batches)[:-1])
    with pytest.raises(ValueError, match="lacks test_batch"):
        datasets.cifar10()


def test_the_jpeg_copy_of_cifar_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: dict[str, np.ndarray] = {}
    for prefix, n in (("train", 6), ("test", 3)):
        parts = []
        for i in range(n):
            file = io.BytesIO()
            Image.new("RGB", (32, 32), (40 * i, 0, 255)).save(file, "JPEG", quality=95)
            parts.append(np.frombuffer(file.getvalue(), np.uint8))
        stored[f"{prefix}_jpeg"] = np.concatenate(parts)
        stored[f"{prefix}_offsets"] = np.cumsum([0, *map(len, parts)])
        stored[f"{prefix}_labels"] = np.arange(n, dtype=np.uint8)
    (tmp_path / "cifar10").mkdir()
    np.savez(tmp_path / "cifar10/cifar10-jpeg.npz", **stored)
    monkeypatch.setenv("MARGIN_LAB_DATA", str(tmp_path))
    data = datasets.cifar10(n=4)
    assert "JPEG copy" in data.name and "JPEG copy" in data.description and data.X.shape == (4, 3, 32, 32)
    red = data.X[:, 0].mean((1, 2)) * 255
    np.testing.assert_allclose(red, 40 * data.y, atol=4)
    assert data.X[:, 2].min() > 0.95


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of ``tmp_path`` on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)
    ) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()


def test_a_download_is_checked_and_cached(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    (tmp_path / "file.gz").write_bytes(b"content")
    sha = hashlib.sha256(b"content").hexdigest()
    dead = "http://127.0.0.1:9/"
    assert files.download("file.gz", "sha256:" + "0" * 64, (server,)) is None
    path = files.download("file.gz", f"sha256:{sha}", (dead, server))
    assert path is not None and path.read_bytes() == b"content"
    (tmp_path / "file.gz").unlink()
    files.download.cache_clear()
    assert files.download("file.gz", f"sha256:{sha}", (server,)) == path
    assert files.download("none.gz", f"sha256:{sha}", (dead,)) is None


@pytest.mark.skipif(not (Path(REAL) / "mnist").is_dir() or not REAL, reason="MARGIN_LAB_DATA has no mnist/")
def test_real_mnist() -> None:
    data = datasets.mnist()
    assert len(data.y) in (10_000, 60_000) and len(data.y_test) == 10_000
    assert set(data.y.tolist()) == set(range(10)) and data.X.max() == 1 and data.X.min() == 0
    assert abs(float(data.X.mean()) - 0.1307) < 2e-3


@pytest.mark.skipif(
    not (Path(REAL) / "cifar10").is_dir() or not REAL, reason="MARGIN_LAB_DATA has no cifar10/"
)
def test_real_cifar10() -> None:
    data = datasets.cifar10(300, 50)
    assert data.X.shape == (300, 3, 32, 32) and data.X_test.shape == (50, 3, 32, 32)
    pair = datasets.cifar10_pair("airplane", "automobile", n=50)
    assert pair.X.shape == (50, 3072) and pair.X_test.shape == (2000, 3072) and pair.y_test.sum() == 0
    assert abs(float(data.X.mean()) - 0.4734) < 0.02 and set(data.y.tolist()) == set(range(10))
