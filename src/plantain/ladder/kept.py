"""Verdicts of cells that were judged before: one whose inputs, rules and code are the same is not judged anew.

A note under ``.plantain/``, which can be made again; what it says is what judging would say, to the byte.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from plantain.base.errors import InputError
from plantain.base.files import sha256_bytes, write_atomic
from plantain.base.places import state_dir
from plantain.records.verdict import Verdict, read_verdict

KIND: Final = "verdicts"
"""The folder below ``.plantain/``."""


def recalled(key: str, make: Callable[[], Verdict]) -> Verdict:
    """The verdict that was made under ``key``, a digest of everything that decides it; else made, and kept."""
    path = state_dir() / KIND / key[:2] / f"{key}.json"
    known = _known(path)
    if known is not None:
        return known
    made = make()
    content = made.to_bytes()
    with suppress(OSError):  # without the note the cell is judged again
        write_atomic(path, sha256_bytes(content).encode() + b"\n" + content)
    return made


def _known(path: Path) -> Verdict | None:
    """What stands in a note; None where it is missing, or is not what was written."""
    try:
        sha256, _, content = path.read_bytes().partition(b"\n")
        if sha256_bytes(content).encode() != sha256:
            return None
        os.utime(path)
        return read_verdict(content, path)
    except (OSError, InputError):
        return None
