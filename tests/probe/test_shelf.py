"""What must hold of every probe on the shelf, beside what `plantain prompts check` says of it."""

import re
from collections import Counter, defaultdict
from functools import cache
from itertools import combinations, product
from math import comb
from pathlib import Path

import numpy as np
import pytest
import snowballstemmer

from docs import draw_shelf
from plantain.model.klein_tokens import klein_counter
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.probe.clusters import Scheme, design_of
from plantain.probe.expand import expand
from plantain.probe.halves import causal_design
from plantain.probe.spec import Decides, read_probe
from plantain.probe.tokens import counter

ROOT = Path(__file__).parents[2]
SHELF = ROOT / "src" / "plantain" / "shelf"
NAMES = [
    "after", "agency", "binding", "counterfact", "depth", "ghost", "measure", "moral", "negation", "number", "ray",
    "relation",
]  # fmt: skip
CARDS = {"after", "counterfact", "ghost", "measure", "moral", "ray"}
"""The probes that have a published card, and so a pair that stands for the published one."""

HEADER = ("Source: ", "Deciding controls?: ", "What would fool it: ")
COUNTERS = {"klein": klein_counter(), "tiny": counter(build_tokenizer())}
HOLM = 0.05 / 14
NOTED = re.compile(r": contrasts\.(\w+): .* alone.*: item by item the sides differ")
ONE_SIDED = {
    "agency": ["paraphrase_person", "voice"], "counterfact": ["outcome"], "measure": ["published"],
    "negation": ["bare", "mention"],
}  # fmt: skip
"""Contrasts whose sides differ in an item field, which is meant: none is a target."""
"""What a p has to be at most for the first of fourteen claims."""


@cache
def shelved(name):
    probe = read_probe(SHELF / f"{name}.yaml")
    return probe, expand(probe, ROOT)


@cache
def header(name):
    lines = (SHELF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.removeprefix("#").strip() for line in lines[: lines.index(f"probe: {name}")])


def contrast_of(name, wanted):
    return next(one for one in shelved(name)[1].contrasts if one.name == wanted)


def by_words(name):
    return [one for one in shelved(name)[1].contrasts if one.decides is Decides.words]


def prompts(name):
    """The prompts by item, then by condition."""
    table = defaultdict(dict)
    for record in shelved(name)[1].records:
        table[record.item][record.condition] = record.prompt
    return table


def tokens_of(text):
    return re.findall(r"[a-z0-9]+", text.casefold())


def stems(template):
    stem = snowballstemmer.stemmer("english").stemWord
    return {stem(word) for word in tokens_of(re.sub(r"{\w+}", " ", template))}


def surplus(probe, a, b):
    """Words, by stem, that one side uses in at least two more wordings than the other."""
    counts = [Counter(word for one in side for word in stems(probe.conditions[one].prompt)) for side in (a, b)]
    return {word for word in counts[0] | counts[1] if abs(counts[0][word] - counts[1][word]) > 1}


def paired(probe, contrast):
    """The two wordings of each frame of ``contrast``."""
    sides = [{probe.conditions[one].frame: one for one in side} for side in (contrast.a, contrast.b)]
    assert set(sides[0]) == set(sides[1])
    return {frame: (sides[0][frame], sides[1][frame]) for frame in sides[0]}


def test_the_page_of_the_shelf_is_drawn_from_the_files():
    assert draw_shelf.PAGE.read_text(encoding="utf-8") == draw_shelf.page(), "python docs/draw_shelf.py"


def test_the_shelf_holds_the_twelve():
    assert {path.stem for path in SHELF.glob("*.yaml")} >= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_check_is_clean_and_the_design_reaches_what_the_header_says(name):
    found = draw_shelf.checked(SHELF / f"{name}.yaml")
    assert found.ok
    assert [NOTED.search(note).group(1) for note in found.notes] == ONE_SIDED.get(name, [])
    assert found.unused == ()
    assert not any(one.design_problem for one in found.contrasts)
    said = re.search(r"at most rung (\d)", header(name))
    assert {reach.model: reach.rung for reach in found.reach} == dict.fromkeys(COUNTERS, int(said[1]) if said else 7)


@pytest.mark.parametrize("name", NAMES)
def test_the_header_says_question_source_control_and_what_would_fool_it(name):
    paragraphs = header(name).split("\n\n")
    assert paragraphs[0].endswith("?")
    for start in HEADER:
        assert sum(re.match(start, paragraph) is not None for paragraph in paragraphs) == 1, start
    (control,) = (paragraph for paragraph in paragraphs if re.match(HEADER[1], paragraph))
    named = set(re.findall(r"`(\w+)`", control))
    assert named & {contrast.name for contrast in shelved(name)[1].contrasts}
    assert {one.name for one in by_words(name)} <= named
    probe = shelved(name)[0]
    assert probe.title != name
    assert probe.hypothesis


@pytest.mark.parametrize("name", NAMES)
def test_the_target_has_ten_frames_and_survives_holm_over_fourteen(name):
    probe = shelved(name)[0]
    target = contrast_of(name, "target")
    frames = paired(probe, target)
    assert len(target.a) == len(target.b) == len(frames) == 10
    assert 2 / 2 ** len(frames) <= min(0.0022, HOLM)
    assert design_of(target).scheme is Scheme.frames
    assert 25 <= len(probe.items) <= 30


@pytest.mark.parametrize("name", NAMES)
def test_no_word_of_a_side_is_in_two_more_of_its_wordings_and_none_is_a_near_copy(name):
    probe = shelved(name)[0]
    for contrast in (contrast_of(name, "target"), *by_words(name)):
        assert surplus(probe, contrast.a, contrast.b) == set()
        for side in (contrast.a, contrast.b):
            for first, second in combinations([stems(probe.conditions[one].prompt) for one in side], 2):
                assert len(first & second) <= 0.8 * len(first | second)


@pytest.mark.parametrize("name", NAMES)
def test_every_control_can_be_tested_and_paraphrases_are_halves_of_a_side(name):
    target = contrast_of(name, "target")
    controls = [one for one in shelved(name)[1].contrasts if one.name not in ("target", "published", "mirror", "voice")]
    for control in controls:
        found = design_of(control)
        assert 2 / comb(2 * found.fewest, found.fewest) <= 0.05, control.name
    halves = [one for one in controls if one.name.startswith("paraphrase")]
    assert [{*one.a, *one.b} for one in halves] == [set(target.a), set(target.b)]
    assert not any(surplus(shelved(name)[0], one.a, one.b) for one in halves)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", COUNTERS)
def test_the_sentences_of_a_frame_are_equally_long_for_every_item(name, model):
    probe, expansion = shelved(name)
    tested = {one for contrast in (contrast_of(name, "target"), *by_words(name)) for one in (*contrast.a, *contrast.b)}
    lengths = defaultdict(set)
    for record in expansion.records:
        condition = probe.conditions[record.condition]
        if record.condition in tested:
            assert condition.stratum == condition.frame is not None
            lengths[condition.stratum, record.item].add(COUNTERS[model](record.prompt).length)
    assert {len(found) for found in lengths.values()} == {1}


@pytest.mark.parametrize("name", NAMES)
def test_either_half_of_rung_7_is_free_of_tell_tale_words(name):
    """Heads are chosen on half of the frames: a word that tells the sides apart there would choose them."""
    probe, expansion = shelved(name)
    design = causal_design(contrast_of(name, "target"), expansion.neutral, tuple(probe.items), 10)
    assert design.problem == ""
    for half in (design.selection, design.test):
        assert len(half.a) == len(half.b) == 5
        assert surplus(probe, half.a, half.b) == set()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "after"])
def test_a_words_control_exchanges_what_the_target_exchanges_frame_by_frame(name):
    probe = shelved(name)[0]
    (control,) = by_words(name)
    target = paired(probe, contrast_of(name, "target"))
    pairs = paired(probe, control)
    assert len(pairs) >= 6
    table = prompts(name)
    for frame, (a, b) in pairs.items():
        (of_target,) = (one for one in target if frame.endswith(f"_{one}"))
        for item in probe.items:
            texts = [Counter(tokens_of(table[item][one])) for one in (a, b, *target[of_target])]
            assert texts[0] - texts[1] == texts[2] - texts[3], (frame, item)
            assert texts[1] - texts[0] == texts[3] - texts[2], (frame, item)


def test_only_image_pairs_lack_a_control_that_decides_by_words():
    assert [name for name in NAMES if not by_words(name)] == ["after"]
    assert "here are none" in header("after")


@pytest.mark.parametrize("name", NAMES)
def test_neutral_wordings_hold_no_word_that_is_exchanged(name):
    probe, expansion = shelved(name)
    exchanged = set()
    for a, b in paired(probe, contrast_of(name, "target")).values():
        exchanged |= stems(probe.conditions[a].prompt) ^ stems(probe.conditions[b].prompt)
    assert len(expansion.neutral) == 2
    for neutral in expansion.neutral:
        assert not stems(probe.conditions[neutral].prompt) & exchanged


@pytest.mark.parametrize("name", NAMES)
def test_sentences_are_grammatical_and_plain(name):
    _, expansion = shelved(name)
    texts = [record.prompt for record in expansion.records]
    texts += [reference.prompt for reference in expansion.references]
    for text in texts:
        assert not re.search(r"\b[Aa] (?=[aeio])|\b[Aa]n (?![aeiou])|\b[Aa] u(?!n[it])|  | [,.;:]|{|}", text), text
        assert text.isascii()
        assert text[0].isupper() or text[0] == "{"


@pytest.mark.parametrize("name", NAMES)
def test_cards_have_a_published_pair_and_others_have_none(name):
    assert any(one.name == "published" for one in shelved(name)[1].contrasts) == (name in CARDS)


def test_ghost_asks_with_the_published_sentences():
    table = prompts("ghost")["apple-cup"]
    assert table["published_shown"] == "Show only the visible part of the apple behind the cup"
    assert table["published_whole"] == "Show the entire apple including the part hidden behind the cup"


@pytest.mark.parametrize("name", ["agency", "binding"])
def test_both_sides_are_one_bag_of_words_and_order_is_balanced(name):
    first, second = ("person", "animal") if name == "agency" else ("x", "y")
    probe = shelved(name)[0]
    table = prompts(name)
    frames = paired(probe, contrast_of(name, "target"))
    leads = Counter()
    for a, b in frames.values():
        for item in probe.items:
            assert table[item][a] != table[item][b]
            assert sorted(tokens_of(table[item][a])) == sorted(tokens_of(table[item][b]))
        template = probe.conditions[a].prompt
        leads[template.index(f"{{{first}}}") < template.index(f"{{{second}}}")] += 1
    assert leads == {True: 5, False: 5}


def test_binding_has_usual_colours_on_side_a_and_the_same_names_in_its_control():
    probe = shelved("binding")[0]
    for item in probe.items.values():
        values = item.values
        assert (values["name_x"].casefold(), values["name_y"].casefold()) == (values["cx"], values["cy"])
        assert values["cx"] != values["cy"]
    table = prompts("binding")["banana-plum"]
    assert table["usual_1"] == "A yellow banana and a purple plum together"
    assert table["swapped_1"] == "A purple banana and a yellow plum together"


def test_voice_and_order_are_crossed_in_agency():
    probe = shelved("agency")[0]
    passive = Counter("{verbed}" in probe.conditions[one].prompt for one in contrast_of("agency", "target").a)
    assert passive == {True: 5, False: 5}


def test_left_and_right_are_equally_frequent_on_both_sides_and_the_animal_is_where_the_label_says():
    probe = shelved("relation")[0]
    for contrast in (contrast_of("relation", "target"), *by_words("relation")):
        counts = [
            Counter(w for one in side for w in tokens_of(probe.conditions[one].prompt))
            for side in (contrast.a, contrast.b)
        ]
        assert counts[0]["left"] == counts[1]["left"] == counts[0]["right"] == counts[1]["right"]
        assert counts[0] == counts[1]
    for one in contrast_of("relation", "target").a:
        template = probe.conditions[one].prompt
        (side,) = re.findall(r"\b(left|right)\b", template)[:1]
        animal_is_spoken_of = template.index("{animal}") < template.index("{thing}")
        if one == "left_5":  # "Draw a {thing} with a {animal} at its left side"
            animal_is_spoken_of = True
        if one == "left_7":  # "Paint a {animal} with a {thing} at its right hand"
            animal_is_spoken_of = False
        assert (side == "left") == animal_is_spoken_of, template


def test_measure_names_both_things_on_both_sides():
    probe = shelved("measure")[0]
    for contrast in (contrast_of("measure", "target"), *by_words("measure")):
        for one in (*contrast.a, *contrast.b):
            assert {"{large}", "{small}"} <= set(re.findall(r"{\w+}", probe.conditions[one].prompt))


def test_no_number_word_leads_in_number_and_no_negator_in_negation():
    for name, words in (
        ("number", {"five", "three", "5", "3"}),
        ("negation", {"no", "not", "without", "never", "nobody"}),
    ):
        probe = shelved(name)[0]
        target = contrast_of(name, "target")
        counts = [
            Counter(w for one in side for w in stems(probe.conditions[one].prompt)) for side in (target.a, target.b)
        ]
        for word in words:
            assert abs(counts[0][word] - counts[1][word]) <= 1


def test_after_has_one_prompt_for_both_sides_and_pictures_of_its_own_in_every_frame():
    probe, expansion = shelved("after")
    made = {reference.name: reference.prompt for reference in expansion.references}
    assert len(made) == len(set(made.values()))
    records = {(record.item, record.condition): record for record in expansion.records}
    for contrast in ("target", "reversible"):
        states = set()
        for a, b in paired(probe, contrast_of("after", contrast)).values():
            for item in probe.items.values():
                one, other = records[item.id, a], records[item.id, b]
                assert one.prompt == other.prompt
                texts = [made[record.reference[0]].split() for record in (one, other)]
                thing = str(item.fields["thing"]).split()
                assert texts[0][: len(thing)] == texts[1][: len(thing)] == thing
                assert texts[0][-3:] == texts[1][-3:]
                assert texts[0] != texts[1]
                states.add(" ".join(texts[0][len(thing) :]))
        assert len(states) == len(contrast_of("after", contrast).a)  # an event a frame, and no event in two
    shown = [reference for record in expansion.records for reference in record.reference]
    assert set(Counter(shown).values()) == {1, len(expansion.neutral)}


def test_items_of_image_probes_begin_from_one_picture_that_both_sides_share():
    for name in ("ray", "depth", "measure"):
        by_item = defaultdict(set)
        for record in shelved(name)[1].records:
            by_item[record.item].add(record.reference)
        assert {len(found) for found in by_item.values()} == {1}
        assert all(len(reference) == 1 for found in by_item.values() for reference in found)


def counted_words(name, conditions):
    """How often each word is in a wording, averaged over the items; (wordings, words)."""
    table = prompts(name)
    counts = [Counter(word for item in table.values() for word in tokens_of(item[one])) for one in conditions]
    vocabulary = sorted(set().union(*counts))
    return np.array([[one[word] for word in vocabulary] for one in counts]) / len(table)


def share_passed(name, contrast, draws=400, heads=50, *, keyword=False):
    """How often heads that add up a number of their own for every word tell the sides apart at .05.

    The largest |t| over heads, every exchange of the sides of a frame; of wordings where there are no frames.
    """
    rng = np.random.default_rng(0)
    counts = counted_words(name, (*contrast.a, *contrast.b))
    size = len(contrast.a)
    if keyword:
        counts = np.column_stack([counts, np.arange(2 * size) < size])
    framed = design_of(contrast).scheme is Scheme.frames
    if framed:
        first, second = zip(*paired(shelved(name)[0], contrast).values(), strict=True)
        places = [(*contrast.a, *contrast.b).index(one) for one in (*first, *second)]
        counts, signs = counts[places], np.array([(1, *rest) for rest in product((1, -1), repeat=size - 1)])
    else:
        chosen = [set(one) for one in combinations(range(2 * size), size) if 0 in one]
        signs = np.array([[1 if place in one else -1 for place in range(2 * size)] for one in chosen])
    passed = 0
    for _ in range(draws):
        rows = counts @ rng.standard_normal((counts.shape[1], heads))
        rows = rows[:size] - rows[size:] if framed else rows - rows.mean(axis=0)
        scale = np.sqrt((rows**2).sum(axis=0)) + 1e-9
        largest = np.abs(signs @ rows / scale).max(axis=1)
        observed = largest[0] if framed else largest[chosen.index(set(range(size)))]
        passed += (largest >= observed - 1e-9).mean() <= 0.05
    return passed / draws


@pytest.mark.parametrize("name", NAMES)
def test_heads_that_add_up_words_pass_the_target_no_more_often_than_chance(name):
    assert share_passed(name, contrast_of(name, "target")) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_heads_that_add_up_words_do_pass_with_a_keyword_in_every_wording_of_a_side():
    """What the simulation above can see."""
    assert share_passed("moral", contrast_of("moral", "target"), draws=100, keyword=True) > 0.9


def test_one_descriptor_a_side_differs_in_the_same_words_under_every_sentence():
    """Why measure names both things: otherwise its frames would agree without any idea of scale."""
    plain, target = contrast_of("measure", "plain"), contrast_of("measure", "target")
    for contrast, alike in ((plain, True), (target, False)):
        counts = counted_words("measure", (*contrast.a, *contrast.b))
        differences = counts[: len(contrast.a)] - counts[len(contrast.a) :]
        assert np.allclose(differences, differences[0]) == alike
