"""Results by address for the commands that show them; and groups of commands."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from plantain.report.result import Result
from plantain.track.address import parse
from plantain.track.reopen import open_result


def group(about: str, *, no_args_is_help: bool = True) -> typer.Typer:
    """An empty group; ``about`` is its help."""
    return typer.Typer(
        help=about,
        no_args_is_help=no_args_is_help,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


@contextmanager
def opened(addresses: Sequence[str]) -> Iterator[list[Result]]:
    """The results at ``addresses``; those of revisions lie in a folder that is gone after the context."""
    with tempfile.TemporaryDirectory(prefix="plantain-") as folder:
        yield [open_result(Path(), parse(text), Path(folder, str(index))) for index, text in enumerate(addresses)]
