"""What is done meanwhile, by threads, without a device."""

import threading

import pytest

from plantain.capture.overlap.ahead import Ahead
from plantain.capture.overlap.drawn_ahead import DrawnAhead
from plantain.capture.overlap.outbox import Outbox


class Shelf:
    """Notes what is read, and lets the test wait for it."""

    def __init__(self):
        self.read, self.turn = [], threading.Condition()

    def __call__(self, name):
        with self.turn:
            self.read.append(name)
            self.turn.notify_all()
        if name == "bad":
            raise KeyError(name)
        return name.upper()

    def wait(self, count):
        with self.turn:
            assert self.turn.wait_for(lambda: len(self.read) >= count, timeout=20)
        return list(self.read)


def test_what_comes_next_is_read_before_it_is_asked_for_and_nothing_beyond():
    shelf = Shelf()
    ahead = Ahead(shelf, ["a", "a", "b", "c", "d", "a", "e"], 2)
    assert ahead("a") == "A"
    assert shelf.wait(3) == ["a", "b", "c"]
    assert ahead("a") == "A"
    assert ahead("b") == "B"
    assert shelf.wait(4) == ["a", "b", "c", "d"]
    assert [ahead(name) for name in "cda"] == ["C", "D", "A"]
    assert shelf.wait(6) == ["a", "b", "c", "d", "a", "e"], "what was given up is read again"
    ahead.close()


def test_what_was_not_expected_is_read_when_it_is_asked_for():
    shelf = Shelf()
    ahead = Ahead(shelf, ["a", "b"], 1)
    assert ahead("z") == "Z"
    assert [ahead("b"), ahead("a")] == ["B", "A"], "in another order too"
    ahead.close()
    empty = Ahead(shelf, [], 1)
    assert empty("q") == "Q"
    empty.close()


def test_what_cannot_be_read_fails_where_it_is_asked_for():
    ahead = Ahead(Shelf(), ["a", "bad", "c"], 2)
    assert ahead("a") == "A"
    with pytest.raises(KeyError):
        ahead("bad")
    assert ahead("c") == "C"
    ahead.close()


@pytest.mark.parametrize("late", [False, True])
def test_results_are_kept_in_order_and_told_of_where_they_were_sent(late):
    kept, told = [], []
    box = Outbox(lambda one: kept.append((one, threading.current_thread().name)), told.append, late=late)
    for one in range(5):
        box.send(one)
    assert told == list(range(4 if late else 5)), "the last one is under way"
    box.flush()
    assert told == list(range(5))
    assert [one for one, _ in kept] == told
    assert {name == "MainThread" for _, name in kept} == {not late}
    box.close()


def test_a_result_that_fails_is_raised_with_the_next_one_and_the_next_one_is_kept():
    kept = []

    def keep(one):
        if one == 1:
            raise ValueError("bad")
        kept.append(one)

    box = Outbox(keep, lambda _: None, late=True)
    box.send(0)
    box.send(1)
    with pytest.raises(ValueError, match="bad"):
        box.send(2)
    box.close()
    assert kept == [0, 2]


def test_only_the_draw_that_was_begun_is_taken_from_a_thread_and_its_failure_with_it():
    threads = {}

    def make(draw):
        threads[draw] = threading.current_thread().name
        if draw == 2:
            raise ValueError("no such draw")
        return draw * 10

    drawn = DrawnAhead(make)
    assert drawn.take(0) == 0
    drawn.begin(1)
    assert drawn.take(1) == 10
    drawn.begin(2)
    with pytest.raises(ValueError, match="no such draw"):
        drawn.take(2)
    drawn.begin(3)
    assert drawn.take(4) == 40, "another one than was begun"
    assert [threads[draw] for draw in (0, 1, 2, 4)] == ["MainThread", "plantain-draw", "plantain-draw", "MainThread"]
