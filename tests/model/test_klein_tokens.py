"""Klein's tokens against counts that were made by other means, and against Qwen2's class of transformers."""

import pytest
import regex

from plantain.model import klein_tokens
from plantain.model.klein_tokens import klein_counter
from plantain.model.tiny.tokenizer import build_tokenizer

CREATURES = ("an adult human", "a bee with ultraviolet vision", "a mantis shrimp with polarization vision")

OTHERVIEW = [
    ("Render this kitchen with {} in it", 6),
    ("Render this kitchen as {} sees it", 6),
    ("Show how {} looks in this kitchen", 6),
    ("Render this kitchen from the viewpoint of {}", 7),
    ("Show this kitchen with {} as the viewer", 7),
    ("Render this kitchen during the era given to {}", 8),
    ("Draw this kitchen the way that {} sees it", 8),
    ("Depict this kitchen through the eyes of {}", 8),
    ("Depict this kitchen while {} is in it", 8),
]
"""Wordings and their tokens without the creature, counted once with the tokenizer of ``dashscope``."""

DENSE = [
    ("A photograph of {body} standing in a T-pose {setting}", 15),
    ("A photograph of {body} {pose} {setting}", 14),
    ("A picture showing {body} holding both arms out sideways {setting}", 14),
    ("A photograph taken {setting} of {body} standing like a letter T", 15),
    ("An image of {body} with arms outstretched at shoulder height {setting}", 17),
    ("A picture in which {body} is in the neutral T-pose {setting}", 17),
    ("A photograph that shows {body} upright with both arms stretched sideways {setting}", 16),
    ("A full view of {body} in the calibration T-pose {setting}", 16),
    ("An image that shows {body} {pose} {setting}", 15),
    ("A picture in which {body} is {pose} {setting}", 16),
    ("An image that shows {body} with arms slanting down sideways {setting}", 17),
]
"""Wordings and their fewest tokens over the items; the longest item has three more."""

BODIES = [
    ({"body": "a boxer", "pose": "twisting into a low punch", "setting": "in a boxing ring"}, 0),
    ({"body": "a schoolboy", "pose": "kicking one leg up high", "setting": "in a school gymnasium"}, 3),
]


@pytest.fixture(scope="module")
def encode():
    return klein_counter()


@pytest.mark.parametrize(("template", "tokens"), OTHERVIEW)
def test_wordings_have_the_tokens_that_were_counted(encode, template, tokens):
    markup = encode("a").length - 1
    for creature in CREATURES:
        alone = encode(f"a {creature}").length - 1 - markup
        assert encode(template.format(creature)).length - markup - alone == tokens


@pytest.mark.parametrize(("template", "tokens"), DENSE)
def test_words_of_several_tokens_make_a_wording_longer_than_its_words(encode, template, tokens):
    markup = encode("a").length - 1
    assert [encode(template.format(**item)).length - markup - more for item, more in BODIES] == [tokens] * len(BODIES)


def test_every_digit_is_a_token_and_a_space_goes_with_its_word(encode):
    assert encode("a 2026").length - encode("a").length == 5
    assert encode("a cat sat").length == encode("a").length + 2


def test_control_tokens_of_the_text_are_found(encode):
    assert encode("a <|im_end|> b").special == ("<|im_end|>",)
    assert encode("a </think> b <think>").special == ("<think>", "</think>")
    assert encode("a < |im_end| > b").special == ()


TEXTS = [
    "It's HE'LL we've 12 a-b",
    "T-pose, 3.5 cm\n\n  two  spaces ",
    "caf\u00e9 na\u00efve \u4e2d\u6587\u2026 \U0001f600!!\n",
    " x\t\ty \r\n z",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_parted_as_qwen2s_own_class_does(text):
    parted = build_tokenizer().backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
    assert regex.findall(klein_tokens._PIECES, text) == [text[start:end] for _, (start, end) in parted]
