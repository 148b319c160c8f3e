"""Probes by address (a name, a path, or either at a revision: ``otherview@HEAD~1``), and what differs between two."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import sha256_bytes, sha256_file
from plantain.base.yaml import YamlFile
from plantain.probe.expand import expand_with
from plantain.probe.records import ExpandedContrast, Expansion, Record, items_of
from plantain.probe.spec import parse_probe, read_source


def probe_path(name: str, root: Path) -> Path:
    """The file of a probe, given by name or by path."""
    named = root / places.probe_file(name)
    return named if named.exists() or Path(name).suffix not in (".yaml", ".yml") else root / name


Bring = Callable[[str, str], bytes | None]
"""Brings what git has not: revision and path give the bytes, or None."""


def load_expansion(address: str, root: Path, bring: Bring = lambda revision, path: None) -> Expansion:
    """Expand the probe at ``address``, copies and single items included: they can be looked at, and are not run.

    Args:
        address: A probe, or its file, with ``@REV`` where it is not that of the workspace.
        root: The repository.
        bring: Asked where git has no such file at the revision, as it has none that DVC imported.

    Raises:
        InputError: no such file or revision, or anything wrong in the file.
    """
    if probe_path(address, root).exists() or "@" not in address:
        probe = parse_probe(read_source(probe_path(address, root)))
        return expand_with(probe, lambda file: sha256_file(root / file))
    name, revision = address.rsplit("@", 1)
    path = probe_path(name, root)
    source = parse_bytes(_show(revision, path, root, bring), f"{path}@{revision}")
    return expand_with(parse_probe(source), lambda file: sha256_bytes(_held(revision, root / file, root, bring)))


def parse_bytes(data: bytes, label: str) -> YamlFile:
    """Parse what git holds; errors say ``label`` in place of the temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "probe.yaml")
        copy.write_bytes(data)
        try:
            return replace(read_source(copy), path=Path(label))
        except InputError as error:
            raise InputError(error.problem, fix=error.fix, file=label, line=error.line, field=error.field) from None


def _show(revision: str, path: Path, root: Path, bring: Bring) -> bytes:
    try:
        return _held(revision, path, root, bring)
    except OSError as error:
        fix = "check both with `git log -- PATH`; write PATH@REV."
        raise InputError(f"git has no such file ({error}).", file=f"{path}@{revision}", fix=fix) from None


def _held(revision: str, path: Path, root: Path, bring: Bring) -> bytes:
    try:
        return _show_file(revision, path, root)
    except OSError:
        content = bring(revision, Path(os.path.relpath(path, root)).as_posix())
        if content is None:
            raise
        return content


def _show_file(revision: str, path: Path, root: Path) -> bytes:
    """The bytes of ``path`` at ``revision``. Raises OSError where git has none."""
    inside = Path(os.path.relpath(path, root)).as_posix()
    command = ["git", "-C", str(root), "show", "--end-of-options", f"{revision}:./{inside}"]
    answer = subprocess.run(command, capture_output=True, check=False)
    if answer.returncode:
        raise OSError(answer.stderr.decode(errors="replace").strip().splitlines()[0].removeprefix("fatal: "))
    return answer.stdout


@dataclass(frozen=True)
class Edit:
    """One record before and after. Records are the same when item and condition are."""

    before: Record
    after: Record


@dataclass(frozen=True)
class SetDiff:
    """The difference between two expansions."""

    before_sha256: str
    after_sha256: str
    added: tuple[Record, ...]
    removed: tuple[Record, ...]
    edited: tuple[Edit, ...]
    contrasts: tuple[str, ...]
    """Contrasts that were added, removed or edited. They belong to no record: no pass runs again for them."""

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.added or self.removed or self.edited or self.contrasts)


def diff(before: Expansion, after: Expansion) -> SetDiff:
    """Compare two expansions; a reordering is no difference."""
    old = {(record.item, record.condition): record for record in before.records}
    new = {(record.item, record.condition): record for record in after.records}
    contrasts_before, contrasts_after = _contrasts(before), _contrasts(after)
    names = dict.fromkeys((*contrasts_before, *contrasts_after))
    return SetDiff(
        before_sha256=before.set_sha256,
        after_sha256=after.set_sha256,
        added=tuple(record for key, record in new.items() if key not in old),
        removed=tuple(record for key, record in old.items() if key not in new),
        edited=tuple(Edit(old[key], new[key]) for key in new if key in old and old[key].sha256 != new[key].sha256),
        contrasts=tuple(name for name in names if contrasts_before.get(name) != contrasts_after.get(name)),
    )


def _contrasts(expansion: Expansion) -> dict[str, tuple[ExpandedContrast, dict[str, str]]]:
    """Every contrast with its flip-block labels by item, so that the order of items does not count.

    Clusters follow from the wordings, whose edits are listed by themselves.
    """
    items = list(items_of(expansion.records))
    return {
        contrast.name: (
            replace(contrast, flip_blocks=None, clusters=(), ties=()),
            dict(zip(items, contrast.flip_blocks or (), strict=False)),
        )
        for contrast in expansion.contrasts
    }
