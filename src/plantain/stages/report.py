"""``report``: figures and the page of a cell."""

import sys
from pathlib import Path

from plantain.report.figures.write import write_figures
from plantain.report.page.write import write_page
from plantain.report.result import load_result
from plantain.stages.frame import run, stage


def inputs(probe: str, model: str) -> list[Path]:
    """Everything that the page of a cell is made of."""
    return [
        Path("data/stats", model, probe),
        Path("data/verdicts", model, f"{probe}.json"),
        Path("data/prompts", f"{probe}.parquet"),
        Path("data/prompts", f"{probe}.references.json"),
        Path("data/references", model, probe),
        Path("models", model, "model.lock.json"),
        Path("prompts", f"{probe}.yaml"),
        Path("reports/published"),
    ]


def main() -> None:
    """``python -m plantain.stages.report PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    with stage("report", section="report", probe=probe, model=model) as current:
        current.use("report")
        for path in inputs(probe, model):
            current.read(path)
        result = load_result(Path(), probe, model)
        folder = Path("reports", model, probe)
        figures = current.out(folder / "figures")
        figures.mkdir()
        write_figures(result, figures, current.params.report.dpi)
        write_page(result, current.out(folder / "index.html"))


if __name__ == "__main__":
    run(main)
