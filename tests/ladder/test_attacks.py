"""What fooled the ladder, and what it says now; every p beside a brute force that knows nothing of the code."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from helpers.verdict_cells import RULES
from scipy import stats

from plantain.base.params import Method
from plantain.ladder.climb import climb
from plantain.ladder.controls import weigh
from plantain.ladder.evidence import ControlEvidence, Evidence, Family, Replica
from plantain.measure.plan import Rows, RowScheme, plan_of
from plantain.probe.records import ExpandedContrast, Reason, Tie
from plantain.probe.spec import Decides, Role
from plantain.records.verdict import DesignRecord, Status, Weighed

HEADS = 40
FAMILIES = tuple(Family(f"by {method}", method, 9.0, (1.0,) * 19, HEADS, (1,) * 19) for method in Method)
REPLICAS = tuple(Replica(seed, image, 0.01) for seed in range(3) for image in ("one", "two"))


def simes(p):
    p = np.sort(p)
    return (p * len(p) / np.arange(1, len(p) + 1)).min()


def free(rows, first):
    """p of Simes' p among all ways to call ``first`` of the rows side a."""
    ways = [list(chosen) for chosen in combinations(range(len(rows)), first)]
    return share(rows, ways)


def share(rows, ways):
    """How many of ``ways`` to choose side a give as small a Simes' p as the first does."""
    a = np.stack([rows[chosen] for chosen in ways], axis=1)
    b = np.stack([np.delete(rows, chosen, axis=0) for chosen in ways], axis=1)
    found = np.array([simes(p) for p in stats.ttest_ind(a, b).pvalue])
    return np.mean(found <= found[0] * (1 + 1e-9))


def within(differences):
    """p of Simes' p among all ways to turn frames around."""
    signs = np.array(list(product([1, -1], repeat=len(differences)))).T[:, :, None]
    found = np.array([simes(p) for p in stats.ttest_1samp(differences[:, None] * signs, 0).pvalue])
    return np.mean(found <= found[0] * (1 + 1e-9))


def evidence(a, b, **changes):
    rng = np.random.default_rng(0)
    given = Evidence(
        2.0 + rng.normal(size=(12, HEADS)), a, b, None, families=FAMILIES, replicas=REPLICAS, has_reference=True
    )
    return replace(given, **changes)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=(*shape, HEADS))


def contrast(side=6, clusters=(), frames=(), ties=(), name="target", decides=None, role=Role.target):
    a, b = (tuple(f"{name}_{letter}{k}" for k in range(side)) for letter in "ab")
    return ExpandedContrast(name, a, b, role, ("one",) * 2 * side, None, frames, clusters, ties, decides)


@pytest.mark.parametrize("seed", range(3))
def test_clusters_are_exchanged_as_one_row_each(seed):
    """Eight wordings a side in four pairs: p is that of the eight means, and not of sixteen wordings."""
    a, b = noise(8, seed=seed), noise(8, seed=seed + 10)
    a[:, :3] += 1.5
    clusters = tuple(k // 2 for k in range(16))
    rung = climb(evidence(a, b, clusters=clusters), RULES).rungs[2]
    means = np.concatenate([a, b]).reshape(8, 2, HEADS).mean(axis=1)
    assert rung.p == pytest.approx(free(means, 4))
    assert rung.floor == pytest.approx(2 / 70)
    assert rung.p != pytest.approx(climb(evidence(a, b), RULES).rungs[2].p)


@pytest.mark.parametrize("seed", range(3))
def test_six_frames_are_exchanged_within_themselves(seed):
    shared = 3 * noise(6, seed=seed)
    a, b = shared + 0.5 * noise(6, seed=seed + 10), shared + 0.5 * noise(6, seed=seed + 20)
    a[:, :4] += 1.5
    frames = tuple("uvwxyz") * 2
    framed = climb(evidence(a, b, frames=frames), RULES).rungs[2]
    assert framed.p == pytest.approx(within(a - b))
    assert framed.floor == pytest.approx(2 / 64)
    assert "frames, sides exchanged within each" in framed.guarantee
    blunt = climb(evidence(a, b), RULES).rungs[2]
    assert (framed.status, blunt.status) == (Status.passed, Status.failed)


def test_five_frames_are_exchanged_freely():
    a, b = noise(5, seed=1), noise(5, seed=2)
    a[:, :3] += 4
    rung = climb(evidence(a, b, frames=tuple("uvwxy") * 2), RULES).rungs[2]
    assert rung.p == pytest.approx(free(np.concatenate([a, b]), 5))
    assert rung.floor == pytest.approx(2 / 252)


def test_rung_five_is_rung_three_where_every_frame_is_of_one_length():
    shared = noise(6)
    a, b = shared + 2 + 0.1 * noise(6, seed=1), shared
    given = evidence(a, b, frames=tuple("uvwxyz") * 2, equal=True)
    rungs = climb(given, RULES).rungs
    assert (rungs[4].status, rungs[4].p, rungs[4].number) == (Status.passed, rungs[2].p, rungs[2].number)
    assert "this is the test of rung 3" in rungs[4].guarantee
    said = climb(replace(given, equal=False, unequal="frame 'u' holds 6 to 7 tokens"), RULES)
    assert (said.rung, said.rungs[4].reason) == (4, "frame 'u' holds 6 to 7 tokens")


def test_rung_five_exchanges_within_strata_alone():
    a, b = noise(6, seed=5), noise(6, seed=6)
    a[:, :5] += 3
    strata = ("long", "long", "short", "short", "mid", "mid") * 2
    rung = climb(evidence(a, b, strata=strata), RULES).rungs[4]
    groups = [[at for at, label in enumerate(strata) if label == one] for one in ("long", "short", "mid")]
    ways = [[at for pair in chosen for at in pair] for chosen in product(*(combinations(one, 2) for one in groups))]
    assert len(ways) == 216
    assert rung.p == pytest.approx(share(np.concatenate([a, b]), ways))


def test_a_keyword_that_every_wording_of_a_side_shares_cannot_claim():
    """A meaningless word moved a third of the heads, and climbed to rung 6."""
    word = Tie(Reason.word, tuple(f"target_a{k}" for k in range(6)), "photograph")
    plan = plan_of(contrast(clusters=(0,) * 6 + tuple(range(1, 7)), ties=(word,)), (), RULES)
    a, b = noise(6, seed=1), noise(6, seed=2)
    a[:, :15] += 8
    assert climb(evidence(a, b), RULES).rung == 4
    found = climb(evidence(a, b, clusters=plan.contrast.clusters, few=plan.problem), RULES)
    assert (found.rung, found.rungs[2].status, found.effect) == (1, Status.untested, None)
    assert "share 'photograph'" in found.rungs[2].reason
    assert "of 6 on one side 1 remain" in found.rungs[2].reason
    assert "decides: words" in found.rungs[2].reason
    assert "rewording alone may do the same" in found.sentence


def test_copies_are_one_piece_of_evidence():
    """Three sentences, each twice, pass seven times in ten without any effect; said to be copies, they cannot."""
    copies = tuple(Tie(Reason.copy, (f"target_a{k}", f"target_a{k + 1}"), "") for k in (0, 2, 4))
    plan = plan_of(contrast(clusters=(0, 0, 1, 1, 2, 2, *range(3, 9)), ties=copies), (), RULES)
    assert "are nearly the same sentence" in plan.problem
    passed = 0
    for seed in range(20):
        three = noise(3, seed=seed), noise(3, seed=seed + 100)
        a, b = (np.repeat(side, 2, axis=0) + 0.01 * noise(6, seed=seed + 200) for side in three)
        passed += climb(evidence(a, b), RULES).rungs[2].status is Status.passed
    assert climb(evidence(a, b, few=plan.problem), RULES).rung == 1
    assert passed > 9


def test_a_frame_on_one_side_only_is_named():
    frames = (*"uvwxyz", "u", "v", "w", "x", "y", "lonely")
    plan = plan_of(contrast(frames=frames), (), RULES)
    assert "frame 'lonely'" in plan.problem or "frame 'z'" in plan.problem
    assert climb(evidence(noise(6), noise(6, seed=1), few=plan.problem), RULES).rungs[2].reason == plan.problem


def test_unequal_spread_is_said():
    """Equal means and a twentieth of the spread pass; then the sentence names spread."""
    named = passed = 0
    for seed in range(40):
        found = climb(evidence(0.05 * noise(6, seed=seed), noise(6, seed=seed + 100)), RULES)
        if found.rung >= 3:
            passed += 1
            named += "in place or spread" in found.sentence
            assert found.spread.ratio < 0.2
    assert passed >= 4
    assert named == passed
    even = climb(evidence(noise(6, seed=3) + 4, noise(6, seed=4)), RULES)
    assert even.rung >= 3
    assert "spread" not in even.sentence
    assert even.metrics()["spread_p"] == even.spread.p > 0.05


def test_spread_within_frames_is_no_rival():
    shared = noise(8)
    a, b = shared + 2 + 0.01 * noise(8, seed=1), shared * 0.05
    found = climb(evidence(a, b, frames=tuple("stuvwxyz") * 2), RULES)
    assert found.rung >= 3
    assert not found.spread.significant


WORDS = {"decides": Decides.words, "role": Role.control}


def words(target, control, own=None, **changes):
    rows = None if own is None else Rows(*own)
    return (replace(ControlEvidence("decoy", Decides.words, target, control, own=rows), **changes),)


def test_the_words_control_is_an_exchange_of_frames_between_target_and_control():
    target, control = noise(5, seed=1), noise(4, seed=2)
    target[:, :4] += 3
    (found,) = weigh(words(target, control, own_problem="too few"), RULES)
    assert found.floor == pytest.approx(1 / 126, rel=1e-5)
    four = target[:4]
    (found,) = weigh(words(four, control, own_problem="too few"), RULES)
    assert found.p == pytest.approx(free(np.concatenate([four, control]), 4), rel=1e-5)


def lexical_case():
    """Words that move the heads alike wherever they stand: six wordings a side pass by their clusters alone."""
    word = np.zeros(HEADS)
    word[:15] = 6
    a, b = noise(6, seed=1) + word, noise(6, seed=2)
    own = noise(6, seed=3) + word, noise(6, seed=4)
    return a, b, own


def test_a_lexical_target_does_not_pass_whatever_its_clusters_say():
    a, b, own = lexical_case()
    given = evidence(a, b, frames=None, controls=words(a - b, own[0] - own[1], own))
    assert climb(replace(given, controls=()), RULES).rung == 4
    found = climb(given, RULES)
    assert (found.rung, found.rungs[2].status, found.controls[0].outcome) == (1, Status.failed, Weighed.lexical)
    assert found.rungs[2].p == pytest.approx(free(np.concatenate([a - b, own[0] - own[1]]), 6))
    assert "its wordings alone gave at least" in found.rungs[2].reason
    assert found.sentence.startswith("Rung 1 of 7: lexical, at least")
    assert "'decoy'" in found.sentence
    assert found.selective == 0
    assert found.metrics()["words_control_p"] == found.controls[0].p
    assert found.metrics()["words_control_own_p"] == found.controls[0].own_p <= 0.05


def test_a_control_that_the_target_differs_from_excludes_words_alone():
    a, b, _ = lexical_case()
    idle = noise(6, seed=3), noise(6, seed=4)
    found = climb(evidence(a, b, controls=words(a - b, idle[0] - idle[1], idle)), RULES)
    assert (found.rung, found.controls[0].outcome) == (4, Weighed.differs)
    assert "words alone excluded" in found.sentence
    assert found.metrics()["words_control_heads_lower_bound"] >= 1


def test_a_control_that_cannot_be_tested_leaves_words_open():
    a, b, _ = lexical_case()
    found = climb(evidence(a, b, controls=words(None, None, problem="'x' of decoy has no frame")), RULES)
    assert (found.rung, found.controls[0].outcome) == (4, Weighed.untested)
    assert "words not excluded" in found.sentence
    assert "no frame" in found.controls[0].reason
    assert "words_control_p" not in found.metrics()
    noisy = climb(evidence(a, b, controls=words(a - b, 40 * noise(6, seed=5), own_problem="too few")), RULES)
    assert noisy.controls[0].outcome is Weighed.alike
    assert "words not excluded" in noisy.sentence


def single_word(moved):
    """A question of one word: the frames of the target against those of the control carry it."""
    target, control = noise(8, seed=1), noise(8, seed=2)
    target[:, :12] += moved
    design = DesignRecord(scheme="control", wordings=[8, 8], rows=[8, 8], floor=0.0001, control="decoy", ties=[])
    clusters = tuple(range(16))
    return evidence(
        target, control, clusters=clusters, against="decoy", design=design, equal=True,
        controls=words(target, control, own_problem="one word ties all"),
    )  # fmt: skip


def test_a_question_of_one_word_passes_by_its_control():
    found = climb(single_word(4.0), RULES)
    assert found.rung == 6
    assert (found.rungs[2].p, found.rungs[2].number) == (found.controls[0].p, found.controls[0].number)
    assert "beyond words ('decoy')" in found.sentence
    assert "more than they do in control 'decoy'" in found.rungs[2].guarantee


def test_a_question_of_one_word_fails_with_its_control():
    found = climb(single_word(0.0), RULES)
    assert (found.rung, found.rungs[2].status, found.controls[0].outcome) == (1, Status.failed, Weighed.alike)
    assert "none was shown to beyond control 'decoy'" in found.sentence


def test_a_question_of_one_word_is_planned_by_its_control():
    frames = tuple(f"f{k}" for k in range(6)) * 2
    word = Tie(Reason.word, tuple(f"target_a{k}" for k in range(6)), "T")
    target = contrast(frames=frames, clusters=(0,) * 6 + tuple(range(1, 7)), ties=(word,))
    decoy = contrast(name="decoy", frames=tuple(f"g{k}" for k in range(6)) * 2, **WORDS)
    plan = plan_of(target, (target, decoy), RULES)
    assert (plan.scheme, plan.control, plan.sizes, plan.problem) == (RowScheme.control, decoy, (6, 6), "")
    assert plan_of(replace(target, role=Role.control, name="other"), (target, decoy), RULES).problem
    bare = replace(decoy, frames=(None,) * 12)
    assert "share 'T'" in plan_of(target, (target, bare), RULES).problem
    reused = replace(decoy, a=target.a)
    assert "share 'T'" in plan_of(target, (target, reused), RULES).problem
    copied = replace(decoy, ties=tuple(Tie(Reason.copy, (decoy.a[0], decoy.a[k]), "") for k in (1, 2, 3)))
    assert "share 'T'" in plan_of(target, (target, copied), RULES).problem


@pytest.mark.parametrize(("moved", "outcome", "said"), [(6.0, Weighed.passes, "passes"), (0.0, Weighed.fails, "fails")])
def test_a_control_of_the_picture_is_named_either_way(moved, outcome, said):
    a, b, _ = lexical_case()
    own = noise(6, seed=7), noise(6, seed=8)
    own[0][:, :10] += moved
    picture = ControlEvidence("mirror", Decides.picture, own=Rows(*own))
    found = climb(evidence(a, b, controls=(picture,)), RULES)
    assert found.controls[0].outcome is outcome
    assert f"control 'mirror' {said}" in found.sentence
    assert found.metrics()["picture_control_p"] == pytest.approx(free(np.concatenate(own), 6), rel=1e-5)


def test_items_and_wordings_together_are_a_description_that_decides_nothing():
    items = np.random.default_rng(3).normal(size=(12, 10, HEADS))
    items[:6, :, :8] += 5
    a, b = items[:6].mean(axis=1), items[6:].mean(axis=1)
    found = climb(evidence(a, b, crossed=(items[:6], items[6:])), RULES)
    assert found.both.number >= 1
    assert "over items and wordings together (description)" in found.both.measures
    assert found.metrics()["both_heads_lower_bound"] == found.both.number
    alone = climb(evidence(a, b), RULES)
    assert (alone.both, alone.rung, alone.sentence) == (None, found.rung, found.sentence)
