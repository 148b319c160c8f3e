"""The files of an expanded probe: ``<probe>.parquet``, ``<probe>.references.json``, ``<probe>.contrasts.json``."""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import TypeAdapter

from plantain.base.errors import reading, restored
from plantain.base.files import readable_json, write_atomic
from plantain.probe.node import Field
from plantain.probe.records import Contrasts, ExpandedContrast, Expansion, Record, ReferenceRecord, items_of

_COLUMNS: dict[str, Any] = {
    "item": pl.String,
    "condition": pl.String,
    "prompt": pl.String,
    "reference": pl.List(pl.String),
    "sha256": pl.String,
}

_TYPES: dict[type, Any] = {str: pl.String, int: pl.Int64, float: pl.Float64}

_ITEMS: Final = TypeAdapter(dict[str, dict[str, Field]])
_REFERENCES: Final = TypeAdapter(tuple[ReferenceRecord, ...])
_CONTRASTS: Final = TypeAdapter(tuple[ExpandedContrast, ...])


def write_expansion(expansion: Expansion, folder: Path) -> None:
    """Write the three files of ``expansion`` into ``folder``, each whole or not at all."""
    parquet = io.BytesIO()
    _table(expansion.records).write_parquet(parquet)
    write_atomic(folder / f"{expansion.probe}.parquet", parquet.getvalue())
    references = {
        "schema": "plantain.references/1",
        "probe": expansion.probe,
        "references": [asdict(reference) for reference in expansion.references],
    }
    write_atomic(folder / f"{expansion.probe}.references.json", readable_json(references))
    contrasts = {
        "schema": "plantain.contrasts/1",
        "probe": expansion.probe,
        "items": [{"id": name, "fields": fields} for name, fields in items_of(expansion.records).items()],
        "contrasts": [asdict(contrast) for contrast in expansion.contrasts],
        "neutral": list(expansion.neutral),
    }
    write_atomic(folder / f"{expansion.probe}.contrasts.json", readable_json(contrasts))


def read_records(path: Path) -> tuple[Record, ...]:
    """The records of ``<probe>.parquet``, in file order.

    Raises:
        InputError: the file is damaged, or not such a table.
    """
    with reading(path, "the prompts of a probe", restored(path)):
        table = pl.read_parquet(path.read_bytes())
        known = table.select(list(_COLUMNS))
        if dict(known.schema) != _COLUMNS or not table.height:
            raise ValueError(f"its columns are {', '.join(table.columns)}, with {table.height} rows")
        if sum(known.null_count().row(0)):
            raise ValueError("a record lacks a value")
        return tuple(_record(row) for row in table.iter_rows(named=True))


def read_references(path: Path) -> tuple[ReferenceRecord, ...]:
    """The references of ``<probe>.references.json``.

    Raises:
        InputError: the file is damaged.
    """
    with reading(path, "the references of a probe", restored(path)):
        return _REFERENCES.validate_python(json.loads(path.read_bytes())["references"])


def read_contrasts(path: Path) -> Contrasts:
    """The contrasts of ``<probe>.contrasts.json``.

    Raises:
        InputError: the file is damaged.
    """
    with reading(path, "the contrasts of a probe", restored(path)):
        data = json.loads(path.read_bytes())
        items = _ITEMS.validate_python({item["id"]: item["fields"] for item in data["items"]})
        contrasts = _CONTRASTS.validate_python(data["contrasts"])
        for one in contrasts:
            _check_labels(one, len(items))
        neutral = tuple(map(str, data.get("neutral", ())))
        return Contrasts(str(data["probe"]), tuple(items), tuple(items.values()), contrasts, neutral)


def _check_labels(contrast: ExpandedContrast, items: int) -> None:
    """A stratum, a frame and a cluster a template, and a flip block an item."""
    if not contrast.a or not contrast.b or len(contrast.strata) != len(contrast.a) + len(contrast.b):
        raise ValueError(f"contrast {contrast.name} has a side without templates, or a template without stratum")
    if not len(contrast.frames) == len(contrast.clusters) == len(contrast.strata):
        raise ValueError(f"contrast {contrast.name} has a template without frame or cluster")
    if contrast.flip_blocks is not None and len(contrast.flip_blocks) != items:
        raise ValueError(f"contrast {contrast.name} has {len(contrast.flip_blocks)} flip blocks for {items} items")


def _table(records: Iterable[Record]) -> pl.DataFrame:
    types: dict[str, Any] = dict(_COLUMNS)
    rows = []
    for record in records:
        row = {name: getattr(record, name) for name in _COLUMNS}
        rows.append(row | {"reference": list(record.reference)} | record.fields)
        types |= {name: _TYPES[type(value)] for name, value in record.fields.items()}
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in types}, schema=types)


def _record(row: dict[str, Any]) -> Record:
    fields: dict[str, Field] = {
        name: value for name, value in row.items() if name not in _COLUMNS and value is not None
    }
    return Record(
        item=row["item"],
        condition=row["condition"],
        prompt=row["prompt"],
        reference=tuple(row["reference"]),
        sha256=row["sha256"],
        fields=fields,
    )
