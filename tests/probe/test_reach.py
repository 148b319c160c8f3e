"""How far a probe can get, said before anything is run."""

from itertools import combinations, product

import pytest
from PIL import Image

from plantain.base.params import VerdictParams
from plantain.model.klein_tokens import klein_counter
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.probe.authoring.check import TokenReader, check_probe
from plantain.probe.authoring.floors import floor_in_strata, floor_of
from plantain.probe.authoring.lines import check_lines
from plantain.probe.authoring.new import new_probe
from plantain.probe.authoring.rows import Columns
from plantain.probe.clusters import Design
from plantain.probe.tokens import TokenCount, counter

RULES = VerdictParams()

SENTENCES = [
    "Paint {{who}} beside {} hills",
    "Sketch how {{who}} rests near {} water",
    "Render {} walls behind {{who}}",
    "Build me some {} scene for {{who}}",
    "Watch {{who}} under {} lamps",
    "Draw what surrounds {{who}} on {} days",
]
REDS = ["scarlet", "crimson", "ruby", "cherry", "maroon", "rose"]
BLUES = ["azure", "cobalt", "navy", "indigo", "teal", "sapphire"]


def by_words(prompt):
    return TokenCount(len(prompt.split()), ())


def probe_text(a, b, *, items=8, extra="", contrasts="", frames=True, strata=True):
    """A probe of the sentences ``a`` against ``b``, those of one place in one frame and one stratum."""
    lines = ["probe: mine", "conditions:"]
    for side, texts in (("a", a), ("b", b)):
        for k, text in enumerate(texts):
            frame = f", frame: f{k}" if frames else ""
            stratum = f", stratum: s{k}" if strata else ""
            lines.append(f'  {side}_{k}: {{prompt: "{text}"{frame}{stratum}}}')
    sides = [", ".join(f"{side}_{k}" for k in range(len(texts))) for side, texts in (("a", a), ("b", b))]
    lines += [extra] if extra else []
    lines += ["contrasts:", f"  target: {{a: [{sides[0]}], b: [{sides[1]}], role: target}}", contrasts, "items:"]
    return "\n".join([*lines, *(f"  - {{id: i{k}, who: animal {k}}}" for k in range(items))]) + "\n"


def filled(words, sentences=SENTENCES):
    return [sentence.format(word) for sentence, word in zip(sentences, words, strict=False)]


@pytest.fixture
def check(tmp_path):
    def checked(text, *encoders):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        readers = tuple(TokenReader(f"toy{k}", one, 100) for k, one in enumerate(encoders))
        found = check_probe(path, tmp_path, readers)
        assert found.problems == ()
        return found

    return checked


def reached(found):
    return [(one.rung, one.because) for one in found.reach]


def test_six_frames_without_a_word_in_surplus_get_to_the_top(check):
    ((rung, because),) = reached(check(probe_text(filled(REDS), filled(BLUES)), by_words))
    assert (rung, "8 independent wordings a side" in because) == (6, True)


def test_a_keyword_stops_the_probe_at_rung_1_and_is_named(check):
    found = check(probe_text(filled(["red"] * 6), filled(BLUES)), by_words)
    assert reached(found) == [(1, "the 6 wordings of side a are 1 piece of evidence, and 4 are needed")]
    lines = "\n".join(check_lines(found, RULES))
    assert lines.splitlines()[1].startswith("  can reach at most rung 1 of 7, because the 6 wordings of side a are")
    assert 'one piece of a: a_0, a_1, a_2, a_3, a_4, a_5; "red" in 6 against 0 (5 too many)' in lines
    assert "to part them: take a word out of as many wordings as are too many" in lines


@pytest.mark.parametrize("gone", [0, 3, 4, 5])
def test_as_many_wordings_are_too_many_as_have_to_lose_the_word(check, gone):
    """Five are said to be too many: with four of them reworded the word still ties, with five it does not."""
    words = [*REDS[:gone], *["red"] * (6 - gone)]
    tied = [tie for tie in check(probe_text(filled(words), filled(BLUES))).contrasts[0].ties if tie.shared == "red"]
    assert bool(tied) == (gone < 5)


def test_copies_are_listed(check):
    copies = ["Paint {who} beside green hills", "Paint {who}, beside green hills", "Beside green hills paint {who}"]
    found = check(probe_text([*copies, *filled(REDS)[1:]], filled(BLUES), frames=False), by_words)
    lines = "\n".join(check_lines(found, RULES))
    assert "a_0 and a_1 nearly copies" in lines
    assert "a_1 and a_2 nearly copies" in lines
    assert len(found.contrasts[0].pieces_a) == 6


def test_few_items_stop_the_probe_at_the_first_rung(check):
    ((rung, because),) = reached(check(probe_text(filled(REDS), filled(BLUES), items=5), by_words))
    assert (rung, because) == (0, "5 independent items give no p below 0.062, and 0.05 is asked")


def test_a_single_pair_says_nothing_of_an_idea(check):
    ((rung, because),) = reached(check(probe_text(filled(REDS)[:1], filled(BLUES)[:1]), by_words))
    assert (rung, because) == (1, "the one wording of side a is 1 piece of evidence, and 4 are needed")


def test_a_frame_of_one_side_among_complete_ones_is_said(check):
    text = probe_text(filled(REDS), filled(BLUES)).replace("b_5: {prompt: ", "b_5: {stratum: s5, prompt: ")
    text = text.replace('days", frame: f5, stratum: s5}\ncon', 'days"}\ncon')
    found = check(text, by_words)
    assert reached(found) == [(1, "frame 'f5' has wordings on one side only, and other frames have them on both")]


def control(words_a, words_b, decides="words"):
    names = ["The {} firm knew {{who}}", "Mrs {} sold {{who}}", "Some {} street housed {{who}}", "By opera {}, {{who}}"]
    a, b = filled(words_a, names), filled(words_b, names)
    extra = "\n".join(
        f'  {side}_{k}: {{prompt: "{text}", frame: n{k}}}'
        for side, texts in (("x", a), ("y", b))
        for k, text in enumerate(texts)
    )
    sides = [", ".join(f"{side}_{k}" for k in range(len(words_a))) for side in "xy"]
    return extra, f"  names: {{a: [{sides[0]}], b: [{sides[1]}], role: control, decides: {decides}}}"


@pytest.mark.parametrize(("frames", "decides", "rung"), [(4, "words", 4), (3, "words", 1), (4, "picture", 1)])
def test_a_deciding_control_of_four_frames_stands_in_for_a_target_that_cannot_do_without_its_word(
    check, frames, decides, rung
):
    extra, contrasts = control(["Red"] * frames, ["Blue"] * frames, decides)
    found = check(probe_text(filled(["red"] * 6), filled(["blue"] * 6), extra=extra, contrasts=contrasts), by_words)
    ((reach, because),) = reached(found)
    assert reach == rung
    if rung > 2:
        assert (
            because == "within strata its wordings give no p below 1, and 0.05 is asked" or "several strata" in because
        )
        assert "rung 3 rests on 'names', which has to fail" in "\n".join(check_lines(found, RULES))


def test_strata_that_are_not_equally_long_stop_at_rung_4_with_that_tokenizer_alone(check):
    def long_teal(prompt):
        return TokenCount(len(prompt.split()) + ("teal" in prompt), ())

    found = check(probe_text(filled(REDS), filled(BLUES)), by_words, long_teal)
    assert reached(found)[0][0] == 6
    assert reached(found)[1] == (4, "the stratum 's4' holds wordings of different token counts")
    lines = check_lines(found, RULES)
    assert lines[1].startswith("  with toy0's tokens can reach at most rung 6")
    assert lines[2].startswith("  with toy1's tokens can reach at most rung 4")


def test_strata_are_suggested_from_the_counts_of_all_tokenizers(check):
    def long_teal(prompt):
        return TokenCount(len(prompt.split()) + ("teal" in prompt), ())

    found = check(probe_text(filled(REDS), filled(BLUES), frames=False, strata=False), by_words, long_teal)
    assert reached(found)[0] == (4, "'a_0' has no stratum, so that length cannot be told from the idea")
    (lengths,) = found.equal_lengths
    prompts = dict(zip([f"{s}_{k}" for s in "ab" for k in range(6)], [*filled(REDS), *filled(BLUES)], strict=True))
    together = {frozenset(pair) for group in lengths.groups for pair in combinations(group, 2)}
    for one, other in combinations(prompts, 2):
        equal = all(e(prompts[one]).length == e(prompts[other]).length for e in (by_words, long_teal))
        assert (frozenset((one, other)) in together) == equal
    assert sum(map(len, lengths.groups)) == 12


def test_a_picture_from_a_file_cannot_be_drawn_again(check, tmp_path):
    for name in ("one", "two"):
        Image.new("RGB", (64, 64), "red" if name == "one" else "blue").save(tmp_path / f"{name}.png")
    text = probe_text(filled(REDS), filled(BLUES)).replace(", frame:", ", reference: one, frame:")
    text = text.replace("conditions:", "references:\n  one: {file: one.png}\nconditions:")
    assert reached(check(text, by_words)) == [(5, "'one' is one picture from a file, and 2 alternatives are needed")]
    text = text.replace("reference: one", "reference: [one, two]")
    text = text.replace("one: {file: one.png}", "one: {file: one.png}\n  two: {file: two.png}")
    assert reached(check(text, by_words))[0][0] == 6


def test_without_a_tokenizer_the_strata_are_taken_as_declared(check):
    lines = check_lines(check(probe_text(filled(REDS), filled(BLUES))), RULES)
    assert "rung 6 of 7, with `plantain run --study`, and if its strata are equally long in tokens, because" in lines[1]


def test_neutral_wordings_are_named_and_are_not_without_use(check):
    text = probe_text(filled(REDS), filled(BLUES), extra='  plain: {prompt: "Some {who}", role: neutral}')
    found = check(text)
    assert (found.neutral, found.unused) == (("plain",), ())
    assert "  neutral, on no side: plain" in check_lines(found, RULES)


def brute(design, strata):
    """The smallest p that relabelling can give, by listing: rows of one stratum, or the two sides of a component."""
    a, b = (
        set(zip(design.rows_a, strata, strict=False)),
        set(zip(design.rows_b, strata[len(design.rows_a) :], strict=True)),
    )
    if design.scheme == "frames":
        return 2 / len(list(product((0, 1), repeat=len(a))))
    labellings = [
        combinations([row for row in [*a, *b] if row[1] == one], sum(row[1] == one for row in a))
        for one in dict.fromkeys(strata)
    ]
    number = len(list(product(*labellings)))
    mirrored = all(sum(r[1] == s for r in a) == sum(r[1] == s for r in b) for s in strata)
    return (2 if mirrored else 1) / number


@pytest.mark.parametrize(
    ("a", "b", "frames", "strata"),
    [
        ((0, 0, 1, 2, 3), (4, 5, 6, 7), (None,) * 9, "xxxxxxxxx"),
        ((0, 0, 1, 2, 3), (4, 5, 6, 7), (None,) * 9, "xxyyyxxyy"),
        ((0, 1, 2, 3, 4, 5), (6, 7, 8, 9, 10, 11), (*"uvwxyz",) * 2, "xxxyyyxxxyyy"),
    ],
)
def test_floors_count_pieces_of_evidence(a, b, frames, strata):
    design = Design(a, b, tuple(frames[: len(a)]), tuple(frames[len(a) :]), ())
    assert floor_in_strata(design, tuple(strata)) == pytest.approx(brute(design, strata))
    assert floor_of(design) == pytest.approx(brute(design, "x" * len(strata)))


def test_a_piece_of_evidence_in_several_strata_can_be_exchanged_in_none():
    design = Design((0, 0, 1), (2, 3, 4), (None,) * 3, (None,) * 3, ())
    assert floor_in_strata(design, tuple("xyxxyx")) is None
    assert floor_in_strata(design, ("x", None, "x", "x", "y", "x")) is None


def test_the_example_of_probe_new_can_reach_the_top_on_tiny_and_on_klein(house):
    readers = (
        TokenReader("klein", klein_counter(), 512),
        TokenReader("tiny", counter(build_tokenizer()), 96),
    )
    (house / "rows.csv").write_text("text\n" + "".join(f"a red bowl number {k}\n" for k in range(8)))
    for path in (new_probe("mine", house), new_probe("rows", house, house / "rows.csv", Columns(items="text"))):
        found = check_probe(path, house, readers)
        assert [one.rung for one in found.reach] == [7, 7]
        assert all(contrast.ties == () for contrast in found.contrasts)
        target, names = found.contrasts
        assert (len(target.pieces_a), target.scheme, len(names.pieces_a)) == (8, "frames", 4)
        assert len(found.neutral) == 2
        assert found.unused == ()
