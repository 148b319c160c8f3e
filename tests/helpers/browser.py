"""A real browser for tests: Debian's Chromium through Playwright, cut off from any network."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots"


def chromium():
    """Where Chromium is; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("PLANTAIN_CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)
    if not found:
        pytest.skip("no Chromium here: `apt-get install chromium`, or point PLANTAIN_CHROMIUM at one")
    return found


@contextmanager
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: `pip install playwright`"
    )
    path = chromium()
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


class Visit:
    """A page that was opened, with everything it asked for and complained about."""

    def __init__(self, opened, path: Path, *, scheme: str = "light", width: int = 1200):
        self.page = opened.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.address = path.resolve().as_uri()
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-ready='true']")  # asking in a loop would need eval, which pages forbid

    def outside(self):
        """Requests other than for the page itself and for data inside it."""
        return [url for url in self.requests if url != self.address and not url.startswith("data:")]

    def keep(self, name: str) -> Path:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
        return ARTIFACTS / f"{name}.png"


WELL_FORMED = """() => {
  const found = [];
  const ids = [...document.querySelectorAll('[id]')].filter((e) => !e.closest('svg')).map((e) => e.id);
  for (const id of ids) if (ids.filter((other) => other === id).length > 1) found.push(`two elements are #${id}`);
  for (const image of document.images) if (!image.alt) found.push('an image without alt');
  for (const svg of document.querySelectorAll('svg')) {
    if (!svg.getAttribute('aria-label')) found.push('a chart without label');
  }
  for (const canvas of document.querySelectorAll('canvas')) {
    if (!canvas.getAttribute('aria-label')) found.push('a map without label');
  }
  for (const field of document.querySelectorAll('input, select')) {
    if (!field.labels.length) found.push(`${field.id || field.name} has no label`);
  }
  for (const name of ['aria-describedby', 'aria-labelledby']) for (const e of document.querySelectorAll(`[${name}]`)) {
    if (!document.getElementById(e.getAttribute(name))) found.push(`${name} of ${e.tagName} points nowhere`);
  }
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    if (!document.querySelector(link.getAttribute('href'))) found.push(`${link.href} points nowhere`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) found.push(`${heading.tagName} after h${level}: ${heading.textContent}`);
    level = next;
  }
  if (!document.documentElement.lang) found.push('no language');
  if (document.documentElement.scrollWidth > innerWidth + 1) found.push('the page scrolls sideways');
  return found;
}"""
"""What a screen reader or a narrow window would trip over; an empty list where nothing would."""
