"""Text for a terminal: lines of at most a hundred columns."""

import textwrap
from typing import Final

WIDTH: Final = 100
"""Columns of everything that a command prints for people; a word that is longer stands alone in its line."""


GLUE: Final = "\N{NO-BREAK SPACE}"
"""A space at which no line is broken; it is printed as a plain one."""


def wrapped(text: str, *, first: str = "", then: str = "") -> list[str]:
    """``text`` in lines of at most ``WIDTH`` columns, the first led by ``first`` and every other by ``then``.

    Nothing is broken at ``GLUE``.
    """
    found = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(GLUE, " ") for line in found] or [first.rstrip()]


def shortened(text: str, width: int) -> str:
    """``text``, and where it is longer than ``width`` its end, led by an ellipsis: of a path the end says most."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]
