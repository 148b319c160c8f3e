import json
from pathlib import Path

import pytest
import typer

from plantain.commands.published import Answer, Card, agrees, check, findings, read_cards
from plantain.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def answers(card):
    return {found.figure: found.answer for found in findings(card)}


def card(claims=None, blocks=(), **metrics):
    return Card(
        "a card", "otherview", "published", {name: str(value) for name, value in metrics.items()}, blocks, claims or {}
    )


def test_the_shipped_cards():
    found = {one.name: answers(one) for one in read_cards(Path("reports/published"))}
    other, dense = found["otherview-plantain"], found["dense-plantain"]
    assert other["heads_over_t3_fraction"] is other["observed_over_null_p99_t5"] is Answer.agrees
    assert [figure for figure, answer in other.items() if answer is Answer.disagrees] == ["prompts"]
    assert Answer.disagrees not in dense.values()
    assert dense["observed_over_null_p99_t3"] is Answer.unchecked
    assert other["null_mean_t3"] is other["max_abs_t"] is Answer.unchecked


def test_every_share_and_ratio_of_the_cards_is_looked_at():
    for one in read_cards(Path("reports/published")):
        figures = answers(one)
        for name in one.metrics:
            if name.endswith("_fraction") or name.startswith("observed_over"):
                assert name in figures


def test_the_four_word_substitution_is_four_words_against_three():
    other = next(one for one in read_cards(Path("reports/published")) if one.probe == "otherview")
    found = next(one for one in findings(other) if one.figure == "prompts")
    assert found.printed == "a matched substitution of 4 words"
    assert found.derived == "4 words against 3, so the two prompts are not equally long"
    assert found.answer is Answer.disagrees


@pytest.mark.parametrize(
    ("printed", "derived", "expected"),
    [
        ("0.74", 12091 / 16320, True),
        ("0.75", 12091 / 16320, False),
        ("0.740", 12091 / 16320, False),
        ("18", 18.4878, True),
        ("19", 18.4878, False),
        ("3191", 9574 / 3, True),
        ("0.5", 0.55, True),
        ("0.50", 0.55, False),
    ],
)
def test_a_figure_stands_for_what_rounds_to_it(printed, derived, expected):
    assert agrees(printed, derived) is expected


WRONG = {
    "heads_over_t3_fraction": card(units=16320, heads_over_t3=8263, heads_over_t3_fraction=0.516),
    "observed_over_null_p99_t3": card(heads_over_t3=8263, null_p99_t3=100, observed_over_null_p99_t3=6.2),
    "observed_over_null_p99_t5": card(heads_over_t5=10, observed_over_null_p99_t5=6.20),
    "heads over |t| 3 and 5": card(heads_over_t3=10, heads_over_t5=11),
    "heads over |t| 4 and 5": card(pairs=25, heads_over_d08=10, heads_over_t5=11),
    "split_half_r": card(split_half_r=0.9, split_half_r_q25=0.91, split_half_r_q75=0.95),
    "units": card(units=17280),
}


@pytest.mark.parametrize("figure", WRONG)
def test_a_figure_that_does_not_follow_disagrees(figure):
    assert answers(WRONG[figure])[figure] is Answer.disagrees


def block(**changes):
    row = {
        "block_kind": "single",
        "block": "3",
        "max_abs_t": "22.06",
        "over_t3": "389",
        "units": "768",
        "median_abs_d": "0.61",
    }
    return ({**row, **changes},)


def test_a_median_effect_says_on_which_side_of_a_half_a_count_lies():
    figure = "single[3] over_t3"
    assert answers(card(pairs=25, max_abs_t=22.06, blocks=block()))[figure] is Answer.agrees
    assert answers(card(pairs=25, max_abs_t=22.06, blocks=block(over_t3="100")))[figure] is Answer.disagrees
    assert answers(card(pairs=25, max_abs_t=22.06, blocks=block(median_abs_d="0.60")))[figure] is Answer.unchecked
    assert answers(card(pairs=25, max_abs_t=22.45, blocks=block()))["max_abs_t"] is Answer.disagrees
    assert answers(card(blocks=block(units="192")))["single[3] units"] is Answer.disagrees


def test_the_command_prints_and_exits_with_one(capsys):
    with pytest.raises(typer.Exit) as ended:
        check()
    assert ended.value.exit_code == 1
    assert "24 agree, 1 disagree, 5 cannot be checked" in capsys.readouterr().out
    check(["dense"], as_json=True)
    assert {row["card"] for row in json.loads(capsys.readouterr().out)} == {"dense-plantain"}


def test_a_folder_without_cards_and_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match="no published card"):
        read_cards(tmp_path)
    (tmp_path / "a.yaml").write_text("card: a\n")
    with pytest.raises(InputError, match="not a card"):
        read_cards(tmp_path)
