"""What an audit can make again of a table of interventions: everything that follows from what the table keeps.

Gate and donors follow from inner products, exactly. The selection follows from the map's wordings, where the cell's
activations are here, and what each head carries. Swaps themselves are made again by ``plantain run --study`` alone.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.errors import InputError, reading
from plantain.base.files import six_digits
from plantain.base.params import AnalysisParams
from plantain.probe.halves import Half
from plantain.records.causal import CausalTable, DonatedRow, LabelledTest, read_causal, size_areas
from plantain.records.receipt import Receipt
from plantain.track.audit.checks import Broken
from plantain.track.results import Cell, Reader, parse_receipt

Again = tuple[str, float, float]
"""What a number is called, what the table says, and what comes out again."""


def check_swaps(cell: Cell, reader: Reader) -> Iterator[Broken]:
    """Numbers of a cell's table of interventions that its own contents, or the activations, do not give again."""
    path = places.causal(cell.model, cell.probe)
    content = reader.read(path.as_posix())
    if content is None:
        return
    try:
        table = read_causal(content, path)
    except InputError as error:
        yield Broken("table", path.as_posix(), f"{error.problem}. Fix: {error.fix}", cell.name, 0)
        return
    found = [*from_table(table), *_selection(cell, reader, table)]
    for name, said, again in found:
        if said != again:
            problem = f"{name} is {said:g}, and what the table rests on gives {again:g} when it is computed again."
            yield Broken("table", path.as_posix(), problem, cell.name, 0)


def from_table(table: CausalTable) -> Iterator[Again]:
    """Every number of a table that follows from others of it; none of the first revision's tests, which kept less."""
    yield "additivity", table.additivity, six_digits(sum(table.mediation_by_head))
    for row in table.sets:
        if row.how != "paraphrase" and row.necessity is not None and row.redundancy is not None:
            yield f"redundancy of {row.how}", row.redundancy, six_digits(row.sufficiency - row.necessity)
    if table.areas is not None:
        again = size_areas(table.curve).model_dump()
        yield from ((name, value, again[name]) for name, value in table.areas.model_dump().items())
    for name, products in table.products.items():
        yield from _test(table, table.test(name), products)
    for one in table.donors:
        yield from _donors(table, one)


def _test(table: CausalTable, said: LabelledTest, products: list[list[float]]) -> Iterator[Again]:
    from plantain.stats.inner import inner_test

    first = _sides(table, "test")[0]
    wanted, seed, clusters = table.permutations or 1, table.seed or 0, table.clusters["test"]
    found = inner_test(products, first, clusters=clusters, permutations=wanted, seed=seed)
    yield f"statistic of {said.name}", said.statistic, six_digits(found.statistic)
    yield f"p of {said.name}", said.p, six_digits(found.p)
    yield f"floor of {said.name}", said.floor, six_digits(found.floor_p)


def _donors(table: CausalTable, said: DonatedRow) -> Iterator[Again]:
    from plantain.stats.inner import apart, inner_test

    first, name = said.groups.count(0), f"{said.kind} ({said.contrast})"
    wanted, seed = table.permutations or 1, table.seed or 0
    bound = {"clusters": said.clusters, "strata": said.strata}
    found = inner_test(said.products, first, **bound, permutations=wanted, seed=seed)
    yield f"statistic of {name}", said.statistic, six_digits(found.statistic)
    yield f"p of {name}", said.p, six_digits(found.p)
    whole = apart(table.products["donors"], _sides(table, "test")[0])
    yield f"distance of {name}", said.apart, six_digits(apart(said.products, first) / whole) if whole else 0.0


def _sides(table: CausalTable, half: str) -> tuple[int, int]:
    """How many wordings of a half are of side a, and of side b."""
    a = set(table.inputs["a"])
    first = sum(name in a for name in table.wordings[half])
    return first, len(table.wordings[half]) - first


def _selection(cell: Cell, reader: Reader, table: CausalTable) -> Iterator[Again]:
    """The selection from the map's wordings; nothing where activations, or settings, are not those of the table."""
    if table.permutations is None:
        return
    path = places.causal(cell.model, cell.probe).with_suffix(".receipt.json")
    content = reader.read(path.as_posix())
    receipt = parse_receipt(path.as_posix(), content).receipt if content is not None else None
    wanted = [find(cell.model, cell.probe) for find in (places.activations, places.grams)] + [places.units(cell.model)]
    if receipt is None or reader.folder is None or not all(_same(receipt, reader, one) for one in wanted):
        return
    found = _made_again(reader.folder, wanted, table, receipt)
    said = table.test("selection")
    yield "statistic of selection", said.statistic, six_digits(found[0])
    yield "p of selection", said.p, six_digits(found[1])


def _same(receipt: Receipt, reader: Reader, path: Path) -> bool:
    """Whether a file is what the table was made of."""
    digests = reader.digests(path.as_posix())
    return any(one.path == path.as_posix() and digests and one.sha256 == digests.sha256 for one in receipt.reads)


def _made_again(folder: Path, paths: list[Path], table: CausalTable, receipt: Receipt) -> tuple[float, float]:
    from plantain.ladder.head_maps import selection_maps
    from plantain.records.activations import read_activations
    from plantain.records.grams import read_grams
    from plantain.records.units import read_units
    from plantain.stats.selection import selection_test

    activations, grams, units = (folder / path for path in paths)
    fix = "audit it with the version of plantain that made it, or make it anew with `plantain run --study`."
    with reading(places.causal(table.model, table.probe), "settings of this version", fix):
        analysis = AnalysisParams.model_validate(receipt.params[f"analyses.{VERDICT_ANALYSIS}"])
    cut, names = _sides(table, "selection")[0], table.wordings["selection"]
    clusters = tuple(table.clusters["selection"])
    half = Half(tuple(names[:cut]), tuple(names[cut:]), clusters, tuple(table.items["selection"]))
    maps = selection_maps(read_activations(activations), read_grams(grams), read_units(units), analysis, half)
    wanted, seed, carried = table.permutations or 1, table.seed or 0, np.array(table.mediation_by_head)
    found = selection_test(*maps[table.measure], carried, clusters=clusters, permutations=wanted, seed=seed)
    return found.statistic, found.p
