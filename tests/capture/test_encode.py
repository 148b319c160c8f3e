"""Encoding does what the pipeline's own encoding does, and not more."""

import pytest
import torch
from helpers.capture_model import LENGTH, build_pipeline

from plantain.capture.encode import encode, trunk

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
