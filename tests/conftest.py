import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.workspace import forget_outer_checkout

from plantain.base.params import TrackingParams
from plantain.track.mlflow import store

LONGEST = ("test_pipeline.py", "test_audit.py", "test_behaviour.py")


def pytest_collection_modifyitems(items):
    """Put the files that take longest first: at the end one worker would be alone with them."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory):
    """An MLflow SQLite file with its schema, made once: the migrations cost seconds."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    store.set_environment(10)
    with store._fast_sqlite():
        store._create(database)
    return database


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A folder with a small real pipeline and three images: kitchen and hall of its own size, wide of another."""
    from helpers.capture_model import image_folder, make_lock

    folder = tmp_path_factory.mktemp("small-model")
    make_lock(folder)
    image_folder(folder / "images", "kitchen", "hall")
    image_folder(folder / "images", "wide", size=(130, 70))
    return folder


@pytest.fixture(scope="session")
def saved(small_model):
    """The small pipeline as diffusers saved it; not to be written to."""
    return small_model / "pipeline"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty folder as the working folder, with nothing of the outer checkout in the environment."""
    forget_outer_checkout(monkeypatch)
    root = tmp_path / "checkout"
    root.mkdir()
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def tracked(checkout, migrated_store):
    """A checkout with an MLflow store of its own."""
    (checkout / "mlflow").mkdir()
    shutil.copy2(migrated_store, checkout / "mlflow" / "mlflow.db")
    return checkout


@pytest.fixture
def tracking():
    return TrackingParams(timeout=3.0)


@pytest.fixture
def git(checkout):
    """Run git in the checkout, which becomes a repository."""
    identity = {f"GIT_{who}_{what}": f"{what}@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def run(*arguments):
        environment = os.environ | identity
        done = subprocess.run(["git", *arguments], cwd=checkout, env=environment, capture_output=True, check=True)
        return done.stdout.decode().strip()

    run("init", "--quiet", "--initial-branch=main")
    return run


@pytest.fixture(scope="session")
def python():
    """Start Python on a program with the test helpers importable."""

    def start(program, cwd, **environment):
        path = f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start
