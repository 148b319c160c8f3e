"""``plantain init``: a workspace anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from plantain import __version__
from plantain.stages.workspace.make import make_workspace
from plantain.stages.workspace.template import STARTER

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A new or an empty folder.")]


def init(folder: Folder) -> None:
    """Make DIR a workspace: a git and DVC repository with an example probe, ready for `plantain run`."""
    made = make_workspace(folder)
    print(f"{made.path} is a workspace of plantain {__version__}, with the probe '{STARTER}' on the embedded models.")
    if made.uncommitted:
        print(f"git made no commit ({made.uncommitted}).")
        print("Say who you are with `git config user.name` and `git config user.email`, then `git commit -m Begin`.")
    print(f"Next: `cd {made.path}`, then `plantain run`.")
