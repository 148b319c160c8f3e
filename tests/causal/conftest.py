"""One theatre of the embedded model for all tests: two creatures, wordings of both sides, one reference."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.capture_model import image_folder, make_lock, record

from plantain.base.params import CaptureParams, read_params
from plantain.capture.progress import Silent
from plantain.causal.clean import CleanPass
from plantain.causal.heads_map import SwapPair
from plantain.causal.theatre import Theatre
from plantain.model.resolve import resolve
from plantain.records.keys import Pass, passes, reference_images
from plantain.records.lock import ModelLock

ROOT = Path(__file__).resolve().parents[2]
SIDES = {
    "viewpoint": "Render this kitchen from the viewpoint of {}",
    "viewpoint_2": "Paint this kitchen through the eyes of {}",
    "mention": "Render this kitchen with {} in it",
}
CREATURES = ("a dog", "a cat")


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A store for the whole session, so that the embedded model is built once."""
    folder = tmp_path_factory.mktemp("causal")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTAIN_CACHE", str(folder / "cache"))
        patch.chdir(ROOT)
        yield folder


def locked(name: str) -> ModelLock:
    return resolve(name, read_params(ROOT / "params.yaml"))[0]


@dataclass(frozen=True)
class Stage:
    theatre: Theatre
    passes: dict[tuple[str, str], Pass]
    clean: dict[tuple[str, str], CleanPass]

    def pair(self, creature: str = "a dog") -> SwapPair:
        return SwapPair(self.passes[creature, "mention"], self.passes[creature, "viewpoint"])


def put(lock: ModelLock, folder: Path, **options) -> Stage:
    sets = [
        record(creature, condition, prompt.format(creature), "kitchen")
        for creature in CREATURES
        for condition, prompt in SIDES.items()
    ]
    ordered = passes(sets, [0])
    images = reference_images(sets, folder)
    theatre = Theatre.open(ordered, images, lock, CaptureParams(), progress=Silent(), **options)
    named = {(one.item, one.condition): one for one in ordered}
    return Stage(theatre, named, {name: theatre.clean(one) for name, one in named.items()})


@pytest.fixture(scope="session")
def room(home) -> Path:
    """A folder with a reference image that the embedded model was taught to read: a room of its own world."""
    from training import behaviour, world

    folder = home / "images"
    folder.mkdir()
    rooms = behaviour.fresh_rooms(3)
    behaviour.to_image(world.render(rooms.take([0]), world.reference_shots(1))[0]).save(folder / "kitchen.png")
    return folder


@pytest.fixture(scope="session")
def tiny(home, room) -> Stage:
    return put(locked("tiny"), room)


@pytest.fixture(scope="session")
def untrained(home, room) -> Stage:
    return put(locked("tiny-untrained"), room)


@pytest.fixture(scope="session")
def small(home, small_model) -> Stage:
    """Two joint and three single blocks with random weights: for what needs no trained model."""
    return put(make_lock(small_model), image_folder(home / "noise", "kitchen"))
