"""``nulls``: what the untrained draws of a model score on a probe. Part of ``plantain run --study``, not of a run.

The table goes into git with its receipt beside it, so that a run can rank a model among draws that it need not make.
"""

import sys
from collections.abc import Sequence

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.errors import InputError
from plantain.base.params import Method
from plantain.capture.cell import capture_cell
from plantain.ladder.tables import drawn
from plantain.measure.sides import sampled_records
from plantain.measure.vectors import every_measure
from plantain.model.resolve import resolve
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.store import read_contrasts, read_records
from plantain.records.activations import Activations
from plantain.records.lock import ModelLock, read_lock
from plantain.records.receipt import prompt_set
from plantain.records.study import DrawnContrast, NullTable
from plantain.records.study_keys import Inputs, null_settings
from plantain.stages.beside import inputs_by_contrast, reference_digests, shared
from plantain.stages.frame import Stage, run, stage


def main() -> None:
    """``python -m plantain.stages.nulls PROBE FAMILY``."""
    probe, family = sys.argv[1:3]
    path = places.nulls(family, probe)
    receipt = path.with_suffix(".receipt.json")
    with stage("nulls", section="capture", probe=probe, model=family, receipt=receipt) as current:
        current.use("models", "reference", "capture", f"analyses.{VERDICT_ANALYSIS}", "verdict")
        params = current.params
        contrasts = read_contrasts(current.read(places.contrasts(probe))).contrasts
        everything = read_records(current.read(places.records(probe)))
        records = sampled_records(everything, contrasts, params.verdict)
        lock, groups = resolve(family, params)
        references = current.read(places.images(lock.files_model, probe))
        first = params.capture.model_copy(update={"seeds": params.capture.seeds[:1]})
        result = capture_cell(records, references, lock, first)
        found = result.activations
        analysis = params.analyses[VERDICT_ANALYSIS]
        draws = (every_measure(found, groups, analysis, result.grams, draw) for draw in range(len(found.draws)))
        entries = drawn(draws, contrasts, _inputs(current, lock, contrasts, records), params.verdict)
        current.out(path).write_bytes(_table(lock, probe, found, entries).to_bytes())
        current.prompts = prompt_set(probe, records)
        current.model_lock_sha256 = lock.sha256
        current.capture_key = str(found.header["capture_key"])
        current.seeds = {"noise": list(found.seeds), "draws": list(lock.seeds)}
        current.device, current.dtype, current.notes = result.device, lock.dtype, result.notes


def _inputs(
    current: Stage, lock: ModelLock, contrasts: Sequence[ExpandedContrast], records: Sequence[Record]
) -> dict[str, Inputs]:
    """What decides the numbers of each contrast."""
    parent = read_lock(current.read(places.model_lock(lock.files_model)))
    settings = null_settings(shared(current.params, parent), parent, _method(lock))
    images = reference_digests(current, parent.name, str(current.probe))
    return inputs_by_contrast(contrasts, records, images, settings, current.params)


def _table(lock: ModelLock, probe: str, found: Activations, entries: dict[str, DrawnContrast]) -> NullTable:
    return NullTable(
        family=lock.name,
        method=_method(lock),
        of=lock.files_model,
        probe=probe,
        items=list(found.items),
        seeds=list(found.seeds),
        draws=lock.draws,
        contrasts=entries,
    )


def _method(lock: ModelLock) -> Method:
    if lock.method is None:
        fix = "name a family: a model with `source: untrained` and `seeds: n`."
        raise InputError(f"'{lock.name}' is not untrained.", file="params.yaml", field=f"models.{lock.name}", fix=fix)
    return lock.method


if __name__ == "__main__":
    run(main)
