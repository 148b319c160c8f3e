import os

import pytest

from plantain.base.errors import InputError
from plantain.base.threads import threads_available


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("PLANTAIN_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PLANTAIN_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": " 4 , 2"}, 4),
        ({"PLANTAIN_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"PLANTAIN_THREADS": "3", "OMP_NUM_THREADS": "5,2"}, 3),
        ({"PLANTAIN_THREADS": "3", "OMP_NUM_THREADS": "odd"}, 3),
        ({"PLANTAIN_THREADS": "", "OMP_NUM_THREADS": "5"}, 5),
    ],
)
def test_threads_are_what_a_variable_says(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert threads_available() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLANTAIN_THREADS", "2,1"),
        ("PLANTAIN_THREADS", "0"),
        ("PLANTAIN_THREADS", "-1"),
        ("OMP_NUM_THREADS", "two"),
        ("OMP_NUM_THREADS", ",2"),
        ("OMP_NUM_THREADS", "0,2"),
        ("OMP_NUM_THREADS", "\u00b2"),
    ],
)
def test_the_variable_that_is_wrong_is_the_one_that_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        threads_available()
    assert caught.value.field == name
    assert caught.value.fix


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_without_a_variable_they_are_the_cores_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 5})
    assert threads_available() == 3
