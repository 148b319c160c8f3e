"""A probe file from a table of sentence pairs: columns ``a``, ``b`` and, if wanted, ``id``."""

import csv
import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from plantain.errors import InputError
from plantain.files import normalise
from plantain.probe.items import ITEM_ID
from plantain.probe.node import text_problem

Row = dict[str, str]


def probe_from_pairs(name: str, path: Path) -> bytes:
    """The YAML of a probe whose items are the rows of ``path``: whole sentences in place of templates.

    Raises:
        InputError: not UTF-8, wrong columns, an empty cell, an id that is not valid or occurs twice; names the line.
    """
    data: dict[str, Any] = {
        "probe": name,
        "title": f"Side a versus side b of {path.name}",
        "conditions": {"a": {"prompt": "{a}"}, "b": {"prompt": "{b}"}},
        "contrasts": {"target": {"a": "a", "b": "b", "role": "target"}},
        "items": read_pairs(path),
    }
    writer = YAML()
    writer.width = 1 << 16
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.BytesIO()
    writer.dump(data, stream)
    return stream.getvalue()


def read_pairs(path: Path) -> list[Row]:
    """The rows of ``path`` as items; rows without an ``id`` column are numbered."""
    rows = _rows(path)
    if not rows:
        raise _error(path, "the file is empty.", 1, "write a header line `a,b` or `id,a,b`.")
    header, pairs = rows[0][1], rows[1:]
    if len(set(header)) < len(header) or set(header) not in ({"a", "b"}, {"a", "b", "id"}):
        problem = f"the columns are {', '.join(header)}."
        raise _error(path, problem, 1, "name them a, b and, if wanted, id, parted by commas.")
    if not pairs:
        raise _error(path, "there is no pair.", 1, "add a line for each pair below the header.")
    width = len(str(len(pairs)))
    items = [
        _item(path, line, header, cells, f"pair-{number:0{width}}") for number, (line, cells) in enumerate(pairs, 1)
    ]
    _check_ids(path, [line for line, _ in pairs], items)
    return items


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line it starts on."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such file.", file=path, fix="check the path.") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise _error(path, f"byte {error.start} is not valid UTF-8.", line, "save the file as UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, start = [], 1
    try:
        for cells in reader:
            if any(cells):
                rows.append((start, [normalise(cell) for cell in cells]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise _error(path, f"not valid CSV ({error}).", start, "close the quotes; write a quote as two.") from None
    return rows


def _item(path: Path, line: int, header: list[str], cells: list[str], default_id: str) -> Row:
    if len(cells) != len(header):
        problem = f"{len(cells)} cells stand under {len(header)} columns."
        raise _error(path, problem, line, "put sentences with commas in quotes.")
    row = dict(zip(header, cells, strict=True))
    for column, text in row.items():
        if problem := text_problem(text):
            raise _error(path, problem, line, "write visible text in every cell.", column)
    item = {"id": row.get("id", default_id), "a": row["a"], "b": row["b"]}
    if not ITEM_ID.fullmatch(item["id"]):
        fix = "use lower-case letters, digits, dots, hyphens and underscores, at most 64 characters."
        raise _error(path, f"'{item['id']}' is not a valid id.", line, fix, "id")
    if item["a"] == item["b"]:
        raise _error(path, "both sides are the same sentence.", line, "write two that differ.")
    return item


def _check_ids(path: Path, lines: list[int], items: list[Row]) -> None:
    seen: set[str] = set()
    for line, item in zip(lines, items, strict=True):
        if item["id"] in seen:
            raise _error(path, f"the id '{item['id']}' occurs twice.", line, "give every row an id of its own.", "id")
        seen.add(item["id"])


def _error(path: Path, problem: str, line: int, fix: str, field: str = "") -> InputError:
    return InputError(problem, fix=fix, file=path, line=line, field=field)
