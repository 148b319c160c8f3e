"""Text for a terminal: lines of at most a hundred columns."""

import textwrap
from typing import Final

WIDTH: Final = 100
"""Columns of everything that a command prints for people; a word that is longer stands alone in its line."""


def wrapped(text: str, *, first: str = "", then: str = "") -> list[str]:
    """``text`` in lines of at most ``WIDTH`` columns, the first led by ``first`` and every other by ``then``."""
    found = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=then, break_long_words=False, break_on_hyphens=False
    )
    return found or [first.rstrip()]


def shortened(text: str, width: int) -> str:
    """``text``, and where it is longer than ``width`` its end, led by an ellipsis: of a path the end says most."""
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]
