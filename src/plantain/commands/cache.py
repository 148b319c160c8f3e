"""``plantain cache``: what ``.plantain/`` keeps of finished work, and how to make it smaller."""

import json
import time
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from plantain.capture.shards import KINDS, Damaged, Entry, entries, load
from plantain.commands.group import group
from plantain.errors import CheckFailed, InputError
from plantain.places import state_dir

app = group("Show and prune the store of shards, embeddings and reference images.", no_args_is_help=False)

_DAY = 86_400.0

Kinds = Annotated[list[str] | None, typer.Option("--kind", help=f"One of {', '.join(KINDS)} (may be repeated).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show how much each kind of stored work takes, and when it was last used."""
    if context.invoked_subcommand is None:
        summary = {kind: _summary(list(entries(kind))) for kind in KINDS}
        if as_json:
            typer.echo(json.dumps({"folder": str(state_dir()), "kinds": summary}, indent=2))
        else:
            _print(summary)


@app.command()
def prune(
    unused_days: Annotated[
        float, typer.Option("--unused-for", help="Remove what nobody wrote or read for this many days.", min=0.0)
    ] = 30.0,
    kind: Kinds = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove stored work that was not used for a while. It is computed again when it is needed; results stay."""
    limit = time.time() - unused_days * _DAY
    old = [entry for name in _kinds(kind) for entry in entries(name) if entry.used < limit]
    if not dry_run:
        for entry in old:
            entry.path.unlink(missing_ok=True)
    size = sum(entry.size for entry in old)
    if as_json:
        typer.echo(json.dumps({"files": len(old), "bytes": size, "removed": not dry_run}))
    else:
        verb = "would remove" if dry_run else "removed"
        typer.echo(f"{verb} {len(old)} files, {readable_size(size)}.")


@app.command()
def verify(kind: Kinds = None) -> None:
    """Check every stored file against its digest; exit 1 if one is damaged (it would be computed again)."""
    damaged, checked = [], 0
    for entry in (entry for name in _kinds(kind) for entry in entries(name) if entry.path.suffix == ".safetensors"):
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


def _kinds(chosen: Iterable[str] | None) -> list[str]:
    found = list(chosen or KINDS)
    for name in found:
        if name not in KINDS:
            raise InputError(f"'{name}' is not a kind of stored work.", field="--kind", fix=f"use {', '.join(KINDS)}.")
    return found


def _summary(found: list[Entry]) -> dict[str, float | int | None]:
    used = max((entry.used for entry in found), default=None)
    return {"files": len(found), "bytes": sum(entry.size for entry in found), "last_used": used}


def _print(summary: dict[str, dict[str, float | int | None]]) -> None:
    table = Table("kind", "files", "size", "last used", title=str(state_dir()))
    for kind, row in summary.items():
        used = row["last_used"]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(used)) if used else "never"
        table.add_row(kind, str(row["files"]), readable_size(float(row["bytes"] or 0)), when)
    Console().print(table)
