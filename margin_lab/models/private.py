"""What is evaluated instead of the caller's model: a private copy of it, as a pure function of inputs and parameters.

``torch.func.functional_call`` swaps the attributes of the module that it is given. On a caller's module that is visible to other
threads, and where a submodule occurs twice the swap is not undone: the model is destroyed. So nothing in the library evaluates a
module that it was handed; it evaluates a copy, in eval mode.
"""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from margin_lab.checks import as_tensor, finite, plain_tensor

_HALF = (torch.float16, torch.bfloat16)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


def plain_module(model: nn.Module) -> nn.Module:
    """The module inside of ``torch.compile`` and of data-parallel wrappers; any other is itself.

    Raises:
        ValueError: no module, a TorchScript or lazy one, one without parameters or with complex, sparse or meta ones.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {type(model).__name__}")
    inner = getattr(model, "_orig_mod", None)
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner = model.module if isinstance(model, parallel) else inner
    if isinstance(inner, nn.Module):
        return plain_module(inner)
    name = type(model).__name__
    if any(isinstance(m, torch.jit.ScriptModule) for m in model.modules()):
        raise ValueError(
            f"{name} is a TorchScript module, whose parameters cannot be exchanged; pass the nn.Module that it was made from"
        )
    count = 0
    for key, p in model.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"parameter {key!r} of {name} has no shape yet; call the model once on data first"
            )
        if p.is_complex() or not p.is_floating_point():
            raise ValueError(f"parameters must be real floating-point numbers, got {key!r} of {p.dtype}")
        if p.layout != torch.strided or p.is_meta:
            raise ValueError(
                f"parameters must be dense and hold numbers, got {key!r} with layout {p.layout} on {p.device}"
            )
        count += p.numel()
    if count == 0:
        raise ValueError(f"{name} has no parameters, so it has no normalised margin")
    return model


def trained_parameters(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that margins normalise by: those that require a gradient, or all where none does."""
    named = dict(plain_module(model).named_parameters())
    trained = {name: p.detach() for name, p in named.items() if p.requires_grad}
    return trained or {name: p.detach() for name, p in named.items()}


def private_copy(model: nn.Module) -> nn.Module:
    """A copy of ``model`` that shares no tensor with it, in the modes that it is in; gradients are not copied.

    Raises:
        ValueError: a model that cannot be copied, or as :func:`plain_module`.
    """
    source = plain_module(model)
    # deepcopy refuses tensors that were computed, such as outputs kept for inspection or the weight of a weight_norm hook
    memo: dict[int, Any] = {
        id(t): t.detach().clone() for m in source.modules() for t in _tensors(vars(m)) if not t.is_leaf
    }
    try:
        # not under inference mode: its tensors could not be differentiated through
        with torch.inference_mode(False):
            copied: nn.Module = copy.deepcopy(source, memo)
    except Exception as e:
        raise ValueError(
            f"{type(source).__name__} cannot be copied, and it is evaluated on a copy so that it stays as it is; make "
            f"copy.deepcopy(model) work first: {e}"
        ) from e
    return copied


class PureModel:
    """A model as a pure function ``f(X, theta)`` of inputs and trained parameters, in eval mode; the caller's stays as it is.

    Weights that are shared count once, and wherever they occur the parameter given is used. Half-precision models are evaluated
    in float32: their parameters are exact there, and the outputs are not rounded to three digits.

    Args:
        model: any ``nn.Module``, read once; later changes to it are not seen. dtype: convert the copy to it.

    Attributes:
        module: the private copy. theta: its trained parameters by name.

    Raises:
        ValueError: as :func:`private_copy`.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype | None = None):
        self.module = private_copy(model).eval()
        if dtype is None and any(p.dtype in _HALF for p in self.module.parameters()):
            dtype = torch.float32
        if dtype is not None:
            self.module.to(dtype)
        for m in self.module.modules():
            if isinstance(m, _EMBEDDINGS):
                m.sparse = False  # the same values; sparse gradients have no views
        self.theta = trained_parameters(self.module)
        names = {id(p): name for name, p in self.module.named_parameters()}
        # every place that holds a parameter, modules that occur twice taken once
        self._places = {
            f"{prefix}.{key}" if prefix else key: names[id(p)]
            for prefix, m in self.module.named_modules()
            for key, p in m._parameters.items()
            if p is not None
        }
        self._lock = threading.Lock()

    @property
    def like(self) -> Tensor:
        """A parameter, for its dtype and device."""
        return next(iter(self.theta.values()))

    def inputs(self, X: Any, name: str = "X") -> Tensor:
        """``X`` as the model takes it; see :func:`model_inputs`."""
        return model_inputs(self.module, X, name)

    def __call__(self, X: Tensor, theta: Mapping[str, Tensor] | None = None) -> Tensor:
        """Outputs on ``X``, at ``theta`` or at the model's own parameters; differentiable in both.

        Raises:
            ValueError: parameters that the model has not, inputs that it does not take, outputs that are no tensor of numbers.
        """
        theta = self.theta if theta is None else theta
        unknown = set(theta) - set(self._places.values())
        if unknown:
            raise ValueError(f"{type(self.module).__name__} has no parameters named {sorted(unknown)}")
        placed = {place: theta[name] for place, name in self._places.items() if name in theta}
        try:
            with self._lock:
                outputs = functional_call(self.module, placed, (X,), tie_weights=False)
        except (RuntimeError, TypeError, IndexError) as e:
            if isinstance(e, torch.cuda.OutOfMemoryError):
                raise
            raise ValueError(
                f"{type(self.module).__name__} cannot be evaluated on inputs of shape {tuple(X.shape)} and {X.dtype}: {e}"
            ) from e
        if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
            kind = str(outputs.dtype) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(
                f"the model must return one tensor of real outputs, [n], [n, 1] or [n, k], but {type(self.module).__name__} "
                f"returns {kind}; wrap it in a module that returns the outputs alone"
            )
        return outputs

    def checked(self, X: Tensor) -> Tensor:
        """:meth:`repeatable` outputs that are finite.

        Raises:
            ValueError: as there, or outputs that are NaN or infinite.
        """
        return finite(self.repeatable(X), "the model's outputs", "scale its parameters down")

    @torch.no_grad()
    def repeatable(self, X: Tensor) -> Tensor:
        """Outputs at the model's own parameters, after making sure that they depend on these and ``X`` alone.

        Raises:
            ValueError: as a call, or a model that draws random numbers in eval mode; the generators are put back.
        """
        before = _generators(self.like.device)
        outputs = self(X)
        # Changed generators alone prove nothing, and must not be put back: another thread may have drawn.
        if _changed(before, _generators(self.like.device)) and not _equal(outputs, self(X)):
            _put_back(before, self.like.device)
            raise ValueError(
                f"{type(self.module).__name__} draws random numbers in eval mode, so that its outputs are no function of its "
                "inputs; draw in training mode only: nn.Dropout, or functional.dropout(x, p, self.training)"
            )
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def model_inputs(model: nn.Module, X: Any, name: str = "X") -> Tensor:
    """``X`` in the dtype and on the device of the parameters; whole numbers stay so for a model with an embedding.

    Raises:
        ValueError: what is no array of finite numbers, or leaves the range of the model's dtype.
    """
    like = next(p for p in model.parameters() if p.numel())
    given = plain_tensor(X, name)
    if not (given.is_floating_point() or given.is_complex()) and any(
        isinstance(m, _EMBEDDINGS) for m in model.modules()
    ):
        return given.to(like.device, torch.int64)
    inputs = finite(as_tensor(given, name, device=like.device), name)
    return finite(inputs.to(like.dtype), f"{name} in {like.dtype}", "scale the data down")


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors in an attribute, and in plain containers of it."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


@contextmanager
def undisturbed_generators(device: torch.device) -> Iterator[None]:
    """Put all random number generators back to where they were."""
    before = _generators(device)
    try:
        yield
    finally:
        _put_back(before, device)


def _generators(device: torch.device) -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.empty(0)
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()  # noqa: NPY002


def _changed(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    same = torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    numpy = before[2][2:] == after[2][2:] and np.array_equal(before[2][1], after[2][1])
    return not (same and numpy and before[3] == after[3])


def _put_back(state: tuple[Any, ...], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1], device)
    np.random.set_state(state[2])  # noqa: NPY002
    random.setstate(state[3])


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
