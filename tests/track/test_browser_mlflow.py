import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.browser import ARTIFACTS, browser
from helpers.servers import free_port, wait_for
from helpers.track_helpers import make_cell, parameters

from plantain.track.mlflow.headline import run_color
from plantain.track.mlflow.publish import publish

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def server(root):
    """`plantain ui` as a person starts it; yields the address that it prints."""
    port = free_port()
    command = [sys.executable, "-m", "plantain.cli", "ui", "--port", str(port)]
    environment = os.environ | {"DO_NOT_TRACK": "true"}
    process = subprocess.Popen(
        command, cwd=root, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    try:
        printed = process.stdout.readline()
        assert f"http://127.0.0.1:{port}/" in printed
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield printed.split()[-1]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def pixels(page, name):
    """The colours of the circles before a run's name."""
    circles = "e => [...e.closest('[role=row], .ag-row, div:has(> a)').parentElement.querySelectorAll('*')]"
    styles = f"{circles}.map((one) => getComputedStyle(one).backgroundColor)"
    return set(page.get_by_role("link", name=name, exact=True).evaluate(styles))


def as_css(color):
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


@pytest.mark.long
def test_a_row_has_its_colour_and_leads_to_its_prompts_in_two_clicks_and_to_figures_beside_others(judged):
    shutil.copy2(ROOT / "params.yaml", judged)
    make_cell(judged, "dense", "tiny", seed=5.0, threshold=4.0, at=1_700_000_100.0)
    publish(judged, parameters())
    with browser() as opened, server(judged) as address:
        page = opened.new_page(viewport={"width": 1600, "height": 1300})
        page.set_default_timeout(60_000)
        page.goto(address.partition("#")[0])
        page.get_by_text("Model training", exact=True).first.click()
        page.get_by_role("link", name="plantain", exact=True).first.click()
        row = page.get_by_role("link", name="dense@tiny", exact=True)
        row.wait_for()
        assert row.count() == 1, "the superseded one is not among them"
        assert page.get_by_role("link", name="the table with its numbers").count() == 1
        page.get_by_test_id("saved-views-trigger").click()
        page.get_by_test_id("saved-views-item-plantain").click()
        page.get_by_text("verdict_rung", exact=True).wait_for()
        row.wait_for()
        assert row.count() == 1
        assert as_css(run_color("dense", "tiny", untrained=False)) in pixels(page, "dense@tiny")
        row.click()
        page.get_by_role("link", name="dense (v").click()
        page.get_by_text("dense viewpoint of adult").wait_for()
        row.nth(1).wait_for()  # both settings came of one prompt set
        page.screenshot(path=ARTIFACTS / "mlflow_prompts.png")
        page.goto(f"{address}&compareRunsMode=CHART")
        page.reload()
        page.get_by_text("figures/heatmap", exact=True).wait_for()
        page.locator("img[src*='figures']").nth(1).wait_for()
        page.screenshot(path=ARTIFACTS / "mlflow_figures.png")


@pytest.mark.long
def test_the_ui_lists_the_runs_with_their_prompt_sets_and_opens_the_page(judged):
    shutil.copy2(ROOT / "params.yaml", judged)
    with browser() as opened, server(judged) as address:
        page = opened.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(address)
        row = page.get_by_role("link", name="otherview@tiny", exact=True)
        row.wait_for()
        assert page.get_by_text("otherview (").first.is_visible()
        for column in ("heads_over_t3", "max_abs_t"):
            assert page.get_by_text(column, exact=True).count() == 0, "not among the chosen columns"
        titles = [page.get_by_text(name, exact=True) for name in ("verdict_rung", "concept_information", "Dataset")]
        places = [title.bounding_box()["x"] for title in titles]
        assert places == sorted(places)
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTIFACTS / "mlflow_runs.png")
        page.goto(f"{address}&compareRunsMode=CHART")
        page.reload()
        chart = page.get_by_text("blocks/effect", exact=True).first
        chart.wait_for()
        page.locator(".js-plotly-plot .scatterlayer").first.wait_for()
        page.screenshot(path=ARTIFACTS / "mlflow_blocks.png")
        page.goto(address)
        page.reload()
        row.click()
        page.get_by_role("tab", name="Artifacts").click()
        page.get_by_text("report", exact=True).first.click()
        page.get_by_text("index.html").first.click()
        page.frame_locator("iframe").locator("body").wait_for()
        page.screenshot(path=ARTIFACTS / "mlflow_page.png")
