"""A batch of networks of one architecture as one problem on flat parameters ``theta [B, P]``."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from margin_lab.checks import plain_tensor
from margin_lab.losses import (
    class_margins,
    log_loss,
    log_loss_of_margins,
    loss_of_outputs,
    loss_weights,
    sample_margins,
)
from margin_lab.models import MLP, unflatten
from margin_lab.models.private import PureModel, model_inputs, private_copy

_functorch: Any = torch._C._functorch
_DETOUR = threading.Lock()


class NetworkProblem:
    """Full-batch training of ``S * runs_each`` copies of ``model`` on S datasets.

    Args:
        model: any ``nn.Module`` with outputs ``[n]``, ``[n, 1]`` or ``[n, k]``; parameters that require no gradient are constants
            that all runs share.
        X: ``[S, n, ...]``. y: ``[S, n]``, -1 or +1 for one output, class indices for k.
        runs_each: runs on each dataset. reduction: "mean" or "sum".
        loss: "exponential", "logistic" or "cross_entropy"; None for the exponential one of one output.

    The model is evaluated in eval mode. Copies are evaluated side by side by ``torch.func.vmap``, or one after another where an
    operation has no batched form (recurrent layers).

    Raises:
        ValueError: shapes that do not match, labels that do not suit the outputs, NaN; a model in training mode that computes
            something else there.
    """

    def __init__(
        self,
        model: nn.Module,
        X: Tensor,
        y: Tensor,
        runs_each: int,
        loss: str | None = None,
        reduction: str = "mean",
    ):
        # in the model's own dtype, half precision too: X and the iterates are in it
        self.pure = PureModel(model, next(model.parameters()).dtype)
        self.X, self.y, self.runs_each, self.reduction = X, y, runs_each, reduction
        self.shapes = {name: p.shape for name, p in self.pure.theta.items()}
        outputs = self.pure.checked(X[0])
        _refuse_other_training(model, X[0], outputs)
        self.loss = loss_of_outputs(loss, outputs)
        log_loss(outputs, y[0], self.loss)  # refuses what does not fit, before anything long begins
        for labels in y[1:]:
            sample_margins(outputs, labels)
        self.classes = outputs.ndim == 2 and outputs.shape[1] > 1
        self.link = "exponential" if self.loss == "exponential" else "logistic"
        self._batched = isinstance(self.pure.module, MLP) or self._has_batched_form()

    @property
    def Z(self) -> Tensor:
        """Only linear models have signed rows."""
        raise ValueError(
            "this method works on linear models only: it needs the signed rows z_i = y_i x_i, which a network lacks"
        )

    def outputs(self, theta: Tensor, X: Tensor) -> Tensor:
        """Outputs ``[B, n]`` or ``[B, n, k]`` for ``theta [B, P]`` on ``X [S, n, ...]``."""
        grouped = theta.view(len(X), -1, theta.shape[-1])
        if isinstance(self.pure.module, MLP):
            f = self.pure.module.stacked(unflatten(grouped, self.shapes), X.flatten(2)[:, None])
        else:
            if self._batched:
                f = vmap(vmap(self._one, (0, None)))(grouped, X)
            else:
                f = torch.stack(
                    [torch.stack([self._one(t, x) for t in rows]) for rows, x in zip(grouped, X, strict=True)]
                )
            f = f[..., 0] if f.shape[3:] == (1,) else f
        return f.flatten(0, 1)

    def _has_batched_form(self) -> bool:
        """Whether vmap can evaluate and differentiate the model, and without the slow detour that it warns of."""
        self._batched = True
        theta = torch.cat([p.reshape(-1) for p in self.pure.theta.values()]).expand(len(self.X), -1)
        # The detour is switched off and not its warning turned into an error: filters belong to the process, and threads that
        # put them back in turn would leave one's filters to all.
        with _DETOUR:
            allowed = _functorch._is_vmap_fallback_enabled()
            _functorch._set_vmap_fallback_enabled(False)
            try:
                self.gradient(theta, needs_loss=False)
            except (RuntimeError, ValueError):
                return False
            finally:
                _functorch._set_vmap_fallback_enabled(allowed)
        return True

    def _one(self, theta: Tensor, X: Tensor) -> Tensor:
        return self.pure(X, unflatten(theta, self.shapes))

    def margins(
        self, theta: Tensor, X: Tensor | None = None, y: Tensor | None = None, soft: bool = False
    ) -> Tensor:
        """Margins ``[B, n]`` on the training data, or on ``X [S, n, ...]``, ``y [S, n]``; those of cross-entropy if soft."""
        X, y = (self.X, self.y) if X is None or y is None else (X, y)
        f = self.outputs(theta, X)
        labels = y.repeat_interleave(len(theta) // len(y), 0)
        return class_margins(f, labels, soft) if self.classes else f * labels.to(f.dtype)

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """``grad log L = -sum_i p_i grad q_i``: one backward pass with the weights ``p``, in which no loss is formed."""
        theta = w.detach().requires_grad_()
        with torch.enable_grad():
            q = self.margins(theta, soft=self.loss == "cross_entropy")
            at = q.detach()
            (grad,) = torch.autograd.grad(q, theta, -loss_weights(at, self.link))
        return grad, log_loss_of_margins(at, self.link, self.reduction) if needs_loss else None


def network_data(X: object, y: object, model: nn.Module, device: torch.device) -> tuple[Tensor, Tensor]:
    """``X [S, n, ...]`` in the model's dtype and ``y [S, n]`` on ``device``; a single dataset gets the leading axis.

    ``y`` tells which it is: ``[n]`` is one dataset, ``[S, n]`` several.

    Raises:
        ValueError: shapes that do not match, NaN.
    """
    inputs = model_inputs(model, X).to(device)
    given = plain_tensor(y, "y").to(device)
    # class indices of any integer type: gather takes int64 alone
    labels = given if given.is_floating_point() or given.is_complex() else given.long()
    if labels.ndim not in (1, 2) or labels.numel() == 0 or inputs.shape[: labels.ndim] != labels.shape:
        raise ValueError(
            f"X {tuple(inputs.shape)} and y {tuple(labels.shape)} do not match; X needs y's leading shape, [n] or [S, n], n >= 1"
        )
    if labels.ndim == 1:
        inputs, labels = inputs[None], labels[None]
    return inputs, labels


def _refuse_other_training(model: nn.Module, X: Tensor, outputs: Tensor) -> None:
    """Runs are of one function of theta; dropout, batch statistics and the like make another one in training mode."""
    if not any(m.training for m in model.modules()):
        return
    trained = private_copy(model)
    with torch.random.fork_rng(devices=[X.device] if X.device.type == "cuda" else []), torch.no_grad():
        same = torch.allclose(trained(X), outputs, rtol=1e-3, atol=1e-6)
    if not same:
        raise ValueError(
            f"{type(model).__name__} computes something else in training mode (dropout, batch statistics), and these runs are of "
            "one function of the parameters: call model.eval() to train it as it is evaluated, or use train_network"
        )
