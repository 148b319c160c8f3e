"""What was tried and what was lost, as one table."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    tried: int
    lost: int
    remark: str


@dataclass(frozen=True)
class Tally:
    """One part of the campaign."""

    part: str
    rows: list[Row]
    losses: list[str] = field(default_factory=list)
    """Every loss, told."""
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """How much was lost in all."""
        return sum(row.lost for row in self.rows)


def table(tallies: Iterable[Tally]) -> str:
    """The tallies as a table in Markdown, with the notes below."""
    found = list(tallies)
    lines = ["| part | what | tried | lost | |", "|---|---|---:|---:|---|"]
    lines += [
        f"| {one.part} | {row.what} | {row.tried:,} | {row.lost:,} | {row.remark} |"
        for one in found
        for row in one.rows
    ]
    notes = [f"{one.part}: " + ", ".join(f"{key} {value}" for key, value in one.notes.items()) for one in found]
    return "\n".join([*lines, "", *notes])
