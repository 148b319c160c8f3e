"""Models of the Hugging Face Hub: loaded from the local cache alone, downloaded by `plantain.model.fetching` alone."""

import re
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from plantain.base.errors import InputError
from plantain.base.files import sha256_file, write_atomic
from plantain.base.yaml import read_yaml
from plantain.model.known import DOWNLOAD_GB
from plantain.model.layout import PARTS, components, read_index
from plantain.records.lock import Component

COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Hub:
    """A repository at a revision, and the declared model that wants it (for messages)."""

    model: str
    repo: str
    revision: str


def folder(source: Hub) -> Path:
    """The snapshot folder in the local cache; never touches the network. What it lacks is for :func:`inspect` to say.

    Args:
        source: what is declared; a branch or tag resolves to the commit that was fetched last.

    Raises:
        InputError: nothing of it is there; says what, how large, and how to fetch it.
    """
    try:
        # Named here and not above: the Hub's client is loaded by those alone who have a model of it.
        found = huggingface_hub.snapshot_download(
            source.repo, revision=source.revision, allow_patterns=["model_index.json"], local_files_only=True
        )
    except LocalEntryNotFoundError:
        raise missing(source) from None
    except HFValidationError:
        raise misnamed(source) from None
    if not Path(found, "model_index.json").exists():
        raise missing(source)
    return Path(found)


def inspect(source: Hub, where: Path, *, skip_weights: str = "") -> dict[str, Component]:
    """Parts of a snapshot; digests of large files are read off the cache, which names them by SHA-256.

    Raises:
        InputError: parts are missing (see :func:`missing`), or the pipeline is not one that plantain measures.
    """
    index = read_index(where)
    try:
        return components(where, index, blob_digest, skip_weights=skip_weights)
    except InputError as error:
        if error.file and Path(error.file).is_file():
            fix = f"run `plantain model fetch {source.model}`: it fetches a damaged file again."
            raise InputError(error.problem, file=error.file, fix=fix) from None
        raise missing(source, error.problem if not error.file else f"{error.file}: {error.problem}") from None


def blob_digest(path: Path) -> str:
    """SHA-256 of a cached file: the name of the blob that it links to where that is one, else computed.

    One link is followed and no more: behind the blob there may be a store that several repositories share, where
    files are named by another digest (of Xet).
    """
    blob = path.parent.resolve() / path.readlink() if path.is_symlink() else path
    return blob.name if blob.parent.name == "blobs" and _SHA256.fullmatch(blob.name) else sha256_file(path)


def missing(source: Hub, detail: str = "") -> InputError:
    """The sentence for weights that are not on this machine."""
    size = DOWNLOAD_GB.get(source.repo)
    files = f"model_index.json and the folders {', '.join(PARTS)}"
    what = (
        f"the weights of {source.model} are not in the Hugging Face cache ({constants.HF_HUB_CACHE}): "
        f"{source.repo} at revision {source.revision}, {files}" + (f", about {size} GB" if size else "") + "."
    )
    if detail:
        what += f" Found incomplete: {detail}"
    return InputError(what, fix=f"run `plantain model fetch {source.model}`, or choose another model in run.models.")


def pin(params: Path, model: str, commit: str, *within: str) -> bool:
    """Write ``commit`` as the ``revision`` of ``model`` in params.yaml, keeping every other byte.

    Args:
        params: the file.
        model: a key of ``models``.
        commit: what the revision resolved to.
        within: the key in the model's entry that has the revision, such as ``lora``; the entry itself without one.

    Returns:
        Whether the file changed.

    Raises:
        InputError: the entry has no ``revision`` on a line of its own.
    """
    source = read_yaml(params)
    line = source.line("models", model, *within, "revision") - 1
    lines = params.read_bytes().decode().splitlines(keepends=True)
    pinned, count = re.subn(r"(\brevision:[ \t]*)[^\s,}#]+", rf"\g<1>{commit}", lines[line])
    if count != 1 or not COMMIT.fullmatch(commit):
        raise source.error(f"cannot write revision {commit}.", "models", model, fix="write it by hand.")
    if pinned == lines[line]:
        return False
    lines[line] = pinned
    write_atomic(params, "".join(lines).encode())
    return True


def misnamed(source: Hub) -> InputError:
    """The sentence for a repository that cannot exist by this name."""
    fix = "write it as on the model's page: owner/name."
    return InputError(f"'{source.repo}' is no repository's name.", field=f"models.{source.model}.repo", fix=fix)
