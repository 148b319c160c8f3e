"""Which contrast speaks for a cell: one rule for the verdict, the page, the terminal and MLflow.

A contrast with the role ``target`` or ``published`` has that name and is the only one of its role, so that the names
alone say which one it is, wherever a record holds them.
"""

from collections.abc import Iterable
from typing import Final

from plantain.probe.spec import Role

_ASKED: Final = (Role.target, Role.published)
_REPEATED: Final = (Role.published, Role.target)


def in_order(contrasts: Iterable[str]) -> list[str]:
    """The target, the published contrast, then controls by name, which is the order in which records keep them."""
    return sorted(contrasts, key=lambda name: (_place(name), name))


def speaking(contrasts: Iterable[str]) -> str | None:
    """The contrast that the verdict rests on and that stands first everywhere; None where there is none."""
    return next(iter(in_order(contrasts)), None)


def repeating(contrasts: Iterable[str]) -> str | None:
    """The contrast that repeats a published card; None for a probe of controls alone."""
    known = set(contrasts)
    return next((role.value for role in _REPEATED if role.value in known), None)


def _place(name: str) -> int:
    return next((place for place, role in enumerate(_ASKED) if role.value == name), len(_ASKED))
