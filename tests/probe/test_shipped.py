import re
from collections import Counter
from pathlib import Path

import pytest

from plantain.probe.authoring.check import design
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe

ROOT = Path(__file__).parents[2]

CARD = [
    "adult human", "tall person", "child", "toddler", "infant", "small dog", "cat", "parrot", "snake", "spider", "ant",
    "fly", "moth", "bee with ultraviolet vision", "echolocating bat", "shark with electroreception",
    "sea turtle with magnetoreception", "creature with thermal-infrared eyes", "alien with non-visual senses",
]  # fmt: skip
"""The creatures that the published card names, in its order."""


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
def test_published_comes_first_and_target_is_six_a_side_in_three_balanced_strata(name):
    probe, expansion = shipped(name)
    assert list(probe.contrasts)[:2] == ["published", "target"]
    target = expansion.contrasts[1]
    assert target.a[0] == expansion.contrasts[0].a[0]
    assert target.b[0] == expansion.contrasts[0].b[0]
    assert sorted(Counter(target.strata[:6]).values()) == [2, 2, 2]
    assert Counter(target.strata[:6]) == Counter(target.strata[6:])


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_no_word_gives_a_side_of_a_concept_away(name):
    expansion = shipped(name)[1]
    for contrast in expansion.contrasts[1:]:
        found = design(contrast, expansion.records)
        own = [word.word for word in (*found.own_words_a, *found.own_words_b) if word.items == found.items]
        assert own == []
        assert found.templates_a == found.templates_b >= 4
        assert found.equal_sides == ()


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_templates_of_one_stratum_have_equally_many_words_for_every_item(name):
    probe, expansion = shipped(name)
    lengths = {}
    for record in expansion.records:
        stratum = probe.conditions[record.condition].stratum
        lengths.setdefault((record.item, stratum), set()).add(len(re.findall(r"[A-Za-z]+", record.prompt)))
    assert {len(found) for found in lengths.values()} == {1}


@pytest.mark.parametrize("name", ["otherview", "dense"])
def test_every_condition_serves_a_contrast_and_paraphrases_split_eight_wordings(name):
    probe, expansion = shipped(name)
    assert {side for c in expansion.contrasts for side in (*c.a, *c.b)} == set(probe.conditions)
    splits = [c for c in expansion.contrasts if c.name.startswith("paraphrase")]
    assert len(splits) == 2
    target = expansion.contrasts[1]
    for split, side in zip(splits, (target.a, target.b), strict=True):
        assert len(set(split.a) | set(split.b)) == 8
        assert set(side) < set(split.a) | set(split.b)


def test_articulation_changes_the_limbs_and_no_word_of_the_templates():
    probe, expansion = shipped("dense")
    contrast = next(c for c in expansion.contrasts if c.name == "articulation")
    for a, b in zip(contrast.a, contrast.b, strict=True):
        assert probe.conditions[a].prompt.replace("{arms}", "{pose}") == probe.conditions[b].prompt
