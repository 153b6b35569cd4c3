"""Lyu & Li's Table 1 and Figure 8: one network kept at several lengths of its training, and where each one errs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from margin_lab.datasets import Dataset, digits, mnist
from margin_lab.losses import sample_margins
from margin_lab.margins.layers import log_layer_product, over_layers
from margin_lab.models import MLP, Network, mnist_cnn
from margin_lab.runs.training.result import Training
from margin_lab.runs.training.train import train_network
from margin_lab.theory.robustness import certified_radius, smallest_perturbation

# Models 1 to 4 of Table 1: the first epoch with a loss below these powers of ten. Model 5 is the last epoch's.
POWERS = (-10, -15, -20, -120)


@dataclass(frozen=True)
class Length:
    """One network of a training: when it was kept, and its distances to the decision boundary, ``{"train": [n], "test": [m]}``.

    Attributes:
        power: of ten, the threshold that its loss was the first to pass; None for the last epoch's network.
        epoch: of its training. log10_loss: decimal logarithm of its mean loss there.
        accuracy: on all samples of a split. layer_margin: ``q_min / prod_j ||W_j||^k_j`` on all training samples.
        spread: ``prod_j ||W_j|| / ||W_j||_spectral`` over the layers, the square root of the product of their stable ranks; None
            for a convolutional network.
        radius: smallest perturbations found; 0 where the sample is misclassified.
        lipschitz, local: certified radii; empty for a convolutional network.
    """

    power: float | None
    epoch: int
    log10_loss: float
    accuracy: dict[str, float]
    layer_margin: float
    spread: float | None
    radius: dict[str, np.ndarray]
    lipschitz: dict[str, np.ndarray]
    local: dict[str, np.ndarray]

    def to_dict(self) -> dict[str, Any]:
        """For a JSON file; radii with five digits."""
        return {k: _plain(v) for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Length:
        """What :meth:`to_dict` wrote."""
        arrays = {
            k: {split: np.array(radii) for split, radii in saved[k].items()}
            for k in ("radius", "lipschitz", "local")
        }
        return cls(**{**saved, **arrays})


def train_lengths(
    data: Dataset,
    widths: Sequence[int] = (32, 32, 32),
    *,
    network: Network | None = None,
    seed: int = 0,
    epochs: int = 10_000,
    batch_size: int = 25,
    powers: Sequence[float] = POWERS,
    until_log10: float | None = None,
    images: int = 100,
    starts: int = 4,
    **options: Any,
) -> tuple[Training, list[Length]]:
    """Train a ReLU network with the loss-based learning rate, and measure the networks kept on the way.

    The mean training image is subtracted first; a bias in the first layer only keeps the network homogeneous. Perturbed images
    stay in [0, 1].

    Args:
        data: images with pixels in [0, 1]. widths: of the hidden layers.
        network: one of another kind instead; it gets images, not rows. seed: of the start and of the order of the data.
        epochs, batch_size, until_log10, options: of :func:`margin_lab.train_network`.
        powers: thresholds of the loss, powers of ten; those not reached are left out. The last network comes last.
        images: of each split, the first ones, for which radii are measured. starts: of :func:`smallest_perturbation`.
    """
    X, X_test = (np.asarray(a, dtype=np.float64) for a in (data.X, data.X_test))
    if network is None:
        X, X_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
        network = MLP([X.shape[1], *widths, int(data.y.max()) + 1], bias="first", seed=seed)
    mean = X.mean(0)
    centred = {"train": (X - mean, data.y), "test": (X_test - mean, np.asarray(data.y_test))}
    run = train_network(
        network,
        *centred["train"],
        epochs,
        batch_size=batch_size,
        schedule="loss_based",
        X_test=centred["test"][0],
        y_test=centred["test"][1],
        seed=seed,
        snapshots=powers,
        until_log10=until_log10,
        **options,
    )
    lengths = [
        _length(run, power, centred, (-mean, 1 - mean), images, starts) for power in (*run.snapshots, None)
    ]
    return run, lengths


def _length(
    run: Training, power: float | None, splits: dict[str, Any], box: Any, images: int, starts: int
) -> Length:
    model = cast(Network, run.model(power).cpu().double())
    kept = {
        split: (torch.as_tensor(X[:images]), torch.as_tensor(y[:images])) for split, (X, y) in splits.items()
    }
    radius = {
        k: smallest_perturbation(model, *v, box=box, starts=starts).radius.numpy() for k, v in kept.items()
    }
    dense = isinstance(model, MLP)
    bounds = {
        method: {k: certified_radius(model, *v, method).numpy() for k, v in kept.items() if dense}
        for method in ("lipschitz", "local")
    }
    margins = {k: _margins(model, *v) for k, v in splits.items()}
    sizes = [
        torch.cat([p.detach().reshape(-1) for p in ps]).norm() for ps in model.layer_parameters().values()
    ]
    product = float(torch.stack(sizes).prod())
    spectral = [float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) for layer in model.affine if dense]
    end = run.snapshots[power] if power is not None else None
    return Length(
        power=power,
        epoch=int(run.epochs[-1]) if end is None else end.epoch,
        log10_loss=float(run.log10_loss[-1]) if end is None else end.log_loss / float(np.log(10)),
        accuracy={k: float((q > 0).double().mean()) for k, q in margins.items()},
        layer_margin=float(over_layers(float(margins["train"].min()), log_layer_product(model))),
        spread=product / float(np.prod(spectral)) if dense else None,
        radius=radius,
        lipschitz=bounds["lipschitz"],
        local=bounds["local"],
    )


@torch.no_grad()
def _margins(model: Network, X: np.ndarray, y: np.ndarray) -> Tensor:
    batches = torch.as_tensor(X).split(1000)
    return sample_margins(torch.cat([model(batch) for batch in batches]), torch.as_tensor(y))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [float(f"{v:.5g}") for v in value.tolist()] if isinstance(value, np.ndarray) else value


# Training images, hidden widths (None: the paper's convolutional network), batch size, epochs, last threshold, seeds, images
# attacked in each split.
_SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "digits": dict(n=40, widths=(12,), batch_size=20, epochs=60, seeds=2, images=10, powers=(-1, -2))
    },
    "cpu": {
        "digits": dict(n=200, widths=(32, 32, 32), epochs=4000, seeds=4, images=100, until_log10=-300),
        "mnist": dict(n=300, widths=(64, 64, 64), batch_size=30, epochs=2500, seeds=3, images=40),
    },
    "paper": {"mnist": dict(n=None, widths=None, batch_size=100, epochs=10_000, seeds=1, images=1000)},
}


def recording(scale: str, device: str | None, checkpoints: Path, every: float) -> dict[str, Any]:
    """Table 1 and Figure 8 for several seeds, on digits and on MNIST; each run's result is kept once it is there."""
    runs: dict[str, Any] = {}
    lengths: dict[str, Any] = {}
    about: dict[str, Any] = {}
    for name, size in _SIZES[scale].items():
        options = dict(size)
        n, seeds, widths = (options.pop(key) for key in ("n", "seeds", "widths"))
        for seed in range(seeds):
            data = digits(n, seed) if name == "digits" else mnist(n, seed=seed)
            about[name] = {"description": data.description, "widths": widths, "seeds": seeds}
            label = f"{name}_{seed}"
            file = checkpoints / f"{label}_done.pt"
            if not file.exists():
                run, found = train_lengths(
                    data,
                    widths or (),
                    network=None if widths else mnist_cnn("first", seed=seed),
                    seed=seed,
                    device=device,
                    checkpoint=checkpoints / f"{label}.pt",
                    checkpoint_seconds=every,
                    **options,
                )
                print(f"{label}: {run}", flush=True)
                torch.save((run.to_dict(), [length.to_dict() for length in found]), file)
            runs[label], lengths[label] = torch.load(file)
    return {"data": about, "lengths": lengths, "runs": runs}
