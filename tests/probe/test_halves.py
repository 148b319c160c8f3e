"""How wordings and items are halved before a head is swapped."""

from plantain.probe.halves import causal_design
from plantain.probe.records import ExpandedContrast
from plantain.probe.spec import Role

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
