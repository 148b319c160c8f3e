"""What the engine refuses, and the names it uses when it does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plantain.base.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SMALLEST_SAMPLE = 2


def as_rows(
    values: ArrayLike,
    what: str,
    rows: Sequence[str] | None = None,
    units: Sequence[str] | None = None,
    *,
    vectors: bool = False,
) -> Floats:
    """Values as a float64 array ``(rows, units)``, refused where a number is missing or infinite.

    Args:
        values: Anything NumPy reads as a table, ``(rows, units)``.
        what: What a row is, for messages: ``item`` or ``wording``.
        rows: Names of the rows, used in messages.
        units: Names of the units, used in messages.
        vectors: Whether a third axis may hold a vector a unit, ``(rows, units, dimensions)``.

    Raises:
        InputError: Not a table, no unit, or a value that is not finite; names the first row and unit.
    """
    table = np.ascontiguousarray(values, dtype=np.float64)
    if table.ndim != 2 and not (vectors and table.ndim == 3):
        raise InputError(
            f"Values have {table.ndim} axes where two are needed, ({what}s, units).",
            fix="Average the other axes first.",
        )
    if 0 in table.shape[1:]:
        raise InputError("There is no unit to test.", fix="Pass at least one column.")
    bad = np.argwhere(~np.isfinite(table))
    if bad.size:
        row, unit = (int(index) for index in bad[0][:2])
        raise InputError(
            f"{what.capitalize()} {_name(rows, row)}, unit {_name(units, unit)} holds {table[tuple(bad[0])]}"
            f" ({len(bad)} of {table.size} values are not finite).",
            fix="Leave out the unit, or find out which pass produced the value.",
        )
    return table


def as_differences(values: ArrayLike, items: Sequence[str] | None = None, units: Sequence[str] | None = None) -> Floats:
    """Paired differences ``(items, units)``: finite, of at least two items.

    Raises:
        InputError: See `as_rows`; also fewer than two items.
    """
    table = as_rows(values, "item", items, units)
    if table.shape[0] < SMALLEST_SAMPLE:
        raise InputError(f"A paired test needs at least 2 items, not {table.shape[0]}.", fix="Add items to the probe.")
    return table


def as_groups(labels: Sequence[object] | NDArray[np.generic] | None, rows: int, what: str) -> Ints:
    """Labels as group numbers ``(rows,)`` from 0, in order of first appearance; no labels: each row its own group.

    Args:
        labels: One hashable label a row; equal labels are one group.
        rows: The number of rows.
        what: What a label is, for messages: ``block`` or ``stratum``.

    Raises:
        InputError: The number of labels is not the number of rows.
    """
    if labels is None:
        return np.arange(rows, dtype=np.int64)
    if len(labels) != rows:
        raise InputError(f"There are {len(labels)} {what} labels for {rows} rows.", fix="Give one label a row.")
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def as_thresholds(thresholds: Sequence[float]) -> Floats:
    """Thresholds on t as float64 ``(thresholds,)``, positive and finite.

    Raises:
        InputError: A threshold is not a positive finite number.
    """
    values = np.asarray(tuple(thresholds), dtype=np.float64)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError(f"Thresholds must be positive and finite, not {tuple(thresholds)}.", field="thresholds")
    return values


def check_fraction(value: float, field: str) -> float:
    """A confidence or level, strictly between 0 and 1.

    Raises:
        InputError: It is not.
    """
    if not 0 < value < 1:
        raise InputError(f"{value} is not strictly between 0 and 1.", field=field)
    return value


def _name(names: Sequence[str] | None, index: int) -> str:
    return f"{index}" if names is None else f"{names[index]!r} (number {index})"
