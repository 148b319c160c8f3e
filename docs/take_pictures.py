"""Take the pictures of the documentation anew from the results of the last run.

    python docs/take_pictures.py [PROBE MODEL]

Needs Chromium and Playwright for the screenshots of the pages.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
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
                shown.wait_for_function("document.documentElement.dataset.ready === 'true'")
                shown.screenshot(path=PICTURES / f"{name}-{scheme}.png")
                _shrink(PICTURES / f"{name}-{scheme}.png")
        browser.close()


def _shrink(path: Path) -> None:
    """A page has few colours: 128 of them look the same and take a quarter of the space."""
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
