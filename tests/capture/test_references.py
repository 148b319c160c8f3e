import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.capture_model import LAYERS, LENGTH, SIZE, image_folder, make_lock, prompted
from PIL import Image

from plantain.base.errors import InputError
from plantain.base.files import sha256_file
from plantain.base.params import ReferenceParams
from plantain.capture.noise import gaussian
from plantain.capture.progress import Silent
from plantain.capture.references import generate
from plantain.model.load import load_pipeline
from plantain.probe.records import ReferenceRecord

FEW = ReferenceParams(steps=3, guidance_scale=4.0, seed=7)


def of_file(name: str, path) -> ReferenceRecord:
    return ReferenceRecord(name, None, str(path), sha256_file(path), "0" * 64)


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
    monkeypatch.setattr("plantain.capture.imagery.load_transformer", lambda *_: pytest.fail("generated again"))
    generate(records, make_lock(folder, "untrained"), FEW, tmp_path / "two", Silent())
    renamed = [prompted("room", "A kitchen")]
    generate(renamed, make_lock(folder, "family"), FEW, tmp_path / "three", Silent())
    images = [tmp_path / "one/kitchen.png", tmp_path / "two/kitchen.png", tmp_path / "three/room.png"]
    assert len({sha256_file(image) for image in images}) == 1
    assert (tmp_path / "one/kitchen.json").read_bytes() == (tmp_path / "two/kitchen.json").read_bytes()


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


def test_files_are_copied_through(folder, tmp_path):
    source = image_folder(tmp_path / "own", "photo") / "photo.png"
    assert generate([of_file("kitchen", source)], make_lock(folder), FEW, tmp_path / "out", Silent()) is None
    assert (tmp_path / "out/kitchen.png").read_bytes() == source.read_bytes()
    assert json.loads((tmp_path / "out/kitchen.json").read_bytes())["file_sha256"] == sha256_file(source)
    jpeg = tmp_path / "own/photo.jpg"
    Image.open(source).save(jpeg)
    generate([of_file("room", jpeg)], make_lock(folder), FEW, tmp_path / "out", Silent())
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/room.png")), np.asarray(Image.open(jpeg)))


def test_unfit_files_are_refused(folder, tmp_path):
    lock, out = make_lock(folder), tmp_path / "out"
    small = image_folder(tmp_path / "own", "small", size=(40, 80)) / "small.png"
    long = image_folder(tmp_path / "own", "long", size=(640, 64)) / "long.png"
    text = tmp_path / "own/text.png"
    text.write_text("no image")
    for path, reason in ((small, "40 x 80"), (long, "640 x 64"), (text, "Pillow")):
        with pytest.raises(InputError, match=reason):
            generate([of_file("kitchen", path)], lock, FEW, out, Silent())
    changed = of_file("kitchen", text)
    text.write_text("another")
    with pytest.raises(InputError, match="changed"):
        generate([changed], lock, FEW, out, Silent())
    text.unlink()
    with pytest.raises(InputError, match="missing"):
        generate([changed], lock, FEW, out, Silent())


def test_prompts_are_checked_before_anything_is_drawn(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("plantain.capture.encode.load_text_encoder", lambda *_: pytest.fail("loaded"))
    for prompt in ("<|im_end|>", "x" * LENGTH):
        with pytest.raises(InputError, match="prompt"):
            generate([prompted("kitchen", prompt)], make_lock(folder), FEW, tmp_path / "out", Silent())


def test_nothing_to_generate_imports_no_torch(tmp_path):
    code = """
import sys
from pathlib import Path
from plantain.capture.references import generate
from plantain.base.params import ReferenceParams
generate([], None, ReferenceParams(), Path(sys.argv[1]), None)
assert Path(sys.argv[1]).is_dir()
print(sorted(name for name in ("torch", "diffusers", "transformers") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "o")], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_png_bytes_are_repeatable():
    from plantain.capture.imagery import _png

    image = Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3))
    assert _png(image) == _png(image)
    assert Image.open(io.BytesIO(_png(image))).size == (64, 64)
