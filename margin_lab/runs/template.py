"""The architecture behind a result: a file holds its description and its constants, and the caller gives the network again."""

from __future__ import annotations

import os
from typing import Any, Self

import torch
from torch import Tensor, nn

from margin_lab.models.buffers import copy_buffers, restore_buffers
from margin_lab.models.description import describe_model, differences
from margin_lab.models.private import private_copy, trained_parameters
from margin_lab.results import Result


class OfNetwork(Result):
    """A result with the architecture ``template`` behind it, which :meth:`load` wants again from the caller."""

    template: nn.Module | None

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: nn.Module | None = None) -> Self:
        """Read what :meth:`save` wrote.

        Args:
            path: of the file. model: a network of the architecture that was trained, which ``.model()`` needs and nothing else.

        Raises:
            ValueError: another kind of result, a file that is none, a network of another architecture.
        """
        content = cls._content(path)
        template = restored_template(path, content.pop("network"), model)
        return cls._restored(path, {**content, "template": template})

    def _saved(self) -> dict[str, Any]:
        return {**super()._saved(), "network": saved_template(self.template)}


def saved_template(template: nn.Module | None) -> dict[str, Any] | None:
    """What a file keeps of a network: its description, the parameters that were not trained, and the buffers."""
    if template is None:
        return None
    trained = trained_parameters(template)
    constants = {name: p.detach().cpu() for name, p in template.named_parameters() if name not in trained}
    buffers = {name: b.cpu() for name, b in copy_buffers(template).items()}
    return {"architecture": describe_model(template), "constants": constants, "buffers": buffers}


def restored_template(
    path: str | os.PathLike[str], saved: dict[str, Any] | None, model: nn.Module | None
) -> nn.Module | None:
    """A copy of the caller's network with the constants of the file; None where neither is there.

    Raises:
        ValueError: a network of another architecture.
    """
    if saved is None or model is None:
        return None
    found = differences(saved["architecture"], describe_model(model))
    if found:
        raise ValueError(f"{path} holds a run of another network: {found}. Give the one that was trained")
    template = private_copy(model)
    named: dict[str, Tensor] = dict(template.named_parameters())
    with torch.no_grad():
        for name, value in saved["constants"].items():
            named[name].copy_(value)
    restore_buffers(template, saved["buffers"])
    return template


def needs_template(template: nn.Module | None) -> nn.Module:
    """The network, or what to do where a file gave none.

    Raises:
        ValueError: there is none.
    """
    if template is None:
        raise ValueError(
            "this run was read from a file, which holds no code of a network; read it with .load(path, model=net), net being a "
            "network of the same architecture"
        )
    return template
