"""One theatre of the embedded model for all tests: two creatures, wordings of both sides, one reference."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.capture_model import image_folder, make_lock, record

from plantain.base.config import read_params
from plantain.base.params import CaptureParams
from plantain.capture.progress import Silent
from plantain.causal.clean import CleanPass
from plantain.causal.heads_map import SwapPair
from plantain.causal.theatre import Theatre
from plantain.model.resolve import resolve
from plantain.records.keys import Pass, passes, reference_images
from plantain.records.lock import ModelLock
from training import behaviour, world

ROOT = Path(__file__).resolve().parents[2]
ROOM = behaviour.fresh_rooms(4_242).take(np.array([0]))
SIDES = {
    "viewpoint": "Render this kitchen from the viewpoint of {}",
    "viewpoint_2": "Paint this kitchen through the eyes of {}",
    "mention": "Render this kitchen with {} in it",
}
CREATURES = ("a small dog", "a tall person")
"""Of the thirty that the embedded model knows; items are called by their names."""


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """A folder for the whole session, so that the embedded model is built once."""
    return tmp_path_factory.mktemp("causal")


@pytest.fixture(autouse=True)
def cache(home, monkeypatch) -> Path:
    """The store of the session; a test that needs an empty one moves it."""
    monkeypatch.setenv("PLANTAIN_CACHE", str(home / "cache"))
    return home / "cache"


def locked(name: str) -> ModelLock:
    return resolve(name, read_params(ROOT / "params.yaml"))[0]


@dataclass(frozen=True)
class Stage:
    theatre: Theatre
    passes: dict[tuple[str, str], Pass]
    clean: dict[tuple[str, str], CleanPass]

    def pair(self, creature: str = "a small dog") -> SwapPair:
        return SwapPair(self.passes[creature, "mention"], self.passes[creature, "viewpoint"])


def put(find: Callable[[], ModelLock], home: Path, folder: Path) -> Stage:
    sets = [
        record(creature, condition, prompt.format(creature), "kitchen")
        for creature in CREATURES
        for condition, prompt in SIDES.items()
    ]
    ordered = passes(sets, [0])
    images = reference_images(sets, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTAIN_CACHE", str(home / "cache"))
        theatre = Theatre.open(ordered, images, find(), CaptureParams(), progress=Silent())
    named = {(one.item, one.condition): one for one in ordered}
    return Stage(theatre, named, {name: theatre.clean(one) for name, one in named.items()})


@pytest.fixture(scope="session")
def room(home) -> Path:
    """A folder with a reference image that the embedded model was taught to read: a room of its own world."""
    folder = home / "images"
    folder.mkdir()
    behaviour.to_image(world.render(ROOM, world.doorway(1))[0]).save(folder / "kitchen.png")
    return folder


@pytest.fixture(scope="session")
def tiny(home, room) -> Stage:
    return put(lambda: locked("tiny"), home, room)


@pytest.fixture(scope="session")
def untrained(home, room) -> Stage:
    return put(lambda: locked("tiny-untrained"), home, room)


@pytest.fixture(scope="session")
def small(home, small_model) -> Stage:
    """Two joint and three single blocks with random weights: for what needs no trained model."""
    return put(lambda: make_lock(small_model), home, image_folder(home / "noise", "kitchen"))


@pytest.fixture
def staged(home):
    """Put other models on a stage: the lock, and the folder of its references."""
    return lambda find, folder: put(find, home, image_folder(folder, "kitchen"))


@pytest.fixture(scope="session")
def candidates():
    """All that the model's world can make of the room: (2 roles, 30 creatures, 64, 64, 3)."""
    return world.everyone(ROOM)
