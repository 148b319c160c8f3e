"""How long figures and pages take at Klein's full geometry, and how soon a page answers in a real browser.

Run ``python benchmarks/report.py``; it writes ``benchmarks/report.md``. Numbers are simulated, since drawing
does not depend on what they are. The browser part needs Chromium and Playwright, and is left out without them.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import numpy as np  # noqa: E402
from helpers.browser import FLAGS  # noqa: E402
from helpers.report_fixture import KLEIN, Cell, write_cell  # noqa: E402

REPEATS = 3
STAGE = """
import sys, time
wall = time.perf_counter()
started = time.process_time()
from pathlib import Path
from plantain.report.compare.write import write_compare
from plantain.report.result import load_result
from plantain.report.figures.write import write_figures
from plantain.report.page.write import write_page
imported = time.process_time()
root = Path(sys.argv[1])
result = load_result(root, "otherview", "klein")
write_figures(result, root / "figures", 160)
drawn = time.process_time()
write_page(result, root / "page.html")
page = time.process_time()
elapsed = time.perf_counter() - wall
cells = [load_result(root, p, m) for p in ("otherview", "dense") for m in ("klein", "klein-untrained")]
write_compare(cells, root / "compare.html")
print(imported - started, drawn - imported, page - drawn, time.process_time() - page, elapsed)
"""
NAMES = ("import", "figures (PNG and SVG)", "page", "compare page, 2 probes on 2 models")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for probe, items in (("otherview", 30), ("dense", 25)):
            for model, of in (("klein", None), ("klein-untrained", "klein")):
                write_cell(root, Cell(probe=probe, model=model, items=items, geometry=KLEIN, of=of,
                                      controls=("paraphrase", "length", "decoy")))  # fmt: skip
        runs = [_stage(root) for _ in range(REPEATS)]
        sizes = {name: (root / name).stat().st_size / 1e6 for name in ("page.html", "compare.html")}
        answers = {name: _answers(root / name) for name in sizes}
    (HERE / "report.md").write_text(_text(runs, sizes, answers), encoding="utf-8")
    print((HERE / "report.md").read_text(encoding="utf-8"))


def _stage(root: Path) -> list[float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", STAGE, str(root)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [float(text) for text in done.stdout.split()]


def _answers(path: Path) -> float | None:
    """Median of milliseconds from the start of the navigation until the map answers; None without a browser."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return None
    found = []
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            for _ in range(5):
                page = browser.new_page(viewport={"width": 1200, "height": 900})
                page.goto(path.as_uri())
                page.wait_for_selector("html[data-ready='true']")
                found.append(page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
                page.close()
            browser.close()
    except Error:
        return None
    return float(np.median(found))


def _text(runs: list[list[float]], sizes: dict[str, float], answers: dict[str, float | None]) -> str:
    rows = [f"| {name} | {np.median([run[i] for run in runs]):.1f} s |" for i, name in enumerate(NAMES)]
    elapsed = min(run[4] for run in runs)
    total = np.median([sum(run[:3]) for run in runs])
    pages = [
        f"| {name} | {size:.2f} MB | {f'{answers[name]:.0f} ms' if answers[name] is not None else 'no browser here'} |"
        for name, size in sizes.items()
    ]
    head = (
        "# Figures and pages at full geometry",
        "",
        "600 heads and 16,320 groups, 30 items, 5 contrasts (one target, one published, three controls) by 2 analyses. "
        f"`python benchmarks/report.py`: medians of {REPEATS} processes; {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, on {time.strftime('%Y-%m-%d')}; "
        "processor time, all of it in one thread.",
        "",
        "| what | processor time |",
        "|---|---:|",
    )
    tail = (
        f"| **one cell's report stage: import, figures, page** | **{total:.1f} s** |",
        "",
        f"By the clock the report stage took {elapsed:.1f} s at best, "
        f"while {os.getloadavg()[0]:.0f} processes shared the cores.",
        "",
        "| page | size | answers after |",
        "|---|---:|---:|",
        *pages,
    )
    return "\n".join((*head, *rows, *tail)) + "\n"


if __name__ == "__main__":
    main()
