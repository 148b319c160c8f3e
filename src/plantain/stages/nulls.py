"""``nulls``: what the untrained draws of a model score on a probe. Part of ``plantain run --study``, not of a run.

The table goes into git with its receipt beside it, so that a run can rank a model among draws that it need not make.
"""

import sys
from dataclasses import replace
from pathlib import Path

from plantain.capture.cell import capture_cell
from plantain.model.lock import lock_path, read_lock
from plantain.model.resolve import resolve
from plantain.probe.store import read_contrasts, read_records
from plantain.stages.beside import ANALYSIS, image_digests, inputs_by_contrast, shared
from plantain.stages.common import run, stage
from plantain.stages.records import prompt_set
from plantain.stats.ladder_beside import null_settings
from plantain.stats.ladder_nulls import NullTable, drawn, null_path, table_bytes
from plantain.stats.ladder_sample import Measured, sampled_records


def main() -> None:
    """``python -m plantain.stages.nulls PROBE FAMILY``."""
    probe, family = sys.argv[1:3]
    path = null_path(family, probe)
    receipt = path.with_suffix(".receipt.json")
    with stage("nulls", section="capture", probe=probe, model=family, receipt=receipt) as current:
        current.use("models", "reference", "capture", f"analyses.{ANALYSIS}", "verdict")
        params = current.params
        contrasts = read_contrasts(current.read(Path("data/prompts", f"{probe}.contrasts.json"))).contrasts
        everything = read_records(current.read(Path("data/prompts", f"{probe}.parquet")))
        records = sampled_records(everything, contrasts, params.verdict)
        lock, groups = resolve(family, params)
        parent = read_lock(current.read(lock_path(lock.files_model)))
        references = current.read(Path("data/references", parent.name, probe))
        result = capture_cell(records, references, lock, replace(params.capture, seeds=params.capture.seeds[:1]))
        found = result.activations
        draws = (Measured.of(found, groups, params.analyses[ANALYSIS], draw) for draw in range(len(found.draws)))
        assert lock.method is not None
        settings = null_settings(shared(params, parent), parent, lock.method)
        images = image_digests(current, parent.name, probe)
        inputs = inputs_by_contrast(contrasts, records, images, settings, params)
        table = NullTable(
            family=family,
            method=lock.method,
            of=parent.name,
            probe=probe,
            items=list(found.items),
            seeds=list(found.seeds),
            draws=lock.draws,
            contrasts=drawn(draws, contrasts, inputs, params.verdict),
        )
        current.out(path).write_bytes(table_bytes(table))
        current.prompts = prompt_set(probe, records)
        current.model_lock_sha256 = lock.sha256
        current.capture_key = str(found.header["capture_key"])
        current.seeds = {"noise": table.seeds, "draws": list(lock.seeds)}
        current.device, current.dtype, current.notes = result.device, lock.dtype, result.notes


if __name__ == "__main__":
    run(main)
