"""Digests that several stages put into their receipts."""

from collections.abc import Iterable

from plantain.files import digest
from plantain.probe.expand import Record
from plantain.track.receipt import PromptSet


def prompt_set(probe: str, records: Iterable[Record]) -> PromptSet:
    """The prompt set of ``records``: the digest over the sorted record digests, and each record's own."""
    by_name = {f"{record.item}/{record.condition}": record.sha256 for record in records}
    return PromptSet(probe=probe, set_sha256=digest(sorted(by_name.values())), records=by_name)
