"""``compare``: every cell of the run side by side."""

from pathlib import Path

from plantain.report.compare.write import write_compare
from plantain.report.result import load_result
from plantain.stages.frame import cells_with_results, run, stage


def main() -> None:
    """``python -m plantain.stages.compare``."""
    with stage("compare", section="report") as current:
        current.use("run")
        for folder in ("data/prompts", "data/stats", "data/verdicts", "models", "prompts", "reports/published"):
            current.read(Path(folder))
        results = [load_result(Path(), probe, model) for probe, model in cells_with_results(current)]
        write_compare(results, current.out(Path("reports/index.html")))


if __name__ == "__main__":
    run(main)
