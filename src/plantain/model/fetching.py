"""Downloads from the Hugging Face Hub into its cache: whole, checked, and going on where a killed one stopped.

The Hub's own client starts a file anew after its process was killed, and believes what a server sends. So the large
files, whose SHA-256 the Hub lists, come here: each is written below a fixed name, goes on from its last byte, and takes
its place in the cache only once its digest is right. Plain HTTP serves every repository; Xet, which the client would
choose where ``hf_xet`` is installed, writes out of order and cannot be resumed so. Small files are left to the client.
"""

import errno
import hashlib
import io
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import httpx2
from filelock import FileLock, Timeout
from huggingface_hub import (
    HfApi,
    constants,
    get_cached_repo_tree,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
)
from huggingface_hub.errors import CachedRepoTreeNotFoundError, OfflineModeIsEnabled
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, not listed

from plantain.base.errors import InputError
from plantain.base.files import sha256_file, write_atomic
from plantain.model.hub import COMMIT, Hub
from plantain.model.hub_errors import ROOM, content_differs, hub_sentences, no_pipeline
from plantain.model.layout import read_index

_SECONDS: Final = 30
"""A hub that says nothing for so long is taken for one that does not answer."""

_AT_ONCE: Final = 4
"""Large files under way at a time."""

_WEIGHTS: Final = ".safetensors"
_KEPT: Final = (".json", ".txt", ".jinja", ".model", _WEIGHTS)
"""What a part of a pipeline is read from. Pickled weights, code and pictures stay where they are."""

_VARIANT: Final = re.compile(r"\.(?:fp16|bf16|fp32|non_ema|ema)(?:[.-]|$)")
"""How diffusers marks a second copy of the same weights."""

_PART: Final = ".plantain.incomplete"
_INDEX: Final = "model_index.json"
_CONFIGURATIONS: Final = [_INDEX, "*/config.json", "*/scheduler_config.json"]


def fetch(source: Hub) -> str:
    """Bring the parts of a pipeline into the cache and return the commit that its revision resolved to.

    A file is there or it is not: none has its place in the cache before its content is what the Hub lists. What is
    there is hashed again, and fetched again where it is damaged.

    Raises:
        InputError: no network, no such repository or revision, no permission, too little disk space, a pipeline that
            plantain does not measure, or content that is not what the Hub lists. Nothing that is half there is in the
            way of the next fetch.
    """
    return _fetched(source, _fetch_all)


def fetch_file(source: Hub, name: str) -> str:
    """The same for one file of a repository, such as a LoRA.

    Raises:
        InputError: as :func:`fetch`; or the repository has no such file.
    """

    def bring(source: Hub, commit: str, store: Path) -> None:
        if (store / "snapshots" / commit / name).exists():
            return
        file = _listing(source, commit).get(name)
        if file is None:
            fix = f"correct `lora.file` of {source.model} in params.yaml."
            raise InputError(f"{source.repo} has no file {name} at {commit}.", fix=fix)
        _bring(source, commit, store, [file])

    return _fetched(source, bring)


def _fetched(source: Hub, bring: Callable[[Hub, str, Path], None]) -> str:
    with hub_sentences(source):
        commit = _commit(source)
        store = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=source.repo, repo_type="model")
        with _alone(source, store):
            bring(source, commit, store)
            if commit != source.revision:
                # Last, so that the name of a branch never leads to a snapshot that is not whole.
                write_atomic(store / "refs" / source.revision, commit.encode())
    return commit


def fetch_configurations(source: Hub) -> Path:
    """Bring the configurations of a pipeline's parts into the cache, some kilobytes, and return the snapshot folder.

    Raises:
        InputError: as :func:`fetch`; or the repository holds no pipeline.
    """
    with hub_sentences(source):
        commit = _commit(source)
        snapshot = Path(snapshot_download(source.repo, revision=commit, allow_patterns=_CONFIGURATIONS))
        if commit != source.revision:
            write_atomic(snapshot.parent.parent / "refs" / source.revision, commit.encode())
    if not (snapshot / _INDEX).exists():
        raise no_pipeline(source, commit)
    return snapshot


def _fetch_all(source: Hub, commit: str, store: Path) -> None:
    snapshot = store / "snapshots" / commit
    try:
        listing = _listing(source, commit)
    except (OfflineModeIsEnabled, httpx2.TransportError):
        if _is_whole(source, commit, snapshot):
            return
        raise
    if _INDEX not in listing:
        raise no_pipeline(source, commit)
    # Before anything large: a pipeline that cannot be measured is refused here.
    _fetch_small(source, commit, store, [listing[_INDEX]])
    _bring(source, commit, store, wanted_files(listing.values(), read_index(snapshot).classes))
    for left in (store / "blobs").glob(f"*{_PART}"):  # of a revision that has moved on since
        left.unlink()


def _bring(source: Hub, commit: str, store: Path, wanted: list[RepoFile]) -> None:
    snapshot = store / "snapshots" / commit
    large, small = [file for file in wanted if file.lfs], [file for file in wanted if not file.lfs]
    _drop_damaged(snapshot, store, large)
    missing = [file for file in large if not _blob(store, file).exists()]
    _check_space(source, store, missing)
    _in_parallel(missing, partial(_fetch_large, source, commit, store))
    _fetch_small(source, commit, store, [*small, *large])  # of the large ones, links alone are missing


def wanted_files(files: Iterable[RepoFile], parts: Iterable[str]) -> list[RepoFile]:
    """What of a repository is fetched: its index and the folders of the pipeline's parts, one copy of the weights."""
    kept = [file for file in files if file.path == _INDEX or _in_part(file.path, set(parts))]
    single = {Path(file.path).parent for file in kept if _is_weights(file.path) and not _VARIANT.search(file.path)}
    return [file for file in kept if not (_VARIANT.search(file.path) and Path(file.path).parent in single)]


def _in_part(path: str, parts: set[str]) -> bool:
    folder, _, name = path.partition("/")
    return folder in parts and "/" not in name and name.endswith(_KEPT)


def _is_weights(path: str) -> bool:
    return path.endswith(_WEIGHTS)


def _commit(source: Hub) -> str:
    if COMMIT.fullmatch(source.revision):
        return source.revision
    info = HfApi().model_info(source.repo, revision=source.revision, timeout=_SECONDS)
    if info.sha is None or not COMMIT.fullmatch(info.sha):
        raise ValueError("it names no commit")
    return info.sha


def _listing(source: Hub, commit: str) -> dict[str, RepoFile]:
    """Every file of the repository at ``commit``; asked of the Hub, since its note in the cache has no SHA-256."""
    found = HfApi().list_repo_tree(source.repo, recursive=True, revision=commit)
    return {file.path: file for file in found if isinstance(file, RepoFile)}


def _is_whole(source: Hub, commit: str, snapshot: Path) -> bool:
    """Whether nothing is missing of ``commit``, by what the client noted when it was fetched."""
    try:
        noted = get_cached_repo_tree(source.repo, revision=commit)
    except CachedRepoTreeNotFoundError:
        return False
    if not (snapshot / _INDEX).exists():
        return False
    return all((snapshot / file.path).exists() for file in wanted_files(noted, read_index(snapshot).classes))


def _blob(store: Path, file: RepoFile) -> Path:
    """Where the cache keeps a large file."""
    assert file.lfs is not None
    return store / "blobs" / file.lfs.sha256


def _fetch_small(source: Hub, commit: str, store: Path, files: list[RepoFile]) -> None:
    """Bring files by the Hub's client, and look whether they are what is listed."""
    names = [file.path for file in files]
    if names == [_INDEX]:  # without the note of all files that a snapshot leaves
        hf_hub_download(source.repo, _INDEX, revision=commit)
    else:
        exactly = [_literal(name) for name in names]
        snapshot_download(source.repo, revision=commit, allow_patterns=exactly, max_workers=_AT_ONCE)
    for file in files:
        path = store / "snapshots" / commit / file.path
        if not file.lfs and _git_digest(path) != file.blob_id:
            _forget(path)
            raise content_differs(source, file.path)


def _literal(name: str) -> str:
    """A pattern of ``fnmatch`` for one name."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _fetch_large(source: Hub, commit: str, store: Path, file: RepoFile, stopped: threading.Event) -> None:
    """Bring one large file, from where an earlier fetch left it."""
    place = _blob(store, file)
    part = place.with_name(place.name + _PART)
    part.parent.mkdir(parents=True, exist_ok=True)
    resumed = part.exists() and part.stat().st_size > 0
    if not _complete(source, commit, file, part, stopped) and not (
        # What was there may be of a disk that lost its power: once from the start.
        resumed and _complete(source, commit, file, part, stopped)
    ):
        raise content_differs(source, file.path)
    part.replace(place)


def _complete(source: Hub, commit: str, file: RepoFile, part: Path, stopped: threading.Event) -> bool:
    """Bring the rest of ``part``, and say whether it is what the Hub lists; where not, it is removed."""
    assert file.lfs is not None
    size = file.lfs.size
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    url = hf_hub_url(source.repo, file.path, revision=commit)
    with _Part(part, stopped) as stream:
        # Of the address of the Hub, not of where it leads: that one has a signature and no need of a token, which the
        # client leaves out once the host is another.
        headers = build_hf_headers() | {"accept-encoding": "identity"}
        there = part.stat().st_size
        http_get(url, stream, resume_size=there, headers=headers, expected_size=size, displayed_filename=file.path)
        stream.flush()
        os.fsync(stream.fileno())
    if part.stat().st_size == size and sha256_file(part) == file.lfs.sha256:
        return True
    part.unlink()
    return False


class _Part(io.BufferedWriter):
    """A file under way; the next write after a stop fails, so that Ctrl-C does not wait for gigabytes."""

    def __init__(self, path: Path, stopped: threading.Event) -> None:
        super().__init__(io.FileIO(path, "a"))
        self._stopped = stopped

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write, unless the fetch was stopped."""
        if self._stopped.is_set():
            raise InterruptedError(errno.EINTR, "stopped")
        return super().write(data)


def _in_parallel(files: list[RepoFile], bring: partial[None]) -> None:
    """Bring files a few at a time; what one fails with, or Ctrl-C, ends the others too."""
    stopped = threading.Event()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [pool.submit(bring, file, stopped) for file in files]
        try:
            for one in waiting:
                one.result()
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _drop_damaged(snapshot: Path, store: Path, large: list[RepoFile]) -> None:
    """Remove large files of the cache that are not what they are named after, so that they are fetched again."""
    for file in large:
        blob = _blob(store, file)
        if os.path.lexists(blob) and not (blob.exists() and sha256_file(blob) == blob.name):
            (snapshot / file.path).unlink(missing_ok=True)
            blob.unlink()


def _git_digest(path: Path) -> str:
    """What git calls a file, and the Hub a small one (`git hash-object`)."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


def _forget(path: Path) -> None:
    """Remove a file of a snapshot with what it links to."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _check_space(source: Hub, store: Path, missing: list[RepoFile]) -> None:
    there = sum(part.stat().st_size for part in (store / "blobs").glob(f"*{_PART}"))
    needed = sum(file.size for file in missing) - there
    existing = next(path for path in (store, *store.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        what = f"{source.repo} needs {needed / 1e9:.1f} GB more, and {existing} has {free / 1e9:.1f} GB free."
        raise InputError(what, fix=ROOM)


@contextmanager
def _alone(source: Hub, store: Path) -> Iterator[None]:
    """One fetch of a repository at a time; a second one waits, and then finds everything."""
    lock = FileLock(store.parent / ".locks" / store.name / "plantain-fetch.lock")
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Another fetch of {source.repo} is under way; waiting for it.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
