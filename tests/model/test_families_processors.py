"""Published pipelines whose tokenizer is a processor of images, where the library of that processor is not there."""

import json
from importlib.util import find_spec

import pytest
from helpers.families import build
from helpers.families.qwen import affordable
from helpers.model_sources import declare, settings

from plantain.base.errors import InputError
from plantain.base.params import Source
from plantain.model.resolve import resolve


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
@pytest.mark.parametrize(
    ("name", "part", "processor"),
    [("flux2-dev", "tokenizer", "PixtralProcessor"), ("qwen-image-edit", "processor", "Qwen2VLProcessor")],
)
def test_a_processor_that_lacks_its_library_names_it(name, part, processor, tmp_path):
    with affordable():
        index = build(name, tmp_path) / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {part: ["transformers", processor]}))
    with pytest.raises(InputError, match=f"a {processor} needs torchvision, which is not installed") as refused:
        resolve("mine", declare(mine=settings(Source.local, path=str(tmp_path))))
    assert "pip install torchvision" in str(refused.value.fix)
