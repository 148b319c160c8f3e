"""``plantain cache``: what ``.plantain/`` keeps of finished work, and how to make it smaller."""

import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table

from plantain.base.errors import CheckFailed, InputError
from plantain.base.places import state_dir
from plantain.capture.shards import KINDS, Damaged, Entry, entries, load
from plantain.commands.opening import group

app = group(
    "Show and prune the store of shards, Gram matrices, embeddings and reference images.", no_args_is_help=False
)

_DAY = 86_400.0
_WRITING = 3_600.0
"""Seconds after which a temporary file was left behind by a writer that was killed; a younger one may be in use."""

_MODELS: Final = "models"
_MADE_AGAIN: Final = {
    "shards": "passes; captured again when needed",
    "vectors": "passes whose Gram matrices are being made; captured again when needed",
    "grams": "Gram matrices of cells; their passes are captured again when needed",
    "embeddings": "prompts; encoded again when needed",
    "references": "images; generated again when needed",
    "causal": "what swapped heads did; swapped again when needed",
    "verdicts": "verdicts of cells; judged again when needed",
    _MODELS: "embedded models; built again when one is loaded",
}
"""Kinds that ``prune`` removes, with what they hold."""
_KEPT: Final = {
    "batch-sizes": "fitted batch sizes, by which a resumed capture finds its shards",
    "compare.html": "the page of plantain compare",
    "executions.jsonl": "the journal of runs, which nothing makes again",
    "kernels.json": "measured attention kernels, for capture.attention: auto",
    "local": "remembered digests of local models",
    "locks": "locks of running commands",
    "pending": "a mark that something waits to be published",
    "rates.json": "measured rates, for plantain run --dry-run",
    "tiny-training": "checkpoints of `python -m training`, hours of work: remove them by hand",
}
"""What else plantain and its benchmarks leave here."""
_FOREIGN: Final = "not plantain's"

Kinds = Annotated[list[str] | None, typer.Option("--kind", help=f"One of {', '.join(KINDS)} (may be repeated).")]
Prunable = Annotated[
    list[str] | None, typer.Option("--kind", help=f"One of {', '.join(_MADE_AGAIN)} (may be repeated).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show how much everything that is stored takes, when it was last used, and what ``prune`` may remove."""
    if context.invoked_subcommand is None:
        present = [path.name for path in sorted(state_dir().glob("*"))]
        summary = {name: _summary(name) for name in dict.fromkeys([*_MADE_AGAIN, *present])}
        if as_json:
            typer.echo(json.dumps({"folder": str(state_dir()), "kinds": summary}, indent=2))
        else:
            _print(summary)


@app.command()
def prune(
    unused_days: Annotated[
        float, typer.Option("--unused-for", help="Remove what nobody wrote or read for this many days.", min=0.0)
    ] = 30.0,
    kind: Prunable = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove stored work that was not used for a while. It is made again when it is needed; results stay.

    A running capture computes again what it misses, and what is being written stays. Only a capture that is loading an
    embedded model at the moment of its removal fails; started again, it goes on.
    """
    now = time.time()
    limits = {True: now - max(_WRITING, unused_days * _DAY), False: now - unused_days * _DAY}
    chosen = _kinds(kind, _MADE_AGAIN)
    with ExitStack() as stack:
        if _MODELS in chosen and not dry_run:
            _keep_builders_out(stack)
        old = [entry for name in chosen for entry in _prunable(name) if entry.used < limits[entry.temporary]]
        for entry in () if dry_run else old:
            _remove(entry.path)
    files, size = sum(entry.files for entry in old), sum(entry.size for entry in old)
    if as_json:
        typer.echo(json.dumps({"files": files, "bytes": size, "removed": not dry_run}))
    else:
        verb = "would remove" if dry_run else "removed"
        typer.echo(f"{verb} {files} files, {readable_size(size)}.")


@app.command()
def verify(kind: Kinds = None) -> None:
    """Check every stored file against its digest; exit 1 if one is damaged (it would be computed again)."""
    damaged, checked = [], 0
    for entry in (
        entry for name in _kinds(kind, KINDS) for entry in entries(name) if entry.path.suffix == ".safetensors"
    ):
        checked += 1
        try:
            load(entry.path, entry.path.stem)
        except Damaged as problem:
            damaged.append(f"{entry.path}: {problem}")
    if damaged:
        raise CheckFailed("\n".join([f"{len(damaged)} of {checked} stored files are damaged:", *damaged]))
    typer.echo(f"{checked} stored files are whole.")


def readable_size(size: float) -> str:
    """Bytes in the largest unit that keeps the number above 1, powers of 1,024."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def _kinds(chosen: Iterable[str] | None, known: Iterable[str]) -> list[str]:
    names = list(known)
    found = list(chosen or names)
    for name in found:
        if name not in names:
            what = f"'{name}' is not a kind of stored work" if name not in (_MADE_AGAIN | _KEPT) else f"'{name}' stays"
            raise InputError(f"{what}.", field="--kind", fix=f"use {', '.join(names)}.")
    return found


def _prunable(kind: str) -> Iterator[Entry]:
    """What can be removed of a kind: a file of the store, or the whole folder of a model."""
    if kind != _MODELS:
        yield from entries(kind)
        return
    for path in sorted((state_dir() / kind).glob("*/")):
        yield _folder(kind, path)


def _folder(kind: str, path: Path) -> Entry:
    """A file, or everything below a folder; what vanishes meanwhile is left out. Reading a file counts as its use."""
    inside = (Path(base, name) for base, _, names in os.walk(path) for name in names)
    found = []
    for each in (path, *inside):
        with suppress(FileNotFoundError):
            found.append(each.stat())
    found = [status for status in found if stat.S_ISREG(status.st_mode)]
    used = max((max(status.st_mtime, status.st_atime) for status in found), default=0.0)
    return Entry(kind, path, sum(status.st_size for status in found), used, len(found))


def _keep_builders_out(stack: ExitStack) -> None:
    """Hold, until ``stack`` is closed, the locks under which embedded models are built and checked.

    Raises:
        InputError: one is being built.
    """
    for path in sorted((state_dir() / _MODELS).glob("*.lock")):
        try:
            stack.enter_context(FileLock(path, timeout=0))
        except Timeout:
            fix = "wait for it, or leave models out with --kind."
            raise InputError(f"'{path.stem}' is being built or checked right now.", file=path, fix=fix) from None


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    # Renamed first: whoever looks for it sees it whole or not at all.
    gone = path.with_name(f".{path.name.lstrip('.')}.pruned")
    shutil.rmtree(gone, ignore_errors=True)
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _summary(name: str) -> dict[str, Any]:
    found = list(entries(name)) if name in KINDS else [_folder(name, state_dir() / name)]
    used = max((entry.used for entry in found), default=None)
    counted = {"files": sum(entry.files for entry in found), "bytes": sum(entry.size for entry in found)}
    what = _MADE_AGAIN.get(name) or _KEPT.get(name, _FOREIGN)
    return counted | {"last_used": used or None, "prunable": name in _MADE_AGAIN, "holds": what}


def _print(summary: dict[str, dict[str, Any]]) -> None:
    table = Table("kind", "files", "size", "last used", "prune", title=str(state_dir()))
    for kind, row in summary.items():
        used = row["last_used"]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(used)) if used else "never"
        prune = "yes" if row["prunable"] else "no"
        table.add_row(kind, str(row["files"]), readable_size(float(row["bytes"])), when, prune)
    Console().print(table)
    for kind, row in summary.items():
        if not row["prunable"]:
            typer.echo(f"{kind} stays: {row['holds']}.")
    total = sum(row["bytes"] for row in summary.values())
    freed = sum(row["bytes"] for row in summary.values() if row["prunable"])
    typer.echo(f"{readable_size(total)} in all, of which plantain cache prune can free {readable_size(freed)}.")
