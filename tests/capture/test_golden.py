"""The values and keys of a capture, pinned: whoever changes them must raise CAPTURE_VERSION.

``python tests/capture/test_golden.py`` writes the file of a new version. Weights come from integers, so that they are
the same everywhere; values may differ in the last bits between instruction sets.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers.capture_model import build_pipeline, image_folder, make_lock, records

from plantain.base.files import digest
from plantain.base.params import CaptureParams, Source
from plantain.capture.cell import capture_cell
from plantain.capture.progress import Silent
from plantain.model.untrained import reinitialise
from plantain.records import keys as identity
from plantain.records.activations import read_activations, write_activations
from plantain.records.keys import (
    CAPTURE_VERSION,
    EMBEDDING_VERSION,
    batches,
    passes,
    shard_frame,
    shard_key,
    text_identity,
)
from plantain.records.lock import Component, Geometry, ModelLock

GOLDEN = Path(__file__).with_name("golden") / f"capture_{CAPTURE_VERSION}.safetensors"
KEYS = {
    "shard": "ecfe07045f086ea548a5915b7bbfab9450c0fb9ef76a61cb8ef1bb229f7da315",
    "embedding": "76d6005808dc73fb30e77890b667fab0a262d373de72ddf771d3328ffb73c690",
}


def captured(folder: Path):
    pipeline = build_pipeline()
    for seed, part in enumerate((pipeline.text_encoder, pipeline.vae, pipeline.transformer)):
        reinitialise(part, seed)
    pipeline.save_pretrained(folder / "pipeline")
    image_folder(folder / "images", "kitchen")
    put = (*records("kitchen", creatures=("a dog",)), *records(creatures=("a bee",)))
    return capture_cell(put, folder / "images", make_lock(folder), CaptureParams(seeds=[4]), Silent()).activations


def test_values_are_those_of_this_capture_version(tmp_path):
    found, golden = captured(tmp_path), read_activations(GOLDEN)
    np.testing.assert_allclose(found.mean_square, golden.mean_square, rtol=1e-4)
    np.testing.assert_array_equal(found.token_count, golden.token_count)
    assert (found.items, found.conditions, found.tokens) == (golden.items, golden.conditions, golden.tokens)


def fixed_lock() -> ModelLock:
    names = ("transformer", "text_encoder", "tokenizer", "vae", "scheduler")
    parts = {n: Component(class_name=n, config_sha256="c" + n, weights_sha256="w" + n, bytes=1) for n in names}
    shape = Geometry(
        joint_blocks=1, single_blocks=1, heads=1, head_width=32, mlp_width=32, groups=8, parameters=9, text_width=8
    )
    return ModelLock(
        trained=True,
        name="fixed",
        source=Source.local,
        base=Source.local,
        device="cpu",
        dtype="float32",
        height=64,
        width=64,
        max_sequence_length=96,
        text_encoder_out_layers=[1, 2, 3],
        is_distilled=False,
        group_width=16,
        components=parts,
        files_sha256="f",
        geometry=shape,
    )


def keys() -> dict[str, str]:
    lock, ordered = fixed_lock(), passes(records("kitchen"), [0, 1])
    frame = shard_frame(lock, CaptureParams(), 2, 0, "cpu")
    shards = [shard_key(frame, batch, {"kitchen": "k"}) for batch in batches(ordered, 2, lambda _: None)]
    return {"shard": digest(shards), "embedding": digest(text_identity(lock, "cpu") | {"prompt": "A dog"})}


def test_keys_are_those_of_this_capture_version(monkeypatch):
    monkeypatch.setattr(identity, "surroundings", lambda _: {"device": "cpu", "torch": "0"})
    assert (CAPTURE_VERSION, EMBEDDING_VERSION) == (2, 1)
    assert keys() == KEYS


@pytest.mark.parametrize(
    "change",
    [
        {"height": 128},
        {"dtype": "bfloat16"},
        {"max_sequence_length": 97},
        {"text_encoder_out_layers": [1, 2]},
        {"draws": ["another"]},
    ],
)
def test_everything_that_changes_bytes_is_in_the_key(change):
    def key(lock: ModelLock) -> str:
        frame = shard_frame(lock, CaptureParams(), 1, 0, "cpu")
        return shard_key(frame, passes(records(), [0])[:1], {})

    assert key(fixed_lock().model_copy(update=change)) != key(fixed_lock())


def test_names_and_comments_are_not():
    lock = fixed_lock()
    frame = shard_frame(lock, CaptureParams(), 1, 0, "cpu")
    assert frame == shard_frame(lock.model_copy(update={"name": "other"}), CaptureParams(seeds=[7]), 1, 0, "cpu")
    cpu, cuda = (shard_frame(lock, CaptureParams(), 1, 0, device) for device in ("cpu", "cuda:0"))
    assert cpu != cuda


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PLANTAIN_CACHE"] = scratch
        GOLDEN.parent.mkdir(exist_ok=True)
        write_activations(GOLDEN, captured(Path(scratch)))
    identity.surroundings = lambda _: {"device": "cpu", "torch": "0"}
    print(keys())
