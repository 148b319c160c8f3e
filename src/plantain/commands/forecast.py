"""What ``plantain run --dry-run`` prints: passes, time, disk and memory of every cell, before anything runs."""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.params import CaptureParams, ModelParams, Params, Source
from plantain.capture.plan import Plan, RateBasis, plan
from plantain.probe.authoring.shelf import source_of
from plantain.probe.expand import expand
from plantain.probe.halves import CausalDesign, causal_design
from plantain.probe.records import Contrasts, Expansion, Record, ReferenceRecord
from plantain.probe.sampling import item_subsets
from plantain.probe.spec import read_probe
from plantain.records.lock import NOT_FETCHED, ModelLock, read_lock
from plantain.stages.study import CellAddress, jobs

if TYPE_CHECKING:
    from plantain.causal.cost import SwapCost

_NUMBERS = ("passes", "prompts", "images", "time", "disk", "memory")
_BASES = {
    RateBasis.like: "the rate of a model of like size",
    RateBasis.product: "half the rate of a matrix product on this machine's GPU",
    RateBasis.assumed: "an assumed rate",
}
_WIDE = 100
"""Columns of the table where nobody says how wide the terminal is."""


@dataclass(frozen=True)
class Planned:
    """What is captured for one row of the forecast."""

    probe: str
    model: str
    records: Sequence[Record]
    references: Sequence[ReferenceRecord]
    """Images to be generated, among others."""
    lock: ModelLock
    capture: CaptureParams
    subsets: Mapping[str, Sequence[str]] | None = None
    """Items that Gram matrices are averaged over; None for all of them alone."""


def print_forecast(params: Params, cells: list[CellAddress], *, studied: Sequence[CellAddress] = ()) -> None:
    """Print the forecast of ``cells``, and of the study of some; what is stored already costs nothing."""
    numbers = [Column(name, justify="right") for name in _NUMBERS]
    table = Table("probe", Column("model", overflow="fold"), *numbers, box=None, pad_edge=False)
    plans, unfetched = [], set()
    for work in [*_cells(params, cells), *_study(params, studied)]:
        found = plan(work.records, work.references, work.lock, work.capture, params.reference, work.subsets)
        plans.append(found)
        if work.lock.files_sha256 == NOT_FETCHED:
            unfetched.add(str(work.lock.repo))
        table.add_row(work.probe, work.model, *_row(found))
    if len(plans) > 1:
        table.add_section()
        table.add_row("all", "", *_total(plans))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)
    devices = " and ".join(sorted({found.device for found in plans}))
    print(f"Time and disk are for an empty store, on {devices}; memory is the peak of the largest component.")
    if len(plans) > 1:
        print("Prompts and images that rows have in common count in each, and are made once.")
    print_swaps(params, studied)
    for sentence in [*_remarks(plans), *_to_fetch(params, unfetched)]:
        print(sentence)


def print_swaps(params: Params, cells: Sequence[CellAddress]) -> None:
    """What swapping heads takes, for rung 7: forwards, a swap counted as the share of blocks that it runs."""
    from plantain.capture.plan import forecast_rate, pass_flops, pass_positions

    for stage, probe, model in dict.fromkeys(jobs(params, cells)):
        if stage != "intervene":
            continue
        design = _swap_design(params, _expanded(probe))
        if design.problem:
            print(f"{probe} {model}: no heads are swapped: {design.problem}.")
            continue
        lock, cost = _swapped_lock(params, model), swap_forecast(params, probe, model)
        seconds = cost.forwards * pass_flops(lock, pass_positions(lock, True)) / forecast_rate(lock, lock.device).flops
        print(f"{probe} {model}: {cost.swapped:,} swaps of heads, {cost.forwards:,.0f} forwards, {_duration(seconds)}.")


def swap_forecast(params: Params, probe: str, model: str) -> "SwapCost":
    """Every pass of the ``intervene`` stage, on a CPU; an accelerator adds the rows of one larger batch."""
    from plantain.causal.cost import Described, ranked_draws, swap_cost
    from plantain.causal.heads import TokenRoute, all_heads

    asked, lock = _expanded(probe), _swapped_lock(params, model)
    design, heads = _swap_design(params, asked), all_heads(lock.geometry, TokenRoute.image)
    described = Described(
        share=params.verdict.swapped,
        rules=2 if params.capture.grams else 1,
        others=_tables_beside(params, probe, lock),
        referenced=any(record.reference for record in asked.records if record.condition in design.conditions),
        rounded=lock.dtype != "float32",
    )
    return swap_cost(design, heads, lock.geometry, ranked_draws(lock, params.verdict), described)


def _swap_design(params: Params, asked: Expansion) -> CausalDesign:
    from plantain.ladder.judge import confirmatory

    items = tuple(dict.fromkeys(record.item for record in asked.records))
    target = confirmatory(Contrasts(asked.probe, items, (), asked.contrasts, asked.neutral))
    most, every = params.verdict.swapped_items, asked.contrasts
    return causal_design(target, asked.neutral, items, most, contrasts=every, records=asked.records)


def _swapped_lock(params: Params, model: str) -> ModelLock:
    entry = params.models[model]
    return declared_lock(params, entry.of or model).model_copy(update={"seeds": entry.draws()})


def _tables_beside(params: Params, probe: str, lock: ModelLock) -> int:
    """Other probes whose sets will be swapped in: those with a table here, and that come before in the same study."""
    from plantain.causal.cost import OTHER_SETS
    from plantain.stages.intervene import tables_beside

    probes = params.run.probes
    if probe not in probes:
        return 0
    earlier = [one for one in probes[: probes.index(probe)] if not _swap_design(params, _expanded(one)).problem]
    return min(OTHER_SETS, len({*tables_beside(probes, probe, lock), *earlier}))


def _to_fetch(params: Params, unfetched: Collection[str]) -> Iterator[str]:
    """Which models are forecast by what was published of them, and what fetching them takes."""
    from plantain.model.known import DOWNLOAD_GB

    for repo in sorted(unfetched):
        model = next(name for name, entry in params.models.items() if entry.repo == repo)
        size = f", about {DOWNLOAD_GB[repo]} GB" if repo in DOWNLOAD_GB else ""
        yield (
            f"{model} is not on this machine: its sizes are those that {repo} is published with. "
            f"`plantain model fetch {model}` brings it{size}."
        )


def _remarks(plans: Sequence[Plan]) -> Iterator[str]:
    for basis in dict.fromkeys(found.rate.basis for found in plans if not found.rate.measured):
        yield f"Some times rest on {_BASES[basis]}: nothing was captured with that model on this machine yet."
    sizes = sorted({found.batch_size for found in plans if found.fitted})
    if sizes not in ([], [1]):
        yield f"Memory is that of {' or '.join(map(str, sizes))} passes at a time."
    if not all(found.fitted for found in plans):
        most = max(found.batch_size for found in plans if not found.fitted)
        yield (
            f"Some memory is the most that batch_size: auto may take, {most} passes at a time: this machine lacks the "
            "declared device, on whose free memory the batch depends."
        )


def _cells(params: Params, cells: list[CellAddress]) -> Iterator[Planned]:
    for probe, model in cells:
        asked, lock = _expanded(probe), declared_lock(params, model)
        subsets = item_subsets(list(dict.fromkeys(record.item for record in asked.records)), params.verdict.items)
        yield Planned(probe, model, asked.records, asked.references, lock, params.capture, subsets)


def _study(params: Params, cells: Sequence[CellAddress]) -> Iterator[Planned]:
    """The untrained draws, the further seeds and images, the noise levels; a family is not drawn for its forecast."""
    from plantain.ladder.levels import swept_records
    from plantain.measure.sides import sampled_records
    from plantain.stages.replicate import noise_seeds, with_alternatives

    rules = params.verdict
    for stage, probe, model in dict.fromkeys(jobs(params, cells)):
        asked, entry = _expanded(probe), params.models[model]
        records = sampled_records(asked.records, asked.contrasts, rules)
        lock = declared_lock(params, entry.of or model)
        if stage == "nulls":
            drawn = lock.model_copy(update={"name": model, "seeds": list(range(entry.seeds or 1))})
            first = params.capture.model_copy(update={"seeds": params.capture.seeds[:1]})
            yield Planned(probe, f"{model} ({len(drawn.seeds)} draws)", records, (), drawn, first)
            continue
        if stage == "intervene":
            continue
        if stage == "sweep":
            # A level costs what a noise seed does.
            levels = list(range(len(params.study.levels(params.capture.sigma))))
            capture = params.capture.model_copy(update={"seeds": levels})
            once = swept_records(asked.records, asked.contrasts, rules)
            own = declared_lock(params, model)
            yield Planned(probe, f"{model} ({len(levels)} noise levels)", once, (), own, capture)
            continue
        count = {one.name: rules.references if one.prompt is not None else 1 for one in asked.references}
        versions = {name: tuple(f"{name}_{at}" for at in range(number)) for name, number in count.items()}
        crossed = [with_alternatives(record, versions) for record in records]
        images = [one for one in asked.references for _ in range(count[one.name])]
        capture = params.capture.model_copy(update={"seeds": noise_seeds(params.capture, rules, records)})
        yield Planned(probe, f"{model} (seeds and images)", crossed, images, lock, capture)


def _expanded(probe: str) -> Expansion:
    return expand(read_probe(source_of(probe)), Path())


def declared_lock(params: Params, model: str) -> ModelLock:
    """The lock of a model as params.yaml declares it now, whatever the one on disk was made for."""
    entry = params.models[model]
    base = params.models[str(entry.of)] if entry.source is Source.untrained else entry
    path = places.model_lock(model)
    found = read_lock(path) if path.exists() else None
    if found is None or _origin(found) != _declared_origin(entry, base):
        found = _resolved(params, model, entry, base)
    width = params.capture.group_width
    groups = found.geometry.groups * found.group_width // width
    settings = entry.settings(base) | {"text_encoder_out_layers": found.text_encoder_out_layers}
    settings |= {"group_width": width, "seeds": entry.draws(), "family": entry.seeds is not None}
    return found.model_copy(update=settings | {"geometry": found.geometry.model_copy(update={"groups": groups})})


def _resolved(params: Params, model: str, entry: ModelParams, base: ModelParams) -> ModelLock:
    """As the model stage resolves it, with one draw of a family: all have the same size.

    A published model that is not on this machine has the sizes that it was published with.
    """
    from plantain.model.resolve import resolve
    from plantain.model.unfetched import unfetched_lock

    single = entry.model_copy(update={"seed": 0, "seeds": None}) if entry.seeds is not None else entry
    try:
        return resolve(model, params.model_copy(update={"models": params.models | {model: single}}))[0]
    except InputError:
        found = unfetched_lock(model, params) if base.source is Source.hub else None
        if found is None and base.source is Source.hub:
            what = f"{base.repo} cannot be forecast: its configurations are not on this machine, nor known to plantain."
            fix = f"run `plantain model show {entry.of or model}`, which brings them (kilobytes), or fetch the model."
            raise InputError(what, fix=fix) from None
        if found is None:
            raise
        return found


def _origin(lock: ModelLock) -> tuple[str | None, ...]:
    """Where the weights come from. A revision is left out: it says nothing about sizes."""
    return lock.source, lock.base, lock.of, lock.repo, lock.path


def _declared_origin(entry: ModelParams, base: ModelParams) -> tuple[str | None, ...]:
    of = entry.of if entry.source is Source.untrained else None
    return entry.source, base.source, of, base.repo, base.path


def _row(found: Plan) -> list[str]:
    counts = [f"{number:,}" for number in (found.passes, found.prompts, found.images)]
    return [*counts, _duration(found.seconds), _mebibytes(_disk(found)), _mebibytes(found.memory_bytes)]


def _total(plans: Sequence[Plan]) -> list[str]:
    """Sums, and the most memory; prompts and images that rows have in common are counted in each, and made once."""
    sums = [sum(getattr(found, name) for found in plans) for name in ("passes", "prompts", "images")]
    disk, memory = sum(map(_disk, plans)), max(found.memory_bytes for found in plans)
    time = _duration(sum(found.seconds for found in plans))
    return [*(f"{number:,}" for number in sums), time, _mebibytes(disk), _mebibytes(memory)]


def _disk(found: Plan) -> int:
    return found.activation_bytes + found.gram_bytes + found.cache_bytes + found.temporary_bytes


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
