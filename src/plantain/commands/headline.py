"""``plantain headline``: the numbers of the last run in a few lines, and where to look next."""

import json
from pathlib import Path

from plantain.errors import InputError


def headline() -> None:
    """Print the headline numbers of every cell and where to look."""
    from plantain.report.data import load_result
    from plantain.report.headline import headlines

    path = Path("reports/cells.json")
    if not path.exists():
        raise InputError("no run to show.", file=path, fix="run `make repro` or `dvc repro` first.")
    cells = json.loads(path.read_bytes())["cells"]
    results = [load_result(Path(), cell["probe"], cell["model"]) for cell in cells]
    print("\n".join(headlines(results)))
    print("\nLook at reports/index.html, or at one cell: reports/<model>/<probe>/index.html")
    print("Compare runs in MLflow: make ui")
