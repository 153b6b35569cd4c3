"""CIFAR-10, from a local folder or downloaded once; without either, scikit-learn's digits, and the description says so."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from margin_lab.checks import choice, needs
from margin_lab.datasets.dataset import Dataset
from margin_lab.datasets.digits import digits, subset
from margin_lab.datasets.files import VARIABLE, download, local_folder

_SERVERS = ("https://www.cs.toronto.edu/~kriz/",)
_ARCHIVE = "cifar-10-python.tar.gz"
_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
_TRAINING = tuple(f"data_batch_{i}" for i in range(1, 6))
_JPEG = "cifar10-jpeg.npz"
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_NO_CIFAR = "CIFAR-10 could not be downloaded"

# Images of given indices as uint8 [n, 3, 32, 32], and all labels.
_Part = tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]


def cifar10(
    n: int | None = None, n_test: int | None = None, seed: int = 0, *, source: str = "auto"
) -> Dataset:
    """CIFAR-10's photographs: ``X [n, 3, 32, 32]`` float32 with pixels in [0, 1], ``y`` in 0..9, and test images.

    Looked for in ``$MARGIN_LAB_DATA/cifar10``: ``cifar-10-python.tar.gz`` as published, or ``cifar10-jpeg.npz``, a lossy copy,
    as name and description then say. Else downloaded once, checked by hash and cached. With no network, scikit-learn's 8x8
    digits are enlarged to the same shape, grey; the name is then "digits" and the description says why.

    Args, raises: as :func:`margin_lab.datasets.mnist`.
    """
    choice(source, "source", ("auto", "digits"))
    parts = None if source == "digits" else _parts()
    if parts is None:
        data = digits(n, seed)
        X, X_test = _enlarged(data.X), _enlarged(np.asarray(data.X_test))
        test = subset(len(X_test), n_test, 0)
        text = f"{len(X):,} images of scikit-learn's digits, enlarged to 32x32"
        if source != "digits":
            text = f"{_NO_CIFAR}, so digits stand in for it: {text}"
        return Dataset(X, data.y, "digits", None, None, X_test[test], np.asarray(data.y_test)[test], text)
    (images, labels), (test_images, test_labels), name = parts
    rows, test = subset(len(labels), n, seed), subset(len(test_labels), n_test, 0)
    return Dataset(
        _scaled(images(rows)),
        labels[rows],
        name,
        None,
        None,
        _scaled(test_images(test)),
        test_labels[test],
        f"{len(rows):,} images of {name}",
    )


def cifar10_pair(
    negative: str = "airplane",
    positive: str = "automobile",
    n: int | None = 100,
    n_test: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Two of CIFAR-10's classes, labelled -1 and +1: ``X [n, 3072]`` float64 with pixels in [0, 1], and test images.

    A row is an image ``[3, 32, 32]``, flat. Found as :func:`cifar10` does; with no network the digits of the classes' numbers
    (airplane 0, automobile 1, ... truck 9), enlarged to the same shape, stand in, and the description says so.

    Args:
        negative, positive: names of the classes.
        n, n_test: images of both together, drawn at random; at most all there are (None): 10,000 and 2,000.
        seed: of the draw. The test images do not depend on it.

    Raises:
        ValueError: an unknown class or twice the same, and as :func:`cifar10`.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.cifar10_pair("cat", "dog", n=20, n_test=10)
        >>> data.X.shape, sorted(set(data.y.tolist())), len(data.X_test)
        ((20, 3072), [-1.0, 1.0], 10)
    """
    classes = tuple(CLASSES.index(choice(name, "a class", CLASSES)) for name in (negative, positive))
    if classes[0] == classes[1]:
        raise ValueError(f"cifar10_pair needs two different classes, got {negative!r} twice")
    parts = _parts()
    if parts is None:
        data = digits()
        X, X_test = _enlarged(data.X), _enlarged(np.asarray(data.X_test))
        training: _Part = (X.__getitem__, data.y)
        test: _Part = (X_test.__getitem__, np.asarray(data.y_test))
        name = f"digits {classes[0]} and {classes[1]}"
    else:
        training, test, name = parts
        name = f"{name} {negative} and {positive}"
    X, y = _pair(training, classes, n, seed)
    X_test, y_test = _pair(test, classes, n_test, 0)
    text = f"{len(X):,} images of {name}"
    text = text if parts else f"{_NO_CIFAR}, so digits stand in for it: {text}"
    return Dataset(X, y, name, None, None, X_test, y_test, text)


def _pair(part: _Part, classes: tuple[int, ...], n: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``n`` images of two classes, flat and in [0, 1], with labels -1 and +1."""
    images, labels = part
    rows = np.flatnonzero(np.isin(labels, classes))
    rows = rows[subset(len(rows), n, seed)]
    X = images(rows)
    scale = 255.0 if X.dtype == np.uint8 else 1.0
    return X.reshape(len(rows), -1) / np.float64(scale), np.where(labels[rows] == classes[1], 1.0, -1.0)


def _parts() -> tuple[_Part, _Part, str] | None:
    folder = local_folder("cifar10")
    if folder is None:
        archive = download(_ARCHIVE, f"sha256:{_SHA256}", _SERVERS)
        return None if archive is None else _from_archive(archive)
    if (folder / _ARCHIVE).is_file():
        return _from_archive(folder / _ARCHIVE)
    if (folder / _JPEG).is_file():
        return _from_jpeg(folder / _JPEG)
    raise ValueError(f"{VARIABLE}/cifar10 must hold {_ARCHIVE} or {_JPEG}; {folder} does not")


def _from_archive(path: Path) -> tuple[_Part, _Part, str]:
    """The published archive: pickled batches of rows of 3,072 bytes, channel after channel."""
    found: dict[str, dict[bytes, object]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            name = Path(member.name).name
            if file is not None and (name in _TRAINING or name == "test_batch"):
                found[name] = pickle.load(file, encoding="bytes")
    missing = {*_TRAINING, "test_batch"} - set(found)
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}; get it again")

    def part(names: tuple[str, ...]) -> _Part:
        images = np.concatenate([np.asarray(found[name][b"data"]) for name in names]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([np.asarray(found[name][b"labels"]) for name in names]).astype(np.int64)
        return images.__getitem__, labels

    return part(_TRAINING), part(("test_batch",)), "CIFAR-10"


def _from_jpeg(path: Path) -> tuple[_Part, _Part, str]:
    """A lossy copy: JPEGs one after another, with offsets; only those asked for are decoded."""
    Image = needs("PIL.Image", "pillow", "the JPEG copy of CIFAR-10")
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}

    def part(prefix: str) -> _Part:
        data, offsets = arrays[f"{prefix}_jpeg"], arrays[f"{prefix}_offsets"]

        def images(rows: np.ndarray) -> np.ndarray:
            decoded = [
                np.asarray(Image.open(io.BytesIO(data[offsets[i] : offsets[i + 1]].tobytes()))) for i in rows
            ]
            return np.stack(decoded).transpose(0, 3, 1, 2)

        return images, arrays[f"{prefix}_labels"].astype(np.int64)

    return part("train"), part("test"), "CIFAR-10 (JPEG copy)"


def _scaled(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images, dtype=np.float32) / np.float32(255)


def _enlarged(flat: np.ndarray) -> np.ndarray:
    """Digits ``[n, 64]`` as grey ``[n, 3, 32, 32]``."""
    grey = flat.reshape(-1, 1, 8, 8).repeat(4, 2).repeat(4, 3).astype(np.float32)
    return np.repeat(grey, 3, 1)
