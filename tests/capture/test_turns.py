import random

import pytest

from plantain.base.errors import CheckFailed
from plantain.capture.elsewhere.turns import MOST_LOSSES, Turns, computing, grouped
from plantain.capture.grams import Job
from plantain.records.keys import Pass


def job(draw: int, item: str, condition: str) -> Job:
    one = Pass(item=item, condition=condition, prompt="x", reference=None, alternative=0, seed=0)
    return Job(draw, f"{draw}-{item}-{condition}", (one,))


def jobs(draws: int, items: int, conditions: int) -> list[Job]:
    return [
        job(draw, f"item-{item}", f"c-{condition}")
        for condition in range(conditions)
        for draw in range(draws)
        for item in range(items)
    ]


def turns_of(*size: int) -> Turns:
    return Turns(computing(jobs(*size)))


def test_all_wordings_of_an_item_stay_together():
    groups = grouped(jobs(2, 3, 4))
    assert len(groups) == 6
    for group in groups:
        assert len(group) == 4
        assert len({(one.draw, one.batch[0].item) for one in group}) == 1


def test_a_process_keeps_its_draw_while_there_is_work_in_it():
    turns = turns_of(3, 4, 2)
    first = turns.next(None)
    draw = turns.pieces[first].draw
    taken = [turns.next(draw) for _ in range(3)]
    assert {turns.pieces[index].draw for index in taken} == {draw}
    assert turns.pieces[turns.next(draw)].draw != draw


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_and_nothing_waits_for_the_dead(seed):
    """Processes that die and come back, or never do, at random; every group is finished once."""
    stream = random.Random(seed)
    turns = turns_of(2, 15, 2)
    holding: dict[int, int] = {}
    alive, first_times = set(range(4)), []
    for _ in range(10_000):
        if turns.finished:
            break
        for process in sorted(alive - holding.keys()):
            index = turns.next(None)
            if index is not None:
                holding[process] = index
        process = stream.choice(sorted(holding))
        index = holding.pop(process)
        if len(alive) > 1 and stream.random() < 0.05:
            alive.discard(process)  # its group stays held: nobody knows that it is gone
            if stream.random() < 0.5:
                turns.lost(index)
        elif turns.done(index):
            first_times.append(index)
    assert turns.finished
    assert sorted(first_times) == list(range(30))


def test_what_kills_every_process_is_given_up():
    turns = turns_of(1, 2, 1)
    index = turns.next(None)
    for _ in range(MOST_LOSSES - 1):
        turns.lost(index)
        index = turns.next(None)
    with pytest.raises(CheckFailed, match="item 'item-0'"):
        turns.lost(index)
