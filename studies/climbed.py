"""How far every contrast of every probe climbs where the truth is known: the table of docs/shelf.md.

plantain run --suite                # with `tiny`, `tiny-mention` and `tiny-untrained` in run.models
python -m studies.climbed [FOLDER]  # reads the verdicts of the workspace, or of another

A row a probe, a column a network, the rung of the target with p of rung 3 beside it; bold where the truth is that there
is an operation to find. Under it, how many contrasts pass rung 3, by what is true of them.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plantain.base import places
from plantain.base.yaml import read_yaml
from plantain.model import tiny

WORDINGS: Final = 3
"""The rung that sides pass whose wordings differ more than rewording makes them."""
TARGET: Final = "target"
ONE_WORDING: Final = "published"
"""A pair of the cards: one wording a side, which no rung above 1 is open to."""


@dataclass(frozen=True)
class Climb:
    """One contrast on one network."""

    network: str
    probe: str
    contrast: str
    truth: str
    rung: int
    p: float | None
    """Of rung 3; None where that was not tested."""


def climbs(folder: Path) -> Iterator[Climb]:
    """Every contrast with a verdict in the workspace at ``folder`` whose truth is known."""
    known: Mapping[str, Mapping[str, Mapping[str, str]]] = read_yaml(tiny.truth_path()).data
    for path in sorted((folder / places.VERDICT_FOLDER).glob("*/*.json")):
        found = json.loads(path.read_bytes())
        truths = known.get(found["model"], {}).get(found["probe"], {})
        for contrast, ladder in ({found["contrast"]: found} | found["exploratory"]).items():
            if contrast in truths:
                yield Climb(found["model"], found["probe"], contrast, truths[contrast], ladder["rung"], _p(ladder))


def _p(ladder: Mapping[str, Any]) -> float | None:
    p: float | None = ladder["rungs"][WORDINGS - 1]["p"]
    return p


def targets(found: Sequence[Climb]) -> Iterator[str]:
    """The table of targets."""
    networks = list(dict.fromkeys(one.network for one in found))
    cells = {(one.probe, one.network): one for one in found if one.contrast == TARGET}
    yield f"| probe | {' | '.join(f'`{network}`' for network in networks)} |"
    yield "|---" * (len(networks) + 1) + "|"
    for probe in dict.fromkeys(one.probe for one in found):
        row = (cells.get((probe, network)) for network in networks)
        yield f"| {probe} | {' | '.join('' if one is None else _cell(one) for one in row)} |"


def _cell(one: Climb) -> str:
    rung = f"**{one.rung}**" if one.truth == "real" else str(one.rung)
    return rung if one.p is None else f"{rung} (p = {one.p:.2g})"


def counts(found: Sequence[Climb]) -> Iterator[str]:
    """How many contrasts pass rung 3, by network and truth."""
    yield "| network | truth | contrasts of several wordings | of them at rung 3 or above | which |"
    yield "|---|---|---:|---:|---|"
    several = [one for one in found if one.contrast != ONE_WORDING]
    for network, truth in dict.fromkeys((one.network, one.truth) for one in several):
        some = [one for one in several if (one.network, one.truth) == (network, truth)]
        past = [one for one in some if one.rung >= WORDINGS]
        names = ", ".join(f"{one.probe} {one.contrast} ({one.rung})" for one in past)
        yield f"| `{network}` | {truth} | {len(some)} | {len(past)} | {names} |"


def main() -> None:
    found = list(climbs(Path(sys.argv[1]) if len(sys.argv) > 1 else Path()))
    print("\n".join([*targets(found), "", *counts(found)]))


if __name__ == "__main__":
    main()
