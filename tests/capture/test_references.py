import base64
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from helpers.capture_model import LAYERS, LENGTH, SIZE, image_folder, make_lock, prompted, records
from PIL import Image

from plantain.base.errors import InputError
from plantain.base.files import sha256_file
from plantain.base.params import CaptureParams, CapturePath, ReferenceParams
from plantain.capture.cell import capture_cell
from plantain.capture.elsewhere.devices import Devices
from plantain.capture.noise import gaussian
from plantain.capture.pictures.references import generate
from plantain.capture.progress import Silent
from plantain.capture.workers import share
from plantain.model.load import load_pipeline
from plantain.probe.records import ReferenceRecord
from plantain.report.page.sections import thumbnail

FEW = ReferenceParams(steps=3, guidance_scale=4.0, seed=7)


def rooms(count: int) -> list[ReferenceRecord]:
    return [prompted(f"room{number}", f"A kitchen with {number} chairs") for number in range(count)]


def drawn(asked, folder, out, monkeypatch, *, workers) -> dict[str, bytes]:
    """The files that are made from an empty store."""
    monkeypatch.setenv("PLANTAIN_CACHE", f"{out}-cache")
    monkeypatch.setenv("PLANTAIN_WORKERS", str(workers))
    generate(asked, make_lock(folder), FEW, out, Silent())
    return {path.name: path.read_bytes() for path in out.iterdir()}


def of_file(name: str, path) -> ReferenceRecord:
    return ReferenceRecord(name, None, f"images/{path.name}", sha256_file(path), "0" * 64)


@pytest.mark.parametrize("guidance", [4.0, 1.0])
def test_an_image_is_that_of_the_plain_call(folder, tmp_path, guidance):
    lock, params = make_lock(folder), ReferenceParams(steps=3, guidance_scale=guidance, seed=7)
    assert generate([prompted("kitchen", "A kitchen")], lock, params, tmp_path / "out", Silent()) == "cpu"
    expected = load_pipeline(lock, "cpu")(
        prompt="A kitchen",
        height=SIZE,
        width=SIZE,
        num_inference_steps=3,
        guidance_scale=guidance,
        latents=torch.from_numpy(gaussian(7, (1, 16, SIZE // 16, SIZE // 16))),
        max_sequence_length=LENGTH,
        text_encoder_out_layers=LAYERS,
    ).images[0]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/kitchen.png")), np.asarray(expected))
    note = json.loads((tmp_path / "out/kitchen.json").read_bytes())
    assert (note["prompt"], note["steps"], note["guidance_scale"], note["seed"]) == ("A kitchen", 3, guidance, 7)
    assert note["image_sha256"] == sha256_file(tmp_path / "out/kitchen.png")


def test_equal_inputs_generate_once_and_an_untrained_model_shows_its_parents(folder, tmp_path, monkeypatch):
    records = [prompted("kitchen", "A kitchen")]
    generate(records, make_lock(folder), FEW, tmp_path / "one", Silent())
    monkeypatch.setattr("plantain.capture.pictures.imagery.load_transformer", lambda *_: pytest.fail("generated again"))
    generate(records, make_lock(folder, "untrained"), FEW, tmp_path / "two", Silent())
    renamed = [prompted("room", "A kitchen")]
    generate(renamed, make_lock(folder, "family"), FEW, tmp_path / "three", Silent())
    images = [tmp_path / "one/kitchen.png", tmp_path / "two/kitchen.png", tmp_path / "three/room.png"]
    assert len({sha256_file(image) for image in images}) == 1
    assert (tmp_path / "one/kitchen.json").read_bytes() == (tmp_path / "two/kitchen.json").read_bytes()


def test_two_cores_draw_what_one_draws(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("plantain.capture.workers._WORTH", 1)
    asked, shared = rooms(3), []
    monkeypatch.setattr(
        "plantain.capture.pictures.drawing.share", lambda *given: shared.append(given[1]) or share(*given)
    )
    alone = drawn(asked, folder, tmp_path / "one", monkeypatch, workers=1)
    assert drawn(asked, folder, tmp_path / "two", monkeypatch, workers=2) == alone
    assert shared == [1, 2]
    assert len(alone) == 2 * len(asked)


@pytest.mark.long
def test_spawned_processes_draw_what_one_draws(folder, tmp_path, monkeypatch):
    """As for two GPUs of one machine, on two processors."""
    asked = rooms(10)
    alone = drawn(asked, folder, tmp_path / "one", monkeypatch, workers=1)
    monkeypatch.setattr("plantain.capture.pictures.drawing.crew_for", lambda _: Devices(2, "cpu"))
    monkeypatch.setattr("plantain.capture.pictures.drawing.share", lambda *_: pytest.fail("drawn here"))
    assert drawn(asked, folder, tmp_path / "two", monkeypatch, workers=1) == alone


@pytest.mark.parametrize("change", [{"steps": 4}, {"seed": 8}, {"guidance_scale": 2.0}])
def test_another_setting_is_another_image(folder, tmp_path, change):
    records = [prompted("kitchen", "A kitchen")]
    generate(records, make_lock(folder), FEW, tmp_path / "one", Silent())
    generate(records, make_lock(folder), ReferenceParams(**(FEW.model_dump() | change)), tmp_path / "two", Silent())
    assert sha256_file(tmp_path / "one/kitchen.png") != sha256_file(tmp_path / "two/kitchen.png")


def test_a_damaged_image_is_drawn_again(folder, tmp_path):
    records, cache = [prompted("kitchen", "A kitchen")], tmp_path / "cache/references"
    generate(records, make_lock(folder), FEW, tmp_path / "one", Silent())
    (entry,) = cache.glob("*/*")
    entry.write_bytes(entry.read_bytes()[:-9] + b"123456789")
    generate(records, make_lock(folder), FEW, tmp_path / "two", Silent())
    assert sha256_file(tmp_path / "one/kitchen.png") == sha256_file(tmp_path / "two/kitchen.png")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The folder images/ of a repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "images"


def test_a_file_is_cached_in_the_form_in_which_it_is_seen(folder, tmp_path, own):
    source = image_folder(own, "photo") / "photo.png"
    assert generate([of_file("kitchen", source)], make_lock(folder), FEW, tmp_path / "out", Silent()) is None
    assert (tmp_path / "out/kitchen.png").read_bytes() == source.read_bytes()
    note = json.loads((tmp_path / "out/kitchen.json").read_bytes())
    assert (note["file"], note["file_sha256"], note["conversions"]) == ("images/photo.png", sha256_file(source), [])
    deep = own / "deep.png"
    values = np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(values).save(deep, exif=exif)
    generate([of_file("room", deep)], make_lock(folder), FEW, tmp_path / "out", Silent())
    turned = np.repeat((values // 256)[::-1].T[..., None], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/room.png")), turned)
    note = json.loads((tmp_path / "out/room.json").read_bytes())
    done = ["turned upright (EXIF orientation 6)", "16 bits a channel to 8", "grey to RGB"]
    assert (note["conversions"], note["width"], note["height"]) == (done, 64, 96)
    assert note["file_sha256"] == sha256_file(deep)
    assert note["image_sha256"] == sha256_file(tmp_path / "out/room.png")


def test_unfit_files_are_refused(folder, tmp_path, own):
    lock, out = make_lock(folder), tmp_path / "out"
    small = image_folder(own, "small", size=(40, 80)) / "small.png"
    long = image_folder(own, "long", size=(640, 64)) / "long.png"
    cut = own / "cut.png"
    cut.write_bytes(image_folder(own, "whole").joinpath("whole.png").read_bytes()[:-3000])
    text = own / "text.png"
    text.write_text("no image")
    for path, reason in ((small, "40 x 80"), (long, "640 x 64"), (cut, "cut short"), (text, "not a picture")):
        with pytest.raises(InputError, match=reason):
            generate([of_file("kitchen", path)], lock, FEW, out, Silent())
    assert list(out.iterdir()) == []
    changed = of_file("kitchen", small)
    image_folder(own, "small", size=(80, 80))
    with pytest.raises(InputError, match="changed"):
        generate([changed], lock, FEW, out, Silent())
    small.unlink()
    with pytest.raises(InputError, match="missing"):
        generate([changed], lock, FEW, out, Silent())


def test_both_paths_and_the_page_have_the_same_pixels(folder, tmp_path, own, monkeypatch):
    """What VaeImageProcessor is handed on either path, and what stands on the page, against the raw array."""
    own.mkdir()
    values = np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(96, 64)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(values).save(own / "deep.png", exif=exif)
    lock = make_lock(folder)
    images = tmp_path / "data/references/small/mini"
    generate([of_file("room", own / "deep.png")], lock, FEW, images, Silent())
    seen: list[np.ndarray] = []
    real = VaeImageProcessor.preprocess
    monkeypatch.setattr(VaeImageProcessor, "preprocess", lambda *a, **k: seen.append(np.asarray(a[1])) or real(*a, **k))
    for path in (CapturePath.fast, CapturePath.pipeline):
        capture_cell(records("room", creatures=("a cat",)), images, lock, CaptureParams(path=path), Silent())
    expected = np.repeat((values // 256)[::-1, ::-1, None], 3, axis=2)
    assert len(seen) > 2
    for found in seen:
        np.testing.assert_array_equal(found, expected)
    page = base64.b64decode(thumbnail(images / "room.png", 640).partition("base64,")[2])
    assert np.abs(np.asarray(Image.open(io.BytesIO(page))).astype(int) - expected).max() < 8  # a JPEG of quality 85


def test_a_picture_that_was_put_into_the_cache_by_hand_is_refused(folder, tmp_path):
    Image.new("L", (SIZE, SIZE)).save(tmp_path / "room.png")
    with pytest.raises(InputError, match=r"room\.png: not an 8-bit RGB picture"):
        capture_cell(records("room"), tmp_path, make_lock(folder), CaptureParams(), Silent())


def test_a_model_that_draws_too_small_is_refused_before_it_draws(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("plantain.capture.encode.load_text_encoder", lambda *_: pytest.fail("loaded"))
    with pytest.raises(InputError, match="48 x 64 pixels cannot condition"):
        generate([prompted("kitchen", "A kitchen")], make_lock(folder, width=48), FEW, tmp_path / "out", Silent())


def test_prompts_are_checked_before_anything_is_drawn(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("plantain.capture.encode.load_text_encoder", lambda *_: pytest.fail("loaded"))
    for prompt in ("<|im_end|>", "x" * LENGTH):
        with pytest.raises(InputError, match="prompt"):
            generate([prompted("kitchen", prompt)], make_lock(folder), FEW, tmp_path / "out", Silent())


def test_what_needs_no_drawing_imports_no_torch(folder, tmp_path):
    code = """
import sys
from pathlib import Path
from plantain.capture.pictures.references import generate
from plantain.base.params import ReferenceParams
from plantain.capture.progress import Silent
from plantain.probe.records import ReferenceRecord
from plantain.records.lock import read_lock
out, few = Path(sys.argv[1]), ReferenceParams(steps=3, guidance_scale=4.0, seed=7)
kitchen = ReferenceRecord("kitchen", "A kitchen", None, None, sys.argv[2])
assert generate([], None, few, out / "none", Silent()) is None
assert all(generate([kitchen], read_lock(path), few, out / path.stem, Silent()) == "cpu" for path in out.glob("*.lock"))
print(sorted(name for name in ("torch", "diffusers", "transformers") if name in sys.modules))
"""
    kitchen = prompted("kitchen", "A kitchen")
    generate([kitchen], make_lock(folder), FEW, tmp_path / "drawn", Silent())
    for kind in ("trained", "untrained"):
        lock = make_lock(folder) if kind == "trained" else make_lock(folder, kind)
        (tmp_path / f"{kind}.lock").write_bytes(lock.to_bytes())
    command = [sys.executable, "-c", code, str(tmp_path), kitchen.sha256]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    for kind in ("trained", "untrained"):
        for name in ("kitchen.png", "kitchen.json"):
            assert (tmp_path / kind / name).read_bytes() == (tmp_path / "drawn" / name).read_bytes()


def test_png_bytes_are_repeatable():
    from plantain.capture.pictures.imagery import png

    image = Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3))
    assert png(image) == png(image)
    assert Image.open(io.BytesIO(png(image))).size == (64, 64)
