"""The front page in a real browser, offline: its race is the library's, its samples move, its map leads somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Watched, chromium_path, open_browser

import margin_lab as ml

ROOT = Path(__file__).resolve().parent.parent
RACE = ROOT / "book/_static/race"
START = [0.15, -0.35]
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("front")]


def signed_samples() -> list[np.ndarray]:
    """Random separable sets, and sets on which gradients vanish exactly or entries tie."""
    rng = np.random.default_rng(0)
    sets = []
    for n in (2, 3, 5, 8, 12, 20):
        angle = rng.uniform(0, 2 * np.pi)
        Z = rng.normal(size=(n, 2))
        Z *= np.sign(Z @ [np.cos(angle), np.sin(angle)])[:, None]
        sets.append(Z / np.linalg.norm(Z, axis=1).max())
    side = np.sqrt(0.99)
    degenerate = [
        [[0.1, side], [0.1, side], [0.1, -side]],  # Dataset 1
        [[0.5, 0.5], [0.5, -0.5]],
        [[0.6, 0.6]],  # both entries of every gradient are equal
        [[0.3, 0.4], [0.3, 0.4], [1.0, 0.0]],
    ]
    return sets + [np.array(Z) for Z in degenerate]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    chromium_path()
    folder = tmp_path_factory.mktemp("front")
    scripts = "".join(f"<script>{(RACE / name).read_text()}</script>" for name in ("race.js", "sandbox.js"))
    style = f"<style>{(RACE / 'race.css').read_text()}</style>"
    (folder / "race.html").write_text(
        f'<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>race</title>{style}</head>'
        f'<body><div id="margin-race"></div>{scripts}</body></html>'
    )
    with open_browser() as browser:
        watched = Watched(browser, offline=True, reduced_motion="reduce")
        watched.open_file(folder / "race.html")
        watched.page.locator(".mr-curve").first.wait_for()
        yield watched
        watched.assert_clean()


@pytest.mark.parametrize("method", ["gd", "ngd", "prgd", "sign", "coordinate"])
def test_trajectories_are_those_of_the_library(page, method):
    options = {"growth": 1.2, "period": 5, "lr": 0.7, "w0": START}
    ours = {"radii": ml.optim.exponential_radii(1.2), "period": 5, "warmup": 0} if method == "prgd" else {}
    for Z in signed_samples():
        shown = page.page.evaluate(
            "([Z, method, options]) => MarginRace.run(Z, method, 1000, options)",
            [Z.tolist(), method, options],
        )
        run = ml.run_linear(
            Z, np.ones(len(Z)), method, 1000, lr=0.7, w0=np.array(START), record="all", **ours
        )
        scale = np.maximum(1, np.linalg.norm(run.w, axis=1, keepdims=True))
        assert np.abs((np.array(shown) - run.w) / scale).max() < 1e-9


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_widest_margins_are_those_of_the_ruler(page, norm):
    for Z in signed_samples():
        wide = page.page.evaluate("([Z, norm]) => MarginRace.widest(Z, norm)", [Z.tolist(), norm])
        assert wide["margin"] == pytest.approx(
            ml.hard_margin(Z, np.ones(len(Z)), norm=norm).margin, rel=1e-12
        )


def state(page: Watched) -> dict:
    return json.loads(page.page.evaluate("JSON.stringify(document.getElementById('margin-race').marginRace)"))


def curve(page: Watched, method: str) -> str:
    return str(page.page.locator(f'.mr-curve[data-method="{method}"]').get_attribute("d"))


def choose(page: Watched, name: str) -> None:
    page.page.locator("#margin-race select").select_option("two clouds")
    page.page.locator("#margin-race select").select_option(name)


def test_a_dragged_sample_changes_every_curve(page):
    choose(page, "three norms")
    before = state(page)["points"][0], [curve(page, m) for m in ("gd", "prgd", "sign")]
    box = page.page.locator(".mr-sample").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x - 20, y - 60, steps=6)
    page.page.mouse.up()
    assert state(page)["points"][0] != before[0]
    assert all(
        now != then
        for now, then in zip([curve(page, m) for m in ("gd", "prgd", "sign")], before[1], strict=True)
    )


def test_keyboard_moves_flips_and_removes(page):
    choose(page, "three norms")
    page.page.locator(".mr-sample").nth(2).focus()
    x, y, label = state(page)["points"][2]
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowUp")
    assert state(page)["points"][2] == pytest.approx([x + 0.02, y + 0.02, label])
    page.page.keyboard.press("Enter")
    assert state(page)["points"][2][2] == -label
    assert not state(page)["separable"]
    assert "No line through the cross" in page.page.locator(".mr-reading").inner_text()
    page.page.keyboard.press("Enter")
    page.page.keyboard.press("Delete")
    assert len(state(page)["points"]) == 4


def test_ringed_samples_hold_the_margin(page):
    choose(page, "three norms")
    assert page.page.locator(".mr-ring").count() == 2
    page.page.locator('input[value="sign"]').check()
    assert page.page.locator(".mr-ring").count() == 1
    page.page.locator('input[value="prgd"]').check()


def test_time_is_scrubbed_and_played(page):
    choose(page, "three norms")
    scrub = page.page.locator('input[aria-label="Step of the race"]')
    scrub.focus()
    page.page.keyboard.press("Home")
    assert state(page)["at"] == 0
    page.page.get_by_role("button", name="Play").click()
    page.page.wait_for_function("document.getElementById('margin-race').marginRace.at > 20")
    page.page.get_by_role("button", name="Pause").click()


def test_too_fast_a_growth_freezes_prgd(page):
    choose(page, "three norms")
    growth = page.page.locator('[data-knob="growth"]')
    last = []
    for value in ("1.1", "1.5"):
        growth.fill(value)
        last.append(state(page)["runs"]["prgd"]["gap"][-1])
    growth.fill("1.1")
    assert last[0] <= 1e-11
    assert last[1] > 1e-6


def test_it_fits_a_phone(page):
    page.page.set_viewport_size({"width": 390, "height": 844})
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
    plane = page.page.locator(".mr-plane").bounding_box()
    controls = page.page.locator(".mr-play").bounding_box()
    assert plane["y"] + plane["height"] < controls["y"] < 844
    page.page.set_viewport_size({"width": 1280, "height": 1000})


def test_map_leads_to_every_chapter():
    text = (ROOT / "book/intro.md").read_text(encoding="utf-8")
    targets = re.findall(r'<a href="([\w-]+)\.html">', text)
    assert sorted(targets) == sorted(
        p.stem for p in (ROOT / "book").glob("*.ipynb") if re.match(r"(0\d|1[0-3])_", p.name)
    )
