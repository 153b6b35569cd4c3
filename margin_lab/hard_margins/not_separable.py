"""The error where there is no hard margin, with its proof and the samples that it rests on."""

from __future__ import annotations

from typing import Any

import torch

from margin_lab.checks import as_tensor, restore_like

DUAL_NAME = {"l1": "linf", "l2": "l2", "linf": "l1", "spectral": "nuclear", "nuclear": "spectral"}
# What the rows of Z are, of binary data.
SIGNED = "z_i = y_i x_i"


class NotSeparableError(ValueError):
    """No direction (with ``bias``: no hyperplane) classifies every sample correctly, and ``certificate`` proves it.

    If some w had ``y_i <x_i, w> > 0`` for all i, then ``<Z'p, w> > 0`` for all weights p in the simplex (rows
    of Z: ``y_i x_i``). Weights with ``Z'p = 0`` rule that out (Gordan 1873). With an intercept the rows are ``y_i (x_i, c)``.
    That such weights exist is proved before this is raised, in rational arithmetic or by floats with all their rounding errors
    bounded; the certificate is theirs, rounded.

    Attributes:
        certificate: ``[n]`` weights p in the simplex; type and device of the data, float64.
        residual: ``||Z'p||`` in the dual norm: what rounding p leaves.
        conflicting: indices of the samples with weight, the largest first: together they contradict each other, and without
            them, or with other labels, this proof is gone. Of multiclass data a sample's weight is its largest.
    """

    def __init__(self, certificate: Any, residual: float, norm: str, rows: str = SIGNED, bias: bool = False):
        self.certificate, self.residual, self.norm, self.rows, self.bias = (
            certificate,
            residual,
            norm,
            rows,
            bias,
        )
        kind = "separable" if bias else "separable through the origin"
        # soft_margin is of binary data
        advice = "more features, soft_margin," if bias else "more features,"
        if rows == SIGNED and not bias:
            advice = "an intercept (bias=True), more features, soft_margin,"
        super().__init__(
            f"the data is not linearly {kind}, so it has no hard margin. Certificate: the "
            f"weights p in the simplex (this error's .certificate) give ||Z'p|| = {residual:.1e} in the {DUAL_NAME[norm]} "
            f"norm, zero to rounding, with rows {rows}; a separating w would need <Z'p, w> > 0. What to "
            f"do: {advice} or a look at the labels of the samples that contradict each other "
            "(.conflicting: their indices, largest weight first)"
        )

    @property
    def conflicting(self) -> Any:
        return conflicting(self.certificate)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.certificate, self.residual, self.norm, self.rows, self.bias)


def conflicting(certificate: Any) -> Any:
    """Indices of the weights above 1e-10 of the largest, in falling order; the same type as ``certificate``."""
    p = as_tensor(certificate, "certificate")
    p = p.amax(1) if p.ndim == 2 else p
    order = torch.argsort(p, descending=True, stable=True)
    return restore_like(certificate)(order[p[order] > 1e-10 * p.max()])
