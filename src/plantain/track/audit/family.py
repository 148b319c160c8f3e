"""Holm's numbers made again from the verdicts: they follow from the cells of a run together, and from nothing else."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.params import VerdictParams
from plantain.records.holm import HolmRecord, HolmTable, read_holm
from plantain.records.verdict import Verdict, read_verdict
from plantain.track.audit.checks import Broken
from plantain.track.audit.recompute import typed_settings
from plantain.track.results import Held, Reader, Results, written

Verdicts = dict[str, dict[str, Verdict]]
"""By model, by probe."""


def check_family(results: Results, reader: Reader) -> Iterator[Broken]:
    """Numbers over all probes that the verdicts do not give again, in their table and in git's table of numbers.

    Nothing of a revision that had no such table, nor where a file is missing, which the chain says.
    """
    held, content = results.singles.get("verdict"), reader.read(places.HOLM.as_posix())
    if held is None or content is None or written(held, places.HOLM.as_posix()) is None:
        return
    try:
        said, verdicts = read_holm(content, places.HOLM), _verdicts(held, reader)
        again = _again(held, verdicts)
    except InputError as error:
        problem = f"Holm's numbers cannot be made again: {error}"
        yield Broken("verdict", str(error.file or places.HOLM), problem, "the verdicts", 0)
        return
    table = _table(reader)
    for model, found in verdicts.items():
        for probe, verdict in found.items():
            wanted = again.of(probe, model)
            yield from _differing(said.of(probe, model), wanted, f"{probe}@{model}")
            yield from _untold(table, verdict, wanted)


def _verdicts(held: Held, reader: Reader) -> Verdicts:
    """The verdicts of the run, as many as are here."""
    found: Verdicts = {}
    for record in held.receipt.writes:
        path = PurePosixPath(record.path)
        content = reader.read(record.path) if path.parent.parent == PurePosixPath(places.VERDICT_FOLDER) else None
        if content is not None:
            found.setdefault(path.parent.name, {})[path.stem] = read_verdict(content, Path(path))
    return found


def _again(held: Held, verdicts: Verdicts) -> HolmTable:
    from plantain.ladder.holm import corrected

    rules = typed_settings(held, VerdictParams, held.receipt.params["verdict"])
    return HolmTable(alpha=rules.alpha, models={model: corrected(found, rules) for model, found in verdicts.items()})


def _differing(said: HolmRecord | None, again: HolmRecord | None, cell: str) -> Iterator[Broken]:
    left, right = ({} if one is None else one.model_dump(mode="json") for one in (said, again))
    for name in sorted(left.keys() | right.keys()):
        if left.get(name) != right.get(name):
            problem = f"{name} is {left.get(name)}, and the verdicts of the run give {right.get(name)}."
            yield Broken("verdict", places.HOLM.as_posix(), f"{problem} Run `dvc repro verdict`.", cell, 0)


def _table(reader: Reader) -> dict[str, Any]:
    """Git's table of the verdicts' numbers; empty where it is missing or damaged."""
    with suppress(ValueError):
        found = json.loads(reader.read(places.VERDICTS.as_posix()) or b"{}")
        return found if isinstance(found, dict) else {}
    return {}


def _untold(table: dict[str, Any], verdict: Verdict, among: HolmRecord | None) -> Iterator[Broken]:
    """Numbers of a cell that git's table says otherwise."""
    wanted = verdict.metrics | (among.metrics if among else {})
    try:
        said = dict(table[verdict.probe][verdict.model])
    except (KeyError, TypeError, ValueError):
        said = {}
    for name in sorted(said.keys() | wanted.keys()):
        if said.get(name) != wanted.get(name):
            problem = f"{name} is {said.get(name)}, and the verdicts give {wanted.get(name)}. Run `dvc repro verdict`."
            cell = f"{verdict.probe}@{verdict.model}"
            yield Broken("verdict", places.VERDICTS.as_posix(), problem, cell, 0)
