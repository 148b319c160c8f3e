"""Nested parameters as flat names that MLflow accepts."""

import re
from typing import Any, Final

from plantain.files import canonical_json, digest

_FOREIGN: Final = re.compile(r"[^\w\-. /]")
_LONGEST: Final = 6000
"""MLflow's limit on the length of a parameter."""


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as dotted keys that MLflow accepts, values as text."""
    found: dict[str, str] = {}
    for key, value in params.items():
        name = prefix + _accepted(str(key))
        if isinstance(value, dict) and value:
            found |= flat(value, f"{name}.")
        else:
            text = value if isinstance(value, str) else canonical_json(value).decode()
            found[name] = text if len(text) <= _LONGEST else f"sha256 {digest(value)}"
    return found


def _accepted(name: str) -> str:
    """``name`` with each character that MLflow refuses in names as ``:<hex>:``, so that no two names collide."""
    return _FOREIGN.sub(lambda match: f":{ord(match.group()):x}:", name)
