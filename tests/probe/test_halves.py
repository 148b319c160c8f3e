"""How wordings and items are halved before a head is swapped."""

from dataclasses import replace

from plantain.base.params import VerdictParams
from plantain.ladder.beside import causal_settings, decoy_settings
from plantain.probe.halves import causal_design
from plantain.probe.records import ExpandedContrast, Record
from plantain.probe.spec import Decides, Role

ITEMS = tuple(f"item-{k}" for k in range(12))
A = tuple(f"a_{k}" for k in range(8))
B = tuple(f"b_{k}" for k in range(8))


def contrast(frames=None, clusters=None, sides=(A, B)):
    count = len(sides[0]) + len(sides[1])
    frames = frames or (None,) * count
    clusters = clusters or tuple(range(count))
    return ExpandedContrast("target", *sides, Role.target, (None,) * count, None, clusters=clusters, frames=frames)


def test_frames_stay_whole_and_take_turns():
    names = tuple(f"frame {k}" for k in range(8))
    shuffled = names[3:] + names[:3]
    found = causal_design(contrast(names + shuffled), ("neutral",), ITEMS, 4)
    assert found.problem == ""
    frame = dict(zip((*A, *B), names + shuffled, strict=True))
    for half in (found.selection, found.test):
        assert {frame[name] for name in half.a} == {frame[name] for name in half.b}
        assert len(half.a) == len(half.b) == 4
    assert set(found.selection.a).isdisjoint(found.test.a)


def test_no_item_chooses_and_tests():
    found = causal_design(contrast(), ("neutral",), ITEMS, 4)
    assert set(found.selection.items) <= set(ITEMS[0::2])
    assert set(found.test.items) <= set(ITEMS[1::2])
    assert len(found.selection.items) == len(found.test.items) == 4


def test_wordings_of_one_cluster_are_in_one_half():
    clusters = (0, 0, 0, *range(1, 14))
    found = causal_design(contrast(clusters=clusters), ("neutral",), ITEMS, 4)
    homes = [half for half in (found.selection, found.test) if {"a_0", "a_1", "a_2"} & set(half.a)]
    assert len(homes) == 1
    assert {"a_0", "a_1", "a_2"} <= set(homes[0].a)


def test_what_is_missing_is_said():
    few = causal_design(contrast(sides=(A[:6], B[:6])), ("neutral",), ITEMS, 4)
    assert "8 independent wordings a side" in few.problem
    assert "role: neutral" in causal_design(contrast(), (), ITEMS, 4).problem
    assert "four items" in causal_design(contrast(), ("neutral",), ITEMS[:3], 4).problem


def control(name, a, b, decides=None):
    count = len(a) + len(b)
    return ExpandedContrast(name, a, b, Role.control, (None,) * count, None, decides=decides)


def named(letter, count):
    return tuple(f"{letter}_{at}" for at in range(count))


def records(references):
    """A record a (condition, item), with the references that a condition has."""
    return [
        Record(item, name, name, shown, f"{name} {item}", {}) for name, shown in references.items() for item in ITEMS
    ]


def decoys(*controls, references=None):
    most = {"contrasts": (contrast(), *controls), "records": records(references or {})}
    return causal_design(contrast(), ("neutral",), ITEMS, 4, **most).decoys


def test_deciding_controls_give_decoys_on_the_items_that_test():
    words = control("words", named("c", 8), named("d", 8), Decides.words)
    picture = control("picture", named("e", 4), named("f", 4), Decides.picture)
    found = decoys(control("other", named("g", 4), named("h", 4)), words, picture)
    assert list(found) == ["words", "picture"]
    assert (len(found["words"].a), len(found["words"].b)) == (4, 4), "as many as the target's donors"
    assert found["words"].a == ("c_1", "c_3", "c_5", "c_7")
    assert (found["picture"].a, found["picture"].b) == (named("e", 4), named("f", 4)), "half would be too few"
    assert all(set(half.items) <= set(ITEMS[1::2]) for half in found.values())


def test_where_no_control_decides_the_first_that_shares_no_wording_is_a_decoy():
    shared = control("paraphrase", A[:4], A[4:])
    found = decoys(
        shared, control("first", named("c", 2), named("d", 3)), control("second", named("e", 4), named("f", 4))
    )
    assert list(found) == ["first"]
    assert decoys(shared) == {}
    assert decoys(control("single", ("c",), ("d",))) == {}


def test_a_decoy_has_the_references_of_the_sentences_that_it_is_put_into():
    other = control("other", named("c", 2), named("d", 2))
    shown = dict.fromkeys((*named("c", 2), *named("d", 2), "neutral"), ("kitchen",))
    assert list(decoys(other, references=shown)) == ["other"]
    assert decoys(other, references=shown | {"d_1": ("hall",)}) == {}
    assert decoys(other, references=shown | {"d_1": ()}) == {}


def test_decoys_are_run_too():
    found = causal_design(
        contrast(), ("neutral",), ITEMS, 4, contrasts=(control("other", named("c", 2), named("d", 2)),)
    )
    assert found.conditions == {*A, *B, "neutral", "c_0", "c_1", "d_0", "d_1"}


def test_a_probe_that_cannot_be_tested_has_no_decoys():
    other = (control("other", named("c", 2), named("d", 2)),)
    assert causal_design(contrast(), (), ITEMS, 4, contrasts=other).decoys == {}


def test_changed_sentences_make_a_table_stale_and_decoys_that_of_a_model_alone():
    rules, shown = VerdictParams(), dict.fromkeys(("neutral", "c_0", "c_1", "d_0", "d_1"), ())
    other = (control("other", named("c", 2), named("d", 2)),)
    known = records(shown)
    design = causal_design(contrast(), ("neutral",), ITEMS, 4, contrasts=other, records=known)
    neutral = [replace(one, sha256="new") if one.condition == "neutral" else one for one in known]
    decoy = [replace(one, sha256="new") if one.condition == "c_1" else one for one in known]
    assert causal_settings(rules, design, known) == causal_settings(rules, design, known[::-1])
    assert causal_settings(rules, design, known) != causal_settings(rules, design, neutral)
    assert causal_settings(rules, design, known) == causal_settings(rules, design, decoy)
    assert decoy_settings(design, known) != decoy_settings(design, decoy)
    assert decoy_settings(design, known) == decoy_settings(design, neutral)
