"""Results: short reprs, tables, plots in the method's colour, files without pickle, lengths and slices as they seem."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import train

import margin_lab as ml
from margin_lab.palette import color_of
from margin_lab.results import Batch, Result
from margin_lab.runs import NetworkRun, NetworkSweep, Run, Sweep, Training

DATA = ml.datasets.gaussian(12, 3)
NET = ml.models.MLP([3, 4, 1], "relu2")


def fitted() -> ml.models.MLP:
    """A network that separates the data."""
    return ml.run_network(NET, DATA.X, DATA.y, "ngd", 60, lr=0.1).model()


MAKERS: dict[str, Callable[[], Any]] = {
    "run": lambda: ml.run_linear(DATA.X, DATA.y, "ngd", 9, lr=0.2),
    "certified": lambda: ml.run_linear(DATA.X, DATA.y, "certified", 5),
    "sweep": lambda: ml.sweep_linear(DATA.X, DATA.y, "prgd", 9, lr=[0.1, 0.2, 0.3]),
    "network run": lambda: ml.run_network(NET, DATA.X, DATA.y, "gd", 9, lr=0.01, keep="all"),
    "network sweep": lambda: ml.sweep_network(NET, DATA.X, DATA.y, "gd", 9, lr=[0.01, 0.02], seed=[0, 1]),
    "training": lambda: train(5, snapshots=(1,)),
    "flow": lambda: ml.flow.linear_flow(DATA.X, DATA.y, np.linspace(-5, 5, 700)),
    "steepest flow": lambda: ml.flow.steepest_flow(NET, DATA.X, DATA.y, "linf", 40),
    "kkt": lambda: ml.kkt.residuals(fitted(), DATA.X, DATA.y),
    "kernel": lambda: ml.kkt.kernel_support_vectors(fitted(), DATA.X, DATA.y),
    "hard margin": lambda: ml.hard_margin(DATA.X, DATA.y),
    "labels": lambda: ml.hard_margin_multiclass(np.eye(3), [5, 7, 9]),
    "lexicographic": lambda: ml.lexicographic.lexicographic_margin(DATA.X, DATA.y, "linf"),
    "linear path": lambda: ml.lexicographic.constrained_path(DATA.X, DATA.y, [1.0, 2.0]),
    "hat": lambda: ml.flow.MexicanHat(c=20.0).path(turns=2),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {name: make() for name, make in MAKERS.items()}


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, in kind and in dtype."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return (
            isinstance(b, np.ndarray)
            and a.dtype == b.dtype
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    if isinstance(a, dict):
        return isinstance(b, dict) and [*a] == [*b] and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (torch.nn.Module, type(None))) or (
        dataclasses.is_dataclass(a) and not isinstance(a, type)
    ):
        return True  # looked into by the callers
    return type(a) is type(b) and (a == b or a != a)


@pytest.mark.parametrize("name", MAKERS)
def test_a_result_shows_itself_in_few_lines(name: str, results: dict[str, Any]) -> None:
    result = results[name]
    text = repr(result)
    assert text.startswith(f"{type(result).__name__}(") and len(text.splitlines()) <= 15
    assert max(map(len, text.splitlines())) <= 160
    html = result._repr_html_()
    assert html.count("<tr>") <= 8 and "<table>" in html and len(html) < 5000
    assert isinstance(result, Result)


@pytest.mark.parametrize("name", MAKERS)
def test_results_are_equal_where_they_are_one_object(name: str, results: dict[str, Any]) -> None:
    result = results[name]
    twin = copy.copy(result)
    assert result == result and result != twin
    assert result in {result} and len({result, twin}) == 2 and result in [twin, result]


@pytest.mark.parametrize("name", MAKERS)
def test_a_table_has_columns_of_one_length_and_becomes_a_frame(name: str, results: dict[str, Any]) -> None:
    pandas = pytest.importorskip("pandas")
    table = results[name].table()
    frame = results[name].to_frame()
    assert isinstance(frame, pandas.DataFrame) and list(frame) == list(table) and len(table) >= 2
    assert all(values.shape == (len(frame),) for values in table.values())


@pytest.mark.parametrize("name", MAKERS)
def test_plots_are_labelled_and_drawn_in_the_methods_colour(name: str, results: dict[str, Any]) -> None:
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    result, ax = results[name], Figure().subplots()
    assert result.plot(ax=ax) is ax
    assert ax.get_xlabel() and ax.get_ylabel()
    method = getattr(result, "method", None)
    assert {to_hex(line.get_color()).upper() for line in ax.lines} == {color_of(method).upper()}
    assert len(ax.lines) == (len(result) if isinstance(result, Batch) else 1)
    with pytest.raises(ValueError, match="there is no column 'speed', only '"):
        result.plot("speed", ax=ax)


@pytest.mark.parametrize("name", MAKERS)
def test_a_file_gives_back_what_was_saved(name: str, results: dict[str, Any], tmp_path: Path) -> None:
    result, path = results[name], tmp_path / "result"
    assert result.save(path) == path
    again = type(result).load(path)
    assert type(again) is type(result) is type(ml.results.load(path)) and [*tmp_path.iterdir()] == [path]
    for field in dataclasses.fields(result):
        if field.name not in result._left_out and (field.name != "settings" or name != "sweep"):
            assert same(getattr(result, field.name), getattr(again, field.name)), field.name
    assert repr(again) == repr(result) or isinstance(result, (NetworkRun, NetworkSweep))
    assert same(again.table(), result.table())
    # no pickle inside
    with np.load(path, allow_pickle=False) as stored:
        assert all(stored[key].dtype.kind != "O" for key in stored.files)


def test_nested_results_and_settings_that_are_objects(results: dict[str, Any], tmp_path: Path) -> None:
    kernel = results["kernel"]
    again = type(kernel).load(kernel.save(tmp_path / "kernel"))
    assert again.support().tolist() == kernel.support().tolist()
    assert again.solution.margin == kernel.solution.margin and repr(again.solution) == repr(kernel.solution)
    sweep = results["sweep"]
    radii = Sweep.load(sweep.save(tmp_path / "sweep")).settings[0]["radii"]
    assert radii == repr(sweep.settings[0]["radii"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_stay_tensors_of_their_dtype(dtype: torch.dtype, tmp_path: Path) -> None:
    X, y = torch.tensor(DATA.X, dtype=dtype), torch.tensor(DATA.y)
    run = ml.run_linear(X, y, "ngd", 9)
    again = Run.load(run.save(tmp_path / "run"))
    assert again.w.dtype == dtype and torch.equal(again.w, run.w) and again.norm_name == "l2"


def test_labels_that_are_python_objects_survive(tmp_path: Path) -> None:
    labels = np.array(["cat", "dog", None], dtype=object)
    solution = dataclasses.replace(ml.hard_margin(DATA.X, DATA.y), classes=labels)
    again = ml.HardMargin.load(solution.save(tmp_path / "solution"))
    assert again.classes.dtype == object and again.classes.tolist() == labels.tolist()


def test_half_precision_and_infinities_survive(tmp_path: Path) -> None:
    run = train(2, ml.models.MLP([64, 8, 10], dtype=torch.bfloat16), schedule="constant", lr=0.01)
    run = dataclasses.replace(run, seconds=float("inf"))
    again = Training.load(run.save(tmp_path / "run"))
    assert again.theta.dtype == torch.bfloat16 and torch.equal(again.theta, run.theta)
    assert again.seconds == float("inf") and np.isnan(again.test_accuracy).all()


def test_a_file_knows_its_network(tmp_path: Path) -> None:
    def network(activation: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
        torch.manual_seed(seed)
        net = torch.nn.Sequential(
            torch.nn.Linear(64, 8), torch.nn.BatchNorm1d(8), activation, torch.nn.Linear(8, 10)
        ).double()
        net[0].weight.requires_grad_(False)
        return net

    run = train(6, network(torch.nn.ReLU()), lr=0.05, schedule="constant", snapshots=(0.5,))
    path = run.save(tmp_path / "run")
    bare = Training.load(path)
    with pytest.raises(ValueError, match=r"read it with .load\(path, model=net\)"):
        bare.model()
    again = Training.load(path, network(torch.nn.ReLU(), seed=1))
    for power in (None, 0.5):
        a, b = run.model(power).state_dict(), again.model(power).state_dict()
        assert all(torch.equal(value, b[name]) for name, value in a.items())
    with pytest.raises(ValueError, match="holds a run of another network: module 2 was ReLU.* and is Tanh"):
        Training.load(path, network(torch.nn.Tanh()))


def test_networks_of_full_batch_runs_come_back(results: dict[str, Any], tmp_path: Path) -> None:
    sweep: NetworkSweep = results["network sweep"]
    again = NetworkSweep.load(sweep.save(tmp_path / "sweep"), ml.models.MLP([3, 4, 1], "relu2", seed=5))
    X = torch.tensor(DATA.X)
    assert torch.equal(again.model(2)(X), sweep.model(2)(X))
    run: NetworkRun = results["network run"]
    assert torch.equal(NetworkRun.load(run.save(tmp_path / "run"), NET).model(at=3)(X), run.model(at=3)(X))


@pytest.mark.parametrize("name", ["sweep", "network sweep"])
def test_lengths_and_slices(name: str, results: dict[str, Any]) -> None:
    sweep = results[name]
    count, kind = len(sweep), Run if name == "sweep" else NetworkRun
    assert count == len(sweep.settings) and [type(run) for run in sweep] == [kind] * count
    for i in (0, 1, -1, np.int64(2)):
        assert type(sweep[i]) is kind and sweep[i].settings == sweep.settings[i]
        np.testing.assert_array_equal(sweep[i].log_loss, sweep.log_loss[i])
    for part, rows in ((slice(2), [0, 1]), (slice(None, None, -1), range(count)[::-1]), (slice(5, 5), [])):
        several = sweep[part]
        assert type(several) is type(sweep) and len(several) == len(rows)
        assert [run.settings for run in several] == [sweep.settings[i] for i in rows]
        np.testing.assert_array_equal(several.log_loss, sweep.log_loss[list(rows)])
    with pytest.raises(IndexError, match=f"no run {count}"):
        sweep[count]
    with pytest.raises(TypeError, match=r"takes a whole number or a slice, such as \[3\]"):
        sweep["lr"]
    for single in (results["run"], results["network run"]):
        with pytest.raises(TypeError):
            len(single)


def test_slices_of_tensors_may_run_backwards() -> None:
    sweep = ml.sweep_linear(torch.tensor(DATA.X), torch.tensor(DATA.y), "ngd", 5, lr=[0.1, 0.2])
    assert torch.equal(sweep[::-1].w, sweep.w.flip(0)) and sweep[::-1].settings == sweep.settings[::-1]


def test_a_sweeps_table_says_what_varied(results: dict[str, Any]) -> None:
    table = results["network sweep"].table()
    assert list(table)[:3] == ["run", "lr", "seed"] and set(table["lr"]) == {0.01, 0.02}
    first = {name: values[table["run"] == 3] for name, values in table.items()}
    assert set(first["lr"]) == {0.02} and set(first["seed"]) == {1}


def test_a_trainings_columns_are_its_attributes(results: dict[str, Any]) -> None:
    run = results["training"]
    for name in ("epochs", "log_loss", "q_min", "accuracy", "test_accuracy", "norm", "lr", "rejected"):
        assert name in dir(run) and getattr(run, name) is run.columns[name]
    with pytest.raises(AttributeError, match="speed"):
        _ = run.speed
    assert pickle.loads(pickle.dumps(run)).log_loss.tolist() == run.log_loss.tolist()
    assert repr(run.snapshots[1]).startswith("Snapshot(below 1e1 at epoch ")


def test_other_files_are_refused(results: dict[str, Any], tmp_path: Path) -> None:
    path = results["run"].save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"holds a Run, not a Sweep; read it with Run.load"):
        Sweep.load(path)
    path = tmp_path / "other.npz"
    for write in (
        lambda: np.savez(path, weights=np.zeros(2)),
        lambda: np.save(tmp_path / "array.npy", np.zeros(2)) or (tmp_path / "array.npy").replace(path),
        lambda: path.write_bytes(b"nothing"),
        lambda: torch.save({}, path),
        lambda: path.write_bytes(pickle.dumps(results["run"])),
    ):
        write()
        with pytest.raises(ValueError, match="is no file of a margin_lab result"):
            Run.load(path)
    np.savez(path, margin_lab=np.frombuffer(b'{"format": 99, "kind": "Run"}', dtype=np.uint8))
    with pytest.raises(ValueError, match="has format 99, and this version of margin_lab reads format 1"):
        Run.load(path)
    header = b'{"format": 1, "kind": "Run", "content": {"is": "dict", "value": [["method", "gd"]]}}'
    np.savez(path, margin_lab=np.frombuffer(header, dtype=np.uint8))
    with pytest.raises(ValueError, match="a Run of another version of margin_lab"):
        Run.load(path)
    with pytest.raises(FileNotFoundError):
        Run.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("module", "package", "call"),
    [("pandas", "pandas", "to_frame"), ("matplotlib.pyplot", "matplotlib", "plot")],
)
def test_a_missing_package_is_one_clear_sentence(
    module: str, package: str, call: str, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=rf"\.{call}\(\) needs the package {package}.*pip install {package}"
    ):
        getattr(results["run"], call)()


def test_a_plot_of_its_own_is_a_pyplot_figure(results: dict[str, Any]) -> None:
    import matplotlib.pyplot as plt

    ax = results["sweep"].plot("log_loss", linewidth=3)
    assert plt.fignum_exists(ax.figure.number) and ax.lines[0].get_linewidth() == 3
    plt.close(ax.figure)
