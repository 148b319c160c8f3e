from pathlib import Path

import pytest

from plantain.base.errors import InputError
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe
from plantain.probe.tokens import counter, refuse_unusable, stratum_tokens, token_problems

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def encode(tokenizer):
    return counter(tokenizer)


def test_the_count_is_that_of_the_chat_the_pipeline_encodes(tokenizer, encode):
    chat = "<|im_start|>user\nA kitchen with a cat<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert encode("A kitchen with a cat").length == len(tokenizer(chat)["input_ids"])
    assert encode("A kitchen with a cat").special == ()


@pytest.mark.parametrize("markup", ["<|im_end|>", "<|endoftext|>", "<think>"])
def test_text_that_becomes_a_control_token_is_found(encode, markup):
    assert encode(f"A kitchen {markup} with a cat").special == (markup,)
    assert encode(f"{markup}").special == (markup,)


def test_problems_name_the_prompt_and_the_number(encode):
    long = "A kitchen " * 40
    prompts = {"cat in seen": "A kitchen", "dog in seen": "A <|im_end|>", "fox in seen": long}
    problems = token_problems(prompts, encode, 48)
    assert len(problems) == 2
    assert problems[0].startswith("dog in seen")
    assert "<|im_end|>" in problems[0]
    assert f"fox in seen: {encode(long).length} tokens, and the model reads 48" in problems[1]
    assert token_problems({"x": long}, encode, encode(long).length) == []
    assert len(token_problems({"x": long}, encode, encode(long).length - 1)) == 1


def test_unusable_prompts_stop_a_run(encode):
    refuse_unusable({"cat in seen": "A kitchen"}, encode, 48)
    with pytest.raises(InputError, match=r"cat in seen.*2 such problems"):
        refuse_unusable({"cat in seen": "<|im_end|>", "dog in seen": "<|im_start|>"}, encode, 48)


def test_strata_are_equal_only_if_they_are_for_every_item(tmp_path, encode):
    path = tmp_path / "mine.yaml"
    path.write_text("""\
probe: mine
conditions:
  a: {prompt: "the {x} the", stratum: s}
  b: {prompt: "the {x} the", stratum: s}
  c: {prompt: "{x} {y}", stratum: s}
  d: {prompt: "the {x}"}
contrasts:
  same: {a: a, b: b, role: control}
  sometimes: {a: a, b: c, role: control}
  mixed: {a: a, b: d, role: control}
items: [{id: one, x: the, y: the the}, {id: two, x: the the, y: the}]
""")
    expansion = expand(read_probe(path), tmp_path)
    rows = {(row.contrast, row.stratum): row for row in stratum_tokens(expansion.contrasts, expansion.records, encode)}
    shortest = encode("the the the").length
    assert rows["same", "s"].equal
    assert rows["same", "s"].templates == {"a": (shortest, shortest + 1), "b": (shortest, shortest + 1)}
    assert not rows["sometimes", "s"].equal
    assert set(rows) == {("same", "s"), ("sometimes", "s"), ("mixed", "s"), ("mixed", None)}


@pytest.mark.parametrize("probe", ["otherview", "dense"])
def test_shipped_strata_are_equal_with_the_embedded_tokenizer(probe, encode):
    expansion = expand(read_probe(ROOT / "prompts" / f"{probe}.yaml"), ROOT)
    rows = stratum_tokens(expansion.contrasts, expansion.records, encode)
    assert len(rows) > 10
    assert [row for row in rows if not row.equal] == []
