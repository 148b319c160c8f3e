"""Take the pictures of the documentation anew from the results of the last run.

    python docs/take_pictures.py [PROBE MODEL]

Needs Chromium and Playwright for the screenshots of the pages.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PORT = "5099"
FIGURES = ("heatmap", "controls.heads", "target.heads.null")


def main() -> None:
    """Copy the figures of one result and photograph its page and the compare page."""
    probe, model = sys.argv[1:3] if len(sys.argv) > 2 else ("otherview", "tiny")
    folder = ROOT / "reports" / model / probe
    PICTURES.mkdir(exist_ok=True)
    for name in FIGURES:
        shutil.copyfile(folder / "figures" / f"{name}.png", PICTURES / f"{name}.png")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, page in (("report", folder / "index.html"), ("compare", ROOT / "reports" / "index.html")):
            for scheme in ("light", "dark"):
                shown = browser.new_page(viewport={"width": 1200, "height": 1560}, color_scheme=scheme)
                shown.goto(page.as_uri())
                shown.wait_for_selector("html[data-ready='true']")
                shown.screenshot(path=PICTURES / f"{name}-{scheme}.png")
                _shrink(PICTURES / f"{name}-{scheme}.png")
        _photograph_twins(browser)
        _photograph_mlflow(browser)
        browser.close()


def _photograph_twins(browser: Browser) -> None:
    """The maps of a trained model and of its untrained twin on one scale, from the index."""
    shown = browser.new_page(viewport={"width": 1200, "height": 900})
    shown.goto((ROOT / "reports" / "index.html").as_uri())
    shown.wait_for_selector("html[data-ready='true']")
    bar = shown.locator("#overview .scale").first.bounding_box()
    maps = shown.locator(".overview .triple").first.bounding_box()
    assert bar is not None
    assert maps is not None
    height = maps["y"] + maps["height"] - bar["y"]
    area = {"x": maps["x"] - 8, "y": bar["y"] - 8, "width": maps["width"] + 16, "height": height + 16}
    shown.screenshot(path=PICTURES / "twins.png", clip=area, full_page=True)
    _shrink(PICTURES / "twins.png")


def _photograph_mlflow(browser: Browser) -> None:
    """The table of runs, its charts, and the prompts that a run was made of, as `plantain ui` opens them."""
    command = [sys.executable, "-m", "plantain.cli", "ui", "--port", PORT]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        _wait(f"http://127.0.0.1:{PORT}/health")
        _take(_opened(browser, address, 720), "runs")
        maps = _opened(browser, f"{address}&compareRunsMode=CHART", 1130)
        search = maps.get_by_placeholder("metrics.rmse")
        search.fill("tags.superseded = 'false' AND tags.probe = 'otherview'")
        search.press("Enter")
        maps.get_by_role("link", name="dense@tiny", exact=True).wait_for(state="detached")
        maps.locator(".js-plotly-plot .scatterlayer").first.wait_for()
        _take(maps, "charts")
        prompts = _opened(browser, address, 860)
        prompts.get_by_role("link", name="otherview@tiny", exact=True).click()
        prompts.get_by_role("link", name="otherview (v").click()
        prompts.get_by_text("{{creature}}").first.wait_for()
        _take(prompts, "prompts")
    finally:
        os.killpg(process.pid, signal.SIGTERM)


def _opened(browser: Browser, address: str, height: int) -> Page:
    shown = browser.new_page(viewport={"width": 2080, "height": height})
    shown.goto(address)
    shown.get_by_role("link", name="otherview@tiny", exact=True).wait_for()
    shown.locator("xpath=//*[text()='MLflow Assistant']/ancestor::div[.//button][1]//button").last.click()
    return shown


def _take(shown: Page, name: str) -> None:
    shown.wait_for_timeout(3000)  # charts are drawn one after the other
    shown.screenshot(path=PICTURES / f"mlflow-{name}.png")  # MLflow's shaded ground would turn pink in few colours


def _wait(address: str) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=2).read()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit(f"{address} does not answer.")


def _shrink(path: Path) -> None:
    """A page has few colours: 128 of them look the same and take a quarter of the space."""
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
