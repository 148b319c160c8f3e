"""Which numbers a prompt set or a prompt entered, and which results report a number: answered from the ledgers in git.

Git holds every ledger that was ever committed, so that a fresh clone answers without DVC's remote and without MLflow.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import normalise, six_digits
from plantain.base.git import run_git
from plantain.base.yaml import read_yaml
from plantain.probe.authoring.diff import load_expansion
from plantain.records.ledger import LEDGER, Ledger, read_ledger
from plantain.track.history import Revision, held_by_dvc, revisions

PUBLISHED: Final = places.PUBLISHED.as_posix()
_SHORTEST_SHA: Final = 8


@dataclass(frozen=True)
class Number:
    """One number, where it stands and what it came from."""

    probe: str
    model: str
    contrast: str
    analysis: str
    metric: str
    value: float
    prompts_sha256: str | None
    receipt_sha256: str | None
    where: str
    """``workspace``, a commit, or the published card."""
    records: tuple[str, ...] = ()
    """The records asked for that are in its prompt set, as ``item/condition``."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


@dataclass(frozen=True)
class PlacedLedger:
    """A ledger, and where it stands."""

    where: str
    revision: str | None
    content: Ledger

    def numbers(self) -> Iterator[Number]:
        """Every number in it."""
        for entry in self.content.numbers:
            for metric, value in entry.metrics.items():
                yield Number(
                    probe=entry.probe,
                    model=entry.model,
                    contrast=entry.contrast,
                    analysis=entry.analysis,
                    metric=metric,
                    value=value,
                    prompts_sha256=entry.prompts_sha256,
                    receipt_sha256=entry.receipt_sha256,
                    where=self.where,
                )

    def records(self, set_sha256: str) -> dict[str, str]:
        """``item/condition`` to record digest of a prompt set."""
        found = self.content.prompt_sets.get(set_sha256)
        return found.records if found else {}


def ledgers(root: Path) -> list[PlacedLedger]:
    """The workspace's ledger, then every other one in git's history, newest first."""
    path = root / LEDGER
    found = [PlacedLedger("workspace", None, read_ledger(path))] if path.is_file() else []
    for revision in reversed(revisions(root, LEDGER)):
        held = _at(root, revision)
        if held is not None and all(held.content != other.content for other in found):
            found.append(held)
    return found


def by_set(root: Path, address: str) -> tuple[str, list[Number]]:
    """Digest of the prompt set at ``address`` (``prompts/otherview.yaml[@REV]``), and the numbers it entered."""
    wanted = load_expansion(address, root, held_by_dvc(root)).set_sha256
    return wanted, _once(one for held in ledgers(root) for one in held.numbers() if one.prompts_sha256 == wanted)


def by_prompt(root: Path, prompt: str) -> list[Number]:
    """Numbers that a single prompt entered; the prompt by text, by ``item/condition``, by item, or by record digest."""
    found = []
    for held in ledgers(root):
        matches = {sha: _matching(root, held, sha, prompt) for sha in held.content.prompt_sets}
        for one in held.numbers():
            records = matches.get(one.prompts_sha256 or "")
            if records:
                found.append(Number(**(asdict(one) | {"records": records})))
    return _once(found)


def by_value(root: Path, question: str) -> list[Number]:
    """Results that report ``NAME=VALUE``, the published cards included.

    Raises:
        InputError: the question is not of that form.
    """
    name, equals, text = question.partition("=")
    try:
        value = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        equals = ""
    if not equals or not name:
        fix = "write for example --metric heads_over_t3=12091."
        raise InputError(f"'{question}' is not a metric and its value.", fix=fix)
    every = (*_published(root), *(one for held in ledgers(root) for one in held.numbers()))
    return _once(one for one in every if _answers(one, name, value))


def _answers(one: Number, name: str, value: float) -> bool:
    names = (one.metric, f"{one.analysis}.{one.metric}", f"{one.contrast}.{one.analysis}.{one.metric}")
    return name in names and six_digits(one.value) == six_digits(value)


def _published(root: Path) -> Iterator[Number]:
    for path in sorted((root / PUBLISHED).glob("*.yaml")):
        card = read_yaml(path).data
        for metric, value in card["metrics"].items():
            yield Number(
                probe=card["probe"],
                model=card["model"],
                contrast=card["contrast"],
                analysis=card["analysis"],
                metric=metric,
                value=float(value),
                prompts_sha256=None,
                receipt_sha256=None,
                where=f"the published card {card['card']} ({PUBLISHED}/{path.name})",
            )


def _matching(root: Path, held: PlacedLedger, set_sha256: str, prompt: str) -> tuple[str, ...]:
    records = held.records(set_sha256)
    if prompt in records:
        return (prompt,)
    is_sha = len(prompt) >= _SHORTEST_SHA and all(character in "0123456789abcdef" for character in prompt)
    found = [key for key, sha in records.items() if is_sha and sha.startswith(prompt)]
    found = found or [key for key in records if key.rpartition("/")[0] == prompt]
    return tuple(found or _by_text(root, held, set_sha256, prompt))


def _by_text(root: Path, held: PlacedLedger, set_sha256: str, prompt: str) -> list[str]:
    """The ledger has digests and no texts: the probe file of the same revision gives these."""
    probe = held.content.prompt_sets[set_sha256].probe
    address = f"{probe}@{held.revision}" if held.revision else probe
    digests, wanted = set(held.records(set_sha256).values()), normalise(prompt)
    try:
        expansion = load_expansion(address, root, held_by_dvc(root))
    except InputError:
        return []
    same = [record for record in expansion.records if record.sha256 in digests and record.prompt == wanted]
    return [f"{record.item}/{record.condition}" for record in same]


def _at(root: Path, revision: Revision) -> PlacedLedger | None:
    content = run_git(root, "show", f"{revision.sha}:./{LEDGER}")
    try:
        return PlacedLedger(revision.sha, revision.sha, read_ledger(content))
    except InputError:
        return None


def _once(numbers: Any) -> list[Number]:
    """Each number once, at the first place that has it."""
    found: dict[tuple[Any, ...], Number] = {}
    for one in numbers:
        key = (one.probe, one.model, one.contrast, one.analysis, one.metric, one.receipt_sha256, one.value)
        found.setdefault(key, one)
    return list(found.values())
