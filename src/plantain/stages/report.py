"""``report``: figures and the page of a cell."""

import sys
from pathlib import Path

from plantain.report.data import load_result
from plantain.report.figures import write_figures
from plantain.report.page import write_page
from plantain.stages.common import run, stage


def main() -> None:
    """``python -m plantain.stages.report PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    with stage("report", section="report", probe=probe, model=model) as current:
        current.use("report")
        current.read(Path("data/stats", model, probe))
        current.read(Path("data/prompts", f"{probe}.parquet"))
        current.read(Path("data/references", model, probe))
        current.read(Path("reports/published"))
        result = load_result(Path(), probe, model)
        folder = Path("reports", model, probe)
        figures = current.out(folder / "figures")
        figures.mkdir()
        write_figures(result, figures, current.params.report.dpi)
        write_page(result, current.out(folder / "index.html"))


if __name__ == "__main__":
    run(main)
