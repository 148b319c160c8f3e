"""``data/verdicts/holm.json``: what becomes of the claim of each cell among those of all probes of the run.

A verdict holds what its cell decides alone. This depends on the other probes, so that it stands in a file of its own:
one probe more changes this file, and no verdict and no page.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from plantain.base.errors import restored
from plantain.records.base import Frozen, read

SCHEMA: Final = "plantain.holm/1"


class HolmRecord(Frozen):
    """The claim of a cell among those of all probes that were put to its model."""

    probes: int
    """Those of the run whose design can be tested at rung 3."""
    p: float
    """The largest p of the rungs from 3 on that the claim rests on; 1 where the climb did not get to rung 3."""
    p_holm: float
    survives: bool
    rung: int
    """The highest rung at which the claim survives; 0 where none."""
    reason: str = ""
    sentence: str
    """That of the verdict, with what becomes of it here: 25 words at most."""

    @property
    def metrics(self) -> dict[str, float]:
        """Under the names that they have among the numbers of a verdict."""
        return {"claim_p": self.p, "p_holm": self.p_holm}


class HolmTable(Frozen):
    """Every cell whose probe counts."""

    schema_: Literal["plantain.holm/1"] = Field(default=SCHEMA, alias="schema")
    alpha: float
    """What a corrected p is held against."""
    models: dict[str, dict[str, HolmRecord]]
    """By model, by probe."""

    def of(self, probe: str, model: str) -> HolmRecord | None:
        """That of one cell; None where its design cannot be tested at rung 3."""
        return self.models.get(model, {}).get(probe)


def read_holm(source: Path | bytes, file: Path | None = None) -> HolmTable:
    """Read the table; ``file`` says where ``source`` is from where that is bytes.

    Raises:
        InputError: it is missing or damaged.
    """
    place = source if isinstance(source, Path) else file
    return read(source, HolmTable, what="a table of Holm's correction", fix=restored(place or Path()), file=place)
