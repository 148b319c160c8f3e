"""``plantain model``: what a model consists of, and fetching its weights."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Source
from plantain.commands.opening import group
from plantain.model import fetching, hub
from plantain.model.declared import declared
from plantain.records.lock import HeadCount

if TYPE_CHECKING:
    from plantain.model.describe import Description

app = group("Show the geometry of a model, or fetch its weights.")

_PARAMS = places.PARAMS
_ROWS = {
    "heads": "heads that are tested (image or all tokens)",
    "head_streams": "the same, those of the text stream counted too",
    "dead_heads": "heads that no text can reach: dead by design, no units of any test",
    "mlp_slices": "MLP slices as wide as a head",
    "groups": "groups without the text stream",
    "groups_with_text_stream": "groups stored",
    "attention_groups": "groups that hold attention output",
    "mlp_groups": "groups that hold MLP channels",
}


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(help="A model of params.yaml, a folder (with configurations at least), or OWNER/NAME."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what of a model is measured: blocks, heads, groups, order of tokens. Needs no weights."""
    from plantain.model.describe import describe  # with torch, which fetching does without

    found = describe(name, read_params(_PARAMS))
    if as_json:
        typer.echo(json.dumps(found.record(), indent=2))
    else:
        _print(found)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A hub model of params.yaml.")]) -> None:
    """Download the weights of a hub model and pin the commit in params.yaml. Files that are there are kept."""
    params = read_params(_PARAMS)
    entry = declared(name, params)
    name = entry.of or name
    entry = declared(name, params)
    adapted = entry.lora is not None and entry.lora.repo is not None
    if entry.source is not Source.hub and not adapted:
        fix = "nothing: it needs no download." if entry.source is Source.embedded else "put its folder in place."
        raise InputError(f"{name} is {entry.source}, not a hub model.", fix=fix)
    if entry.source is Source.hub:
        _fetch_model(name, str(entry.repo), str(entry.revision))
    if adapted and entry.lora is not None:
        wanted = hub.Hub(name, str(entry.lora.repo), str(entry.lora.revision))
        commit = fetching.fetch_file(wanted, str(entry.lora.file))
        typer.echo(f"{name}: the LoRA {entry.lora.file} of {wanted.repo} at {commit}.")
        _pin(name, commit, wanted.revision, "lora")
    typer.echo(f"Next: put {name} under run.models in params.yaml, then `dvc repro`.")


def _fetch_model(name: str, repo: str, revision: str) -> None:
    commit = fetching.fetch(hub.Hub(name, repo, revision))
    fetched = hub.Hub(name, repo, commit)
    folder = hub.folder(fetched)
    size = sum(part.bytes for part in hub.inspect(fetched, folder).values())
    typer.echo(f"{name}: {repo} at {commit}, {size / 1e9:.1f} GB of weights in {folder}.")
    _pin(name, commit, revision)


def _pin(name: str, commit: str, revision: str, *within: str) -> None:
    if hub.pin(_PARAMS, name, commit, *within):
        key = ".".join(("models", name, *within, "revision"))
        typer.echo(f"params.yaml: {key} is now this commit (was {revision}).")


def _print(found: "Description") -> None:
    console = Console()
    caption = f"Read from: {found.configuration}"
    table = Table("blocks", "see", title=f"{found.name} ({found.source})", caption=caption, title_style="bold")
    for column in ("number", "heads x width", "MLP behind them", "heads"):
        table.add_column(column, justify="right")
    for one, blocks in _alike(found):
        kind = f"{one.block_kind}, dead" if one.dead else one.block_kind
        heads = f"{one.heads:,} x {one.head_width}"
        table.add_row(kind, one.stream, f"{blocks:,}", heads, f"{one.mlp_width:,}", f"{blocks * one.heads:,}")
    console.print(table)
    counts = Table.grid(padding=(0, 2))
    counts.add_column(justify="right")
    for key, label in _ROWS.items():
        counts.add_row(f"{found.counts[key]:,}", label)
    console.print(counts)
    for sentence in _facts(found):
        console.print(sentence, highlight=False)


def _alike(found: "Description") -> list[tuple[HeadCount, int]]:
    """Every kind of projection once, with the number of its blocks wherever they stand."""
    blocks: dict[tuple[Any, ...], int] = {}
    first: dict[tuple[Any, ...], HeadCount] = {}
    for one in found.geometry.kinds:
        key = (one.block_kind, one.stream, one.heads, one.head_width, one.mlp_width, one.dead)
        blocks[key] = blocks.get(key, 0) + one.blocks
        first.setdefault(key, one)
    return [(first[key], number) for key, number in blocks.items()]


def _facts(found: "Description") -> Iterator[str]:
    """What the row of its architecture says of a model."""
    facts, row = found.facts, found.architecture
    called = f", called through {found.pipeline}" if found.pipeline else ""
    yield f"Architecture {row.name} ({row.transformer}){called}; {found.geometry.parameters:,} parameters."
    yield f"Groups of {found.group_width} channels are stored."
    ahead = f"{row.ahead} positions without text, then " if row.ahead else ""
    if any(one.block_kind == "single" for one in found.geometry.kinds):
        behind = "" if facts["conditions_on_image"] == "none" else ", a reference behind the image"
        yield f"A single block sees {ahead}{' then '.join(facts['token_order'])} tokens{behind}."
    yield _POOLED[row.pooled_text]
    yield _PICTURE[facts["conditions_on_image"]]
    yield _GUIDED[found.guidance]
    yield f"capture.path: {' or '.join(facts['paths'])}."


_POOLED = {
    True: "Text enters by attention and, pooled, by the modulation of every block.",
    False: "Text enters by attention alone.",
}
_PICTURE = {
    "none": "It conditions on no image.",
    "tokens": "It conditions on an image by its tokens.",
    "vlm": "It conditions on an image by its tokens, and the text encoder reads it too.",
}
_GUIDED = {
    "none": "It is guided by a second pass without the prompt, which a measured pass leaves out.",
    "embedded": "It is told its guidance as a number (guidance is embedded).",
    "distilled": "It is distilled: guidance plays no part, and it is measured as what it is.",
}
