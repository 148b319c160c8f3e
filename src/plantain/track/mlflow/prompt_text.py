"""A prompt set as one readable text: a template a condition, the references, and what stands for each field.

The lines are a list, so that MLflow's pages keep them apart whether they show text or Markdown.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

import polars as pl

from plantain.base.files import digest
from plantain.track.mlflow.projection import DatasetSpec, RunSpec

_OWN: Final = ("item", "condition", "prompt", "reference", "sha256")
"""Columns of a table of prompts that are no fields of items."""
_LONGEST: Final = 20_000
"""Characters of a text: some 200 conditions. The table of all prompts is among a run's artifacts."""
_ROWS: Final = 60
"""Items that are looked at to tell a template, and named for each field."""
_CUT: Final = "[more, in the artifact prompts.json of a linked run]"


def prompt_text(spec: RunSpec, one: DatasetSpec) -> str | None:
    """The prompts of ``one``, with ``{{field}}`` where items differ; None where the table at hand is of another set."""
    content = spec.reader.read(one.source) if spec.reader else None
    if content is None or spec.reader is None:
        return None
    frame = pl.read_parquet(io.BytesIO(content))
    if digest(sorted(frame["sha256"])) != one.sha256:
        return None
    references = spec.reader.read(PurePosixPath(one.source).with_suffix(".references.json").as_posix())
    return _bounded(_lines(frame, _references(references)))


def template_of(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The one text of which the prompts of ``rows`` are instances, fields as ``{{name}}``; None where there is none.

    A field is one of the template's where items differ in it and every prompt holds its item's value, as words of
    their own; a word that happens to be some item's value stays a word. Longer values first, which may hold shorter.
    """
    fields = [name for name in rows[0] if name not in _OWN and _is_used(name, rows)]
    fields.sort(key=lambda name: -sum(len(str(row[name])) for row in rows))
    texts = set()
    for row in rows:
        text = str(row["prompt"])
        for name in fields:
            text = _pattern(row[name]).sub(f"{{{{{name}}}}}", text)
        texts.add(text)
    return texts.pop() if len(texts) == 1 else None


def _is_used(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    varies = len({str(row[name]) for row in rows}) > 1
    return varies and all(_pattern(row[name]).search(str(row["prompt"])) for row in rows)


def _pattern(value: Any) -> re.Pattern[str]:
    """``value`` as words of its own; nothing matches an empty one."""
    return re.compile(rf"(?<!\w){re.escape(str(value))}(?!\w)" if str(value) else r"(?!)")


def _lines(frame: pl.DataFrame, references: Mapping[str, str]) -> Iterator[str]:
    fields: dict[str, None] = {}
    for (condition,), part in frame.group_by("condition", maintain_order=True):
        rows = part.head(_ROWS).to_dicts()
        template = template_of(rows)
        alone = "" if template else f" (the first of {len(part)} prompts that share no template)"
        yield f"- {condition}{alone}: {template or rows[0]['prompt']}"
        fields |= dict.fromkeys(re.findall(r"\{\{(\w+)\}\}", template or ""))
    yield from _section("References", (f"- {name}: {text}" for name, text in references.items()))
    yield from _section("Fields", (f"- {name}: {_values(frame, name)}" for name in fields if name in frame.columns))


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return ["", title, "", *found] if found else []


def _values(frame: pl.DataFrame, name: str) -> str:
    found = [str(value) for value in frame[name].unique(maintain_order=True)]
    more = f"; … {len(found) - _ROWS} more" if len(found) > _ROWS else ""
    return "; ".join(found[:_ROWS]) + more


def _references(content: bytes | None) -> dict[str, str]:
    """The prompt, or the file, of every reference image."""
    listed = json.loads(content).get("references", []) if content else []
    return {one["name"]: one.get("prompt") or f"the file {one.get('file')}" for one in listed}


def _bounded(lines: Iterable[str]) -> str:
    kept: list[str] = []
    room = _LONGEST - len(_CUT)
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*kept, _CUT])
        kept.append(line)
    return "\n".join(kept)
