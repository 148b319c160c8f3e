"""Encoding does what the pipeline's own encoding does, and not more."""

import pytest
import torch
from helpers.capture_model import LENGTH, Notes, build_pipeline, make_lock

from plantain.capture import encode as encode_module
from plantain.capture.encode import Embeddings, encode, encode_batch, together, trunk
from plantain.capture.progress import Silent

PROMPT = "Render this kitchen from the viewpoint of a bee"


class Lock:
    max_sequence_length = LENGTH

    def __init__(self, layers):
        self.text_encoder_out_layers = layers


@pytest.mark.parametrize(("layers", "run"), [([0, 1, 2], 3), ([0, 1], 2), ([0], 1), ([1, 2, 3], 3), ([2, 0], 3)])
def test_the_embedding_is_the_pipelines_and_only_the_layers_that_are_read_run(layers, run):
    pipeline = build_pipeline()
    encoder = pipeline.text_encoder
    with torch.inference_mode():
        expected = pipeline.encode_prompt(PROMPT, max_sequence_length=LENGTH, text_encoder_out_layers=layers)[0]
    ran = []
    for name, module in [*encoder.model.layers.named_children(), ("head", encoder.lm_head)]:
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    found = encode(PROMPT, pipeline.tokenizer, trunk(encoder, Lock(layers)), Lock(layers))
    assert torch.equal(found.values, expected)
    assert ran == [str(index) for index in range(run)]
    assert encoder.config.num_hidden_layers == 3, "the pipeline's own encoder is left as it is"


MANY = [f"Render this kitchen as seen by creature number {'x' * (index % 8)}{index}" for index in range(19)]


def singles(pipeline, prompts):
    with torch.inference_mode():
        return [
            pipeline.encode_prompt(prompt, max_sequence_length=LENGTH, text_encoder_out_layers=[1, 2, 3])[0]
            for prompt in prompts
        ]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_prompts_encoded_together_are_those_of_the_pipelines_single_call(count):
    pipeline, lock = build_pipeline(), Lock([1, 2, 3])
    body, seen = trunk(pipeline.text_encoder, lock), []
    body.register_forward_pre_hook(lambda _module, _args, given: seen.append(len(given["input_ids"])), with_kwargs=True)
    found = encode_batch(MANY[:count], 8, pipeline.tokenizer, body, lock)
    for embedding, prompt, expected in zip(found, MANY, singles(build_pipeline(), MANY[:count]), strict=False):
        assert torch.equal(embedding.values, expected)
        assert embedding.text == encode(prompt, pipeline.tokenizer, body, lock).text
    assert len(found) == count
    assert seen[0] == 8, "whatever is missing, the shape is the same"


def test_a_small_encoder_takes_sixteen_at_a_time_and_what_is_stored_is_the_pipelines(folder, cache, monkeypatch):
    lock, sizes, told = make_lock(folder), [], Notes()
    make = encode_module.encode_batch
    monkeypatch.setattr(
        encode_module, "encode_batch", lambda some, *more: (sizes.append(len(some)), make(some, *more))[1]
    )
    embeddings = Embeddings(lock, "cpu", told)
    embeddings.ensure(MANY)
    assert sizes == [16, 3]
    assert told.steps == 19
    for prompt, expected in zip(MANY, singles(build_pipeline(), MANY), strict=True):
        assert torch.equal(embeddings(prompt).values, expected)
    alone = {path.name: path.read_bytes() for path in (cache / "embeddings").glob("*/*")}
    monkeypatch.setattr(encode_module, "_TOGETHER", 1)
    for path in (cache / "embeddings").glob("*/*"):
        path.unlink()
    Embeddings(lock, "cpu", Silent()).ensure(MANY)
    assert {path.name: path.read_bytes() for path in (cache / "embeddings").glob("*/*")} == alone


def test_what_is_not_sure_to_keep_its_bits_is_encoded_one_by_one(folder):
    lock = make_lock(folder)
    assert together(lock, "cpu") == 16
    assert together(lock, "cuda") == 1
    assert together(lock.model_copy(update={"dtype": "bfloat16"}), "cpu") == 1
    large = lock.components["text_encoder"].model_copy(update={"bytes": 1 << 30})
    assert together(lock.model_copy(update={"components": lock.components | {"text_encoder": large}}), "cpu") == 1
