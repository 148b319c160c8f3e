"""What a page leads to: the index, the same probe on other models, and the files behind its numbers.

All links are relative to the place of the page in a workspace, and hold wherever the workspace is.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from plantain.base import places
from plantain.probe.speaking import in_order
from plantain.report.published import untrained_names
from plantain.report.result import Analysis, Result
from plantain.report.vectors import VectorAnalysis, vector_analyses


@dataclass(frozen=True)
class PageLink:
    """Another page or file."""

    href: str
    name: str
    note: str = ""


def index(result: Result) -> str:
    """The page over all cells."""
    return _href(result, places.INDEX)


def family(result: Result) -> PageLink:
    """What becomes of the claims of all probes, which the page itself may not hold."""
    return PageLink(_href(result, places.HOLM), places.HOLM.name)


def family_script(result: Result) -> str:
    """The same for the script of the page."""
    return _href(result, places.HOLM_SCRIPT)


def twins(result: Result) -> list[PageLink]:
    """The same probe on the untrained versions of a trained model, or on the model that an untrained one is of."""
    of = result.lock.of
    found = [(of, "trained")] if of else [(name, "untrained") for name in untrained_names(result)]
    return [PageLink(_href(result, places.page(name, result.probe)), name, kind) for name, kind in found]


def downloads(result: Result) -> list[PageLink]:
    """The files of the cell: every metric, the verdict, and a table for every contrast and analysis."""
    cell = (result.model, result.probe)
    found = [PageLink(_href(result, places.metrics(*cell)), "metrics.json", "every metric of every contrast")]
    if result.verdict is not None:
        found.append(PageLink(_href(result, places.verdict(*cell)), "verdict (JSON)", "every rung of every contrast"))
    found.append(PageLink(_href(result, places.records(result.probe)), "prompts (parquet)", "a row a prompt"))
    return found


@dataclass(frozen=True)
class TableLinks:
    """The tables of one analysis of one contrast."""

    label: str
    units: PageLink
    differences: PageLink | None
    """None where the differences of pairs are not stored."""


def tables(result: Result) -> list[TableLinks]:
    """The tables of every analysis, the main one first."""
    every = [result.main, *(one for one in result.analyses() if one.label != result.main.label)]
    vectors = [one for contrast in in_order(result.summary.contrasts) for one in vector_analyses(result, contrast)]
    return [*(_tables(result, analysis) for analysis in every), *(_vector_table(result, one) for one in vectors)]


def _vector_table(result: Result, one: VectorAnalysis) -> TableLinks:
    path = places.stats(result.model, result.probe) / one.path.name
    return TableLinks(one.label, PageLink(_href(result, path), "units", "a row a head"), None)


def _tables(result: Result, analysis: Analysis) -> TableLinks:
    folder = places.stats(result.model, result.probe)
    units = PageLink(_href(result, folder / f"{analysis.label}.parquet"), "units", "a row a unit, every measure")
    name = f"{analysis.label}.differences.parquet"
    if not (analysis.folder / name).exists():
        return TableLinks(analysis.label, units, None)
    pairs = PageLink(_href(result, folder / name), "pairs", "a row a pair, a column a unit")
    return TableLinks(analysis.label, units, pairs)


def _href(result: Result, path: Path) -> str:
    """``path`` of the workspace as seen from the result's page."""
    page = places.page(result.model, result.probe)
    return os.path.relpath(path, page.parent).replace(os.sep, "/")
