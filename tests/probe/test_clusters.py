"""Which wordings are one piece of evidence: attacks that must count as little, and wordings that must count in full."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plantain.probe.clusters import Scheme, clustered, design_of
from plantain.probe.expand import expand_with
from plantain.probe.records import Reason
from plantain.probe.spec import Condition, Contrast, Item, Probe, Role, read_probe

ITEMS = ["a cat", "a dog", "an owl", "a crane"]


def probe_of(a, b, values=ITEMS, frames=(), more=()):
    """A probe of the templates ``a`` and ``b`` with the fields ``who`` and whatever ``more`` gives each item."""
    names = [f"a{k}" for k in range(len(a))] + [f"b{k}" for k in range(len(b))]
    frames = frames or [None] * len(names)
    conditions = {
        name: Condition(name, text, (), None, frame) for name, text, frame in zip(names, [*a, *b], frames, strict=True)
    }
    items = {f"i{k}": Item(f"i{k}", {"who": who} | (more[k] if more else {})) for k, who in enumerate(values)}
    contrast = Contrast("target", tuple(names[: len(a)]), tuple(names[len(a) :]), Role.target, None)
    return Probe("mine", "Mine", "", {}, conditions, {"target": contrast}, items)


def look(*args, **kwargs):
    probe = probe_of(*args, **kwargs)
    return design_of(expand_with(probe, lambda _: "").contrasts[0])


def rows(design):
    return len(set(design.rows_a)), len(set(design.rows_b))


APART = [
    "Paint {who} beside green hills",
    "Sketch how {who} rests at noon",
    "Render old walls near {who}",
    "Build me some scene for {who}",
    "Watch {who} under bright lamps",
    "Draw what surrounds {who} today",
]
"""Wordings that share no word at all."""


def test_wordings_without_a_word_in_common_are_each_their_own():
    assert rows(look(APART[:3], APART[3:])) == (3, 3)


@pytest.mark.parametrize(("there", "pieces"), [(0, 1), (1, 1), (2, 1), (4, 1), (5, 6), (6, 6)])
def test_a_keyword_ties_its_wordings_by_a_surplus_of_two(there, pieces):
    """Six wordings of a with a word that as many as ``there`` of b's hold too."""
    a = [f"{text} photograph" for text in APART]
    b = [f"{text} drawing" if k >= there else f"{text} photograph drawing" for k, text in enumerate(APART)]
    found = look(a, [text.replace("drawing", f"w{k}") for k, text in enumerate(b)])
    assert rows(found)[0] == pieces


def test_four_against_two_ties_the_four_alone():
    a = [f"{text} photo" if k < 4 else text for k, text in enumerate(APART)]
    b = [f"{text} photo" if k < 2 else text for k, text in enumerate(APART)]
    found = look(a, b)
    assert found.clusters_a == (0, 0, 0, 0, 1, 2)
    assert [(tie.reason, tie.shared, tie.wordings) for tie in found.ties] == [
        (Reason.word, "photo", ("a0", "a1", "a2", "a3"))
    ]
    assert rows(found) == (3, 6)


def test_sides_of_unequal_size_are_compared_by_shares():
    here = [f"{text} now" for text in APART[:4]]
    assert look(here, [f"{APART[4]} now", f"{APART[5]} now"]).ties == ()
    assert look(here, [f"{APART[4]} now", APART[5]]).ties[0].wordings == ("a0", "a1", "a2", "a3")


def test_inflected_forms_are_one_word_and_are_all_named():
    found = look([f"{APART[0]} viewing", f"{APART[1]} viewed", APART[2]], APART[3:])
    assert found.clusters_a == (0, 0, 1)
    assert found.ties[0].shared == "viewed/viewing"


def test_a_hyphen_parts_words_and_case_does_not_count():
    found = look(["{who} in T-pose", "a letter t by {who}", "{who} upright"], APART[:3])
    assert found.clusters_a == (0, 0, 1)
    assert {tie.shared for tie in found.ties} == {"t"}


@pytest.mark.parametrize(
    "copy",
    [
        "paint, {who}: beside green hills!",
        "Beside green hills, paint {who}",
        "Painting {who} beside a green hill",
    ],
)
def test_near_copies_are_tied_though_both_sides_use_their_words(copy):
    """Case, commas, order and inflection tell no wordings apart; here no word is in surplus."""
    both = ["Paint green {who}", "Beside hills {who}"]
    found = look([APART[0], copy, APART[2]], [*both, APART[0].replace("Paint", "Colour")])
    assert found.clusters_a[:2] == (0, 0)
    assert found.clusters_a[2] != 0
    assert Reason.copy in {tie.reason for tie in found.ties}


def test_sentences_that_stand_whole_in_the_items_are_compared_item_by_item():
    texts = [f"{name} walks slowly down {street} street" for name, street in zip("abcd", "wxyz", strict=True)]
    more = [{"one": text, "two": text.replace(" ", ", ", 1), "three": f"{k} quite another {k}"}
            for k, text in enumerate(texts)]  # fmt: skip
    found = look(["{one}", "{two}", "{three}"], ["{who}"], more=more)
    assert found.clusters_a == (0, 0, 1)


def test_templates_of_fields_and_points_alone_are_copies():
    assert look(["{who}", "{who}.", "see {who}"], ["so {who} is"]).clusters_a == (0, 0, 1)


def test_a_word_common_to_most_items_of_a_field_counts_and_a_rarer_one_does_not():
    pose = ["with arms up", "with fists", "with a leg high", "low bow"]
    more = [{"pose": one, "calm": "quiet stand"} for one in pose]
    common = look(["{who} {pose} here", "{pose} by {who}"], ["one {who}", "lone {who}"], more=more)
    assert [tie.shared for tie in common.ties] == ["with"]
    rare = [{"pose": one} for one in ["with arms up", "with fists", "a leg high", "low bow"]]
    assert look(["{who} {pose} here", "{pose} by {who}"], ["one {who}", "lone {who}"], more=rare).ties == ()


def test_a_field_with_one_value_is_part_of_the_template():
    more = [{"scene": "kitchen"}] * 4
    assert look(["{scene} {who}", "my {scene} of {who}"], ["one {who}", "two {who}"], more=more).clusters_a == (0, 0)


def test_wordings_of_a_side_in_one_frame_are_tied():
    found = look(APART[:3], APART[3:], frames=["x", "x", "y", "x", "y", "y"])
    assert (found.clusters_a, found.clusters_b) == ((0, 0, 1), (2, 3, 3))
    assert [(tie.reason, tie.shared) for tie in found.ties] == [(Reason.frame, "x"), (Reason.frame, "y")]


def framed(frames_a, frames_b, size=6):
    a = [f"{text} r{k}" for k, text in enumerate(APART[:size])]
    b = [f"{text} l{k}" for k, text in enumerate(APART[:size])]
    return look(a, b, frames=[*frames_a, *frames_b])


def test_six_complete_frames_are_exchanged_within():
    found = framed("uvwxyz", "zyxwvu")
    assert found.scheme is Scheme.frames
    assert found.rows_a == (0, 1, 2, 3, 4, 5)
    assert found.rows_b == (5, 4, 3, 2, 1, 0)
    assert (found.fewest, found.enough, found.problem, found.both_sided_frames) == (6, True, "", 6)


def test_fewer_frames_or_some_wordings_without_are_exchanged_as_clusters():
    few = framed("uvwxy", "uvwxy", size=5)
    assert (few.scheme, few.fewest, few.enough) == (Scheme.clusters, 5, True)
    part = framed(["u", "v", "w", "x", "y", None], ["u", "v", "w", "x", "y", None])
    assert (part.scheme, part.problem, part.enough) == (Scheme.clusters, "", True)
    assert len({*part.rows_a, *part.rows_b}) == 12


def test_a_word_that_ties_frames_makes_one_component_of_them():
    a = [f"{text} keyword" if k < 2 else text for k, text in enumerate(APART)]
    found = look(a, [f"{text} l{k}" for k, text in enumerate(APART)], frames=[*"uvwxyz", *"uvwxyz"])
    assert found.scheme is Scheme.clusters  # five components are left
    assert found.components_b == (0, 0, 1, 2, 3, 4)
    assert len(set(found.clusters_b)) == 6


def test_a_frame_on_one_side_only_is_a_problem_where_others_are_complete():
    found = framed("uvwxyz", ["u", "v", "w", "x", "y", None])
    assert found.problem == "frame 'z' has wordings on one side only, and other frames have them on both"
    assert not found.enough


def test_a_control_within_one_side_of_the_target_may_part_its_frames():
    found = look(APART[:3], APART[3:], frames="uvwxyz")
    assert (found.problem, found.scheme, rows(found)) == ("", Scheme.clusters, (3, 3))


WORDS = st.lists(st.sampled_from(["seen", "seeing", "by", "with", "of", "the", "day", "photo"]), max_size=5)
SIDE = st.lists(WORDS.map(lambda words: " ".join([*words, "{who}"])), min_size=1, max_size=5)


def partition(probe):
    contrast = probe.contrasts["target"]
    labels, _ = clustered(probe, contrast)
    names = (*contrast.a, *contrast.b)
    return {frozenset(n for n, one in zip(names, labels, strict=True) if one == label) for label in labels}


@settings(max_examples=60, deadline=None)
@given(a=SIDE, b=SIDE, data=st.data())
def test_the_order_of_wordings_and_items_and_their_names_change_nothing(a, b, data):
    probe = probe_of(a, b)
    contrast = probe.contrasts["target"]
    moved = Contrast(
        "target", tuple(data.draw(st.permutations(contrast.a))), tuple(data.draw(st.permutations(contrast.b))),
        Role.target, None,
    )  # fmt: skip
    items = data.draw(st.permutations(list(probe.items.values())))
    renamed = {f"other-{k}": Item(f"other-{k}", item.fields) for k, item in enumerate(items)}
    again = Probe("mine", "Mine", "", {}, probe.conditions, {"target": moved}, renamed)
    assert partition(again) == partition(probe)


@settings(max_examples=60, deadline=None)
@given(a=SIDE, b=SIDE)
def test_no_cluster_spans_both_sides_and_ties_explain_every_cluster(a, b):
    probe = probe_of(a, b)
    contrast = probe.contrasts["target"]
    labels, ties = clustered(probe, contrast)
    assert not {*labels[: len(a)]} & {*labels[len(a) :]}
    linked = {pair for tie in ties for pair in combinations(sorted(tie.wordings), 2)}
    for group in partition(probe):
        assert len(group) == 1 or all(any(name in pair for pair in linked) for name in group)


def test_a_probe_is_clustered_from_its_file(tmp_path):
    text = (
        "probe: mine\nconditions:\n"
        '  one: {prompt: "{who} as a photograph", frame: f}\n'
        '  two: {prompt: "{who} on photographs", frame: g}\n'
        '  three: {prompt: "{who} in paint", frame: f}\n'
        '  four: {prompt: "paint of {who}", frame: g}\n'
        '  none: {prompt: "here {who}", role: neutral}\n'
        "contrasts:\n  target: {a: [one, two], b: [three, four], role: target}\n"
        "items:\n  - {id: x, who: a cat}\n  - {id: y, who: a dog}\n"
    )
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    expansion = expand_with(read_probe(path), lambda _: "")
    (contrast,) = expansion.contrasts
    assert (contrast.frames, contrast.clusters) == (("f", "g", "f", "g"), (0, 0, 1, 1))
    assert expansion.neutral == ("none",)
    assert {record.condition for record in expansion.records} == {"one", "two", "three", "four", "none"}
