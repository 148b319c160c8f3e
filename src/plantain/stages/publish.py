"""``publish``: the ledger, and MLflow as a view of the receipts. A tracker that fails never fails the pipeline."""

from pathlib import Path

from plantain.base import places
from plantain.base.config import read_params
from plantain.stages.frame import RINGS, guard, run
from plantain.track.mlflow.publish import publish


def main() -> None:
    """``python -m plantain.stages.publish``."""
    guard("publish")
    print(publish(Path(), read_params(), places.MARKER).sentence())


if __name__ == "__main__":
    run(main, seldom=RINGS)
