"""Models of the Hugging Face Hub: loaded from the local cache alone, downloaded by ``plantain model fetch`` alone."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    DryRunError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from plantain.base.errors import InputError
from plantain.base.files import sha256_file, write_atomic
from plantain.base.yaml import read_yaml
from plantain.model.known import DOWNLOAD_GB
from plantain.model.layout import PARTS, components, read_index
from plantain.records.lock import Component

PATTERNS = ["model_index.json", *(f"{part}/*" for part in PARTS)]
"""What is fetched: the parts of the pipeline, not the single-file copies and pictures beside them."""

_IGNORED = ["*.bin", "*.pt", "*.ckpt", "*.msgpack", "*.onnx", "*.md"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Hub:
    """A repository at a revision, and the declared model that wants it (for messages)."""

    model: str
    repo: str
    revision: str


def folder(source: Hub, *, skip_weights: str = "") -> Path:
    """The snapshot folder in the local cache; never touches the network.

    Args:
        source: what is declared; a branch or tag resolves to the commit that was fetched last.
        skip_weights: a part that need not have its weights.

    Raises:
        InputError: the files are not there; says which, how large, and how to fetch them.
    """
    patterns = [pattern for pattern in PATTERNS if pattern != f"{skip_weights}/*"]
    if skip_weights:
        patterns.append(f"{skip_weights}/*.json")
    try:
        found = snapshot_download(
            source.repo,
            revision=source.revision,
            allow_patterns=patterns,
            ignore_patterns=_IGNORED,
            local_files_only=True,
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
            # Fetching passes over what is there, so a damaged file must go first.
            fix = f"remove {Path(error.file).resolve()} and run `plantain model fetch {source.model}`."
            raise InputError(error.problem, file=error.file, fix=fix) from None
        raise missing(source, error.problem if not error.file else f"{error.file}: {error.problem}") from None


def blob_digest(path: Path) -> str:
    """SHA-256 of a cached file: the name of the blob that it links to where that is one, else computed."""
    blob = path.resolve()
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


def fetch(source: Hub) -> str:
    """Download what is missing and return the commit that the revision resolved to.

    Raises:
        InputError: no network, no such repository, no permission, or too little disk space.
    """
    arguments: dict[str, Any] = {"revision": source.revision, "allow_patterns": PATTERNS, "ignore_patterns": _IGNORED}
    try:
        plan = snapshot_download(source.repo, dry_run=True, **arguments)
        _check_space(source, sum(file.file_size or 0 for file in plan if file.will_download))
        return Path(snapshot_download(source.repo, **arguments)).name
    except HFValidationError:
        raise misnamed(source) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, DryRunError, OSError) as error:
        raise _unreachable(source, error.__cause__ or error) from None


def pin(params: Path, model: str, commit: str) -> bool:
    """Write ``commit`` as the ``revision`` of ``model`` in params.yaml, keeping every other byte.

    Returns:
        Whether the file changed.

    Raises:
        InputError: the entry has no ``revision`` on a line of its own.
    """
    source = read_yaml(params)
    line = source.line("models", model, "revision") - 1
    lines = params.read_bytes().decode().splitlines(keepends=True)
    pinned, count = re.subn(r"(\brevision:[ \t]*)[^\s,}#]+", rf"\g<1>{commit}", lines[line], count=1)
    if count == 0 or not _COMMIT.fullmatch(commit):
        raise source.error(f"cannot write revision {commit}.", "models", model, fix="write it by hand.")
    if pinned == lines[line]:
        return False
    lines[line] = pinned
    write_atomic(params, "".join(lines).encode())
    return True


def _check_space(source: Hub, needed: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        what = f"{source.repo} needs {needed / 1e9:.1f} GB more, and {existing} has {free / 1e9:.1f} GB free."
        raise InputError(what, fix="free some space, or point HF_HOME at a larger disk.")


def misnamed(source: Hub) -> InputError:
    """The sentence for a repository that cannot exist by this name."""
    fix = "write it as on the model's page: owner/name."
    return InputError(f"'{source.repo}' is no repository's name.", field=f"models.{source.model}.repo", fix=fix)


def _unreachable(source: Hub, error: BaseException) -> InputError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if isinstance(error, HfHubHTTPError):
        fix = "check the name; where the model's page asks you to accept terms, do so and run `hf auth login`."
        return InputError(f"{source.repo} could not be read: {reason}.", fix=fix)
    fix = "connect this machine to the network (and unset HF_HUB_OFFLINE), then run the command again."
    return InputError(f"{source.repo} could not be fetched: {reason}.", fix=fix)
