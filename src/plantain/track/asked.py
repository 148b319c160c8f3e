"""How often each model was asked: its probes, and the sets of prompts that it ever answered, from every ledger in git.

Each cell is judged alone, at a level of 5%. Whoever asks often enough passes by chance, so the count stands beside the
verdicts. It follows from history, which two clones do not share: nothing that DVC tracks may hold it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import canonical_json, remembered, write_atomic
from plantain.base.git import git_objects
from plantain.records.ledger import LEDGER, read_ledger
from plantain.track.history import is_whole, states
from plantain.track.results import Cell

CHANCE: Final = "where there is nothing to find, up to one prompt set in twenty still passes a test at 5%"


@dataclass(frozen=True)
class AskedSet:
    """A set of prompts that was put to a model."""

    model: str
    probe: str
    prompts_sha256: str


@dataclass(frozen=True)
class Asked:
    """How often one model was asked."""

    model: str
    probes: int
    prompt_sets: int
    """Sets of prompts with a digest of their own, over all probes."""
    whole: bool
    """Whether all of the history could be read; else there may be more."""

    def __str__(self) -> str:
        probes, sets = _several(self.probes, "probe"), _several(self.prompt_sets, "prompt set")
        return f"{self.model} was asked {'' if self.whole else 'at least '}{probes} in {sets}"

    @property
    def tags(self) -> dict[str, str]:
        """For MLflow."""
        least = "" if self.whole else "at least "
        return {"asked_probes": f"{least}{self.probes}", "asked_prompt_sets": f"{least}{self.prompt_sets}"}

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def asked(root: Path, more: Iterable[AskedSet] = ()) -> dict[str, Asked]:
    """What every model was asked by the ledgers of git's history, by that of ``root``, and in ``more``; by model.

    The history is that of the real workspace where DVC runs an experiment in a copy.
    """
    home, here = places.home(), root / LEDGER
    history = _history(home)
    history |= {"here": questions_of(here.read_bytes())} if here.is_file() else {}
    found = set(more).union(*(questions for questions in history.values() if questions))
    whole = is_whole(home) and None not in history.values()
    return {model: _of_model(model, found, whole) for model in sorted({one.model for one in found})}


def asked_of(root: Path, cells: Iterable[Cell]) -> list[Asked]:
    """What the models of ``cells`` were asked, these cells included, in the order of the cells."""
    own = [AskedSet(cell.model, cell.probe, cell.prompts.set_sha256) for cell in cells if cell.prompts]
    counts = asked(root, own)
    return [counts[model] for model in dict.fromkeys(one.model for one in own)]


def asked_sentence(counts: Sequence[Asked]) -> str:
    """What was asked and what follows, in one line; empty where nothing was."""
    return f"{'; '.join(map(str, counts))}; {CHANCE}." if counts else ""


def write(root: Path, counts: Mapping[str, Asked]) -> Path:
    """Write what the index page below ``root`` says of them."""
    said = {"models": {model: str(one) for model, one in counts.items()}, "chance": CHANCE}
    path = root / places.ASKED
    write_atomic(path, b"const ASKED = " + canonical_json(said) + b";\n")
    return path


def questions_of(ledger: bytes) -> frozenset[AskedSet] | None:
    """What a ledger has numbers of; None where it cannot be read."""
    try:
        numbers = read_ledger(ledger).numbers
    except InputError:
        return None
    return frozenset(AskedSet(one.model, one.probe, one.prompts_sha256) for one in numbers)


def _of_model(model: str, questions: Iterable[AskedSet], whole: bool) -> Asked:
    own = [one for one in questions if one.model == model]
    probes, sets = {one.probe for one in own}, {(one.probe, one.prompts_sha256) for one in own}
    return Asked(model, len(probes), len(sets), whole)


def _history(home: Path) -> dict[str, frozenset[AskedSet] | None]:
    """What each ledger that git ever held asked, by object id; None for one that is missing or cannot be read.

    What a ledger says never changes, so each is read once in the life of a checkout.
    """
    blobs = [blob for state in states(home, LEDGER) for blob in state.blobs if blob]
    note = places.state_dir() / "asked.json"
    known = _recalled(remembered(note))
    new = [blob for blob in blobs if blob not in known]
    for blob, held in zip(new, git_objects(home, new), strict=True):
        known[blob] = questions_of(held[1]) if held else None
    if new:
        with suppress(OSError):  # without the note all is read again
            write_atomic(note, canonical_json(_noted({blob: known[blob] for blob in blobs})))
    return {blob: known[blob] for blob in blobs}


def _noted(known: Mapping[str, frozenset[AskedSet] | None]) -> dict[str, Any]:
    """Each question once: ledgers name the same ones again and again. What could not be read is tried again."""
    every = sorted({one for questions in known.values() for one in questions or ()}, key=astuple)
    place = {one: at for at, one in enumerate(every)}
    ledgers = {blob: sorted(place[one] for one in found) for blob, found in known.items() if found is not None}
    return {"questions": [astuple(one) for one in every], "ledgers": ledgers}


def _recalled(note: dict[str, Any]) -> dict[str, frozenset[AskedSet] | None]:
    try:
        every = [AskedSet(*map(str, one)) for one in note["questions"]]
        return {blob: frozenset(every[at] for at in found) for blob, found in note["ledgers"].items()}
    except (KeyError, TypeError, IndexError, AttributeError):
        return {}


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
