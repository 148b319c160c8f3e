"""From a lock to the pipeline folder it was made from, wherever that comes from (needs no torch).

A lock is enough: after ``git clone`` and ``dvc pull`` the model stage does not run, so whoever loads a model brings
its files back through here. Files whose digests differ from the lock are refused.
"""

from dataclasses import dataclass
from pathlib import Path

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.base.params import Method, Source
from plantain.model import embedded, hub, local
from plantain.records.lock import Component, ModelLock


@dataclass(frozen=True)
class Files:
    """The pipeline folder of a model, and the parts found in it."""

    folder: Path
    components: dict[str, Component]
    revision: str | None = None
    """The commit of a hub model."""

    @property
    def sha256(self) -> str:
        """Digest over all parts."""
        return digest({part: component.model_dump(mode="json") for part, component in self.components.items()})


def transformer_seed(lock: ModelLock, draw: int = 0) -> int | None:
    """The seed that the transformer's weights are made from; None where they are read from files."""
    if lock.method is Method.reinit:
        return lock.seeds[draw]
    return embedded.transformer_seed(lock.files_model) if lock.base is Source.embedded else None


def in_memory(lock: ModelLock) -> bool:
    """Whether the transformer's weights differ from what lies in the files (made, or shuffled)."""
    return bool(lock.seeds) or transformer_seed(lock) is not None


def materialise(lock: ModelLock) -> Path:
    """The folder of the pipeline that ``lock`` describes; built where it is an embedded model that is not there yet.

    Raises:
        InputError: the files are missing, or differ from the lock.
    """
    found = _find(lock)
    if found.sha256 != lock.files_sha256:
        raise _changed(lock, found)
    return found.folder


def files_of_parent(lock: ModelLock) -> Files:
    """The files that the model of ``lock`` was made from, with the digest of the transformer that lies among them."""
    return _found(lock, None)


def find_hub(source: hub.Hub, method: Method | None) -> Files:
    """Files of a hub model; a re-initialised transformer needs no weights to start from."""
    skip = "transformer" if method is Method.reinit else ""
    folder = hub.folder(source)
    return Files(folder, hub.inspect(source, folder, skip_weights=skip), folder.name)


def find_local(path: str, method: Method | None) -> Files:
    """Files of a local model."""
    folder = local.folder(path)
    return Files(folder, local.inspect(folder, skip_weights="transformer" if method is Method.reinit else ""))


def find_embedded(name: str, expected: str | None = None) -> Files:
    """Files of an embedded model."""
    return Files(*embedded.folder(name, expected))


def _find(lock: ModelLock) -> Files:
    return _found(lock, lock.method)


def _found(lock: ModelLock, method: Method | None) -> Files:
    if lock.base is Source.embedded:
        return find_embedded(lock.files_model, lock.files_sha256)
    if lock.base is Source.local:
        return find_local(str(lock.path), method)
    return find_hub(hub.Hub(lock.files_model, str(lock.repo), str(lock.revision)), method)


def _changed(lock: ModelLock, found: Files) -> InputError:
    untouched = {"transformer"} if in_memory(lock) else set()
    parts = [part for part in lock.components if found.components.get(part) != lock.components[part]]
    named = ", ".join(part for part in parts if part not in untouched) or "transformer"
    since = places.model_lock(lock.name).as_posix()
    if lock.base is Source.embedded:
        what = f"{lock.name} as this version of plantain builds it differs from {since} (in: {named})."
    else:
        what = f"weights of {lock.name} changed since {since} was written (in: {named}; folder: {found.folder})."
    return InputError(what, fix=f"restore the files, or run `dvc repro -f model@{lock.name}` to accept them.")
