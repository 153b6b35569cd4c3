"""The long runs of the book, each at several scales: what ``python -m margin_lab.record`` runs.

A recording is a function ``(scale, device, checkpoints, every) -> dict`` that gives JSON-able results and continues from the
files in the folder ``checkpoints`` where it was killed. ``checkpoints`` and ``every`` (seconds) go to
:func:`margin_lab.train_network`. To add one, write it here or in a file of its own and name it in ``RECORDINGS``.

Scales: "quick" for tests (seconds, scikit-learn's digits, no download), "cpu" for a few minutes of one core, "paper" for the
papers' sizes, which want a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from margin_lab.book.recordings import robust_lengths, teacher_student
from margin_lab.datasets import Dataset, cifar10, mnist
from margin_lab.models import Network, mnist_cnn, vgg16
from margin_lab.runs.training.train import train_network

SCALES = ("quick", "cpu", "paper")
Recording = Callable[[str, str | None, Path, float], dict[str, Any]]

# First epochs with a loss below these are models 1 to 4 of Lyu & Li's Table 1; the rest are levels of the figures.
POWERS = (-1, -2, -5, -10, -15, -20, -50, -120, -300, -800)

# Images, widths relative to the paper, batch size, epochs of the loss-based runs and at a constant rate. Centred: the mean
# training image is subtracted, which the paper does not do, and which brings a small run as deep in a tenth of the epochs.
_MNIST: dict[str, dict[str, Any]] = {
    "quick": dict(n=60, n_test=40, width=0.05, batch=20, epochs=12, constant=6),
    "cpu": dict(n=500, n_test=1000, width=0.125, batch=25, epochs=700, constant=400, centred=True),
    "paper": dict(n=None, n_test=None, width=1.0, batch=100, epochs=10_000, constant=10_000),
}
_CIFAR: dict[str, dict[str, Any]] = {
    "quick": dict(n=40, n_test=20, width=0.02, batch=20, epochs=3, constant=3),
    "cpu": dict(n=200, n_test=500, width=0.125, batch=20, epochs=240, constant=150, centred=True),
    "paper": dict(n=None, n_test=None, width=1.0, batch=100, epochs=10_000, constant=10_000),
}


def mnist_runs(scale: str, device: str | None, checkpoints: Path, every: float) -> dict[str, Any]:
    """Lyu & Li's MNIST network: constant rate 0.01, loss-based rate, and loss-based with biases in all layers."""
    size = _MNIST[scale]
    data = mnist(size["n"], size["n_test"], source="digits" if scale == "quick" else "auto")
    runs = {
        "constant": ("first", dict(lr=0.01, epochs=size["constant"])),
        "loss_based": ("first", dict(schedule="loss_based", epochs=size["epochs"])),
        "biases": ("all", dict(schedule="loss_based", epochs=size["epochs"])),
    }
    return _train_all("mnist_cnn", mnist_cnn, data, size, runs, device, checkpoints, every)


def cifar_runs(scale: str, device: str | None, checkpoints: Path, every: float) -> dict[str, Any]:
    """Lyu & Li's VGG-16 on CIFAR-10: constant rate 0.1, and loss-based rate; a bias in the first layer only."""
    size = _CIFAR[scale]
    data = cifar10(size["n"], size["n_test"], source="digits" if scale == "quick" else "auto")
    runs = {
        "constant": ("first", dict(lr=0.1, epochs=size["constant"])),
        "loss_based": ("first", dict(schedule="loss_based", epochs=size["epochs"])),
    }
    return _train_all("vgg16", vgg16, data, size, runs, device, checkpoints, every)


def _train_all(
    name: str,
    network: Callable[..., Network],
    data: Dataset,
    size: dict[str, Any],
    runs: dict[str, tuple[str, dict[str, Any]]],
    device: str | None,
    checkpoints: Path,
    every: float,
) -> dict[str, Any]:
    if size.get("centred"):
        mean = data.X.mean(0)
        text = f"{data.description}, less their mean"
        data = replace(data, X=data.X - mean, X_test=np.asarray(data.X_test) - mean, description=text)
    results = {}
    for label, (bias, options) in runs.items():
        run = train_network(
            network(bias, seed=0, width=size["width"]),
            data.X,
            data.y,
            batch_size=size["batch"],
            X_test=data.X_test,
            y_test=data.y_test,
            snapshots=POWERS,
            device=device,
            checkpoint=checkpoints / f"{label}.pt",
            checkpoint_seconds=every,
            **options,
        )
        print(f"{label}: {run}", flush=True)
        results[label] = run.to_dict()
    return {
        "network": name,
        "width": size["width"],
        "data": data.name,
        "description": data.description,
        "test_images": 0 if data.X_test is None else len(data.X_test),
        "runs": results,
    }


RECORDINGS: dict[str, Recording] = {
    "mnist_cnn": mnist_runs,
    "cifar_vgg16": cifar_runs,
    "teacher_student": teacher_student.recording,
    "robustness": robust_lengths.recording,
}
