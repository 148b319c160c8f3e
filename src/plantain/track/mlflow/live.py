"""``tracking.live``: a stage logs itself as it ends, for runs that take hours."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.params import TrackingParams
from plantain.base.yaml import read_yaml
from plantain.records import journal
from plantain.track.lineage import ORDER
from plantain.track.mlflow import store
from plantain.track.mlflow.projection import project
from plantain.track.mlflow.publish import describe_failure, sink
from plantain.track.results import Cell, FolderReader, Results, read_cell


def log_stage(
    root: Path,
    tracking: TrackingParams,
    stage: str,
    probe: str | None,
    model: str | None,
    analyses: Mapping[str, Any] | None = None,
) -> str | None:
    """Log the runs of the cell whose ``stage`` just ended; a warning where the tracker was not reached.

    Stages before ``capture`` have no capture key yet; their runs appear with that of ``capture``. Receipts of later
    stages are left out: they may be those of an earlier run. ``analyses`` are the declared ones: they tell runs apart
    before the stage that reads them has ended.
    """
    if probe is None or model is None or stage not in ORDER:
        return None  # tables of the study have no place in the order; `publish` logs what there is of them
    reader = FolderReader(root)
    cell = read_cell(reader, probe, model)
    until = ORDER[: ORDER.index(stage) + 1]
    current = Cell(probe, model, {name: held for name, held in cell.held.items() if name in until})
    if current.capture_key is None:
        return None
    try:
        specs = project(Results((current,), {}), reader, journal.executions(), root, analyses=analyses)
        with sink(tracking) as opened:
            opened.apply(specs)
    except Exception as error:  # a tracker may fail in any way, and none may fail a stage
        warning = describe_failure(error)
        store.leave_pending(warning)
        return warning
    return None


def main() -> None:
    """``python -m plantain.track.mlflow.live STAGE PROBE MODEL``: its own process, so that stages import no tracker."""
    stage, probe, model = sys.argv[1:4]
    analyses = read_yaml(places.PARAMS).data.get("analyses")
    warning = log_stage(Path(), read_params().tracking, stage, probe, model, analyses)
    if warning:
        print(f"plantain: {warning}", file=sys.stderr)


if __name__ == "__main__":
    main()
