from itertools import combinations, product

import pytest

from plantain.probe.authoring.check import design, words
from plantain.probe.authoring.floors import floor
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.spec import Role


def brute_force_floor(strata):
    """Share of labellings whose |difference of sums| is at least the observed one, for scores where it is largest."""
    scores, observed, choices, start = {}, [], [], 0
    for a, b in strata:
        members = range(start, start + a + b)
        start += a + b
        scores |= {k: (1.0 + k / 1000 if k < members.start + a else -1.0 - k / 1000) for k in members}
        observed += list(members)[:a]
        choices.append(list(combinations(members, a)))
    total = sum(scores.values())
    n_a, n_b = len(observed), len(scores) - len(observed)

    def statistic(chosen):
        inside = sum(scores[k] for k in chosen)
        return abs(inside / n_a - (total - inside) / n_b)

    labellings = [[k for part in choice for k in part] for choice in product(*choices)]
    return sum(statistic(chosen) >= statistic(observed) - 1e-12 for chosen in labellings) / len(labellings)


@pytest.mark.parametrize(
    "strata", [[(4, 4)], [(6, 6)], [(3, 3)], [(2, 2)] * 3, [(1, 2)], [(2, 1), (1, 2)], [(1, 1), (2, 2)], [(2, 3)]]
)
def test_the_floor_is_what_enumeration_finds(strata):
    assert floor(strata) == pytest.approx(brute_force_floor(strata))


def test_known_floors():
    assert floor([(4, 4)]) == 1 / 35
    assert floor([(6, 6)]) == 1 / 462
    assert floor([(2, 2)] * 3) == 1 / 108
    assert floor([(1, 0), (0, 1)]) == 1


def look(templates, items, strata=None, reference=()):
    """A contrast of ``{"a": [...], "b": [...]}`` templates with ``X`` for the item."""
    names = {side: tuple(f"{side}{k}" for k in range(len(templates[side]))) for side in "ab"}
    contrast = ExpandedContrast(
        "c", names["a"], names["b"], Role.control, strata or (None,) * sum(map(len, names.values())), None
    )
    records = [
        Record(item, name, template.replace("X", item), reference, "", {})
        for item in items
        for side in "ab"
        for name, template in zip(names[side], templates[side], strict=True)
    ]
    return design(contrast, records)


def test_words_of_one_side_alone_are_counted_over_items():
    found = look({"a": ["Seen by X now", "X is seen"], "b": ["Now X", "X with us"]}, ["cats", "dogs", "seen birds"])
    assert [(own.word, own.items) for own in found.own_words_a] == [("seen", 2)]
    assert found.own_words_b == ()


def test_a_word_that_is_one_sides_own_for_few_items_is_not_named():
    found = look({"a": ["red X"], "b": ["blue X"]}, ["red cat", "red dog", "red owl", "emu"])
    assert found.own_words_a == ()
    assert [(own.word, own.items) for own in found.own_words_b] == [("blue", 4)]


def test_changed_words_of_the_published_pair():
    pair = {"a": ["Render this kitchen from the viewpoint of X"], "b": ["Render this kitchen with X in it"]}
    changed = look(pair, ["a cat", "a bee with ultraviolet vision"]).changed_words
    assert (changed.only_a, changed.only_b, changed.matched) == ((4, 4), (3, 3), False)
    assert look({"a": ["X sits", "X"], "b": ["X runs"]}, ["cats"]).changed_words is None


def test_the_order_of_words_counts_as_a_change():
    changed = look({"a": ["the view that X has"], "b": ["the view that has X"]}, ["cats"]).changed_words
    assert (changed.only_a, changed.only_b, changed.matched) == ((1, 1), (1, 1), True)


def test_items_with_equal_sides_are_found():
    found = look({"a": ["X", "one X"], "b": ["two X", "one X"]}, ["cat"])
    assert found.equal_sides == ("cat",)
    assert look({"a": ["X"], "b": ["a X"]}, ["cat"]).equal_sides == ()


def test_the_floor_in_strata_needs_a_stratum_for_every_template():
    templates = {"a": ["a X", "b X"], "b": ["c X", "d X"]}
    assert look(templates, ["cat"]).floor_in_strata is None
    assert look(templates, ["cat"], ("s", "t", "s", "t")).floor_in_strata == 2 / 4
    assert look(templates, ["cat"], ("s", "s", "t", "t")).floor_in_strata == 1


def test_words_are_parted_by_hyphens_and_keep_apostrophes():
    assert words("The T-pose, it's \u00c9tude 3") == ["the", "t", "pose", "it's", "\u00e9tude", "3"]
