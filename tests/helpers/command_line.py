"""The command line in this process, whose imports are paid for."""

import contextlib
import io
import sys
from pathlib import Path
from typing import NamedTuple

from plantain.cli import main


class Answer(NamedTuple):
    """What a person would see."""

    code: int
    output: str
    errors: str


def plantain(*arguments: str, folder: Path = Path()) -> Answer:
    """What ``plantain`` answers to ``arguments`` in ``folder``."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        before, sys.argv = sys.argv, ["plantain", *arguments]
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv = before
    return Answer(code, output.getvalue(), errors.getvalue())
