"""A real Ray cluster on this machine: the same bytes on any number of actors, also where some are killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from helpers.capture_model import Notes, make_lock, prompted, records

from plantain.base.errors import InputError
from plantain.base.params import CaptureParams, ReferenceParams
from plantain.capture import cell as cell_module
from plantain.capture.cell import capture_cell
from plantain.capture.elsewhere.cluster import Crew, crew_at
from plantain.capture.elsewhere.devices import Devices, devices_here
from plantain.capture.elsewhere.hand import Seen, refuse_unlike
from plantain.capture.pictures.references import generate
from plantain.records.activations import write_activations
from plantain.records.grams import write_grams

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="actors are killed by signal"),
]

MANY = tuple(f"a creature called {name}" for name in "abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(scope="module")
def cluster():
    import ray

    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    crew_at.cache_clear()
    yield ray
    crew_at.cache_clear()
    ray.shutdown()


def capture(folder: Path, cache: Path, monkeypatch, actors: int, *, name="small", creatures=MANY, told=None):
    """The bytes of activations and Gram matrices, by so many actors; 0 for this process alone."""
    monkeypatch.setenv("PLANTAIN_CACHE", str(cache))
    monkeypatch.setenv("PLANTAIN_WORKERS", str(max(actors, 1)))
    if actors:
        monkeypatch.setenv("PLANTAIN_RAY", "auto")
    else:
        monkeypatch.delenv("PLANTAIN_RAY", raising=False)
    asked = records("kitchen", creatures=creatures)
    found = capture_cell(asked, folder / "images", make_lock(folder, name), CaptureParams(), told or Notes())
    written = cache / "activations.safetensors", cache / "grams.safetensors"
    write_activations(written[0], found.activations)
    write_grams(written[1], found.grams)
    return tuple(path.read_bytes() for path in written)


def stored(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for kind in ("shards", "embeddings") for path in (cache / kind).glob("*/*")}


def actors() -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            if "ray::Hand" in " ".join(one.info["cmdline"] or ()):
                found.append(one)
    return found


class Killer(Notes):
    """Kills an actor whenever so many more passes (or images) are done, while others wait for one."""

    def __init__(self, passes: int, most: int = 1, unit: str = "passes") -> None:
        super().__init__()
        self._every, self._most, self._of, self._done = passes, most, unit, 0
        self.killed: list[int] = []

    def advance(self, steps: int = 1) -> None:
        super().advance(steps)
        self._done += steps if self._unit == self._of else 0
        if len(self.killed) < self._most and self._done >= self._every * (len(self.killed) + 1):
            one = actors()[-1]
            one.send_signal(signal.SIGKILL)
            one.wait(30)
            self.killed.append(one.pid)


@pytest.mark.long
def test_two_actors_give_the_bytes_of_one_process_although_one_is_killed(cluster, folder, tmp_path, monkeypatch):
    """The other may finish all before the loss is even noticed."""
    told = Killer(passes=4)
    two = capture(folder, tmp_path / "two", monkeypatch, 2, told=told)
    assert told.killed
    assert told.passes == 2 * len(MANY)
    assert two == capture(folder, tmp_path / "alone", monkeypatch, 0)
    assert stored(tmp_path / "two") == stored(tmp_path / "alone")


def test_the_only_actor_is_started_again_where_it_is_killed(cluster, folder, tmp_path, monkeypatch):
    told = Killer(passes=4)
    one = capture(folder, tmp_path / "one", monkeypatch, 1, told=told, creatures=MANY[:6])
    assert told.killed
    assert any("an actor was lost" in sentence for sentence in told.said)
    assert one == capture(folder, tmp_path / "alone", monkeypatch, 0, creatures=MANY[:6])


@pytest.mark.long
def test_actors_draw_what_one_process_draws_although_one_is_killed(cluster, folder, tmp_path, monkeypatch):
    asked = [prompted(f"room{number}", f"A kitchen with {number} chairs") for number in range(12)]
    found, told = {}, Killer(passes=1, unit="images")
    for name, address, progress in (("alone", "", Notes()), ("actors", "auto", told)):
        monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / f"cache-{name}"))
        monkeypatch.setenv("PLANTAIN_WORKERS", "1")
        monkeypatch.setenv("PLANTAIN_RAY", address)
        generate(asked, make_lock(folder), ReferenceParams(steps=3, seed=7), tmp_path / name, progress)
        found[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert told.killed
    assert found["alone"] == found["actors"]
    assert len(found["actors"]) == 24


def test_a_store_behind_a_url_serves_as_a_folder_does(folder, tmp_path, monkeypatch):
    alone = capture(folder, tmp_path / "alone", monkeypatch, 0, creatures=MANY[:2])
    monkeypatch.setenv("PLANTAIN_STORE", "memory://passes")
    assert capture(folder, tmp_path / "far", monkeypatch, 0, creatures=MANY[:2]) == alone
    assert not (tmp_path / "far" / "shards").exists()
    told = Notes()
    assert capture(folder, tmp_path / "again", monkeypatch, 0, creatures=MANY[:2], told=told) == alone
    assert told.passes == 0


def test_what_an_actor_refuses_is_said_here(cluster, folder, tmp_path, monkeypatch):
    lock = make_lock(folder)
    monkeypatch.setenv("PLANTAIN_RAY", "auto")
    asked = records("kitchen", creatures=("a <|im_start|>",))
    with pytest.raises(InputError, match="im_start"):
        capture_cell(asked, folder / "images", lock, CaptureParams(), Notes())


def test_a_batch_size_that_only_a_device_knows_is_refused(cluster, folder, monkeypatch):
    monkeypatch.setenv("PLANTAIN_RAY", "auto")
    with pytest.raises(InputError, match="batch_size"):
        capture_cell(
            records("kitchen"), folder / "images", make_lock(folder), CaptureParams(batch_size="auto"), Notes()
        )


@pytest.mark.parametrize("address", ["127.0.0.1:9", "somewhere:port"])
def test_there_must_be_a_cluster(address):
    with pytest.raises(InputError, match=f"no Ray cluster at '{address}'"):
        crew_at(address)


SAME = {"torch": "2.13.0", "capture": "2"}


def test_another_version_is_refused_by_name():
    with pytest.raises(InputError, match=r"box has torch 2.12.0, this machine 2.13.0"):
        refuse_unlike([Seen("cpu", SAME | {"torch": "2.12.0"}, "box")], SAME, mixed=True)


def test_one_cell_on_two_kinds_of_device_is_refused_unless_asked_for():
    hands = [Seen("NVIDIA H100", SAME, "one"), Seen("NVIDIA A100", SAME, "two")]
    with pytest.raises(InputError, match="2 kinds of device: NVIDIA A100; NVIDIA H100"):
        refuse_unlike(hands, SAME, mixed=False)
    assert refuse_unlike(hands, SAME, mixed=True) == ["NVIDIA A100", "NVIDIA H100"]


class Resources:
    def __init__(self, **there: float) -> None:
        self.there = there

    def cluster_resources(self):
        return self.there


@pytest.mark.parametrize(
    ("declared", "there", "found"),
    [("auto", {"CPU": 4, "GPU": 2}, "cuda"), ("auto", {"CPU": 4}, "cpu"), ("cpu", {"CPU": 4, "GPU": 2}, "cpu")],
)
def test_the_device_is_that_of_the_cluster(folder, declared, there, found):
    lock = make_lock(folder).model_copy(update={"device": declared})
    assert Crew(Resources(**there)).device(lock) == found
    with pytest.raises(InputError, match="no GPU"):
        Crew(Resources(CPU=4)).device(lock.model_copy(update={"device": "cuda"}))


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_twenty_rounds_of_killed_actors(cluster, folder, tmp_path, monkeypatch):
    expected = capture(folder, tmp_path / "alone", monkeypatch, 0, name="family")
    random = np.random.default_rng(0)
    kills = 0
    for number in range(20):
        told = Killer(passes=int(random.integers(2, 30)), most=int(random.integers(1, 4)))
        cache = tmp_path / f"round-{number}"
        assert capture(folder, cache, monkeypatch, 1 + number % 3, name="family", told=told) == expected
        kills += len(told.killed)
    assert kills >= 20


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_killed_driver_is_resumed(cluster, folder, tmp_path, monkeypatch):
    expected = capture(folder, tmp_path / "alone", monkeypatch, 0)
    make_lock(folder)
    script = (
        "import sys; from pathlib import Path\n"
        "from helpers.capture_model import make_lock, records, Notes\n"
        "from plantain.base.params import CaptureParams\n"
        "from plantain.capture.cell import capture_cell\n"
        "folder = Path(sys.argv[1]); names = sys.argv[2:]\n"
        "asked, lock = records('kitchen', creatures=names), make_lock(folder)\n"
        "capture_cell(asked, folder / 'images', lock, CaptureParams(), Notes())\n"
    )
    cache = tmp_path / "resumed"
    address = cluster.get_runtime_context().gcs_address
    environment = os.environ | {
        "PLANTAIN_CACHE": str(cache),
        "PLANTAIN_RAY": address,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }
    driver = subprocess.Popen([sys.executable, "-c", script, str(folder), *MANY], env=environment)
    try:
        deadline = time.monotonic() + 200
        while sum(1 for _ in (cache / "shards").glob("*/*.safetensors")) < 3:
            assert time.monotonic() < deadline
            assert driver.poll() is None
            time.sleep(0.02)
    finally:
        driver.kill()
        driver.wait()
    told = Notes()
    assert capture(folder, cache, monkeypatch, 2, told=told) == expected
    assert told.passes < 2 * len(MANY)


@pytest.mark.long
def test_spawned_processes_give_the_bytes_of_one(folder, tmp_path, monkeypatch):
    """As for two GPUs of one machine, on two processors."""
    monkeypatch.setattr(cell_module, "crew_for", lambda _: Devices(2, "cpu"))
    told = Notes()
    two = capture(folder, tmp_path / "two", monkeypatch, 0, told=told, creatures=MANY[:6])
    assert told.passes == 12
    monkeypatch.setattr(cell_module, "crew_for", lambda _: None)
    assert two == capture(folder, tmp_path / "alone", monkeypatch, 0, creatures=MANY[:6])


def test_several_devices_are_used_where_a_model_may_have_them(folder, monkeypatch):
    lock = make_lock(folder)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cases = ((4, "auto", 4), (4, "cuda", 4), (4, "cuda:1", None), (4, "cpu", None), (1, "auto", None))
    for count, declared, found in cases:
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        there = devices_here(lock.model_copy(update={"device": declared}))
        assert (None if there is None else there.count) == found
