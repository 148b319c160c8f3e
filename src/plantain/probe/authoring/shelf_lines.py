"""What there is to ask: every probe of the shelf and of a workspace in one line, before anything is run."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.params import Params, VerdictParams
from plantain.probe.authoring.reach import reaches
from plantain.probe.authoring.shelf import SHELF, shelved
from plantain.probe.expand import expand
from plantain.probe.spec import Probe, read_probe
from plantain.probe.tokens import Encode, stratum_tokens


class Whereabouts(StrEnum):
    """Where a probe is."""

    run = "run"
    """In ``run.probes``."""
    prompts = "prompts"
    """In the workspace, and not in its run."""
    shelf = "shelf"
    """Shipped, and not in the workspace."""


@dataclass(frozen=True)
class ProbeLine:
    """One probe."""

    name: str
    kept: Whereabouts
    edited: bool
    """Whether the workspace's file differs from that of the shelf."""
    question: str
    """The probe's title."""
    reach: int | None
    """The highest rung that its design can reach; None where the file cannot be read."""
    because: str
    """What keeps it from the next rung."""
    decided_by: str | None
    """The control that has to fail where the target alone cannot tell the idea from its words."""
    deciding: dict[str, str]
    """Deciding controls, each with what it decides."""
    problem: str = ""
    """Why the file cannot be read."""


def probe_lines(params: Params, encode: Encode, root: Path) -> Iterator[ProbeLine]:
    """The probes of the run in its order, then the others of the workspace at ``root``, then those of the shelf.

    ``encode`` counts tokens, on which rung 5 depends.
    """
    there = sorted(path.stem for path in (root / places.PROMPTS).glob("*.yaml"))
    shipped = shelved()
    for name in dict.fromkeys((*params.run.probes, *there, *shipped)):
        listed = name in params.run.probes
        kept = Whereabouts.run if listed else Whereabouts.prompts if name in there else Whereabouts.shelf
        yield _line(name, kept, shipped, (encode, params.verdict, root))


def _line(name: str, kept: Whereabouts, shipped: list[str], how: tuple[Encode, VerdictParams, Path]) -> ProbeLine:
    encode, rules, root = how
    original = SHELF / f"{name}.yaml"
    path = original if kept is Whereabouts.shelf else root / places.probe_file(name)
    try:
        probe = read_probe(path)
        expansion = expand(probe, root)
    except InputError as error:
        return ProbeLine(name, kept, False, "", None, "", None, {}, str(error))
    tokens = stratum_tokens(expansion.contrasts, expansion.records, encode)
    (found,) = reaches(expansion, {"tokens": tokens}, rules)
    edited = name in shipped and path.read_bytes() != original.read_bytes()
    return ProbeLine(name, kept, edited, probe.title, found.rung, found.because, found.decided_by, _deciding(probe))


def _deciding(probe: Probe) -> dict[str, str]:
    return {name: one.decides.value for name, one in probe.contrasts.items() if one.decides is not None}
