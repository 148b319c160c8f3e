"""The run card: what a run found and where it comes from, in the Markdown that MLflow shows on a run's page."""

from typing import Final

from plantain.base.errors import InputError
from plantain.report.markdown import run_card as result_card
from plantain.report.result import load_result
from plantain.track.results import Cell, Reader

_LONGEST: Final = 8000
"""MLflow's limit on the length of a tag."""
_SHOWN: Final = ("pairs", "alive_units", "heads_over_t3", "heads_over_t5", "max_abs_t", "split_half_r", "effect")


def run_description(cell: Cell, headline: dict[str, float], reader: Reader) -> str:
    """Markdown that fits MLflow's description: what the report room says of the result, then its lineage and links."""
    lineage = "\n".join(["## Lineage", "", *_lineage(cell), "", _links(cell)])
    room = _LONGEST - len(lineage) - 2
    found = _found(cell, headline, reader)
    if len(found) > room:
        found = found[: found.rfind("\n", 0, room)]
    return f"{found.rstrip()}\n\n{lineage}\n"


def _found(cell: Cell, headline: dict[str, float], reader: Reader) -> str:
    """The report's card where its files are in the workspace, else the headline numbers from the receipt."""
    if reader.folder is not None:
        try:
            return result_card(load_result(reader.folder, cell.probe, cell.model))
        except InputError:
            return _table(cell, headline)
    return _table(cell, headline)


def _table(cell: Cell, headline: dict[str, float]) -> str:
    rows = [f"| {name} | {headline[name]:g} | {_card(headline, name)} |" for name in _SHOWN if name in headline]
    return "\n".join([f"# {cell.name}", "", "| metric | heads | card |", "| --- | ---: | ---: |", *rows])


def _card(headline: dict[str, float], name: str) -> str:
    value = headline.get(f"card.{name}")
    return "" if value is None else f"{value:g}"


def _lineage(cell: Cell) -> list[str]:
    prompts, capture = cell.prompts, cell.held["capture"].receipt
    lines = [f"- capture key `{cell.capture_key}`"]
    if prompts:
        lines.insert(0, f"- prompt set `{prompts.probe}`: {len(prompts.records)} records, `{prompts.set_sha256}`")
    lines += [f"- model lock `{capture.model_lock_sha256}`"] if capture.model_lock_sha256 else []
    return lines + [f"- {stage}: receipt `{held.sha256}` (`{held.path}`)" for stage, held in cell.held.items()]


def _links(cell: Cell) -> str:
    page = "The page with every figure is the artifact `report/index.html`, the prompts are `prompts.json`."
    return f"{page} `plantain audit {cell.name}` follows each number to its prompts."
