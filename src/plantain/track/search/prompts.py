"""Which numbers a prompt set or a single prompt entered: those of the contrasts that hold its wording."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import digest, normalise
from plantain.base.git import git_objects, run_git
from plantain.probe.authoring.diff import load_expansion
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.store import read_contrasts, read_records
from plantain.track.history import held_by_dvc, states
from plantain.track.search.numbers import (
    WORKSPACE,
    Number,
    PlacedLedger,
    current_ledger,
    earlier_ledgers,
    merged,
)

_SHORTEST_SHA: Final = 8


@dataclass(frozen=True)
class Entered:
    """Which numbers something that was asked entered."""

    question: str
    numbers: tuple[Number, ...]
    """The workspace's first, then earlier ones."""
    asked: tuple[str, ...]
    """The records that were meant, as ``item/condition``, of all prompt sets; empty for a whole set."""

    @property
    def now(self) -> tuple[Number, ...]:
        """Those of the workspace."""
        return tuple(one for one in self.numbers if one.where == WORKSPACE)

    @property
    def earlier(self) -> tuple[Number, ...]:
        """Those that git holds and the workspace does not."""
        return tuple(one for one in self.numbers if one.where != WORKSPACE)

    def to_json(self, workspace: str) -> dict[str, Any]:
        """For programs."""
        told = [one.to_json() for one in self.numbers]
        return {"question": self.question, "workspace": workspace, "asked": self.asked, "numbers": told}


@dataclass(frozen=True)
class SetDesign:
    """A prompt set with the contrasts that it was made for."""

    texts: dict[str, str]
    """By ``item/condition``."""
    sides: dict[str, frozenset[str]]
    """Conditions by contrast."""


def by_set(root: Path, address: str) -> Entered:
    """The numbers that the prompt set at ``address`` (``prompts/otherview.yaml[@REV]``) entered."""
    wanted = load_expansion(address, root, held_by_dvc(root)).set_sha256
    found = (one for held in _ledgers(root) for one in held.numbers([wanted]))
    return Entered(f"Prompt set {address}, digest {wanted}", tuple(merged(found, by_prompts=True)), ())


def by_prompt(root: Path, prompt: str) -> Entered:
    """The numbers that a prompt entered, by its text, ``item/condition``, item, or the start of its digest."""
    designs, asked = Designs(root), dict[str, None]()
    found = merged((one for held in _ledgers(root) for one in _entered(held, prompt, designs, asked)), by_prompts=True)
    return Entered(f"Prompt '{prompt}'", tuple(found), tuple(asked))


def _ledgers(root: Path) -> Iterator[PlacedLedger]:
    here = current_ledger(root)
    yield from (here,) if here else ()
    yield from earlier_ledgers(root)


def _entered(held: PlacedLedger, prompt: str, designs: "Designs", asked: dict[str, None]) -> Iterator[Number]:
    meant = {sha: _matching(held, sha, prompt, designs) for sha in held.content.prompt_sets}
    meant = {sha: records for sha, records in meant.items() if records}
    asked.update(dict.fromkeys(record for records in meant.values() for record in records))
    for one in held.numbers(meant):
        sha256 = str(one.prompts_sha256)
        design = designs.of(held, sha256)
        sides = design.sides.get(one.contrast) if design else None
        records = [record for record in meant[sha256] if sides is None or record.rpartition("/")[2] in sides]
        if records:
            yield replace(one, records=tuple(records), contrast_known=sides is not None)


def _matching(held: PlacedLedger, set_sha256: str, prompt: str, designs: "Designs") -> tuple[str, ...]:
    """Records of a prompt set that ``prompt`` means."""
    records = held.content.prompt_sets[set_sha256].records
    if prompt in records:
        return (prompt,)
    is_sha = len(prompt) >= _SHORTEST_SHA and all(character in "0123456789abcdef" for character in prompt)
    found = [key for key, sha in records.items() if is_sha and sha.startswith(prompt)]
    found = found or [key for key in records if key.rpartition("/")[0] == prompt]
    return tuple(found or _by_text(held, set_sha256, prompt, designs))


def _by_text(held: PlacedLedger, set_sha256: str, prompt: str, designs: "Designs") -> list[str]:
    """The ledger has digests and no texts."""
    design, wanted = designs.of(held, set_sha256), normalise(prompt)
    return [key for key, text in design.texts.items() if text == wanted] if design else []


class Designs:
    """The contrasts of prompt sets, from the probe file beside the ledger, or from any that gives the same set."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bring = held_by_dvc(root)
        self._prefix = run_git(root, "rev-parse", "--show-prefix").decode().strip()
        self._known: dict[tuple[str, str | None], SetDesign | None] = {}
        self._states: dict[str, list[str]] = {}
        self._blobs: dict[tuple[str, str], str | None] = {}
        self._expanded: dict[str, tuple[str, SetDesign] | None] = {}

    def of(self, held: PlacedLedger, set_sha256: str) -> SetDesign | None:
        """The design of a prompt set of a ledger; None where no probe file gives that set."""
        probe = held.content.prompt_sets[set_sha256].probe
        blob = self._blob(probe, held.revision) if held.revision else None
        key = (set_sha256, blob or held.revision)
        if key not in self._known:
            self._known[key] = self._find(probe, held.revision, set_sha256)
        return self._known[key]

    def _find(self, probe: str, revision: str | None, set_sha256: str) -> SetDesign | None:
        for found in self._candidates(probe, revision):
            if found is not None and found[0] == set_sha256:
                return found[1]
        return None

    def _candidates(self, probe: str, revision: str | None) -> Iterator[tuple[str, SetDesign] | None]:
        """Where the set may be: at the ledger's place, then as it was expanded here, then in git, newest first."""
        if revision is None:
            yield self._on_disk(probe)
        yield self._expand(probe, revision)
        yield from (self._expand(probe, commit) for commit in self._commits(probe))

    def _commits(self, probe: str) -> list[str]:
        if probe not in self._states:
            path = places.probe_file(probe).as_posix()
            self._states[probe] = [state.commit for state in reversed(states(self._root, path)) if state.blobs[0]]
        return self._states[probe]

    def _blob(self, probe: str, revision: str) -> str | None:
        """The id of the probe file at a revision: revisions that share it share the design."""
        key = (probe, revision)
        if key not in self._blobs:
            name = f"{revision}:{self._prefix}{places.probe_file(probe).as_posix()}"
            found = next(git_objects(self._root, [name], content=False))
            self._blobs[key] = found[0] if found else None
        return self._blobs[key]

    def _expand(self, probe: str, revision: str | None) -> tuple[str, SetDesign] | None:
        address = f"{probe}@{revision}" if revision else probe
        if address not in self._expanded:
            try:
                found = load_expansion(address, self._root, self._bring)
                self._expanded[address] = (found.set_sha256, _design(found.records, found.contrasts))
            except InputError:  # a file of another version of plantain, or none
                self._expanded[address] = None
        return self._expanded[address]

    def _on_disk(self, probe: str) -> tuple[str, SetDesign] | None:
        try:
            records = read_records(self._root / places.records(probe))
            contrasts = read_contrasts(self._root / places.contrasts(probe)).contrasts
        except InputError:  # not pulled
            return None
        return digest(sorted(record.sha256 for record in records)), _design(records, contrasts)


def _design(records: tuple[Record, ...], contrasts: tuple[ExpandedContrast, ...]) -> SetDesign:
    texts = {f"{record.item}/{record.condition}": record.prompt for record in records}
    return SetDesign(texts, {one.name: frozenset((*one.a, *one.b)) for one in contrasts})
