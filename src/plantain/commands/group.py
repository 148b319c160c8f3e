"""A group of commands that prints as plainly as ``plantain --help`` does."""

import typer


def group(about: str, *, no_args_is_help: bool = True) -> typer.Typer:
    """An empty group; ``about`` is its help."""
    return typer.Typer(
        help=about,
        no_args_is_help=no_args_is_help,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
