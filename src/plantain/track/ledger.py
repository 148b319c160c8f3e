"""The ledger: every number of the current cells with its prompt-set digest, in git."""

import json
from pathlib import Path
from typing import Any, Final

from plantain.base.errors import reading
from plantain.base.files import readable_json, write_atomic
from plantain.track.results import Cell, Results

SCHEMA: Final = "plantain.ledger/1"
LEDGER: Final = "reports/ledger.json"


def build(results: Results) -> dict[str, Any]:
    """The ledger of ``results``: the same results give the same value.

    ``prompt_sets`` holds the record digests of each set once; every entry of ``numbers`` names its set.
    """
    sets = {
        cell.prompts.set_sha256: {"probe": cell.prompts.probe, "records": cell.prompts.records}
        for cell in results.cells
        if cell.prompts
    }
    numbers = [entry for cell in results.cells for entry in _numbers(cell)]
    numbers.sort(key=lambda entry: [entry[key] for key in ("probe", "model", "contrast", "analysis")])
    return {"schema": SCHEMA, "prompt_sets": sets, "numbers": numbers}


def write(root: Path, results: Results) -> Path:
    """Write ``reports/ledger.json`` below ``root``, and only where its bytes change."""
    path, content = root / LEDGER, readable_json(build(results))
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)
    return path


def read(content: bytes) -> dict[str, Any]:
    """The ledger from its bytes.

    Raises:
        InputError: they are no ledger.
    """
    with reading(Path(LEDGER), "the ledger", f"`git checkout {LEDGER}`, or `dvc repro publish`, which writes it anew."):
        value: dict[str, Any] = json.loads(content)
        _ = [entry["metrics"].items() for entry in value["numbers"]]
        _ = [found["records"].items() for found in value["prompt_sets"].values()]
    return value


def _numbers(cell: Cell) -> list[dict[str, Any]]:
    analyze = cell.held.get("analyze")
    if analyze is None or cell.prompts is None:
        return []
    common = {
        "probe": cell.probe,
        "model": cell.model,
        "prompts_sha256": cell.prompts.set_sha256,
        "capture_key": cell.capture_key,
        "receipt_sha256": analyze.sha256,
    }
    return [
        {**common, "contrast": contrast, "analysis": analysis, "metrics": metrics}
        for contrast, analyses in analyze.receipt.metrics.items()
        for analysis, metrics in analyses.items()
    ]
