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
