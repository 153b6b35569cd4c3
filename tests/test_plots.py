"""Figures: alt text on every one, one colour per optimizer; sentences and tables made of numbers."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import margin_lab as ml
from margin_lab.palette import COLORS, DASHES, LABELS, OWN_COLOR, OWN_DASH
from margin_lab.runs import METHODS


def luminance(color: str) -> float:
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


def test_every_method_has_a_look_of_its_own() -> None:
    assert set(METHODS) <= set(COLORS)
    assert set(COLORS) == set(LABELS)
    assert set(DASHES) <= set(COLORS)
    looks = {(color, DASHES.get(method)) for method, color in COLORS.items()}
    assert len(looks) == len(COLORS)
    assert len(set(LABELS.values())) == len(LABELS)


def test_colours_differ_and_stand_out_on_white() -> None:
    solid = [color for method, color in COLORS.items() if method not in DASHES]
    assert len(set(solid)) == len(solid)
    for i, a in enumerate(solid):
        assert re.fullmatch("#[0-9A-F]{6}", a)
        assert 1.05 / (luminance(a) + 0.05) > 2, a  # contrast with white
        for b in solid[:i]:
            assert np.abs(np.subtract(to_rgb(a), to_rgb(b))).max() > 0.1, (a, b)


def test_a_methods_line() -> None:
    assert ml.plots.line("prgd") == {"color": COLORS["prgd"], "label": "PRGD"}
    assert ml.plots.line("nacson")["dashes"] == DASHES["nacson"]
    assert ml.plots.line("gd", label="mine", linewidth=1)["label"] == "mine"
    own = ml.plots.line("my_descent")  # a reader's own, which no palette knows
    assert own == {"color": OWN_COLOR, "label": "my_descent", "dashes": OWN_DASH}
    assert OWN_COLOR not in COLORS.values()


def sweep() -> ml.Sweep:
    d1 = ml.datasets.dataset_1()
    return ml.sweep_linear(d1.X, d1.y, "ngd", 30, lr=[0.2, 0.5, 1.0])


def test_a_run_is_drawn_in_its_methods_colour() -> None:
    run = sweep()[1]
    _, ax = ml.plots.figure()
    ml.plots.against_steps(ax, run, run.margin)
    (drawn,) = ax.lines
    assert drawn.get_color() == COLORS["ngd"]
    assert drawn.get_label() == "NGD"
    np.testing.assert_array_equal(drawn.get_xdata(), run.steps)
    np.testing.assert_array_equal(drawn.get_ydata(), run.margin)
    ml.plots.against_steps(ax, run, run.norm, method="dual", label="other")
    assert ax.lines[1].get_color() == COLORS["dual"]
    assert ax.lines[1].get_label() == "other"


def test_a_sweep_is_drawn_as_its_median_and_range() -> None:
    runs = sweep()
    _, ax = ml.plots.figure()
    ml.plots.against_steps(ax, runs, runs.margin)
    (drawn,) = ax.lines
    np.testing.assert_array_equal(drawn.get_ydata(), np.median(runs.margin, axis=0))
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices[:, 1]
    assert corners.min() == runs.margin.min()
    assert corners.max() == runs.margin.max()
    np.testing.assert_allclose(band.get_facecolor()[0, :3], to_rgb(COLORS["ngd"]))


def test_tensors_are_drawn_too() -> None:
    import torch

    d1 = ml.datasets.dataset_1()
    run = ml.run_linear(torch.tensor(d1.X), torch.tensor(d1.y), "ngd", 30)
    _, ax = ml.plots.figure()
    ml.plots.against_steps(ax, run, run.margin)
    assert len(ax.lines) == 1


def test_figures_are_as_wide_as_the_page() -> None:
    fig, axes = ml.plots.figure(columns=2, rows=3, height=1.5, sharex=True)
    assert isinstance(fig, Figure)
    assert axes.shape == (3, 2)
    assert fig.get_size_inches().tolist() == [ml.plots.WIDTH, 4.5]


ALT = 'Gap <1e-6 & "falling":\n  NGD\'s line'


def test_show_escapes_its_alt_text() -> None:
    fig, ax = ml.plots.figure(height=1)
    ax.plot([0, 1])
    bundle = ml.plots.show(fig, alt=ALT)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    html = bundle["text/html"]
    assert 'alt="Gap &lt;1e-6 &amp; &quot;falling&quot;: NGD&#x27;s line"' in html
    assert html.count("<") == html.count(">") == 1
    assert "\n" not in html
    assert bundle["text/plain"] == 'Gap <1e-6 & "falling": NGD\'s line'


def test_show_gives_a_reproducible_picture_of_book_width() -> None:
    def drawn() -> bytes:
        fig, ax = ml.plots.figure(height=1)
        ax.plot([0, 1])
        return ml.plots.show(fig, alt="a line").webp()

    picture = drawn()
    image = Image.open(io.BytesIO(picture))
    assert (image.format, image.size) == ("WEBP", (7 * 144, 144))
    assert drawn() == picture


def test_a_coloured_field_stays_small_in_full_colour() -> None:
    fig, ax = ml.plots.figure()
    ax.imshow(np.random.default_rng(0).normal(size=(300, 300)), cmap="viridis")
    picture = ml.plots.show(fig, alt="noise").webp()
    assert len(picture) < 500_000
    assert (
        len(np.unique(np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).reshape(-1, 3), axis=0))
        > 1000
    )


def test_a_numbered_figure_has_a_caption() -> None:
    fig, _ = ml.plots.figure(height=1)
    html = ml.plots.show(
        fig, "a line", caption="The *line* rises; $x < 1$.", number="4.2"
    )._repr_mimebundle_()["text/html"]
    assert "<strong>Figure 4.2.</strong> The <em>line</em> rises; \\(x &lt; 1\\)." in html
    with pytest.raises(ValueError, match=r"figure 4.2 needs a caption"):
        ml.plots.show(fig, "a line", number="4.2")


def contrast(a: str, b: str) -> float:
    """WCAG's contrast of two colours."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("method", sorted(COLORS))
def test_colours_have_contrast_on_both_themes(method: str) -> None:
    for ground in ("#ffffff", "#181c20"):
        assert contrast(COLORS[method], ground) >= 3


@pytest.mark.parametrize("alt", ["", "  ", "\n"])
def test_show_needs_alt_text(alt: str) -> None:
    fig, _ = ml.plots.figure(height=1)
    with pytest.raises(
        ValueError, match="a figure needs alt text: one or two sentences that say what it shows"
    ):
        ml.plots.show(fig, alt=alt)
    with pytest.raises(TypeError, match="alt"):
        ml.plots.show(fig)  # type: ignore[call-arg]


# ---- prose


def test_say_and_table() -> None:
    assert ml.prose.say("It took **3** steps.").data == "It took **3** steps."
    shown = ml.prose.table(["method", "steps"], [["NGD", 12_508], ("PRGD", "106")])
    assert shown.data.splitlines() == [
        "| method | steps |",
        "| --- | ---: |",
        "| NGD | 12508 |",
        "| PRGD | 106 |",
    ]
    with pytest.raises(ValueError, match=r"the table has 2 columns, but a row has 3: \['a', 1, 2\]"):
        ml.prose.table(["a", "b"], [["a", 1, 2]])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([3, 1, 2], "2 [1, 3]"),
        ([1, 2, 3, 4], "2 [1, 4]"),  # the lower median: a number that was observed
        ([12_508, 5_000, 13_000], "12,508 [5,000, 13,000]"),
        ([0.12345, 0.2, 0.1], "0.123 [0.1, 0.2]"),
        ([94, math.inf, math.inf], "never [94, never]"),
        ([94, 95, math.inf], "95 [94, never]"),
        (np.array([7]), "7 [7, 7]"),
        (iter([1.5, 2.5]), "1.5 [1.5, 2.5]"),
        ([0.0, 0.0], "0 [0, 0]"),
    ],
)
def test_median_range(values: Any, text: str) -> None:
    assert ml.prose.median_range(values) == text


def test_median_range_of_nothing() -> None:
    with pytest.raises(ValueError, match="median_range needs at least one value"):
        ml.prose.median_range([])
