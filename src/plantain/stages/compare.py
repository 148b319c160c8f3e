"""``compare``: every cell of the run side by side."""

import json
from pathlib import Path

from plantain.report.compare import write_compare
from plantain.report.data import load_result
from plantain.stages.common import run, stage


def main() -> None:
    """``python -m plantain.stages.compare``."""
    with stage("compare", section="report") as current:
        current.use("run")
        cells = json.loads(current.read(Path("reports/cells.json")).read_bytes())["cells"]
        for folder in ("data/prompts", "data/stats", "data/verdicts", "models", "prompts"):
            current.read(Path(folder))
        results = [load_result(Path(), cell["probe"], cell["model"]) for cell in cells]
        write_compare(results, current.out(Path("reports/index.html")))


if __name__ == "__main__":
    run(main)
