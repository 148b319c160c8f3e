"""``plantain card``: a result as the card of a repository on a model hub."""

from pathlib import Path
from typing import Annotated

import typer

from plantain.base.errors import InputError
from plantain.base.files import write_atomic
from plantain.base.places import typed
from plantain.commands.opening import opened

AddressArgument = Annotated[str, typer.Argument(help="PROBE@MODEL[@REV][:CONTRAST], or an MLflow run id.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="A new file, README.md by custom; printed if left out.")]
Licence = Annotated[str, typer.Option("--license", help="Of the card, by a name that hubs know.")]


def card(result: AddressArgument, out: Out = None, licence: Licence = "apache-2.0") -> None:
    """Write a model card: question, method, numbers beside chance, what may be claimed, and what is not claimed.

    Markdown with the YAML header that model hubs read. Nothing in it is typed by hand; publish it with the page.
    """
    from plantain.report.model_card import model_card

    target = typed(out) if out else None
    if target is not None and target.exists():
        raise InputError("it exists already.", file=target, fix="name a file that does not.")
    with opened([result]) as (found,):
        text = model_card(found, licence)
    if target is None:
        print(text, end="")
        return
    write_atomic(target, text.encode())
    print(f"Wrote {target}.")
