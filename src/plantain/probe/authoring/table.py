"""Tables as people have them: CSV and TSV out of spreadsheets, lists of prompts, and one JSON object a line."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantain.base.errors import InputError, refuse_pointer
from plantain.base.files import normalise
from plantain.base.yaml import LARGEST_FILE
from plantain.probe.spec import MOST_ITEMS

_DELIMITERS = ",;\t"
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}

LIST_COLUMN = "prompt"
"""What the only column of a plain list is called."""


@dataclass(frozen=True)
class SourceRow:
    """One row that is not blank."""

    line: int
    """Where it starts in the file, from 1."""
    cells: dict[str, str]
    """Normalised text by column."""


@dataclass(frozen=True)
class SourceTable:
    """A table with named columns."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[SourceRow, ...]
    blank: tuple[int, ...] = ()
    """Lines of the rows that were blank, and were left out."""

    def column(self, wanted: str, flag: str) -> str:
        """The name of the column ``wanted``, in whatever case it is written.

        Raises:
            InputError: there is none; lists those that are there.
        """
        found = {column.casefold(): column for column in reversed(self.columns)}
        if wanted in self.columns:
            return wanted
        if wanted.casefold() in found:
            return found[wanted.casefold()]
        problem = f"there is no column '{wanted}'; the columns are {', '.join(self.columns)}."
        raise table_error(self.path, problem, 1, f"give one of them: `{flag} COLUMN`.")


def read_table(path: Path) -> SourceTable:
    """Read ``path``: ``.jsonl`` as one object a line, ``.txt`` as one prompt a line, else parted by , ; or tab.

    Raises:
        InputError: no text, no header or no row, cells without a column, or more rows than a probe may have items.
    """
    text = _text(path)
    ending = path.suffix.casefold()
    found = _lines(path, text) if ending in (".txt", ".jsonl") else _parted(path, text)
    if not found.rows:
        raise table_error(path, "there is no pair, and no item.", 1, "add a line for each below the header.")
    if len(found.rows) > MOST_ITEMS:
        problem = f"there are {len(found.rows):,} rows, and a probe has at most {MOST_ITEMS:,} items."
        raise table_error(path, problem, found.rows[MOST_ITEMS].line, "keep fewer rows.")
    return found


def table_error(path: Path, problem: str, line: int, fix: str, field: str = "") -> InputError:
    """An error in a table."""
    return InputError(problem, fix=fix, file=path, line=line, field=field)


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        data = b"" if size > LARGEST_FILE else path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file.", file=path, fix="check the path.") from None
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror}).", file=path, fix="give a file.") from None
    if size > LARGEST_FILE:
        problem = f"the file has {size:,} bytes, and at most {LARGEST_FILE:,} are read."
        raise InputError(problem, file=path, fix="keep the rows that the probe needs.")
    refuse_pointer(data, path)
    if data.startswith(b"PK\x03\x04"):
        raise InputError("this is a workbook or an archive.", file=path, fix="save the sheet as CSV in UTF-8.")
    # Spreadsheets write "Unicode text" as UTF-16.
    coding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(coding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise table_error(path, f"byte {error.start} is not valid UTF-8.", line, "save the file as UTF-8.") from None


def _parted(path: Path, text: str) -> SourceTable:
    """A table whose first row that is not blank names the columns."""
    delimiter, skipped = _delimiter(path, text)
    rows = list(_cells(path, text, delimiter))[skipped:]
    blank = tuple(line for line, cells in rows if not any(cells))
    filled = [(line, cells) for line, cells in rows if any(cells)]
    if not filled:
        raise table_error(path, "the file is empty.", 1, "write a header line `a,b` or `id,a,b`.")
    head, header = filled[0]
    named = [column for column in header if column]
    if len(set(named)) < len(named):
        raise table_error(path, f"the columns are {', '.join(header)}.", head, "give each column a name of its own.")
    body = tuple(_row(path, line, header, cells, delimiter) for line, cells in filled[1:])
    return SourceTable(path, tuple(named), body, blank)


def _delimiter(path: Path, text: str) -> tuple[str, int]:
    """What parts the cells of the header, and how many rows stand before it (Excel's own ``sep=;``)."""
    first = next((line for line in text.splitlines() if line.strip()), "").strip("\r\n")
    if first.casefold().startswith("sep=") and len(first) == 5:
        return first[4], 1
    if path.suffix.casefold() in (".tsv", ".tab"):
        return "\t", 0
    return max(_DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), []))), 0


def _cells(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every row with the line it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, [normalise(cell) for cell in cells]
            start = reader.line_num + 1
    except csv.Error as error:
        fix = "close the quotes; write a quote as two."
        raise table_error(path, f"not valid CSV ({error}).", start, fix) from None


def _row(path: Path, line: int, header: list[str], cells: list[str], delimiter: str) -> SourceRow:
    if len(cells) != len(header):
        problem = f"{len(cells)} cells stand under {len(header)} columns."
        raise table_error(path, problem, line, f"put sentences with {_NAMES.get(delimiter, delimiter)} in quotes.")
    # A first column without a name holds row numbers; others are what a spreadsheet pads with.
    stray = next((cell for name, cell in list(zip(header, cells, strict=True))[1:] if cell and not name), "")
    if stray:
        raise table_error(path, f"'{stray}' stands under no column name.", line, "name the column, or empty it.")
    return SourceRow(line, {name: cell for name, cell in zip(header, cells, strict=True) if name})


def _lines(path: Path, text: str) -> SourceTable:
    """A file in which a line is a row: a prompt, or a JSON object."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    blank = tuple(number for number, line in lines if not line)
    parse = _object if path.suffix.casefold() == ".jsonl" else _prompt
    rows = tuple(parse(path, number, line) for number, line in lines if line)
    columns = dict.fromkeys(name for row in rows for name in row.cells)
    return SourceTable(path, tuple(columns), rows, blank[:-1] if text.endswith("\n") else blank)


def _prompt(path: Path, line: int, text: str) -> SourceRow:
    return SourceRow(line, {LIST_COLUMN: normalise(text)})


def _object(path: Path, line: int, text: str) -> SourceRow:
    """The texts and numbers of an object; lists and objects inside it are no columns."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise table_error(path, "not valid JSON.", line, "write one JSON object a line.") from None
    if not isinstance(found, dict):
        raise table_error(path, "this is no JSON object.", line, "write one JSON object a line.")
    return SourceRow(
        line, {name: normalise(str(value)) for name, value in found.items() if isinstance(value, str | int)}
    )
