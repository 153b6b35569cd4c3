"""No function of the library changes a model that it is given, whatever the model is, also when it raises, and in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import model_zoo
import pytest
import torch
from torch import nn

import margin_lab as ml
from margin_lab.models import check_homogeneity, degree_or_none
from margin_lab.theory.kkt.reconstruction import misalignment, reconstruct

# barely begun: ReLU's kinks would stop the integrator
LOG_T = [-11.0, -10.0]
MODELS = [*model_zoo.MODELS, "network"]

# Every public function that takes a model, with the least work that it can be asked for.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "normalized_margin": ml.normalized_margin,
    "smoothed_margin": lambda m, X, y: ml.smoothed_margin(m, X, y, loss="logistic"),
    "layer_margin": ml.margins.layer_margin,
    "smoothed_layer_margin": ml.margins.smoothed_layer_margin,
    "log_layer_product": lambda m, X, y: ml.margins.log_layer_product(m),
    "homogeneity_degree": lambda m, X, y: ml.homogeneity_degree(m, X),
    "effective_degree": ml.models.effective_degree,
    "check_homogeneity": lambda m, X, y: check_homogeneity(m, X),
    "degree_or_none": lambda m, X, y: degree_or_none(m, X),
    "flat_parameters": lambda m, X, y: ml.models.flat_parameters(m),
    "model_with": lambda m, X, y: ml.models.model_with(m, ml.models.flat_parameters(m)),
    "starts": lambda m, X, y: ml.models.starts(m, [0, 1]),
    "run_network": lambda m, X, y: ml.run_network(m, X, y, "gd", 3, lr=0.1),
    "sweep_network": lambda m, X, y: ml.sweep_network(m, X, y, "ngd", 3, lr=[0.1, 0.2]),
    "train_network": lambda m, X, y: ml.train_network(m, X, y, 2, loss="exponential", batch_size=3),
    "kkt.residuals": ml.kkt.residuals,
    "kernel_support_vectors": ml.kkt.kernel_support_vectors,
    "HomogeneousModel": lambda m, X, y: ml.constraints.HomogeneousModel(m, X, y).jacobian,
    "network_flow": lambda m, X, y: ml.flow.network_flow(m, X, y, LOG_T, rtol=1e-3),
    "steepest_flow": lambda m, X, y: ml.flow.steepest_flow(m, X, y, steps=3),
    "network_path": lambda m, X, y: ml.lexicographic.network_path(m, X, y, 1.0, starts=1, max_steps=1, rounds=1),
    "gradient_path": lambda m, X, y: ml.lexicographic.gradient_path(
        m, X, y, ml.models.flat_parameters(m)[None], 1.0, max_steps=2
    ),
    "smallest_perturbation": lambda m, X, y: ml.robustness.smallest_perturbation(m, X, y, steps=2),
    "carlini_wagner": lambda m, X, y: ml.robustness.smallest_perturbation(
        m, X, y, "carlini_wagner", steps=2, searches=1
    ),
    "certified_radius": ml.robustness.certified_radius,
    "margin_in_ball": lambda m, X, y: ml.robustness.margin_in_ball(m, X, y, 0.1),
    "misalignment": lambda m, X, y: misalignment(m, X, y, torch.ones(len(y))),
    "reconstruct": lambda m, X, y: reconstruct(m, candidates=2, steps=2),
}  # fmt: skip
# These are of MLPs alone, and do not ask first.
NETWORKS_ONLY = ("misalignment",)
# Training draws (of a generator that it puts back), and evaluates its own copy by itself.
REFUSED_BY_TORCH = {
    "train_network": ("embedding", "drawing", "failing", "pair"),
    "network_path": ("prelu", "attention"),
}


def call(name: str, *arguments: Any) -> Any:
    """The result, or the ValueError or ArithmeticError that the library raises instead."""
    try:
        return FUNCTIONS[name](*arguments)
    except (ValueError, ArithmeticError) as e:
        return e


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_changes(name: str) -> None:
    call(name, *model_zoo.make("network"))  # what is imported late brings filters of its own
    for kind in ["network"] if name in NETWORKS_ONLY else MODELS:
        if kind in REFUSED_BY_TORCH.get(name, ()):
            continue
        model, X, y = model_zoo.make(kind)
        before, data = model_zoo.picture(model), (X.clone(), y.clone())
        around = model_zoo.surroundings()
        result = call(name, model, X, y)
        if kind == "network":
            assert not isinstance(result, Exception), result
        for key, value in model_zoo.surroundings().items():
            assert value == around[key], f"{kind}: {key} has changed"
        after = model_zoo.picture(model)
        assert after.keys() == before.keys(), kind
        for key, value in after.items():
            assert value == before[key], f"{kind}: {key} has changed ({result!r})"
        assert torch.equal(X, data[0]) and torch.equal(y, data[1])


@pytest.mark.parametrize("kind", ["shared", "tied", "batch norm", "frozen", "network"])
def test_nothing_changes_in_threads_and_all_get_the_same_answer(kind: str) -> None:
    model, X, y = model_zoo.make(kind)
    if kind == "batch norm":
        for p in (model[1].bias, model[1].running_mean):
            p.requires_grad_(False).zero_()
    names = (
        "normalized_margin",
        "homogeneity_degree",
        "run_network",
        "smallest_perturbation",
        "kkt.residuals",
    )
    for name in names:  # what is imported late brings filters of its own
        call(name, *model_zoo.make("network"))
        call(name, *model_zoo.make("shared"))
    before, around = model_zoo.picture(model), model_zoo.surroundings()
    results: dict[str, list[str]] = {name: [] for name in names}

    def work(shift: int) -> None:
        for k in range(len(names)):
            name = names[(k + shift) % len(names)]
            results[name].append(repr(call(name, model, X, y)))

    threads = [threading.Thread(target=work, args=(shift,)) for shift in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {name: len(set(found)) for name, found in results.items()} == dict.fromkeys(names, 1)
    assert model_zoo.picture(model) == before
    assert model_zoo.surroundings() == around


def test_an_interrupted_call_changes_nothing() -> None:
    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.left = model_zoo.linear(4, 4), 3

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.layer(torch.relu(self.layer(x))))
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return x.sum(1)

    model, X = Interrupted(), torch.rand(6, 4, dtype=torch.float64)
    before, around = model_zoo.picture(model), model_zoo.surroundings()
    for name in (
        "normalized_margin",
        "smoothed_margin",
        "homogeneity_degree",
        "run_network",
        "kkt.residuals",
    ):
        with pytest.raises(KeyboardInterrupt):
            FUNCTIONS[name](model, X, torch.ones(6))
        assert model_zoo.picture(model) == before
        assert model_zoo.surroundings() == around


def test_a_shared_submodule_is_measured_as_it_is() -> None:
    layer = model_zoo.linear(2, 2)
    nn.init.eye_(layer.weight)
    head = model_zoo.linear(2, 1)
    nn.init.ones_(head.weight)
    net = nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), head)
    for _ in range(2):
        # f = 3, ||theta||^2 = 2 + 2, degree 3: the shared weight counts once in the norm, twice in the degree
        assert ml.homogeneity_degree(net, [[1.0, 2.0]]) == 3
        assert ml.normalized_margin(net, [[1.0, 2.0]], [1]) == pytest.approx(3 / 8, rel=1e-15)
        assert torch.equal(layer.weight, torch.eye(2, dtype=torch.float64))
    assert isinstance(layer.weight, nn.Parameter) and net[2].weight is layer.weight
    assert ml.run_network(net, [[1.0, 2.0]], [1], "gd", 3, lr=0.1).degree == 3
    assert set(net.state_dict()) == {"0.weight", "2.weight", "4.weight"}


def test_a_monitoring_thread_leaves_the_draws_of_the_training_thread_alone() -> None:
    """The model draws nothing itself, so a generator that has moved on meanwhile is not put back."""

    class Meanwhile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = model_zoo.linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            thread = threading.Thread(target=torch.rand, args=(3,))
            thread.start()
            thread.join()
            return self.layer(x)

    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert ml.homogeneity_degree(Meanwhile(), torch.rand(6, 4, dtype=torch.float64)) == 1
    assert not torch.equal(torch.get_rng_state(), before)


def test_what_draws_in_eval_mode_is_refused() -> None:
    model, X, y = model_zoo.make("drawing")
    for name in (
        "normalized_margin",
        "homogeneity_degree",
        "smallest_perturbation",
        "run_network",
        "kkt.residuals",
    ):
        assert "draws random numbers in eval mode" in str(call(name, model, X, y)), name
