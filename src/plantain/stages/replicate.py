"""``replicate``: rungs 3 and 5 with further noise seeds and reference images. Part of ``plantain run --study``.

A second reference image is drawn from the same prompt with another seed. An image that comes from a file has no second
version, and a probe that has only such images keeps rung 6 untested.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.params import CaptureParams, ReferenceParams, VerdictParams, WordingMeasure
from plantain.capture.cell import CaptureResult, capture_cell
from plantain.capture.pictures.references import generate
from plantain.ladder.beside import replicas
from plantain.ladder.rungs import runs_asked
from plantain.measure.plan import Comparison, plans
from plantain.measure.sides import sampled_records
from plantain.measure.vectors import Looked, every_measure
from plantain.probe.records import ExpandedContrast, Record, ReferenceRecord
from plantain.probe.store import read_contrasts, read_records, read_references
from plantain.records.lock import ModelLock, read_lock
from plantain.records.receipt import prompt_set
from plantain.records.study import ReplicatedContrast, ReplicationTable
from plantain.records.study_keys import Inputs, replication_settings
from plantain.records.units import read_units
from plantain.stages.beside import inputs_by_contrast, reference_digests, shared
from plantain.stages.frame import Stage, run, stage


def main() -> None:
    """``python -m plantain.stages.replicate PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    path = places.replications(model, probe)
    receipt = path.with_suffix(".receipt.json")
    with stage("replicate", section="capture", probe=probe, model=model, receipt=receipt) as current:
        current.use("models", "reference", "capture", f"analyses.{VERDICT_ANALYSIS}", "verdict")
        contrasts = read_contrasts(current.read(places.contrasts(probe))).contrasts
        everything = read_records(current.read(places.records(probe)))
        records = sampled_records(everything, contrasts, current.params.verdict)
        lock = read_lock(current.read(places.model_lock(model)))
        result = _captured(current, lock, records)
        entries = _entries(current, lock, contrasts, records, result)
        table = ReplicationTable(model=model, probe=probe, items=list(result.activations.items), contrasts=entries)
        current.out(path).write_bytes(table.to_bytes())
        current.prompts = prompt_set(probe, records)
        current.model_lock_sha256 = lock.sha256
        current.capture_key = str(result.activations.header["capture_key"])
        current.seeds = {"noise": list(result.activations.seeds)}
        current.device, current.dtype, current.notes = result.device, lock.dtype, result.notes


def _captured(current: Stage, lock: ModelLock, records: Sequence[Record]) -> CaptureResult:
    """The records with every noise seed and every version of their references."""
    params, rules = current.params, current.params.verdict
    declared = read_references(current.read(places.references(str(current.probe))))
    capture = params.capture.model_copy(update={"seeds": noise_seeds(params.capture, rules, records)})
    with tempfile.TemporaryDirectory() as folder:
        versions = redraw(declared, lock, params.reference, rules, Path(folder))
        crossed = [with_alternatives(record, versions) for record in records]
        return capture_cell(crossed, Path(folder), lock, capture)


def _entries(
    current: Stage,
    lock: ModelLock,
    contrasts: Sequence[ExpandedContrast],
    records: Sequence[Record],
    result: CaptureResult,
) -> dict[str, ReplicatedContrast]:
    params, rules = current.params, current.params.verdict
    groups = read_units(current.read(places.units(lock.name)))
    measures = every_measure(result.activations, groups, params.analyses[VERDICT_ANALYSIS], result.grams)
    settings = replication_settings(shared(params, lock), lock, params.reference, rules)
    images = reference_digests(current, lock.name, str(current.probe))
    inputs = inputs_by_contrast(contrasts, records, images, settings, params)
    return {
        plan.contrast.name: _entry(inputs[plan.contrast.name], plan, measures, rules)
        for plan in plans(contrasts, rules)
    }


def _entry(
    inputs: Inputs, plan: Comparison, measures: Mapping[WordingMeasure, Looked], rules: VerdictParams
) -> ReplicatedContrast:
    cells = {
        measure: [(found.seed, found.reference, found.p) for found in replicas(looked, plan, rules)]
        for measure, looked in measures.items()
    }
    magnitude = cells.pop(WordingMeasure.log_rms)
    return ReplicatedContrast(inputs=inputs, cells=magnitude, vectors=cells)


def redraw(
    declared: tuple[ReferenceRecord, ...],
    lock: ModelLock,
    reference: ReferenceParams,
    rules: VerdictParams,
    folder: Path,
) -> dict[str, tuple[str, ...]]:
    """Images of every reference in ``folder``, from as many drawing seeds as the rules ask for.

    Returns:
        Reference name to the names of its versions, itself first; one version for an image that comes from a file.
        A version is called ``kitchen.2``, which no declared reference can be.
    """
    names: dict[str, tuple[str, ...]] = {}
    for version in range(rules.references):
        chosen = [record for record in declared if version == 0 or record.prompt is not None]
        renamed = [
            record if version == 0 else replace(record, name=f"{record.name}.{version + 1}") for record in chosen
        ]
        if renamed:
            again = reference.model_copy(update={"seed": reference.seed + version})
            generate(renamed, lock, again, folder)
        for record, copy in zip(chosen, renamed, strict=True):
            names[record.name] = (*names.get(record.name, ()), copy.name)
    return names


def with_alternatives(record: Record, versions: dict[str, tuple[str, ...]]) -> Record:
    """The record with every version of its references as alternatives."""
    names = [versions[name] for name in record.reference]
    return replace(record, reference=tuple(version for group in zip(*names, strict=False) for version in group))


def noise_seeds(capture: CaptureParams, rules: VerdictParams, records: Sequence[Record]) -> list[int]:
    """The run's own noise seeds, and the smallest others, as many as the rules ask of the records."""
    wanted = max((runs_asked(rules, bool(record.reference))[0] for record in records), default=0)
    others = [seed for seed in range(wanted + len(capture.seeds)) if seed not in capture.seeds]
    return [*capture.seeds, *others[: max(0, wanted - len(capture.seeds))]]


if __name__ == "__main__":
    run(main)
