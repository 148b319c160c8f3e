"""``intervene``: heads swapped between wordings, for rung 7. Part of ``plantain run --study``, not of a run.

A model with weights gets every test; the draws of an untrained family get the one statistic by which the model is
ranked among them, each with a set of heads of its own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS, read_params
from plantain.base.params import WordingMeasure
from plantain.causal.cell import CausalCell, MapRows, causal_draws, causal_table
from plantain.causal.cost import other_probes
from plantain.ladder.beside import causal_settings, decoy_settings
from plantain.ladder.head_maps import selection_maps
from plantain.ladder.judge import confirmatory
from plantain.measure.plan import plan_of
from plantain.model.resolve import resolve
from plantain.probe.halves import CausalDesign, causal_design
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.store import read_contrasts, read_records
from plantain.records.activations import read_activations
from plantain.records.causal import ChosenHead, read_causal
from plantain.records.grams import read_grams
from plantain.records.keys import passes, reference_images
from plantain.records.lock import KLEIN_PIPELINE, ModelLock, read_lock
from plantain.records.receipt import prompt_set
from plantain.records.study_keys import Inputs, null_settings
from plantain.records.units import read_units
from plantain.stages.beside import inputs_by_contrast, reference_digests, shared
from plantain.stages.frame import Stage, run, stage


def main() -> None:
    """``python -m plantain.stages.intervene PROBE MODEL``; the model may be an untrained family."""
    probe, model = sys.argv[1:3]
    problem = _problem(probe) or _other_pipeline(model)
    if problem:
        print(f"{probe}: no heads are swapped, and rung 7 is not tested: {problem}.")
        return
    path = places.causal(model, probe)
    receipt = path.with_suffix(".receipt.json")
    with stage("intervene", section="capture", probe=probe, model=model, receipt=receipt) as current:
        current.use("models", "reference", "capture", f"analyses.{VERDICT_ANALYSIS}", "verdict")
        records = read_records(current.read(places.records(probe)))
        cell = _cell(current, _lock(current, model), records)
        rules = 0
        if cell.lock.seeds:
            current.out(path).write_bytes(causal_draws(cell).to_bytes())
        else:
            maps = _maps(current, cell)
            rules = len(maps)
            table, gallery = causal_table(cell, maps)
            current.out(path).write_bytes(table.to_bytes())
            current.out(places.causal_pictures(model, probe)).write_bytes(gallery.content)
        current.prompts = prompt_set(probe, records)
        current.model_lock_sha256 = cell.lock.sha256
        current.seeds = {"noise": list(current.params.capture.seeds[:1]), "draws": list(cell.lock.seeds)}
        current.device, current.dtype = cell.lock.device, cell.lock.dtype
        current.notes = {"passes": round(cell.cost(rules).forwards)}


def _other_pipeline(model: str) -> str:
    """Why heads of this model cannot be swapped; empty where they can, or where it is not resolved yet."""
    path = places.model_lock(read_params().models[model].of or model)
    lock = read_lock(path) if path.exists() else None
    if lock is None or lock.pipeline == KLEIN_PIPELINE:
        return ""
    return f"'{lock.name}' is a {lock.pipeline}, and heads are swapped in FLUX.2 Klein alone"


def _problem(probe: str) -> str:
    """Why heads cannot be swapped between the wordings of this probe; empty where they can."""
    contrasts, rules = read_contrasts(places.contrasts(probe)), read_params().verdict
    target = confirmatory(contrasts)
    design = causal_design(target, contrasts.neutral, contrasts.items, rules.swapped_items)
    return design.problem or plan_of(target, contrasts.contrasts, rules).problem


def _lock(current: Stage, model: str) -> ModelLock:
    if current.params.models[model].seeds is None:
        return read_lock(current.read(places.model_lock(model)))
    return resolve(model, current.params)[0]


def _cell(current: Stage, lock: ModelLock, records: Sequence[Record]) -> CausalCell:
    """The contrast that the verdict rests on, halved, with its passes."""
    contrasts = read_contrasts(current.read(places.contrasts(str(current.probe))))
    target, rules = confirmatory(contrasts), current.params.verdict
    most, every = rules.swapped_items, contrasts.contrasts
    design = causal_design(target, contrasts.neutral, contrasts.items, most, contrasts=every, records=records)
    used = [record for record in records if record.condition in design.conditions]
    asked = passes(used, current.params.capture.seeds[:1])
    return CausalCell(
        probe=str(current.probe),
        contrast=target.name,
        lock=lock,
        capture=current.params.capture,
        rules=rules,
        design=design,
        passes={(one.condition, one.item): one for one in asked if one.alternative == 0},
        images=reference_images(used, current.read(places.images(lock.files_model, str(current.probe)))),
        inputs=_inputs(current, lock, target, design, records),
        others={} if lock.seeds else _others(current, lock),
    )


def _maps(current: Stage, cell: CausalCell) -> dict[WordingMeasure, MapRows]:
    """The selection wordings by everything that heads can be ranked by."""
    activations = read_activations(current.read(places.activations(cell.lock.name, cell.probe)))
    grams = read_grams(current.read(places.grams(cell.lock.name, cell.probe)))
    groups = read_units(current.read(places.units(cell.lock.name)))
    analysis = current.params.analyses[VERDICT_ANALYSIS]
    return selection_maps(activations, grams, groups, analysis, cell.design.selection)


def _others(current: Stage, lock: ModelLock) -> dict[str, list[ChosenHead]]:
    """The sets of other probes of the run on this model, those that come next first."""
    paths = tables_beside(current.params.run.probes, str(current.probe), lock)
    return {name: read_causal(current.read(path)).heads for name, path in paths.items()}


def tables_beside(probes: Sequence[str], probe: str, lock: ModelLock) -> dict[str, Path]:
    """Other probes to their tables of these very weights, as far as there are any, those that come next first."""
    paths = {name: places.causal(lock.name, name) for name in other_probes(probes, probe)}
    weights = lock.components["transformer"].weights_sha256
    return {
        name: path
        for name, path in paths.items()
        if path.exists() and read_causal(path).inputs.get("weights") == weights
    }


def _inputs(
    current: Stage, lock: ModelLock, target: ExpandedContrast, design: CausalDesign, records: Sequence[Record]
) -> Inputs:
    """What decided the numbers, as for the other tables of the study."""
    parent = read_lock(current.read(places.model_lock(lock.files_model)))
    settings = shared(current.params, parent)
    if lock.method is not None:
        settings = null_settings(settings, parent, lock.method)
    else:
        settings = settings | {"weights": lock.components["transformer"].weights_sha256}
        settings |= decoy_settings(design, records)
    images = reference_digests(current, parent.name, str(current.probe))
    rules = current.params.verdict
    kept = design.records(records)
    settings |= causal_settings(rules, design, records)
    found = inputs_by_contrast([target], kept, images, settings, current.params)
    return found[target.name]


if __name__ == "__main__":
    run(main)
