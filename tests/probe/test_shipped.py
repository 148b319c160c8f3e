import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest
import snowballstemmer

from plantain.model.klein_tokens import klein_counter
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.probe.clusters import Scheme, design_of
from plantain.probe.expand import expand
from plantain.probe.spec import Decides, read_probe
from plantain.probe.tokens import counter

ROOT = Path(__file__).parents[2]

CARD = [
    "adult human", "tall person", "child", "toddler", "infant", "small dog", "cat", "parrot", "snake", "spider", "ant",
    "fly", "moth", "bee with ultraviolet vision", "echolocating bat", "shark with electroreception",
    "sea turtle with magnetoreception", "creature with thermal-infrared eyes", "alien with non-visual senses",
]  # fmt: skip
"""The creatures that the published card names, in its order."""

NUMBERS = {
    "three": 3, "four": 4, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "thirteen": 13, "fourteen": 14, "fifteen": 15,
}  # fmt: skip

HELD_OUT = {
    "otherview": {"viewpoint_9", "viewpoint_10", "mention_9", "mention_10"},
    "dense": {"t_pose_9", "t_pose_10", "expressive_9", "expressive_10"},
}
"""The wordings that no contrast uses and no embedded model was taught."""


def shipped(name):
    probe = read_probe(ROOT / "prompts" / f"{name}.yaml")
    return probe, expand(probe, ROOT)


def test_otherview_asks_with_the_published_templates_and_creatures():
    probe, expansion = shipped("otherview")
    prompts = {(record.item, record.condition): record.prompt for record in expansion.records}
    assert prompts["cat", "viewpoint"] == "Render this kitchen from the viewpoint of a cat"
    assert prompts["cat", "mention"] == "Render this kitchen with a cat in it"
    creatures = [(str(item.fields["creature"]), item.fields["origin"]) for item in probe.items.values()]
    assert [re.sub(r"^an? ", "", name) for name, origin in creatures if origin == "card"] == CARD
    assert [item.fields["rank"] for item in probe.items.values()] == list(range(1, 31))
    assert all(record.reference == ("kitchen",) for record in expansion.records)


def test_the_kitchen_keeps_the_cards_words():
    (kitchen,) = shipped("otherview")[1].references
    assert kitchen.prompt.startswith("A photographic kitchen scene")
    ending = "wooden countertops, refrigerator, sink under a window, tiled floor, soft daylight, no people present"
    assert kitchen.prompt.endswith(ending)


def test_dense_has_25_pairs_that_hold_body_and_setting():
    probe, expansion = shipped("dense")
    assert len(probe.items) == 25
    for record in expansion.records:
        assert str(record.fields["body"]) in record.prompt
        assert str(record.fields["setting"]) in record.prompt
        assert record.reference == ()


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_articles_are_grammatical(name):
    for record in shipped(name)[1].records:
        assert not re.search(r"\ba [aeio]|\ban [^aeioA]|  |\ba u(?!n)", record.prompt), record.prompt


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_the_target_is_eight_a_side_in_eight_frames_the_published_pair_among_them(name):
    probe, expansion = shipped(name)
    assert list(probe.contrasts)[:2] == ["published", "target"]
    published, target = expansion.contrasts[:2]
    assert target.a[0] == published.a[0]
    assert target.b[0] == published.b[0]
    assert len(target.a) == len(target.b) == len(set(target.frames)) == 8
    assert set(target.frames[:8]) == set(target.frames[8:])
    strata = Counter(target.strata[:8])
    assert strata == Counter(target.strata[8:])
    assert min(strata.values()) >= 2


def template_stems(probe, condition):
    return stems(re.sub(r"{\w+}", " ", probe.conditions[condition].prompt))


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_no_word_has_a_surplus_of_two_wordings_and_none_is_a_near_copy(name):
    probe, expansion = shipped(name)
    for contrast in expansion.contrasts[1:]:
        sides = [[template_stems(probe, one) for one in side] for side in (contrast.a, contrast.b)]
        counts = [Counter(word for wording in side for word in wording) for side in sides]
        assert {word for word in counts[0] | counts[1] if abs(counts[0][word] - counts[1][word]) > 1} == set()
        for first, second in (pair for side in sides for pair in combinations(side, 2)):
            assert len(first & second) <= 0.8 * len(first | second)


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_every_wording_of_a_contrast_is_a_piece_of_evidence_of_its_own(name):
    for contrast in shipped(name)[1].contrasts[1:]:
        found = design_of(contrast)
        assert len(contrast.a) == len(contrast.b) in (4, 8)
        assert len(set(found.clusters_a)) == len(contrast.a)
        assert len(set(found.clusters_b)) == len(contrast.b)
        assert found.ties == ()
        assert found.problem == ""
        assert found.scheme is (Scheme.frames if len(contrast.a) == 8 else Scheme.clusters)


def stems(text):
    stem = snowballstemmer.stemmer("english").stemWord
    return {stem(word) for word in re.findall(r"[a-z0-9]+", text.casefold())}


@pytest.mark.parametrize("name", ["otherview", "dense"])
@pytest.mark.parametrize("count", [klein_counter(), counter(build_tokenizer())], ids=["klein", "tiny"])
def test_frames_and_strata_are_equally_long_for_every_item_and_a_stratum_tells_its_words(name, count):
    probe, expansion = shipped(name)
    frames, strata = defaultdict(set), defaultdict(set)
    for record in expansion.records:
        condition = probe.conditions[record.condition]
        length = count(record.prompt).length
        strata[condition.stratum, record.item].add(length)
        if condition.frame is not None:
            frames[condition.frame, record.item].add(length)
    assert {len(found) for found in (*frames.values(), *strata.values())} == {1}


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_a_stratum_names_the_number_of_words_without_the_item(name):
    probe, expansion = shipped(name)
    for record in expansion.records:
        item = [value for key, value in record.fields.items() if key in ("creature", "body", "setting")]
        words = record.prompt
        for value in item:
            words = words.replace(str(value), " ")
        declared = probe.conditions[record.condition].stratum.split("_")
        assert NUMBERS[declared[0]] == len(re.findall(r"\w+", words))
        assert (len(declared) > 1) == ('"' in record.prompt)


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_poses_have_five_tokens_on_kleins_tokenizer(name):
    lengths = {
        klein_counter()(f"A {item.fields[field]}").length
        for item in shipped(name)[0].items.values()
        for field in ("pose", "arms")
        if field in item.fields
    }
    assert len(lengths) == (name == "dense")


@pytest.mark.parametrize(("name", "held_out"), HELD_OUT.items())
def test_every_taught_wording_serves_a_contrast_and_two_of_a_side_serve_none(name, held_out):
    probe, expansion = shipped(name)
    used = {side for contrast in expansion.contrasts for side in (*contrast.a, *contrast.b)}
    assert set(probe.conditions) - used - set(expansion.neutral) == held_out
    splits = [contrast for contrast in expansion.contrasts if contrast.name.startswith("paraphrase")]
    target = expansion.contrasts[1]
    for split, side in zip(splits, (target.a, target.b), strict=True):
        assert {*split.a, *split.b} == set(side)


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_a_deciding_control_holds_the_words_that_tell_the_sides_of_the_target_apart(name):
    probe, expansion = shipped(name)
    target = expansion.contrasts[1]
    control = next(contrast for contrast in expansion.contrasts if contrast.decides is Decides.words)
    assert len(control.a) == len(control.b) == 8

    def told_apart(contrast, frames):
        """What only side a says, and what only side b says, frame by frame."""
        found = {}
        for frame in frames:
            a, b = (next(n for n in side if probe.conditions[n].frame == frame) for side in (contrast.a, contrast.b))
            first, second = (Counter(re.findall(r"\w+|{\w+}", probe.conditions[n].prompt.casefold())) for n in (a, b))
            found[frame] = (sorted((first - second).elements()), sorted((second - first).elements()))
        return sorted(found.values())

    assert told_apart(control, set(control.frames)) == told_apart(target, set(target.frames))


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_neutral_wordings_share_no_word_with_the_target(name):
    probe, expansion = shipped(name)
    target = expansion.contrasts[1]
    used = set().union(*(template_stems(probe, one) for one in (*target.a, *target.b)))
    assert len(expansion.neutral) == 2
    for neutral in expansion.neutral:
        assert not template_stems(probe, neutral) & used


def test_articulation_changes_the_limbs_and_no_word_of_the_templates():
    probe, expansion = shipped("dense")
    contrast = next(c for c in expansion.contrasts if c.name == "articulation")
    for a, b in zip(contrast.a, contrast.b, strict=True):
        assert probe.conditions[a].prompt.replace("{arms}", "{pose}") == probe.conditions[b].prompt
