"""Time of one optimizer step, ours beside torch's own, on 10 million float32 parameters; gradients are there already.

    OMP_NUM_THREADS=1 python benchmarks/optimizer_steps.py [--device cuda] [--millions 10]

The best of several rounds, with both contestants alternating; on a CPU the process's own time,
which others cannot take. torch's are its own default and, where it has one, its foreach
or fused form. Ours read the gradient's norm first and refuse what is not finite; torch's do not look.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from margin_lab import losses, optim

Make = Callable[[list[torch.nn.Parameter]], Any]

PAIRS: list[tuple[str, Make, str, Make]] = [
    ("GD", lambda p: optim.GD(p, lr=1e-3), "SGD", lambda p: torch.optim.SGD(p, lr=1e-3, foreach=True)),
    (
        "Adam",
        lambda p: optim.Adam(p, lr=1e-3),
        "Adam, foreach",
        lambda p: torch.optim.Adam(p, lr=1e-3, foreach=True),
    ),
    (
        "Adam",
        lambda p: optim.Adam(p, lr=1e-3),
        "Adam, fused",
        lambda p: torch.optim.Adam(p, lr=1e-3, fused=True),
    ),
    (
        "Muon, bfloat16",
        lambda p: optim.Muon(p, lr=1e-3, polar="newton-schulz-bfloat16"),
        "Muon",
        lambda p: torch.optim.Muon(p, lr=1e-3, weight_decay=0.0),
    ),
    (
        "NormalizedGD",
        lambda p: optim.NormalizedGD(p, lr=1e-3, form="gradient"),
        "SGD",
        lambda p: torch.optim.SGD(p, lr=1e-3, foreach=True),
    ),
    (
        "sign descent",
        lambda p: optim.SteepestDescent(p, lr=1e-3, norm="linf", normalized=True),
        "SGD with momentum",
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, foreach=True),
    ),
    (
        "PRGD",
        lambda p: optim.PRGD(p, lr=1e-3, **optim.network_schedule(2, 1000)),
        "SGD with momentum",
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, foreach=True),
    ),
    (
        "DualAcceleration",
        lambda p: optim.DualAcceleration(p, lr=1e-3),
        "SGD with Nesterov",
        lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True, foreach=True),
    ),
]


def prepared(make: Make, millions: int, device: str) -> Callable[[], Any]:
    """One step on square matrices of a million entries, after two that make the state."""
    generator = torch.Generator().manual_seed(0)
    params = [
        torch.nn.Parameter(torch.randn(1000, 1000, generator=generator).to(device)) for _ in range(millions)
    ]
    for p in params:
        p.grad = torch.randn(1000, 1000, generator=generator).to(device)
    optimizer = make(params)

    def step() -> None:
        if isinstance(optimizer, optim.LogLossOptimizer):
            losses.LEDGER.backwards += 1  # gradients by hand
            optimizer.step(loss=-1.0)
        else:
            optimizer.step()

    step()
    step()
    return step


def compared(
    pair: tuple[str, Make, str, Make], millions: int, device: str, rounds: int
) -> tuple[float, float]:
    """Milliseconds a step, ours and torch's."""
    steps = [prepared(make, millions, device) for make in (pair[1], pair[3])]
    best = [float("inf")] * 2
    clock = time.process_time if device == "cpu" else time.perf_counter
    for _ in range(rounds):
        for i, step in enumerate(steps):
            if device != "cpu":
                torch.cuda.synchronize()
            start = clock()
            step()
            if device != "cpu":
                torch.cuda.synchronize()
            best[i] = min(best[i], 1e3 * (clock() - start))
    return best[0], best[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--millions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), {options.device}, {options.millions}e6 parameters"
    )
    print("| ours | ms | torch's | ms | ratio |\n|---|---|---|---|---|")
    for pair in PAIRS:
        ours, theirs = compared(pair, options.millions, options.device, options.rounds)
        print(f"| {pair[0]} | {ours:.1f} | {pair[2]} | {theirs:.1f} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()
