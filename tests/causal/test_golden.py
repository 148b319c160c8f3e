"""The values and keys of swaps, pinned: whoever changes them must raise CAUSAL_VERSION.

``python tests/causal/test_golden.py`` writes the file of a new version. Weights come from integers, so that they are
the same everywhere; values may differ in the last bits between instruction sets.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
from helpers.capture_model import build_pipeline, image_folder, make_lock, records

from plantain.base.files import readable_json
from plantain.base.params import CaptureParams
from plantain.capture.progress import Silent
from plantain.capture.shards import Store
from plantain.causal.heads_map import SwapPair, single_head_mediation
from plantain.causal.theatre import Theatre
from plantain.model.untrained import reinitialise
from plantain.records.keys import CAUSAL_VERSION, causal_key, passes, reference_images

GOLDEN = Path(__file__).with_name("golden") / f"causal_{CAUSAL_VERSION}.json"
KEY = "39203b4cca3e15a164b9229d0c9701efb6ba1cab30fcd61aa27ba557e442eb2d"


def swapped(folder: Path):
    pipeline = build_pipeline()
    for seed, part in enumerate((pipeline.text_encoder, pipeline.vae, pipeline.transformer)):
        reinitialise(part, seed)
    pipeline.save_pretrained(folder / "pipeline")
    image_folder(folder / "images", "kitchen")
    put = records("kitchen", creatures=("a dog",))
    mention, viewpoint = passes(put, [4])
    images = reference_images(put, folder / "images")
    theatre = Theatre.open((mention, viewpoint), images, make_lock(folder), CaptureParams(), progress=Silent())
    store = Store("causal", lambda _: None, folder / "causal")
    found = single_head_mediation(theatre, [SwapPair(mention, viewpoint)], store=store, progress=Silent())
    return {name: getattr(found, name).tolist() for name in ("m", "off_axis", "change", "dose")}


def test_values_are_those_of_this_causal_version(tmp_path):
    expected = json.loads(GOLDEN.read_bytes())
    for name, values in swapped(tmp_path).items():
        np.testing.assert_allclose(values, expected[name], rtol=2e-3, atol=1e-5, err_msg=name)


def test_keys_are_those_of_this_causal_version():
    how = {"tokens": "image", "both": True, "batch_size": 1}
    assert causal_key("a" * 64, "b" * 64, ["c" * 64, "d" * 64], how) == KEY


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        os.environ["PLANTAIN_CACHE"] = f"{name}/cache"
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_bytes(readable_json(swapped(Path(name))))
