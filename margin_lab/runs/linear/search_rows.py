"""Certified runs as ``Run``s: one search for each dataset and setting, recorded at counts of products."""

from __future__ import annotations

import math
from typing import Any

import torch

from margin_lab.checks import Restore
from margin_lab.losses import log_loss_of_margins
from margin_lab.margins.normalized import linear_margin
from margin_lab.norms import Norm, get_norm
from margin_lab.optim.certified import certified_search
from margin_lab.runs.linear.problem import LinearProblem
from margin_lab.runs.linear.result import Sweep


def search_rows(
    problem: LinearProblem,
    method: str,
    settings: list[dict[str, Any]],
    recorded: list[int],
    norm: str | float | Norm,
    restore: Restore,
) -> Sweep:
    """Search for every row of the batch, in float64 whatever the data's dtype; a row that has ended repeats its end.

    ``recorded`` is cut where the last row ends. Margins and bounds stay in float64.
    """
    measure, budget = get_norm(norm), recorded[-1]
    searches = [
        certified_search(
            problem.Z[b // problem.runs_each].double(),
            budget,
            tol=s["tol"],
            form=s["form"],
            norm=measure,
            record=recorded,
        )
        for b, s in enumerate(settings)
    ]
    end = min(budget, max(math.ceil(s.products) for s in searches))
    kept = [t for t in recorded if t < end]
    rows = [[*s.history[: len(kept)], s.best] for s in searches]
    w = torch.stack([torch.stack([w for w, _ in row]) for row in rows])
    upper = problem.Z.new_tensor([[bound for _, bound in row] for row in rows], dtype=torch.float64)
    W, Z = problem.grouped(w), problem.Z.double()
    return Sweep(
        method=method,
        settings=settings,
        steps=restore(torch.tensor([*kept, end])),
        w=restore(w.to(problem.Z.dtype)),
        margin=restore(linear_margin(W, Z, measure).reshape(w.shape[:2])),
        log_loss=restore(log_loss_of_margins(W @ Z.mT, problem.loss, problem.reduction).reshape(w.shape[:2])),
        norm=restore(measure(w)),
        norm_name=measure.name,
        reduction=problem.reduction,
        status=[s.status for s in searches],
        diverged_at=[None] * len(settings),
        upper_bound=restore(upper),
        dual=restore(torch.stack([s.q / s.q.sum() for s in searches])),
    )
