import random

from helpers.capture_model import record

from plantain.records.keys import batches, passes


def some() -> list:
    return [record(f"item-{i}", c, f"{c} {i}", *(("r", "s") if c == "b" else ("r",))) for i in range(4) for c in "cab"]


def test_passes_cross_alternatives_and_seeds():
    found = passes(some(), [5, 2])
    assert len(found) == 4 * (1 + 1 + 2) * 2
    assert [one.name for one in found] == sorted(one.name for one in found)
    assert {(one.alternative, one.reference) for one in found if one.condition == "b"} == {(0, "r"), (1, "s")}


def test_a_record_without_reference_has_one_pass():
    (one,) = passes([record("i", "a", "x")], [0])
    assert one.reference is None
    assert one.alternative == 0


def test_batches_follow_from_ids_not_from_the_order_of_records():
    shuffled = some()
    random.Random(0).shuffle(shuffled)
    shape = lambda one: one.reference  # noqa: E731
    assert batches(passes(shuffled, [1]), 3, shape) == batches(passes(some(), [1]), 3, shape)


def test_rows_of_a_batch_share_a_shape_and_nothing_is_lost():
    ordered = passes(some(), [0])
    found = batches(ordered, 3, lambda one: one.reference)
    assert sorted(one.name for batch in found for one in batch) == [one.name for one in ordered]
    assert all(len({one.reference for one in batch}) == 1 for batch in found)
    assert all(len(batch) <= 3 for batch in found)
    assert sum(len(batch) < 3 for batch in found) <= 2
