"""plantain: experiment tracking for interpretability probes of image generators."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0.dev0"
__all__ = ["__version__", "load", "results"]

_API = ("load", "results")


def __getattr__(name: str) -> Any:
    """What `plantain.api` offers, imported when it is first asked for: stages and statistics need none of it."""
    if name not in _API:
        raise AttributeError(f"module 'plantain' has no attribute '{name}'")
    return getattr(import_module("plantain.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
