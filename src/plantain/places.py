"""Where things are: the repository root, and the folder that neither git nor DVC sees."""

import os
from pathlib import Path


def root() -> Path:
    """The repository root: ``DVC_ROOT`` inside a stage (also under ``dvc exp run --temp``), else the working folder."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def state_dir() -> Path:
    """``.plantain/`` in the repository root, or where ``PLANTAIN_CACHE`` points."""
    moved = os.environ.get("PLANTAIN_CACHE")
    return Path(moved).resolve() if moved else root() / ".plantain"


def mlflow_dir() -> Path:
    """``mlflow/`` in the repository root: the store and its artifacts."""
    return root() / "mlflow"
