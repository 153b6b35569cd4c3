"""MNIST, from a local folder or downloaded once; without either, scikit-learn's digits, and the description says so."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import cast

import numpy as np

from margin_lab.checks import choice
from margin_lab.datasets.dataset import Dataset
from margin_lab.datasets.digits import digits, subset, two_classes
from margin_lab.datasets.files import VARIABLE, download, local_folder

# The files of 1998 under their old names, on torchvision's mirror. The hashes are the widely published ones.
_SERVERS = ("https://ossci-datasets.s3.amazonaws.com/mnist/",)
_FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# Training files that a local folder may hold: all of it, or the first 10,000 images.
_LOCAL_TRAINING = ("train", "train10k")
_NO_MNIST = "MNIST could not be downloaded, so scikit-learn's digits stand in for it"

_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def mnist(n: int | None = None, n_test: int | None = None, seed: int = 0, *, source: str = "auto") -> Dataset:
    """MNIST's handwritten digits: ``X [n, 1, 28, 28]`` float32 with pixels in [0, 1], ``y`` in 0..9, and test images.

    The files are looked for in ``$MARGIN_LAB_DATA/mnist`` (gzipped IDX; ``train10k-*`` for the first 10,000), else downloaded
    once, checked by hash and cached. With no network, scikit-learn's 8x8 digits are enlarged to the same shape: every pixel
    3x3, a border of 2; the name is then "digits" and the description says why.

    Args:
        n, n_test: images to draw at random; at most, and by default, all there are.
        seed: of the draw. The test images do not depend on it.
        source: "auto", or "digits" for the enlarged digits whatever there is.

    Raises:
        ValueError: MARGIN_LAB_DATA names no folder, or its files are incomplete or not IDX.
    """
    choice(source, "source", ("auto", "digits"))
    arrays = _mnist_arrays() if source == "auto" else None
    if arrays is None:
        X, y, X_test, y_test = _digit_arrays(n, seed)
        X, X_test, name = _enlarged(X), _enlarged(X_test), "digits"
        text = f"{len(X):,} images of scikit-learn's digits, enlarged to 28x28"
        text = text if source == "digits" else f"{_NO_MNIST}: {text}"
    else:
        images, labels, X_test, y_test = arrays
        rows = subset(len(images), n, seed)
        X, y, name = images[rows], labels[rows], "MNIST"
        text = f"{len(X):,} of MNIST's images"
    test = subset(len(X_test), n_test, 0)
    return Dataset(_scaled(X), y, name, None, None, _scaled(X_test[test]), y_test[test], text)


def mnist_pair(negative: int = 3, positive: int = 6, n: int | None = 100, seed: int = 0) -> Dataset:
    """Two of MNIST's digits, labelled -1 and +1: ``X [n, 784]`` float64 with pixels in [0, 1], all test images held out.

    Found as :func:`mnist` does; with no network ``X [n, 64]`` from scikit-learn's digits, and the description says so.

    Args:
        negative, positive: the digits.
        n: training images of both together, drawn at random; at most all there are (None).
        seed: of the draw.

    Raises:
        ValueError: digits outside 0..9 or twice the same, and as :func:`mnist`.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.mnist_pair(3, 6, n=100)
        >>> len(data.X), sorted(set(data.y.tolist())), float(data.X.min())
        (100, [-1.0, 1.0], 0.0)
    """
    classes = two_classes(negative, positive, "mnist_pair")
    arrays = _mnist_arrays() or _digit_arrays(None, 0)
    (X, y), (X_test, y_test) = _pair(arrays[0], arrays[1], classes), _pair(arrays[2], arrays[3], classes)
    rows = subset(len(X), n, seed)
    X, y = X[rows], y[rows]
    name = f"{'MNIST' if X.shape[1] == 784 else 'digits'} {classes[0]} and {classes[1]}"
    text = (
        f"{len(X):,} images of {name}" if X.shape[1] == 784 else f"{_NO_MNIST}: {len(X):,} images of {name}"
    )
    return Dataset(X, y, name, None, None, X_test, y_test, text)


def _mnist_arrays() -> _Arrays | None:
    """uint8 images and int64 labels, training and test; None where there are none."""
    folder = local_folder("mnist")
    if folder is None:
        paths = []
        for file, sha in _FILES.items():
            path = download(file, f"sha256:{sha}", _SERVERS)
            if path is None:
                return None
            paths.append(path)
    else:
        paths = _local_files(folder)
    train, train_labels, test, test_labels = map(_read_idx, paths)
    if len(train) != len(train_labels) or len(test) != len(test_labels):
        raise ValueError(f"MNIST's images and labels differ in number: {[str(path) for path in paths]}")
    return train, train_labels.astype(np.int64), test, test_labels.astype(np.int64)


def _digit_arrays(n: int | None, seed: int) -> _Arrays:
    data = digits(n, seed)
    return data.X, data.y, cast(np.ndarray, data.X_test), cast(np.ndarray, data.y_test)


def _local_files(folder: Path) -> list[Path]:
    for part in _LOCAL_TRAINING:
        paths = [folder / file.replace("train", part) for file in _FILES]
        if all(path.is_file() for path in paths):
            return paths
    raise ValueError(
        f"{VARIABLE}/mnist must hold {', '.join(_FILES)} (or train10k-* for train-*); {folder} does not"
    )


def _read_idx(path: Path) -> np.ndarray:
    """An array of bytes from a gzipped IDX file: magic ``0 0 8 ndim``, the sizes as big-endian int32, the data."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} is not a gzipped file: {error}") from None
    ndim = raw[3] if raw[:3] == b"\0\0\x08" and len(raw) > 3 else 0
    shape = (
        tuple(np.frombuffer(raw, ">i4", ndim, 4).tolist()) if ndim > 0 and len(raw) >= 4 + 4 * ndim else ()
    )
    if not shape or len(raw) != 4 + 4 * ndim + int(np.prod(shape)):
        raise ValueError(f"{path} is not an IDX file of bytes, or it is cut short; get it again")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def _scaled(images: np.ndarray) -> np.ndarray:
    """``[n, 1, 28, 28]`` float32 in [0, 1]."""
    scaled = images.astype(np.float32)
    return (scaled / np.float32(255) if images.dtype == np.uint8 else scaled)[:, None]


def _enlarged(flat: np.ndarray) -> np.ndarray:
    """Digits ``[n, 64]`` as ``[n, 28, 28]``."""
    return np.pad(flat.reshape(-1, 8, 8).repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2)))


def _pair(X: np.ndarray, y: np.ndarray, classes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two classes, flat and in [0, 1], with labels -1 and +1."""
    rows = np.isin(y, classes)
    flat = X[rows].reshape(int(rows.sum()), -1)
    scaled = flat / 255 if X.dtype == np.uint8 else flat
    return scaled.astype(np.float64), np.where(y[rows] == classes[1], 1.0, -1.0)
