"""Settings that the last stages would refuse are refused before the first."""

from pathlib import Path

import numpy as np
import pytest
from helpers.verdict_cells import groups

from plantain.analysis.cell import analyse_cell
from plantain.analysis.feasible import always_feasible, infeasible
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Tokens
from plantain.probe.records import Contrasts, ExpandedContrast, Expansion, Record
from plantain.probe.spec import Role
from plantain.records.activations import Activations

PARAMS = read_params(Path(__file__).parents[2] / "params.yaml")


def expansion(items: int, *, blocks=None, reference=("room",)) -> Expansion:
    contrast = ExpandedContrast("target", ("a",), ("b",), Role.target, (None, None), blocks)
    rows = [Record(f"i-{n}", name, f"{name} {n}", reference, "0", {}) for n in range(items) for name in "ab"]
    return Expansion("mine", tuple(rows), (), (contrast,), "0")


def with_heads(**changes):
    heads = PARAMS.analyses["heads"].model_copy(update=changes)
    return PARAMS.model_copy(update={"analyses": {"heads": heads}})


def fields(found: Expansion, params) -> list[str]:
    return [error.field for error in infeasible(found, params)]


def test_the_shipped_settings_serve_every_probe_that_may_be_written():
    assert always_feasible(PARAMS)
    assert fields(expansion(10_000), PARAMS) == []


@pytest.mark.parametrize(
    ("changes", "items", "field"),
    [
        ({"flips": "exact"}, 38, "analyses.heads.flips"),
        ({"flips": 1_000_000}, 200, "analyses.heads.flips"),
        ({"split_flips": 1_000_000}, 200, "analyses.heads.split_flips"),
    ],
)
def test_more_flips_than_can_be_counted_are_found_and_refused_by_analyze_too(changes, items, field):
    params = with_heads(**changes)
    assert not always_feasible(params)
    assert fields(expansion(items), params) == [field]
    assert fields(expansion(12), params) == []
    assert fields(expansion(items, blocks=tuple(str(n % 12) for n in range(items))), params) == []
    names = tuple(f"i-{n}" for n in range(items))
    rng = np.random.default_rng(0)
    made = Activations(
        rng.uniform(0.5, 2, (1, items, 2, 1, 1, 4, 60)).astype(np.float32),
        np.full((items, 2, 1, 4), 5, np.int32), names, ("a", "b"), ("room",), (0,), (0,), header={},
    )  # fmt: skip
    contrasts = Contrasts("mine", names, ({},) * items, expansion(items).contrasts)
    with pytest.raises(InputError):
        analyse_cell(made, groups(), contrasts, {"heads": params.analyses["heads"].model_copy(update={"splits": 1})})


def test_tokens_of_a_reference_need_one_in_every_condition():
    params = with_heads(tokens=Tokens.reference)
    assert not always_feasible(params)
    assert fields(expansion(12), params) == []
    assert fields(expansion(12, reference=()), params) == ["analyses.heads.tokens"]


def test_flips_of_the_verdict_are_looked_at_too():
    verdict = PARAMS.verdict.model_copy(update={"flips": 1_000_000})
    params = PARAMS.model_copy(update={"verdict": verdict})
    assert fields(expansion(200), params) == ["verdict.flips"]
