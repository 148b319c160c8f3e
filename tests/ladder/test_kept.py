"""Verdicts that were made before: read where they are whole, made again where they are not."""

import pytest
from helpers.verdict_cells import FRAME, cell, log_rms

from plantain.ladder.judge import judge
from plantain.ladder.kept import KIND, recalled

KEY = "ab" + "0" * 62


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path))
    calls = []

    def make():
        calls.append(1)
        return judge(cell(log_rms(concept=8.0)), FRAME)

    return calls, make, tmp_path / KIND / "ab" / f"{KEY}.json"


def test_what_was_made_before_is_read_to_the_byte(made):
    calls, make, _ = made
    first, second = recalled(KEY, make), recalled(KEY, make)
    assert (len(calls), second, second.to_bytes()) == (1, first, first.to_bytes())
    recalled("cd" + KEY[2:], make)
    assert len(calls) == 2


@pytest.mark.parametrize("damage", [lambda text: text.replace('"rung": 3', '"rung": 7', 1), lambda text: text[:99]])
def test_a_note_that_is_not_what_was_written_is_made_again(made, damage):
    calls, make, path = made
    first = recalled(KEY, make)
    path.write_text(damage(path.read_text()))
    assert recalled(KEY, make) == first
    assert len(calls) == 2
    assert recalled(KEY, make) == first
    assert len(calls) == 2
