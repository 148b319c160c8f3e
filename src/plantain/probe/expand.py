"""From a probe to its records: every item in every condition, with the digests that name what was run."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from plantain.base.config import NAME
from plantain.base.errors import InputError
from plantain.base.files import digest, normalise
from plantain.base.yaml import Key
from plantain.probe.clusters import clustered
from plantain.probe.copies import refuse_copies
from plantain.probe.node import Field, fields, substitute
from plantain.probe.records import (
    ExpandedContrast,
    Expansion,
    Record,
    ReferenceRecord,
    record_digest,
    set_digest,
)
from plantain.probe.spec import FEWEST_ITEMS, Condition, Contrast, Item, Probe, Reference


def expand(probe: Probe, root: Path) -> Expansion:
    """Expand ``probe`` to be run; files of references are opened below ``root``, as the model will see them.

    Raises:
        InputError: a reference that is missing, unused, ambiguous or badly named once its fields are filled in; a
            picture that cannot be used; fewer items than can be tested; or items or wordings counted twice.
    """

    @cache
    def opened(file: str) -> str:
        # Pillow and NumPy take their time to import, which a probe without pictures need not pay.
        from plantain.probe.pictures import read_picture

        return read_picture(root, file).source_sha256

    expansion = expand_with(probe, opened)
    if len(probe.items) < FEWEST_ITEMS:
        problem = "a single item has no spread, so that nothing could be said of any difference."
        raise _error(probe, problem, "items", fix=f"add items: at least {FEWEST_ITEMS}, better ten or more.")
    refuse_copies(probe, expansion)
    return expansion


def expand_with(probe: Probe, file_digest: Callable[[str], str]) -> Expansion:
    """Expand ``probe`` with the digests of reference files from ``file_digest``, which raises OSError for none.

    Copies are not looked for: a revision that held some can still be shown and compared.
    """
    references = _references(probe, file_digest)
    records = tuple(
        _record(probe, item, condition, references)
        for item in probe.items.values()
        for condition in probe.conditions.values()
    )
    _check_used(probe, references, records)
    contrasts = tuple(_contrast(probe, contrast) for contrast in probe.contrasts.values())
    expanded = tuple(record for record, _ in references.values())
    neutral = tuple(name for name, condition in probe.conditions.items() if condition.neutral)
    return Expansion(probe.name, records, expanded, contrasts, set_digest(records), neutral)


_References = Mapping[str, tuple[ReferenceRecord, str]]
"""Expanded references by name, each with the key of the probe file that it came from."""


def _references(probe: Probe, file_digest: Callable[[str], str]) -> _References:
    found: dict[str, tuple[ReferenceRecord, str]] = {}
    for key, reference in probe.references.items():
        for values in _settings(probe, reference):
            record = _reference(probe, reference, values, file_digest)
            if found.setdefault(record.name, (record, key))[0] != record:
                problem = f"two different images are called '{record.name}'."
                raise _error(probe, problem, "references", key, fix="put into the name what tells them apart.")
    return found


def _settings(probe: Probe, reference: Reference) -> list[dict[str, Field]]:
    """The values that fill a reference's fields: those of every item, or none where it has no fields."""
    inner = fields(reference.prompt or reference.file or "")
    if fields(reference.name):
        return [item.values for item in probe.items.values()]
    if inner:
        fix = f'put the field into the name too: "{reference.name}_{{{inner[0]}}}".'
        problem = f"the image differs from item to item ('{inner[0]}') and its name does not."
        raise _error(probe, problem, "references", reference.name, fix=fix)
    return [{}]


def _reference(
    probe: Probe, reference: Reference, values: Mapping[str, Field], file_digest: Callable[[str], str]
) -> ReferenceRecord:
    name = substitute(reference.name, values)
    if not NAME.fullmatch(name):
        fix = "use field values of lower-case letters, digits and underscores, so that names are valid."
        raise _error(probe, f"'{name}' is not a valid name.", "references", reference.name, fix=fix)
    prompt = None if reference.prompt is None else normalise(substitute(reference.prompt, values))
    file = None if reference.file is None else substitute(reference.file, values)
    try:
        file_sha256 = None if file is None else file_digest(file)
    except OSError:
        fix = "check the path, which starts at the repository root, or fetch the file: `dvc pull` where DVC holds it."
        raise _error(probe, f"there is no file '{file}'.", "references", reference.name, "file", fix=fix) from None
    except InputError as error:
        problem = f"{file}: {error.problem}"
        raise _error(probe, problem, "references", reference.name, "file", fix=error.fix) from None
    content = {"name": name, "prompt": prompt, "file_sha256": file_sha256}
    return ReferenceRecord(name, prompt, file, file_sha256, digest(content))


def _record(probe: Probe, item: Item, condition: Condition, references: _References) -> Record:
    values = item.values
    prompt = normalise(substitute(condition.prompt, values))
    names = tuple(substitute(name, values) for name in condition.reference)
    for name in names:
        if name not in references:
            fix = f"add '{name}' under references, or use: {', '.join(references) or 'none are declared'}."
            raise _error(probe, f"there is no reference '{name}'.", "conditions", condition.name, "reference", fix=fix)
    if len(set(names)) < len(names):
        problem = f"item '{item.id}' gets the same reference twice ({', '.join(names)})."
        fix = "give alternatives that differ for every item."
        raise _error(probe, problem, "conditions", condition.name, "reference", fix=fix)
    used = [references[name][0] for name in names]
    sha256 = record_digest(item.id, condition.name, prompt, used, item.fields)
    return Record(item.id, condition.name, prompt, names, sha256, dict(item.fields))


def _check_used(probe: Probe, references: _References, records: tuple[Record, ...]) -> None:
    used = {name for record in records for name in record.reference}
    for name, (_, key) in references.items():
        if name not in used:
            fix = "use it in a condition, or remove it; it would be generated for nothing."
            raise _error(probe, f"no condition uses the reference '{name}'.", "references", key, fix=fix)


def _contrast(probe: Probe, contrast: Contrast) -> ExpandedContrast:
    wordings = [probe.conditions[name] for name in (*contrast.a, *contrast.b)]
    blocks = None
    if contrast.flip_blocks:
        blocks = tuple(str(item.values[contrast.flip_blocks]) for item in probe.items.values())
    clusters, ties = clustered(probe, contrast)
    return ExpandedContrast(
        name=contrast.name,
        a=contrast.a,
        b=contrast.b,
        role=contrast.role,
        strata=tuple(wording.stratum for wording in wordings),
        flip_blocks=blocks,
        frames=tuple(wording.frame for wording in wordings),
        clusters=clusters,
        ties=ties,
        decides=contrast.decides,
    )


def _error(probe: Probe, problem: str, *keys: Key, fix: str) -> InputError:
    if probe.source is not None:
        return probe.source.error(problem, *keys, fix=fix)
    return InputError(problem, fix=fix, field=".".join(str(key) for key in keys))
