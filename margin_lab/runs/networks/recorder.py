"""What a batched run of networks measures at its recorded iterations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import Restore
from margin_lab.losses import log_loss_of_margins
from margin_lab.norms import Norm
from margin_lab.runs.networks.problem import NetworkProblem
from margin_lab.runs.networks.result import NetworkSweep


class Recorder:
    """Measures every row at the recorded iterations."""

    def __init__(
        self, problem: NetworkProblem, test: tuple[Tensor, Tensor] | None, norms: list[Norm], keep: bool
    ):
        self.problem, self.test, self.norms, self.keep = problem, test, norms, keep
        self.rows: dict[str, list[Tensor]] = {}

    @torch.no_grad()
    def __call__(self, t: int, theta: Tensor) -> None:
        problem = self.problem
        q = problem.margins(theta)
        soft = problem.margins(theta, soft=True) if problem.loss == "cross_entropy" else q
        values = {
            "q_min": q.amin(-1),
            "log_loss": log_loss_of_margins(soft, problem.link, problem.reduction),
            "accuracy": (q > 0).to(q.dtype).mean(-1),
        }
        if self.test is not None:
            X, y = (part.expand(len(problem.X), *part.shape[1:]) for part in self.test)
            values["test_accuracy"] = (problem.margins(theta, X, y) > 0).to(q.dtype).mean(-1)
        if self.keep:
            values["history"] = theta.clone()
        for norm in self.norms:
            values[f"norm {norm.name}"] = norm(theta)
        for name, value in values.items():
            self.rows.setdefault(name, []).append(value)

    def finish(
        self,
        template: nn.Module,
        theta: Tensor,
        degree: float | None,
        method: str,
        settings: list[dict[str, Any]],
        recorded: list[int],
        diverged_at: list[int | None],
        until_log_loss: float | None,
        restore: Restore,
    ) -> NetworkSweep:
        stacked = {name: torch.stack(rows, 1) for name, rows in self.rows.items()}
        norms = {norm.name: stacked[f"norm {norm.name}"] for norm in self.norms}
        margins = {} if degree is None else {k: _ratio(stacked["q_min"], v**degree) for k, v in norms.items()}
        below = [
            until_log_loss is not None and value <= until_log_loss
            for value in stacked["log_loss"][:, -1].tolist()
        ]
        return NetworkSweep(
            method=method,
            settings=settings,
            steps=restore(torch.tensor(recorded)),
            norms={k: restore(v) for k, v in norms.items()},
            margins={k: restore(v) for k, v in margins.items()},
            theta=restore(theta),
            loss=self.problem.loss,
            reduction=self.problem.reduction,
            samples=self.problem.X.shape[1],
            degree=degree,
            status=[
                "diverged" if at is not None else "stopped" if early else "finished"
                for at, early in zip(diverged_at, below, strict=True)
            ],
            diverged_at=diverged_at,
            template=template,
            **{
                name: restore(stacked[name]) if name in stacked else None
                for name in ("log_loss", "q_min", "accuracy", "test_accuracy", "history")
            },
        )


def _ratio(q_min: Tensor, power: Tensor) -> Tensor:
    return torch.where(
        power > 0, q_min / torch.where(power > 0, power, torch.ones_like(power)), torch.zeros_like(q_min)
    )
