"""``plantain …``: the commands put together.

A command's module is imported when it is called, so that none waits for the libraries of another.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from plantain.base import places
from plantain.base.errors import PlantainError, disk_error
from plantain.base.secrets import redacted

COMMANDS = {
    "init": "Make a folder a workspace, ready to run.",
    "run": "Run the pipeline, the stages of some probes and models, or the whole shelf.",
    "show": "Print verdict, headline numbers and a profile over blocks.",
    "headline": "Print the headline numbers of every cell and where to look.",
    "compare": "Write a page with results side by side.",
    "diff": "What differs between two results, and what can have caused it.",
    "audit": "Follow every number to its prompts and check each link; find a number again.",
    "sync": "Make MLflow agree with the receipts.",
    "ui": "Open the MLflow UI on this machine's loopback address.",
    "doctor": "What is wrong with this checkout, and the fix of each.",
    "selftest": "Compare nominal with observed error rates on simulated data.",
    "prompts": "Check, show and compare probes.",
    "probe": "List probes, add one from the shelf, begin your own, or take one out.",
    "model": "Show the geometry of a model, or fetch its weights.",
    "published": "Check the figures of the published cards, and set them beside ours.",
    "cache": "Show and prune the store of shards and embeddings.",
    "card": "Write a result as a model card.",
    "export": "Write a result as an archive.",
    "version": "Print the version.",
}
"""Every command and what it is for; ``plantain.commands.<name>`` holds a function of that name, or an ``app``."""

_HOLDERS = {"headline": "show", "version": "doctor"}
"""Commands whose function stands beside one that it is used with."""

_ANYWHERE = {"init", "selftest", "version"}
"""Commands that need no workspace."""


def _group() -> None:
    pass


class LazyCommands(TyperGroup):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"plantain.commands.{_HOLDERS.get(cmd_name, cmd_name)}")
        found = getattr(module, "app", None)
        if found is None:
            found = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
            found.command(cmd_name)(getattr(module, cmd_name))
        elif found.registered_callback is None:
            # Without a callback typer folds an app of one command into that command.
            found.callback()(_group)
        built: TyperCommand | TyperGroup = get_command(found)  # type: ignore[assignment]
        return built

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    cls=LazyCommands,
    help="Experiment tracking for interpretability probes of image generators.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root(context: typer.Context) -> None:
    """Experiment tracking for interpretability probes of image generators."""
    if context.invoked_subcommand in _ANYWHERE or "--help" in sys.argv:
        return
    here = Path.cwd()
    workspace = places.expect_workspace(here)
    if workspace != here:
        print(f"plantain: in the workspace {workspace}", file=sys.stderr)
        context.with_resource(places.working_in(workspace))


def main() -> None:
    """Run the command line; errors for people go to stderr, with exit code 1 or 2 and without a traceback."""
    try:
        app()
    except PlantainError as error:
        print(f"plantain: {redacted(str(error))}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        said = disk_error(error)
        if said is None:
            raise
        print(f"plantain: {said}", file=sys.stderr)
        raise SystemExit(said.exit_code) from None


if __name__ == "__main__":
    main()
