"""The files of an expanded probe: ``<probe>.parquet``, ``<probe>.references.json``, ``<probe>.contrasts.json``."""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from plantain.files import readable_json, write_atomic
from plantain.probe.node import Field
from plantain.probe.records import Contrasts, ExpandedContrast, Expansion, Record, ReferenceRecord, items_of
from plantain.probe.spec import Role

_COLUMNS: dict[str, Any] = {
    "item": pl.String,
    "condition": pl.String,
    "prompt": pl.String,
    "reference": pl.List(pl.String),
    "sha256": pl.String,
}

_TYPES: dict[type, Any] = {str: pl.String, int: pl.Int64, float: pl.Float64}


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
    }
    write_atomic(folder / f"{expansion.probe}.contrasts.json", readable_json(contrasts))


def read_records(path: Path) -> tuple[Record, ...]:
    """The records of ``<probe>.parquet``, in file order."""
    return tuple(_record(row) for row in pl.read_parquet(path).iter_rows(named=True))


def read_references(path: Path) -> tuple[ReferenceRecord, ...]:
    """The references of ``<probe>.references.json``."""
    return tuple(ReferenceRecord(**reference) for reference in json.loads(path.read_bytes())["references"])


def read_contrasts(path: Path) -> Contrasts:
    """The contrasts of ``<probe>.contrasts.json``."""
    data = json.loads(path.read_bytes())
    return Contrasts(
        probe=data["probe"],
        items=tuple(item["id"] for item in data["items"]),
        fields=tuple(item["fields"] for item in data["items"]),
        contrasts=tuple(_contrast(contrast) for contrast in data["contrasts"]),
    )


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


def _contrast(data: dict[str, Any]) -> ExpandedContrast:
    blocks = data["flip_blocks"]
    return ExpandedContrast(
        name=data["name"],
        a=tuple(data["a"]),
        b=tuple(data["b"]),
        role=Role(data["role"]),
        strata=tuple(data["strata"]),
        flip_blocks=None if blocks is None else tuple(blocks),
    )
