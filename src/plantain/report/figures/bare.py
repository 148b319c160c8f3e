"""matplotlib imported for less: nobody reads the help of a process that draws."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_help() -> Iterator[None]:
    """Import matplotlib inside of it: its artists' setters get no help and no signature, half of what it costs.

    Nothing else changes, and setters of artists that are imported later have both.
    """
    from matplotlib.artist import Artist

    artist: Any = Artist
    name = "_update_set_signature_and_docstring"
    describe = artist.__dict__.get(name)
    if describe is not None:  # else this matplotlib does it by other means
        setattr(artist, name, classmethod(lambda _: None))
    try:
        yield
    finally:
        if describe is not None:
            setattr(artist, name, describe)
