"""The compare page: results side by side on one scale, and what makes a comparison unfair."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from plantain.base import places
from plantain.base.files import write_atomic
from plantain.report import words as wording
from plantain.report.compare import contents as comparing
from plantain.report.compare.contents import Overlap, PromptDiff
from plantain.report.compare.maps import (
    CHOICES,
    DIFFERENCE,
    SHIFT_OF,
    SORTED,
    UnitValues,
    maps_of,
    scales,
    wordings_compared,
)
from plantain.report.compare.table import ClaimRow, claim_rows
from plantain.report.compare.verdicts import SORTS, verdict_rows
from plantain.report.figures.grid import in_depth
from plantain.report.figures.style import (
    CONTROL,
    DARK_STOPS,
    INK,
    LIGHT_STOPS,
    MUTED,
    SINGLE,
    STRONG,
    headline,
    new_figure,
    plantain_style,
    quiet,
)
from plantain.report.page.write import Chart, inline_chart, template
from plantain.report.published import abreast
from plantain.report.result import Analysis, Result


@dataclass(frozen=True)
class Pair:
    """Two results beside each other."""

    a: Result
    b: Result
    key: str
    """Name of the difference map in the page's data; empty where the geometries differ."""
    said: str
    unfair: list[str]
    overlap: Overlap | None
    prompts: PromptDiff
    profile: Chart


_FILES = (
    (places.TABLE_CSV.name, "the table above as CSV: a row a result, a column a number"),
    (places.TABLE_JSON.name, "the same as JSON, with what makes results hard to compare"),
    (places.VERDICTS.name, "the few numbers that a claim rests on, by probe and model"),
    (f"{places.PLOTS.name}/heatmap.csv", "t over items of every head"),
    (f"{places.PLOTS.name}/block_profile.csv", "a row a block"),
    (f"{places.PLOTS.name}/sign_flips.csv", "the null over items"),
)
"""What stands beside the index, and what it is."""


def claims_beside(results: Sequence[Result], path: Path) -> list[ClaimRow]:
    """The rows of the table of a page at ``path``."""
    return claim_rows(results, _links(results, path))


def write_compare(
    results: Sequence[Result], path: Path, asked: str | None = None, claims: Sequence[ClaimRow] | None = None
) -> None:
    """Render ``results`` into ``path``; needs no network to be read.

    ``claims`` are the rows of its table, where they are known already. ``asked`` says how often the models were asked.
    Without it the page takes that from ``asked.js`` beside it: it follows from git's history, so no page that DVC
    tracks may hold it.
    """
    maps = maps_of(results)
    pairs = [_pair(a, b, maps) for a, b in comparing.pairs(results)]
    probes = list(dict.fromkeys(result.probe for result in results))
    models = list(dict.fromkeys(result.model for result in results))
    links, shown = _links(results, path), scales(maps.values())
    verdicts = verdict_rows(results, claims or claims_beside(results, path))
    text: str = template("compare.html.j2", ("units.js", "compare.js"), beside=asked is None).render(
        verdicts=verdicts,
        by_address={row.claim.result: row for row in verdicts},
        sorts=SORTS,
        equal_pairs=min((row.claim.pairs for row in verdicts), default=0),
        units=", ".join(dict.fromkeys(row.claim.effect_unit for row in verdicts)),
        results=results,
        cells=_cells(results),
        probes=probes,
        models=sorted(models, key=lambda model: any(r.lock.of for r in results if r.model == model)),
        twins={pair.a.probe: pair for pair in reversed(pairs) if comparing.twins(pair.a, pair.b) and pair.key},
        pairs=pairs,
        unfair=comparing.unfair_within(results),
        untrained=[result.address for result in results if wording.is_untrained(result.lock)],
        subsets=comparing.SUBSETS,
        table=[
            (result, row.claim.over_t3_at_equal_n, _loudest(result))
            for result, row in zip(results, verdicts, strict=True)
        ],
        cards=abreast(_one_each(results)),
        links=links,
        files=_FILES if links and path.parent.name == places.REPORTS.name else (),
        asked=asked,
        asked_file=places.ASKED.name,
        number={result.address: index for index, result in enumerate(results)},
        compared={result.address for result in results if wordings_compared(result)},
        shift_of=SHIFT_OF,
        choices={key: name for key, name in CHOICES.items() if key in shown},
        data={
            "maps": {name: one.to_json() for name, one in maps.items()},
            "models": models,
            "scales": shown,
            "links": links,
            "order": {row.claim.result: row.order for row in verdicts},
            "stops": {"light": LIGHT_STOPS, "dark": DARK_STOPS},
        },
    )
    write_atomic(path, text.encode())


def _cells(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """Results by probe and model; revisions and contrasts of one cell stand together."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result.probe, result.model), []).append(result)
    return found


def _one_each(results: Sequence[Result]) -> list[Result]:
    """One result of each cell and revision: the card's protocol has one contrast of its own."""
    return list({(result.probe, result.model, result.rev): result for result in results}.values())


def _pair(a: Result, b: Result, maps: dict[str, UnitValues]) -> Pair:
    key, said = "", "The geometries differ, so there is no map of differences; the profiles run over relative depth."
    if comparing.same_geometry(a, b):
        values, said = comparing.map_difference(a, b)
        key = f"{a.address} - {b.address}"
        maps[key] = UnitValues(a, DIFFERENCE if comparing.same_model(a, b) else SORTED, values)
    shared = comparing.overlap(a.main, b.main) if comparing.same_model(a, b) else None
    with plantain_style(captions_beside=True):
        chart = inline_chart(profile(a, b), f"Share of heads over 3 by relative depth, {a.address} and {b.address}")
    return Pair(a, b, key, said, comparing.unfair((a, b)), shared, comparing.prompt_diff(a, b), chart)


def profile(a: Result, b: Result) -> Figure:
    """Share of units over 3 per block against relative depth: comparable whatever the number of blocks."""
    figure = new_figure(2.5)
    upper = headline(
        figure, "Over depth", "Share of heads with |t| over 3 in each block; 0 is the first block, 1 the last."
    )
    height = float(figure.get_size_inches()[1])
    axes = figure.add_axes((0.09, 0.42 / height, 0.88, upper - 0.68 / height))
    for result, colour, style in ((a, SINGLE, "-"), (b, STRONG if not b.lock.of else CONTROL, "--")):
        depth, share = _depths(result.main)
        axes.plot(depth, share, style, color=colour, linewidth=1.4, marker="o", markersize=2.6, label=result.address)
    axes.set(xlim=(-0.02, 1.02), ylim=(0, 1), yticks=[0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1], ["0", "50%", "100%"])
    axes.set_xlabel("depth, as a share of the blocks", color=MUTED)
    axes.legend(loc="lower right", ncols=2, bbox_to_anchor=(1, 1.0), borderaxespad=0.3, labelcolor=INK)
    axes.tick_params(colors=MUTED)
    quiet(axes, keep="lb")
    return figure


def _depths(analysis: Analysis) -> tuple[np.ndarray, list[float]]:
    blocks = sorted(analysis.summary.blocks, key=lambda row: in_depth(row.block_kind, row.block))
    shown = [row for row in blocks if row.part == "attention"]
    return np.linspace(0, 1, len(shown)), [row.over_t3 / max(1, row.units) for row in shown]


def _loudest(result: Result) -> Analysis | None:
    return max(result.controls, key=lambda row: row.metrics.get("heads_over_t3_fraction", 0.0), default=None)


def _links(results: Sequence[Result], path: Path) -> dict[str, str]:
    """Addresses of the cells' own pages, where the page stands among the reports of the same repository."""
    reports = [(result, result.root / places.page(result.model, result.probe)) for result in results]
    inside = [(r, page) for r, page in reports if (r.root / "reports").resolve() in path.resolve().parents]
    return {result.address: os.path.relpath(page, path.parent).replace(os.sep, "/") for result, page in inside}
