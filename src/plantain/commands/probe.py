"""``plantain probe``: see what there is to ask, take a probe from the shelf, begin one's own, or take one out."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.files import write_atomic
from plantain.base.places import typed
from plantain.commands.opening import group
from plantain.probe.authoring.listing import without_probe
from plantain.probe.authoring.new import new_probe
from plantain.probe.authoring.rows import Columns
from plantain.probe.authoring.shelf import take
from plantain.probe.authoring.shelf_lines import ProbeLine, Whereabouts, probe_lines
from plantain.probe.tokens import Encode
from plantain.report.columns import WIDTH
from plantain.stages.pipelines import add_pipeline, piped, remove_pipeline

app = group("List probes, add one from the shelf, begin your own, or take one out.")

Name = Annotated[str, typer.Argument(help="Lower-case letters, digits and underscores.")]
Names = Annotated[list[str], typer.Argument(help="Probes of the shelf, as `plantain probe list` names them.")]
FromFile = Annotated[
    Path | None,
    typer.Option("--from", help="A table: CSV, TSV, JSON lines, or a list in .txt. Columns a, b and, if wanted, id."),
]
SideA = Annotated[str | None, typer.Option("--a", help="The column that holds side a.")]
SideB = Annotated[str | None, typer.Option("--b", help="The column that holds side b.")]
Items = Annotated[str | None, typer.Option("--items", help="The one column that holds items, put under templates.")]


@app.callback()
def _group() -> None:
    """List probes, add one from the shelf, begin your own, or take one out."""


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print every probe of this workspace and of the shelf: where, question, highest rung by design, what decides.

    The rung is what the design allows with the token counts of Klein's tokenizer, whatever a model then says.
    """
    lines = list(probe_lines(read_params(), _encode(), Path()))
    if as_json:
        print(json.dumps([asdict(one) for one in lines], indent=2, ensure_ascii=False))
        return
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    Console(highlight=False, width=min(room, WIDTH)).print(_table(lines))
    if any(one.kept is Whereabouts.shelf for one in lines):
        print("\n`plantain probe add NAME` takes one from the shelf; `plantain run --suite` takes and runs them all.")


def _encode() -> Encode:
    """Klein's tokens, which need no weights; imported where they are asked for."""
    from plantain.model.klein_tokens import klein_counter

    return klein_counter()


def _table(lines: list[ProbeLine]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("probe", "where", "question"):
        table.add_column(name, overflow="fold", no_wrap=name != "question")
    table.add_column("rung", justify="right", no_wrap=True)
    table.add_column("decided by")
    for one in lines:
        where = f"{one.kept}, edited" if one.edited else one.kept.value
        rung = "" if one.reach is None else f"\N{LESS-THAN OR EQUAL TO} {one.reach}"
        table.add_row(one.name, where, one.problem or one.question, rung, _decided(one))
    return table


def _decided(one: ProbeLine) -> str:
    by_kind: dict[str, list[str]] = {}
    for name, kind in one.deciding.items():
        by_kind.setdefault(kind, []).append(name)
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items())


@app.command()
def add(names: Names) -> None:
    """Copy probes from the shelf to prompts/ and add them to run.probes in params.yaml; overwrites nothing."""
    paths = take(names, Path())
    for path in paths:
        add_pipeline(path.stem)
        print(f"{path} is ready, and {path.stem} stands in run.probes of params.yaml.")
    added = " ".join(path.stem for path in paths)
    print(f"Next: `plantain prompts check {added}` and `plantain run {added}`.")


@app.command()
def new(name: Name, source: FromFile = None, a: SideA = None, b: SideB = None, items: Items = None) -> None:
    """Create prompts/NAME.yaml and add NAME to run.probes in params.yaml."""
    columns = Columns(a, b, items)
    if source is None and columns != Columns():
        raise InputError("--a, --b and --items name columns of a table.", fix="give the table: `--from FILE`.")
    path = new_probe(name, Path(), typed(source) if source else None, columns, tell=print)
    add_pipeline(name)
    print(f"{path} is ready, and {name} stands in run.probes of params.yaml.")
    print(f"Next: edit it, then `plantain prompts check {name}` and `plantain run {name}`.")


@app.command()
def rm(name: Name) -> None:
    """Take NAME out of run.probes, with its stages and results; prompts/NAME.yaml stays."""
    run = read_params().run
    if name not in {*run.probes, *piped()}:
        fix = f"use one of: {', '.join(run.probes)}."
        raise InputError(f"'{name}' is not listed.", file=places.PARAMS, field="run.probes", fix=fix)
    if run.probes == [name]:
        fix = "add another probe first: a run needs one."
        raise InputError(f"'{name}' is the only probe.", file=places.PARAMS, field="run.probes", fix=fix)
    remove_pipeline(name)
    if name in run.probes:
        write_atomic(places.PARAMS, without_probe(places.PARAMS, name))
    print(f"{name} is out of run.probes, and its pipeline and results are removed; {places.probe_file(name)} stays.")
