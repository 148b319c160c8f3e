import contextlib
import shutil
from pathlib import Path

import pytest
from helpers.track_helpers import judge, make_results, parameters
from helpers.workspace import forget_outer_checkout

from plantain.track.mlflow.publish import publish


@pytest.fixture(scope="session")
def publications(migrated_store, tmp_path_factory):
    """Two checkouts whose results were published, made once: ``plain``, and ``judged`` with a verdict on them."""
    folder = tmp_path_factory.mktemp("publications")
    with pytest.MonkeyPatch.context() as patch:
        forget_outer_checkout(patch)
        for name in ("plain", "judged"):
            root = folder / name
            (root / "mlflow").mkdir(parents=True)
            shutil.copy2(migrated_store, root / "mlflow" / "mlflow.db")
            with contextlib.chdir(root):
                make_results(root)
                if name == "judged":
                    judge(root)
                assert publish(root, parameters(), root / "mlflow/published.json").warning is None
    return folder


@pytest.fixture
def published(checkout, publications) -> Path:
    """A checkout with two cells that were published."""
    return shutil.copytree(publications / "plain", checkout, dirs_exist_ok=True)


@pytest.fixture
def judged(checkout, publications) -> Path:
    """The same with a verdict."""
    return shutil.copytree(publications / "judged", checkout, dirs_exist_ok=True)
