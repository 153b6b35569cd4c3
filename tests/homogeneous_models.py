"""Small homogeneous models with their degrees, and data that they get right."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

N, D = 9, 4


class SquaredReLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) ** 2


def linear(i: int, o: int, bias: bool = False) -> nn.Linear:
    return nn.Linear(i, o, bias=bias, dtype=torch.float64)


# name: (model, degree)
MODELS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "linear": (lambda: linear(D, 1), 1),
    "linear-with-bias": (lambda: linear(D, 1, bias=True), 1),
    "relu-2": (lambda: nn.Sequential(linear(D, 6), nn.ReLU(), linear(6, 1)), 2),
    "first-bias-2": (lambda: nn.Sequential(linear(D, 6, bias=True), nn.ReLU(), linear(6, 1)), 2),
    "leaky-3": (
        lambda: nn.Sequential(linear(D, 6), nn.LeakyReLU(), linear(6, 5), nn.ReLU(), linear(5, 1)),
        3,
    ),
    "squared-relu-3": (lambda: nn.Sequential(linear(D, 6), SquaredReLU(), linear(6, 1)), 3),
    "multiclass-2": (lambda: nn.Sequential(linear(D, 6), nn.ReLU(), linear(6, 3)), 2),
}


def model_and_data(name: str, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(seed)
    model = MODELS[name][0]()
    X = torch.randn(N, D, dtype=torch.float64)
    with torch.no_grad():
        outputs = model(X)
    # labels that the model gets right, so that margins are positive and losses can be made small
    y = outputs.argmax(1) if outputs.shape[1] > 1 else torch.where(outputs[:, 0] >= 0, 1, -1)
    return model, X, y


def scaled(model: nn.Module, c: float) -> nn.Module:
    model = copy.deepcopy(model)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(c)
    return model


def theta(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])
