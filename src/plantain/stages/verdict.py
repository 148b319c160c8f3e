"""``verdict``: how far up the ladder of claims each cell reaches. One stage over all cells: models are compared.

A verdict holds what its cell decides; what becomes of the claims among all probes is one file beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.environment import declared_versions
from plantain.base.errors import reading, restored
from plantain.base.files import digest, readable_json, write_atomic
from plantain.ladder.beside import Sources
from plantain.ladder.holm import corrected
from plantain.ladder.judge import CellEvidence, FixedRules, judge
from plantain.ladder.kept import recalled
from plantain.ladder.levels import levels_of, wanted_inputs
from plantain.probe.spec import Role
from plantain.probe.store import read_contrasts, read_records
from plantain.records.activations import read_activations
from plantain.records.causal import CausalDraws, CausalTable, read_causal, read_causal_draws
from plantain.records.grams import read_grams
from plantain.records.holm import HolmTable
from plantain.records.lock import ModelLock, read_lock
from plantain.records.manifest import read_manifest
from plantain.records.study import (
    NullTable,
    ReplicationTable,
    read_null,
    read_replications,
)
from plantain.records.summary import Summary, read_summary
from plantain.records.sweep import Levels, read_sweep
from plantain.records.units import read_units
from plantain.records.verdict import Verdict
from plantain.stages.beside import families, shared, sweep_inputs
from plantain.stages.frame import Stage, cells_with_results, run, stage
from plantain.stages.rooms import code_digests

PROTOCOL = "card"
"""The analysis that repeats what the published cards did."""


def main() -> None:
    """``python -m plantain.stages.verdict``."""
    with stage("verdict", section="analyze") as current:
        current.used["environment.capture"] = declared_versions()["capture"]
        current.use("models", "reference", "capture", f"analyses.{VERDICT_ANALYSIS}", "verdict")
        rules = FixedRules(VERDICT_ANALYSIS, current.params.analyses[VERDICT_ANALYSIS], current.params.verdict)
        folder = current.out(places.VERDICT_FOLDER)
        numbers: dict[str, dict[str, dict[str, float]]] = {}
        found: dict[str, dict[str, Verdict]] = {}
        cells = cells_with_results(current)
        beside, code = twins_of(current, cells), code_digests(current.name)
        for probe, model in cells:
            twins = beside[probe, model]
            verdict = judged(current, probe, model, twins, rules, code)
            verdict = verdict.model_copy(update={"levels": levels(current, probe, model, twins)})
            write_atomic(folder / model / f"{probe}.json", verdict.to_bytes())
            found.setdefault(model, {})[probe] = verdict
        models = {model: corrected(verdicts, rules.rules) for model, verdicts in found.items()}
        together = HolmTable(alpha=rules.rules.alpha, models=models)
        write_atomic(folder / places.HOLM.name, together.to_bytes())
        for probe, model in cells:
            verdict, among = found[model][probe], together.of(probe, model)
            numbers.setdefault(probe, {})[model] = verdict.metrics | (among.metrics if among else {})
            print(f"{probe}@{model}: {among.sentence if among else verdict.sentence}")
        current.out(places.VERDICTS).write_bytes(readable_json(numbers))
        current.metrics = numbers


def twins_of(current: Stage, cells: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """The untrained versions of each cell's model that were asked the same, in the order of the cells."""
    of = {model: _lock(current, model).of for model in dict.fromkeys(model for _, model in cells)}
    asked: dict[str, list[str]] = {}
    for probe, model in cells:
        asked.setdefault(probe, []).append(model)
    return {(probe, model): [other for other in asked[probe] if of[other] == model] for probe, model in cells}


def judged(
    current: Stage, probe: str, model: str, twins: Sequence[str], rules: FixedRules, code: Mapping[str, str]
) -> Verdict:
    """The verdict of a cell; one that was made before from the same files by the same code is not made again."""
    own = replace(current, reads={})
    untrained = {other: published(own, probe, other) for other in twins}
    cell = replace(gather(own, probe, model), untrained=untrained)
    current.reads |= own.reads
    files = {record.path: record.sha256 for record in own.reads.values()}
    key = digest({"cell": [probe, model], "files": files, "used": current.used, "code": dict(code)})
    return recalled(key, lambda: judge(cell, rules))


def published(current: Stage, probe: str, model: str) -> dict[str, dict[str, float]]:
    """Metrics of the published protocol by contrast: what a report sets beside a trained model's own."""
    return {
        name: analyses[PROTOCOL].metrics
        for name, analyses in _summary(current, probe, model).contrasts.items()
        if PROTOCOL in analyses and analyses[PROTOCOL].role == Role.published
    }


def gather(current: Stage, probe: str, model: str) -> CellEvidence:
    """Everything that is known of one cell."""
    records = read_records(current.read(places.records(probe)))
    folder = Path("data/activations", model)
    return CellEvidence(
        probe=probe,
        model=model,
        activations=read_activations(current.read(folder / f"{probe}.safetensors")),
        grams=read_grams(current.read(places.grams(model, probe))),
        groups=read_units(current.read(places.units(model))),
        records=records,
        contrasts=read_contrasts(current.read(places.contrasts(probe))),
        summary=_summary(current, probe, model),
        sources=sources(current, probe, model),
        embeddings=_embeddings(current, probe, model),
    )


def sources(current: Stage, probe: str, model: str) -> Sources:
    """The tables beside a cell, and what they must have been made from."""
    lock = _lock(current, model)
    parent = _parent(current, lock)
    params = current.params
    return Sources(
        lock=lock,
        parent=parent,
        shared=shared(params, parent or lock),
        images=_pictures(current, probe, model),
        capture=params.capture,
        reference=params.reference,
        tables=_tables(current, probe, lock.files_model),
        replications=_replications(current, probe, model),
        causal=_causal(current, probe, model),
        causal_draws=_causal_draws(current, probe, lock.files_model),
    )


def _lock(current: Stage, model: str) -> ModelLock:
    return read_lock(current.read(places.model_lock(model)))


def _summary(current: Stage, probe: str, model: str) -> Summary:
    path = places.summary(model, probe)
    return read_summary(current.read_listed(path.parent, path.name) / path.name)


def _pictures(current: Stage, probe: str, model: str) -> dict[str, str]:
    """Reference name to the SHA-256 of its image, which a verdict needs no more of."""
    return read_manifest(current.read(places.manifest(places.images(model, probe)))).pictures()


def _parent(current: Stage, lock: ModelLock) -> ModelLock | None:
    if lock.of is None:
        return lock
    path = places.model_lock(lock.of)
    return read_lock(current.read(path)) if path.exists() else None


def _tables(current: Stage, probe: str, parent: str) -> tuple[NullTable, ...]:
    paths = [places.nulls(family, probe) for family in families(current.params, parent)]
    return tuple(read_null(current.read(path)) for path in paths if path.exists())


def _replications(current: Stage, probe: str, model: str) -> ReplicationTable | None:
    path = places.replications(model, probe)
    return read_replications(current.read(path)) if path.exists() else None


def _causal(current: Stage, probe: str, model: str) -> CausalTable | None:
    path = places.causal(model, probe)
    return read_causal(current.read(path)) if path.exists() else None


def _causal_draws(current: Stage, probe: str, parent: str) -> tuple[CausalDraws, ...]:
    paths = [places.causal(family, probe) for family in families(current.params, parent)]
    return tuple(read_causal_draws(current.read(path)) for path in paths if path.exists())


def levels(current: Stage, probe: str, model: str, twins: Sequence[str]) -> Levels | None:
    """What the sweeps of a cell and of its untrained twins say of other noise levels; None where there is no own."""
    own = _swept(current, probe, model)
    if own is None:
        return None
    swept = {other: found.contrasts for other in twins if (found := _swept(current, probe, other)) is not None}
    return own.model_copy(update={"twins": {name: found for name, found in swept.items() if found}})


def _swept(current: Stage, probe: str, model: str) -> Levels | None:
    path, rules = places.sweep(model, probe), current.params.verdict
    if not path.exists():
        return None
    contrasts = read_contrasts(current.read(places.contrasts(probe))).contrasts
    records = read_records(current.read(places.records(probe)))
    settings = sweep_inputs(current.params, _lock(current, model))
    wanted = wanted_inputs(contrasts, records, _pictures(current, probe, model), settings, rules)
    return levels_of(read_sweep(current.read(path)), wanted, current.params.capture.sigma)


def _embeddings(current: Stage, probe: str, model: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None":
    path = places.embeddings(model, probe)
    if not path.exists():
        return None
    with reading(current.read(path), "prompt embeddings", restored(path)):
        found = load(path.read_bytes())["mean_square"]
        if found.ndim != 3:
            raise ValueError(f"its shape is {found.shape}, not items, conditions and slices")
        return found.astype(np.float64)


if __name__ == "__main__":
    run(main)
