"""From the rows of a table to the items of a probe: pairs of sentences, or one text each for templates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from plantain.probe.authoring.table import SourceRow, SourceTable, table_error
from plantain.probe.lookalike import skeleton, told_apart
from plantain.probe.node import text_problem
from plantain.probe.spec import FEWEST_ITEMS, ITEM_ID

T = TypeVar("T")

TableItem = dict[str, str]

ITEM_FIELD = "text"
"""The field that holds an item's text under templates (`prompt` is a column of every expanded probe)."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are what; None where a reader did not say."""

    a: str | None = None
    b: str | None = None
    items: str | None = None


def pairs_of(table: SourceTable, chosen: Columns) -> list[TableItem]:
    """The rows as items with the sentences ``a`` and ``b``.

    Raises:
        InputError: other columns than a, b and id, and no word which of them hold the sides; an empty cell, sides that
            are or look the same, a pair that stands there twice, or an id that is not valid or occurs twice.
    """
    names = _sides(table, chosen)

    def item(row: SourceRow) -> TableItem:
        a, b = (_checked(table, row, name) for name in names)
        if skeleton(a) == skeleton(b):
            said = "are the same sentence" if a == b else f"look the same: they differ in {told_apart(a, b)}"
            raise table_error(table.path, f"both sides {said}.", row.line, "write two that differ.")
        return {"a": a, "b": b}

    return _numbered(table, "pair", item)


def items_of_column(table: SourceTable, column: str) -> list[TableItem]:
    """The texts of one column as items, for templates to put to the model.

    Raises:
        InputError: no such column, an empty cell, a text that stands there twice, or an id that is not valid.
    """
    name = table.column(column, "--items")
    return _numbered(table, "item", lambda row: {ITEM_FIELD: _checked(table, row, name)})


def _sides(table: SourceTable, chosen: Columns) -> tuple[str, str]:
    """The columns of the two sides: those that were named, or ``a`` and ``b`` where nothing else is there."""
    if chosen.a is not None or chosen.b is not None:
        return table.column(chosen.a or "a", "--a"), table.column(chosen.b or "b", "--b")
    known = {column.casefold(): column for column in table.columns}
    if len(known) == len(table.columns) and set(known) in ({"a", "b"}, {"a", "b", "id"}):
        return known["a"], known["b"]
    if len(table.columns) == 1:
        only = table.columns[0]
        fix = f"say that it holds items for templates: `--items {only}`."
        raise table_error(table.path, f"there is one column, {only}, and a pair needs a and b.", 1, fix)
    problem = f"the columns are {', '.join(table.columns)}; a, b and, if wanted, id are read without a word."
    fix = "name the two sides, `--a COLUMN --b COLUMN`, or one column of items for templates, `--items COLUMN`."
    raise table_error(table.path, problem, 1, fix)


def _checked(table: SourceTable, row: SourceRow, column: str) -> str:
    text = row.cells.get(column, "")
    if problem := text_problem(text):
        raise table_error(table.path, problem, row.line, "write visible text in every cell.", column)
    return text


def _numbered(table: SourceTable, word: str, item: Callable[[SourceRow], TableItem]) -> list[TableItem]:
    """The items of all rows, each with an id of its own and each different from the others."""
    by_id = next((column for column in table.columns if column.casefold() == "id"), None)
    width = len(str(len(table.rows)))
    ids: dict[str, int] = {}
    contents: dict[tuple[str, ...], int] = {}
    items = []
    for number, row in enumerate(table.rows, 1):
        made = item(row)
        name = f"{word}-{number:0{width}}" if by_id is None else _checked_id(table, row, by_id)
        _once(table, ids, name, row.line, f"the id '{name}' occurs twice", "give every row an id of its own.", "id")
        said = f"this {word} is a copy and would count twice"
        _once(table, contents, tuple(made.values()), row.line, said, "remove one of the two rows.")
        items.append({"id": name} | made)
    if len(items) < FEWEST_ITEMS:
        problem = f"there is a single {word}, and a single one has no spread."
        raise table_error(table.path, problem, table.rows[0].line, "add rows: at least 2, better ten or more.")
    return items


def _checked_id(table: SourceTable, row: SourceRow, column: str) -> str:
    name = row.cells.get(column, "")
    if not ITEM_ID.fullmatch(name):
        fix = "use lower-case letters, digits, dots, hyphens and underscores, at most 64 characters."
        raise table_error(table.path, f"'{name}' is not a valid id.", row.line, fix, "id")
    return name


def _once(table: SourceTable, seen: dict[T, int], value: T, line: int, said: str, fix: str, field: str = "") -> None:
    if value in seen:
        raise table_error(table.path, f"{said}; it stands in line {seen[value]} too.", line, fix, field)
    seen[value] = line
