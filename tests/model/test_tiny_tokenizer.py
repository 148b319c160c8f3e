import re
from pathlib import Path

import pytest

from plantain.base.yaml import read_yaml
from plantain.model.tiny.tokenizer import MARKUP, build_tokenizer, vocabulary
from training.lessons import read_lessons
from training.vocabulary import common_words, example_wordings, family_wordings, grow, learn

PROMPTS = Path(__file__).parents[2] / "prompts"
QWEN3 = "<|im_start|>user\nX<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def chat(tokenizer, text):
    message = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True, enable_thinking=False)


def test_every_word_of_the_shipped_probes_is_one_token(tokenizer):
    texts = {lesson.prompt for lesson in read_lessons(PROMPTS)}
    for text in sorted(texts):
        tokens = tokenizer.convert_ids_to_tokens(tokenizer(chat(tokenizer, text)).input_ids)
        inner = tokens[3 : tokens.index("<|im_end|>")]
        assert [token.replace("Ġ", " ") for token in inner] == re.findall(r" ?[A-Za-z]+|-[A-Za-z]+| ?[^\w\s-]+", text)


@pytest.mark.parametrize(
    "texts", [common_words(), family_wordings(), example_wordings()], ids=["common words", "family", "examples"]
)
def test_every_word_beside_them_is_one_token(tokenizer, texts):
    for text in texts:
        tokens = tokenizer.tokenize(f"user\n{text}")[2:]
        assert [token.replace("Ġ", " ") for token in tokens] == re.findall(r" ?[A-Za-z]+|-[A-Za-z]+| ?[^\w\s-]+", text)


def test_words_that_come_later_leave_every_token_its_id():
    before = learn(["user then"], ["the other then they " * 50], 30)
    after = grow(before, [" thereby Theory"])
    assert build_tokenizer(after).tokenize(" thereby Theory then") == ["Ġthereby", "ĠTheory", "Ġthen"]
    assert list(vocabulary(before).items()) == list(vocabulary(after).items())[: len(vocabulary(before))]


def test_wordings_of_one_stratum_are_equally_long(tokenizer):
    for probe in ("otherview", "dense"):
        data = read_yaml(PROMPTS / f"{probe}.yaml").data
        lengths = {}
        for condition in data["conditions"].values():
            filled = [condition["prompt"].format(**item) for item in data["items"]]
            lengths.setdefault(condition["stratum"], set()).add(
                tuple(len(tokenizer(text).input_ids) for text in filled)
            )
        assert all(len(seen) == 1 for name, seen in lengths.items()), lengths.keys()


def test_the_template_renders_what_qwen3_renders(tokenizer):
    assert chat(tokenizer, "X") == QWEN3
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(QWEN3).input_ids)
    assert [token for token in tokens if token in MARKUP] == [
        "<|im_start|>",
        "<|im_end|>",
        "<|im_start|>",
        "<think>",
        "</think>",
    ]
    assert len(tokens) == 13
    assert set(MARKUP) <= set(tokenizer.all_special_tokens)


@pytest.mark.parametrize(
    "sentence",
    [
        "An old fisherman quietly mends torn nets beside the harbour while gulls circle above wooden boats and "
        "barefoot children gather shells along the shore today",
        "The suspension bridge collapsed after engineers ignored repeated warnings about corroded cables, although "
        "inspectors had photographed every damaged section during the previous autumn and winter",
    ],
)
def test_a_sentence_of_25_unknown_words_fits_96_positions(tokenizer, sentence):
    assert len(sentence.split()) == 25
    tokens = tokenizer(chat(tokenizer, sentence)).input_ids
    assert len(tokens) <= 80
    assert len(tokens) > 25 + 13


@pytest.mark.parametrize("text", ["naïve café", "日本語のテキスト", "🙂 42 km/h", "tabs\tand\nlines", "ZQXJ vvv"])
def test_any_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_known_words_win_over_learnt_pieces():
    corpus = ["the other then they " * 50]
    merges = learn(["user then", "Render hers"], corpus, 30)
    tokenizer = build_tokenizer(merges)
    assert tokenizer.tokenize("user then") == ["user", "Ġthen"]
    assert tokenizer.tokenize("Render hers") == ["Render", "Ġhers"]
    assert len(tokenizer.tokenize(" other")) < len(" other")
