"""The run card: what a run found and where it comes from, in the Markdown that MLflow shows on a run's page."""

import json
from typing import Any, Final

from plantain.track.results import Cell, Reader

_LONGEST: Final = 7500
_SHOWN: Final = ("pairs", "alive_units", "heads_over_t3", "heads_over_t5", "max_abs_t", "split_half_r", "effect")


def run_card(cell: Cell, headline: dict[str, float], reader: Reader) -> str:
    """Markdown of at most 7,500 characters: headline, guarantee in words, lineage, links."""
    summary = _summary(cell, reader)
    parts = [
        f"## {cell.name}",
        *_sentences(summary),
        _table(headline),
        *_warnings(summary),
        "### Lineage",
        *_lineage(cell),
        f"The page with every figure is the artifact `report/index.html`. "
        f"`plantain audit {cell.name}` follows each number to its prompts.",
    ]
    return "\n\n".join(part for part in parts if part)[:_LONGEST]


def _summary(cell: Cell, reader: Reader) -> dict[str, Any]:
    content = reader.read(f"data/stats/{cell.model}/{cell.probe}/summary.json")
    contrasts = json.loads(content).get("contrasts", {}) if content else {}
    found = (contrasts[name]["heads"] for name in ("target", "published") if "heads" in contrasts.get(name, {}))
    return dict(next(found, {}))


def _sentences(summary: dict[str, Any]) -> list[str]:
    return [str(sentence) for sentence in summary.get("sentences", [])]


def _warnings(summary: dict[str, Any]) -> list[str]:
    return [f"> {warning}" for warning in summary.get("warnings", [])]


def _table(headline: dict[str, float]) -> str:
    rows = [f"| {name} | {headline[name]:g} | {_card(headline, name)} |" for name in _SHOWN if name in headline]
    return "\n".join(["| metric | heads | card |", "| --- | ---: | ---: |", *rows]) if rows else ""


def _card(headline: dict[str, float], name: str) -> str:
    value = headline.get(f"card.{name}")
    return "" if value is None else f"{value:g}"


def _lineage(cell: Cell) -> list[str]:
    prompts = cell.prompts
    lines = [f"- capture key `{cell.capture_key}`"]
    if prompts:
        lines.insert(0, f"- prompt set `{prompts.probe}`: {len(prompts.records)} records, `{prompts.set_sha256}`")
    capture = cell.held["capture"].receipt
    lines += [f"- model lock `{capture.model_lock_sha256}`"] if capture.model_lock_sha256 else []
    lines += [f"- {stage}: receipt `{held.sha256[:16]}` (`{held.path}`)" for stage, held in cell.held.items()]
    return ["\n".join(lines)]
