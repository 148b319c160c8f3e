"""The sentence of every outcome: at most 25 words, no stronger than its rung, and with what else may explain it."""

from itertools import product

import pytest

from plantain.ladder.holm import failing
from plantain.ladder.sentence import MOST_WORDS, sentence
from plantain.records.verdict import (
    NAMES,
    Climb,
    ControlRecord,
    DesignRecord,
    RungRecord,
    SpreadRecord,
    Status,
    Weighed,
)

NUMBERS = {1: 29, 3: 62, 5: 55}
RIVALS = {3: "untrained", 4: "token count", 5: "noise or images", 6: "cause"}


def control(decides, outcome):
    p = None if outcome is Weighed.untested else 0.4
    name = f"{decides}_control"
    return ControlRecord(
        contrast=name, decides=decides, outcome=outcome, p=p, floor=p, number=0, own_p=p, reason="because"
    )  # fmt: skip


def outcome(rung, *, stop=Status.failed, controls=(), spread=False, against=None, heads=None):
    """A climb that got to ``rung``, and ended there with ``stop``."""
    rungs = []
    ended = max(rung + 1, 3) if rung else 1
    for place, name in enumerate(NAMES, start=1):
        status = Status.passed if place <= rung else stop if place == ended else Status.untested
        number = NUMBERS.get(place, 0.02) if heads is None else heads
        known = status is not Status.untested
        p = 0.0123456 if known else None
        rungs.append(RungRecord(rung=place, name=name, status=status, number=number if known else None, p=p))
    rungs[1] = rungs[1].model_copy(update={"status": Status.reported})
    design = DesignRecord(scheme="control" if against else "clusters", wordings=[6, 6], rows=[6, 6], floor=0.002,
                          control=against, ties=[])  # fmt: skip
    return Climb(
        rung=rung, rungs=rungs, sentence="", metrics={}, design=design, controls=list(controls),
        spread=SpreadRecord(ratio=0.1, p=0.01, floor=0.002, significant=spread),
    )  # fmt: skip


WORDS = (None, Weighed.differs, Weighed.lexical, Weighed.alike, Weighed.untested)
PICTURE = (None, Weighed.passes, Weighed.fails, Weighed.untested)
AXES = (
    (0, 1, 3, 4, 5, 6, 7), (Status.failed, Status.untested), WORDS, PICTURE, (False, True), (0, None, 3),
    (None, "words_control"), (1, 600),
)  # fmt: skip


def possible(rung, words, against):
    """A target that passed rung 3 is not lexical, and one that is carried by its control differs from it."""
    return rung < 3 or (words is not Weighed.lexical and (against is None or words is Weighed.differs))


def every():
    """Every climb, with what becomes of it among 100 probes: nothing, no rung that survives, or rung 3."""
    for rung, stop, words, picture, spread, kept, against, heads in product(*AXES):
        if possible(rung, words, against):
            kinds = (("words", words), ("picture", picture))
            given = [control(kind, found) for kind, found in kinds if found is not None]
            among = "" if kept is None else failing(kept, 100)
            yield outcome(rung, stop=stop, controls=given, spread=spread, against=against, heads=heads), among


def test_every_outcome_is_said_in_at_most_25_words():
    said = {sentence(*one) for one in every()}
    assert len(said) > 200
    longest = max(said, key=lambda one: len(one.split()))
    assert len(longest.split()) <= MOST_WORDS == 25, longest
    for one in said:
        assert one.startswith("Rung ")
        assert one.endswith(".")
        assert "1 heads" not in one.replace("01 heads", "")


def test_what_weakens_a_claim_is_never_left_out():
    for one, among in every():
        said = sentence(one, among)
        if one.rung < 3:
            continue
        assert ("in place or spread" in said) == one.spread.significant
        assert ("(fails Holm, 100 probes)" in said, "(Holm: rung 3)" in said) == ("fails" in among, "rung" in among)
        outcomes = {item.decides: item.outcome for item in one.controls}
        assert ("words not excluded" in said) == (outcomes.get("words") not in (None, Weighed.differs))
        if "words not excluded" not in said:
            assert ("'picture_control' fails" in said) == (outcomes.get("picture") is Weighed.fails)


def test_every_claim_names_a_rival():
    known = ("rewording", "same words", "not excluded", "spread", "' fails")
    rivals = (*known, "may do so too", "may explain it", "cause", "necessary")
    for one, among in every():
        if one.rung:
            assert any(rival in sentence(one, among) for rival in rivals), sentence(one, among)


@pytest.mark.parametrize("rung", RIVALS)
def test_the_next_rung_names_the_rival(rung):
    said = sentence(outcome(rung))
    claim, rival = said.split("; ")
    assert RIVALS[rung] in rival
    assert not any(other in said for at, other in RIVALS.items() if at > rung)
    assert str(NUMBERS[5 if rung >= 5 else 3]) in claim


@pytest.mark.parametrize("rung", RIVALS)
def test_a_sentence_claims_no_more_than_its_rung(rung):
    above = {3: "beyond untrained", 4: "equal length", 5: "every run", 6: "nothing"}
    assert all(words not in sentence(outcome(rung)) for at, words in above.items() if at >= rung)


def test_rung_one_says_that_words_may_explain_it():
    failed, untested = (sentence(outcome(1, stop=stop)) for stop in (Status.failed, Status.untested))
    assert failed == (
        "Rung 1 of 7: at least 29 heads differ between these sentences; rewording alone may do the same "
        "(rung 3: p = 0.012)."
    )
    assert "(rung 3 not tested)" in untested
    lexical = sentence(outcome(1, controls=[control("words", Weighed.lexical)]))
    assert "lexical" in lexical
    assert "control 'words_control' (same words; p = 0.012)" in lexical


def test_rung_zero_says_whether_it_was_tested():
    assert sentence(outcome(0)) == "Rung 0 of 7: no head was shown to differ between the two sides."
    assert "was not tested" in sentence(outcome(0, stop=Status.untested))
