"""Models of every kind that people hand over, small, with data that fits them; and a picture of all that must not change."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

N, D = 6, 4


def linear(inputs: int, outputs: int, bias: bool = False) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)


def shared() -> nn.Module:
    """One submodule in two places."""
    square = linear(D, D)
    return nn.Sequential(square, nn.ReLU(), square, nn.ReLU(), linear(D, 1))


def tied() -> nn.Module:
    """Two submodules with one weight."""
    first, second = linear(D, D), linear(D, D)
    second.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), linear(D, 1))


def zero(which: int, bias: bool) -> nn.Module:
    net = nn.Sequential(linear(D, 5), nn.ReLU(), linear(5, 1, bias=True))
    head = net[2]
    nn.init.zeros_(head.bias if bias else head.weight)
    if not bias:
        head.bias = None
    return net


def frozen() -> nn.Module:
    net = nn.Sequential(linear(D, 5), nn.ReLU(), linear(5, 1))
    net[0].weight.requires_grad_(False)
    return net


class Recurrent(nn.Module):
    """The last output of an LSTM along the features."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 3, batch_first=True, dtype=torch.float64)
        self.head = linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[..., None])[0][:, -1])


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True, dropout=0.5, dtype=torch.float64)
        self.head = linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (2, 2))
        return self.head(self.attention(x, x, x, need_weights=False)[0].flatten(1))


class Keeping(nn.Module):
    """Keeps a computed tensor for inspection, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = linear(D, 5), linear(5, 1)
        self.calls, self.kept = [], []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        self.hidden = torch.relu(self.first(x))
        self.kept = [self.hidden]
        return self.head(self.hidden)


class Drawing(nn.Module):
    """Drops units in eval mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(nn.functional.dropout(x, 0.5))


class Failing(nn.Module):
    """Raises in the middle of its second half."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = linear(D, D)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(self.layer(x))
        raise RuntimeError("no more")


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = linear(D, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(x), x


def middle(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(linear(D, 5), *modules, linear(5, 1))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "shared": shared,
    "tied": tied,
    "batch norm": lambda: middle(nn.BatchNorm1d(5, dtype=torch.float64), nn.ReLU()),
    "dropout": lambda: middle(nn.ReLU(), nn.Dropout(0.5)),
    "spectral norm": lambda: nn.Sequential(parametrizations.spectral_norm(linear(D, 5)), nn.ReLU(), linear(5, 1)),
    "weight norm": lambda: nn.Sequential(parametrizations.weight_norm(linear(D, 5)), nn.ReLU(), linear(5, 1)),
    "lstm": Recurrent,
    "attention": Attentive,
    "frozen": frozen,
    "zero head": lambda: zero(2, bias=False),
    "zero bias": lambda: zero(2, bias=True),
    "relu6": lambda: middle(nn.ReLU6()),
    "prelu": lambda: middle(nn.PReLU(dtype=torch.float64)),
    "embedding": lambda: nn.Sequential(
        nn.Embedding(7, 3, sparse=True, dtype=torch.float64), nn.Flatten(), linear(3 * D, 1)
    ),
    "keeping": Keeping,
    "drawing": Drawing,
    "failing": Failing,
    "pair": Pair,
    "float16": lambda: middle(nn.ReLU()).half(),
    "bfloat16": lambda: middle(nn.ReLU()).bfloat16(),
    "empty parameter": lambda: nn.Sequential(nn.ParameterList([torch.empty(0, dtype=torch.float64)]), middle(nn.ReLU())),
}  # fmt: skip


def make(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A model in train mode that has been used: with gradients, a hook, and a part in eval mode; and its data."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        if name == "network":
            from margin_lab.models import MLP

            model: nn.Module = MLP([D, 5, 1], "relu", seed=1)
        else:
            model = MODELS[name]()
        X = torch.rand(N, D, dtype=torch.float64)
        X = torch.randint(0, 7, (N, D)) if name == "embedding" else X
        if name == "empty parameter":
            forward = model[1]
            model.forward = forward.forward  # type: ignore[method-assign]
        like = next(p for p in model.parameters() if p.numel())
        if name not in ("failing", "pair"):
            model(X if name == "embedding" else X.to(like.dtype)).sum().backward()
        model.train()
        list(model.modules())[-1].eval()
        model.register_forward_hook(lambda module, args, output: None)
        with torch.no_grad():
            outputs = torch.zeros(N) if name in ("failing", "pair", "drawing") else _eval(model, X, like)
        y = torch.where(outputs >= 0, 1, -1)
    return model, X, y


def _eval(model: nn.Module, X: Tensor, like: Tensor) -> Tensor:
    import copy

    copied = copy.deepcopy(model) if not hasattr(model, "hidden") else model
    modes = [m.training for m in copied.modules()]
    copied.eval()
    outputs = copied(X if not X.is_floating_point() else X.to(like.dtype)).detach().reshape(-1)
    for m, mode in zip(copied.modules(), modes, strict=True):
        m.training = mode
    return outputs


def picture(model: nn.Module) -> dict[str, Any]:
    """All that a caller could see change: identities, values, versions, modes, hooks, gradients, attributes."""
    seen: dict[str, Any] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        seen[f"{name}/class"] = (id(module), type(module), module.training)
        for key, value in vars(module).items():
            if key in ("_parameters", "_buffers"):
                for tensor_name, t in value.items():
                    seen[f"{name}/{tensor_name}"] = None if t is None else _tensor(t)
            elif isinstance(value, dict):
                seen[f"{name}/{key}"] = [(k, id(v)) for k, v in value.items()]
            elif isinstance(value, list):
                seen[f"{name}/{key}"] = (id(value), [id(v) for v in value])
            elif key not in ("training", "_flat_weight_refs"):
                seen[f"{name}/{key}"] = id(value) if not isinstance(value, Tensor) else _tensor(value)
    return seen


def _tensor(t: Tensor) -> tuple[Any, ...]:
    grad = None
    if t.is_leaf and t.grad is not None:
        dense = t.grad.to_dense() if t.grad.is_sparse else t.grad
        grad = (id(t.grad), dense.double().tolist())
    return (id(t), type(t), t._version, t.requires_grad, t.dtype, t.shape, t.detach().double().tolist(), grad)


def surroundings() -> dict[str, Any]:
    """What belongs to the process: generators, modes, threads, filters."""
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": [np.asarray(part).tolist() for part in np.random.get_state()],  # noqa: NPY002
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "grad": torch.is_grad_enabled(),
        "filters": list(warnings.filters),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "error state": np.geterr(),
    }
