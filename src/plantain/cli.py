"""``plantain …``: the commands put together. Each lives in its own module of ``plantain.commands``."""

import sys

import typer

from plantain import __version__
from plantain.commands.audit import audit
from plantain.commands.cache import app as cache
from plantain.commands.compare import compare
from plantain.commands.diff import diff
from plantain.commands.doctor import doctor
from plantain.commands.export import app as export
from plantain.commands.headline import headline
from plantain.commands.model import app as model
from plantain.commands.probe import app as probe
from plantain.commands.prompts import app as prompts
from plantain.commands.run import run
from plantain.commands.selftest import selftest
from plantain.commands.show import show
from plantain.commands.sync import sync
from plantain.commands.ui import ui
from plantain.errors import PlantainError

app = typer.Typer(
    help="Experiment tracking for interpretability probes of image generators.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (run, show, headline, compare, diff, audit, sync, ui, doctor, selftest):
    app.command()(command)
for name, group in (("prompts", prompts), ("probe", probe), ("model", model), ("cache", cache), ("export", export)):
    app.add_typer(group, name=name)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command line; errors for people go to stderr, with exit code 1 or 2 and without a traceback."""
    try:
        app()
    except PlantainError as error:
        print(f"plantain: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
