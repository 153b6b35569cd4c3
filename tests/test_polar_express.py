"""Polar Express against its definition (each quintic the best on its interval), the published numbers and the exact factor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from margin_lab import optim
from margin_lab.norms import polar_factor
from margin_lab.optim.polar import best_quintic, get_polar, polar_express

# Amsel et al. 2025, Appendix A, without their safety factor
PUBLISHED = [
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
]


def test_the_recurrence_gives_the_published_numbers() -> None:
    np.testing.assert_allclose(polar_express(7, safety=1.0).coefficients, PUBLISHED, rtol=1e-8)
    damped = [(a / 1.01, b / 1.01**3, c / 1.01**5) for a, b, c in PUBLISHED[:4]]
    np.testing.assert_allclose(polar_express(5).coefficients, [*damped, PUBLISHED[4]], rtol=1e-8)


@pytest.mark.parametrize(("low", "high"), [(0.01, 1.0), (0.1, 1.9), (0.5, 1.5), (0.9, 1.1)])
def test_the_best_quintic_alternates(low: float, high: float) -> None:
    """Chebyshev: an odd quintic is the best one if and only if its error takes its largest value four times, in turn."""
    a, b, c = best_quintic(low, high)
    x = np.linspace(low, high, 200_001)
    error = 1 - (a * x + b * x**3 + c * x**5)
    largest = np.abs(error).max()
    inner = np.flatnonzero(np.diff(np.sign(np.diff(error)))) + 1
    at = error[[0, *inner, -1]] / largest
    np.testing.assert_allclose(at, [1, -1, 1, -1], atol=1e-6)


def test_it_is_closer_to_the_factor_than_the_quintic_of_muon() -> None:
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(3, 20, 30, dtype=torch.float64, generator=generator)
    exact = polar_factor(g)

    def error(polar: str) -> float:
        return float((get_polar(polar)(g) - exact).abs().max())

    assert error("polar-express") < 0.5 * error("newton-schulz")
    torch.testing.assert_close(polar_express(8)(g), exact, rtol=0, atol=1e-12)
    rounded = get_polar("newton-schulz-bfloat16")(g)
    torch.testing.assert_close(rounded, get_polar("newton-schulz")(g), rtol=0, atol=0.03)
    assert rounded.dtype == torch.float64


def test_muon_takes_torchs_names() -> None:
    def step(shape: tuple[int, int] = (6, 3), **options: object) -> torch.Tensor:
        w = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        w.grad = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        optim.Muon([w], lr=1.0, **options).step(loss=0.0)  # type: ignore[arg-type]
        return w.detach()

    assert torch.equal(step(), step(ns_steps=5, ns_coefficients=(3.4445, -4.7750, 2.0315)))
    assert torch.equal(step(ns_steps=3), step(polar=optim.newton_schulz(3)))
    assert torch.equal(step(polar="polar-express", ns_steps=3), step(polar=polar_express(3)))
    torch.testing.assert_close(step(polar="polar-express", ns_steps=8), step(polar="exact"))
    torch.testing.assert_close(step(adjust_lr_fn="original"), 2**0.5 * step())
    assert torch.equal(step(adjust=True), step(adjust_lr_fn="original"))
    torch.testing.assert_close(step(adjust_lr_fn="match_rms_adamw"), 0.2 * 6**0.5 * step())
    with pytest.raises(ValueError, match="ns_steps goes with polar='newton-schulz' or 'polar-express'"):
        step(polar="exact", ns_steps=3)
    with pytest.raises(ValueError, match="adjust_lr_fn must be one of None, 'original', 'match_rms_adamw'"):
        step(adjust_lr_fn="arbitrary")


@pytest.mark.parametrize("bad", [{"steps": 0}, {"low": 0.0}, {"cushion": 1.0}, {"safety": 0.9}])
def test_bad_arguments(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="steps must be|polar_express needs"):
        polar_express(**bad)  # type: ignore[arg-type]
