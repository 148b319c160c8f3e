"""``sweep``: the test of wordings at other noise levels. Part of ``plantain run --study``; it decides nothing.

A run looks at one noise level, and a reader asks whether what it found holds at others. The table describes that for
every cell, untrained ones included: a curve says little without that of a network that knows nothing.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.base.params import WordingMeasure
from plantain.capture.any_pipeline import expect_any_levels
from plantain.capture.cell import capture_cell
from plantain.capture.forward import expect_levels
from plantain.ladder.levels import swept_records, tested, wanted_inputs
from plantain.measure.vectors import Looked, every_measure
from plantain.probe.records import Record
from plantain.probe.store import read_contrasts, read_records
from plantain.records.keys import reference_images
from plantain.records.lock import KLEIN_PIPELINE, ModelLock, read_lock
from plantain.records.receipt import prompt_set
from plantain.records.sweep import SweepTable
from plantain.records.units import read_units
from plantain.stages.beside import reference_digests, sweep_inputs
from plantain.stages.frame import Stage, run, stage


def main() -> None:
    """``python -m plantain.stages.sweep PROBE MODEL``."""
    probe, model = sys.argv[1:3]
    path = places.sweep(model, probe)
    receipt = path.with_suffix(".receipt.json")
    with stage("sweep", section="capture", probe=probe, model=model, receipt=receipt) as current:
        current.use("models", "reference", "capture", f"analyses.{VERDICT_ANALYSIS}", "verdict", "study")
        params, rules = current.params, current.params.verdict
        contrasts = read_contrasts(current.read(places.contrasts(probe))).contrasts
        everything = read_records(current.read(places.records(probe)))
        lock = read_lock(current.read(places.model_lock(model)))
        expect_sweep(params.study.sigmas, lock)
        groups = read_units(current.read(places.units(model)))
        images = reference_digests(current, model, probe)
        inputs = wanted_inputs(contrasts, everything, images, sweep_inputs(params, lock), rules)
        records = swept_records(everything, contrasts, rules)
        captures = Captures(current, lock, records, groups)
        entries = tested(captures.captured(), contrasts, inputs, rules)
        table = SweepTable(
            model=model,
            probe=probe,
            items=list(dict.fromkeys(record.item for record in records)),
            seed=params.capture.seeds[0],
            sigmas=list(captures.sigmas),
            contrasts=entries,
        )
        current.out(path).write_bytes(table.to_bytes())
        current.prompts = prompt_set(probe, records)
        current.model_lock_sha256 = lock.sha256
        current.seeds = {"noise": [table.seed]}
        captures.say()


def expect_sweep(sigmas: Sequence[float], lock: ModelLock) -> None:
    """Refuse a sweep over no level, and one over a family of draws, which its own table is of.

    Raises:
        InputError: it is one of these.
    """
    if not sigmas:
        fix = "list noise levels there, as in [0.8, 0.6, 0.4, 0.2]."
        raise InputError("there is no noise level to sweep over.", file="params.yaml", field="study.sigmas", fix=fix)
    if lock.family:
        fix = "sweep over one draw: an untrained model with `seed: n`."
        where = f"models.{lock.name}"
        raise InputError(f"'{lock.name}' is a family of draws.", file="params.yaml", field=where, fix=fix)


class Taken(NamedTuple):
    """What is kept of the capture of one level."""

    key: str
    device: str
    notes: dict[str, Any]


@dataclass
class Captures:
    """The captures of a sweep, one a noise level, and what its receipt says of them."""

    current: Stage
    lock: ModelLock
    records: Sequence[Record]
    groups: pl.DataFrame
    taken: list[Taken] = field(default_factory=list)

    @property
    def sigmas(self) -> tuple[float, ...]:
        """Every level, from pure noise down."""
        return self.current.params.study.levels(self.current.params.capture.sigma)

    def captured(self) -> Iterator[tuple[float, Mapping[WordingMeasure, Looked]]]:
        """The model by every measure, level by level; all levels are looked at before the first pass."""
        params = self.current.params
        folder = places.images(str(self.current.model), str(self.current.probe))
        if self.lock.pipeline == KLEIN_PIPELINE:
            expect_levels(reference_images(self.records, folder), self.lock, self.sigmas)
        else:
            expect_any_levels(self.lock, self.sigmas)
        for sigma in self.sigmas:
            print(f"noise level {sigma:g}", flush=True)
            capture = params.capture.model_copy(update={"sigma": sigma, "seeds": params.capture.seeds[:1]})
            found = capture_cell(self.records, folder, self.lock, capture)
            self.taken.append(Taken(str(found.activations.header["capture_key"]), found.device, found.notes))
            analysis = params.analyses[VERDICT_ANALYSIS]
            yield sigma, every_measure(found.activations, self.groups, analysis, found.grams)

    def say(self) -> None:
        """Put what is known of all levels into the receipt."""
        self.current.capture_key = digest([one.key for one in self.taken])
        self.current.device, self.current.dtype = self.taken[0].device, self.lock.dtype
        self.current.notes = {
            "batch_size": self.taken[0].notes["batch_size"],
            "passes": sum(one.notes["passes"] for one in self.taken),
            "sigmas": [one.notes["sigma"] for one in self.taken if "sigma" in one.notes],
        }


if __name__ == "__main__":
    run(main)
