"""Embedded models: written by this package in the folder layout of ``save_pretrained``, nothing downloaded."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from plantain.base.errors import InputError
from plantain.base.files import digest, naming
from plantain.base.places import state_dir
from plantain.model import tiny
from plantain.model.layout import components, read_index
from plantain.records.lock import Component

KLEIN_RANDOM = "klein-random"
KLEIN_RANDOM_SEED = 4_000_000_000
"""Draw of klein-random's transformer, far from the small seeds that people declare for untrained models."""


def _build_klein_random(folder: Path) -> None:
    from plantain.model.klein_random import build

    build(folder)


BUILDERS: dict[str, Callable[[Path], None]] = {
    "tiny": tiny.build,
    "tiny-mention": tiny.build_mention,
    KLEIN_RANDOM: _build_klein_random,
}


def transformer_seed(name: str) -> int | None:
    """The draw of an embedded model whose transformer is made in memory; None where it lies in the folder."""
    return KLEIN_RANDOM_SEED if name == KLEIN_RANDOM else None


def folder(name: str, expected: str | None = None) -> tuple[Path, dict[str, Component]]:
    """The pipeline folder of an embedded model, built where it is not there yet.

    Folders lie in ``.plantain/models/`` under the digest of their parts, are built under a lock, and appear by rename.

    Args:
        name: a key of :data:`BUILDERS`.
        expected: digest of the parts (:func:`parts_digest`), where a lock says which ones are wanted.

    Raises:
        InputError: no such embedded model.
    """
    if name not in BUILDERS:
        fix = f"use one of: {', '.join(BUILDERS)}."
        raise InputError(f"there is no embedded model '{name}'.", fix=fix, field=f"models.{name}")
    store = state_dir() / "models"
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / f"{name}.lock"):
        if expected is not None and (found := _intact(name, store / expected, expected)) is not None:
            return store / expected, found
        return _build(name, store)


def parts_digest(parts: dict[str, Component]) -> str:
    """Digest over the parts of a pipeline folder; names the folder."""
    return digest({name: part.model_dump(mode="json") for name, part in parts.items()})


def _intact(name: str, target: Path, expected: str) -> dict[str, Component] | None:
    """The parts of a folder built earlier; a damaged one is removed."""
    if not target.exists():
        return None
    try:
        found = _inspect(name, target)
    except InputError:
        found = None
    if found is not None and parts_digest(found) == expected:
        return found
    shutil.rmtree(target)
    return None


def _build(name: str, store: Path) -> tuple[Path, dict[str, Component]]:
    with tempfile.TemporaryDirectory(dir=store, prefix=f".{name}.") as scratch:
        fresh = Path(scratch, "pipeline")
        with naming(fresh):
            BUILDERS[name](fresh)
        found = _inspect(name, fresh)
        target = store / parts_digest(found)
        if _intact(name, target, target.name) is None:
            fresh.rename(target)
    return target, found


def _inspect(name: str, where: Path) -> dict[str, Component]:
    in_memory = "transformer" if transformer_seed(name) is not None else ""
    return components(where, read_index(where), skip_weights=in_memory)
