"""Where things are: the repository root, and the folder that neither git nor DVC sees."""

import os
from pathlib import Path

from plantain.base.errors import InputError


def root() -> Path:
    """The repository root: ``DVC_ROOT`` inside a stage (also under ``dvc exp run --temp``), else the working folder."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def state_dir() -> Path:
    """``.plantain/`` in the repository root, or where ``PLANTAIN_CACHE`` points.

    Raises:
        InputError: ``PLANTAIN_CACHE`` points at a file, or below one.
    """
    moved = os.environ.get("PLANTAIN_CACHE")
    if not moved:
        return root() / ".plantain"
    folder = Path(moved).resolve()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        fix = "point it at a folder, which need not exist yet, or unset it."
        raise InputError(f"{there} is a file, not a folder.", field="PLANTAIN_CACHE", fix=fix)
    return folder


def mlflow_dir() -> Path:
    """``mlflow/`` in the repository root: the store and its artifacts."""
    return root() / "mlflow"
