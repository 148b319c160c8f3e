import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from helpers.report_fixture import CARD, Cell, write_cell

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import readable_json
from plantain.commands.published import Answer, agrees, check, findings
from plantain.report import published
from plantain.report.published import Published, read_cards, read_published

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def answers(card):
    return {found.figure: found.answer for found in findings(card)}


def card(claims=None, blocks=(), **metrics):
    printed = {name: str(value) for name, value in metrics.items()}
    names = ("a card", "otherview", "a model", "published", "card")
    return Published(*names, printed, blocks=blocks, claims=claims or {})


def test_the_shipped_cards():
    found = {one.card: answers(one) for one in read_cards(places.PUBLISHED)}
    other, dense = found["otherview-plantain"], found["dense-plantain"]
    assert other["heads_over_t3_fraction"] is other["observed_over_null_p99_t5"] is Answer.agrees
    assert [figure for figure, answer in other.items() if answer is Answer.disagrees] == ["prompts"]
    assert Answer.disagrees not in dense.values()
    assert [figure for figure, answer in found["ghost-plantain"].items() if answer is Answer.disagrees] == [
        "heads_over_t5_fraction"
    ], "2,537 of 16,320 are 15.5%, and the card prints 15.6%"
    for name in ("counterfact-plantain", "moral-plantain", "measure-plantain", "after-plantain"):
        assert Answer.disagrees not in found[name].values()
    assert dense["observed_over_null_p99_t3"] is Answer.unchecked
    assert other["null_mean_t3"] is other["max_abs_t"] is Answer.unchecked


def test_every_share_and_ratio_of_the_cards_is_looked_at():
    for one in read_cards(places.PUBLISHED):
        figures = answers(one)
        for name in one.printed:
            if name.endswith("_fraction") or name.startswith("observed_over"):
                assert name in figures


def test_the_four_word_substitution_is_four_words_against_three():
    other = next(one for one in read_cards(places.PUBLISHED) if one.probe == "otherview")
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
    assert re.search(r"^\d+ figures: \d+ agree, 2 disagree, \d+ cannot be checked", capsys.readouterr().out, re.M)
    check(["dense"], as_json=True)
    assert {row["card"] for row in json.loads(capsys.readouterr().out)["figures"]} == {"dense-plantain"}


def test_the_cards_stand_beside_the_results_of_the_last_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_cell(tmp_path, Cell(controls=()))
    write_cell(tmp_path, Cell(model="tiny-untrained", of="tiny", seed=1, controls=()))
    cells = [{"probe": "otherview", "model": model} for model in ("tiny", "tiny-untrained", "not-here")]
    (tmp_path / places.PUBLISHED).mkdir(parents=True)
    places.CELLS.write_bytes(readable_json({"cells": cells}))
    (tmp_path / places.PUBLISHED / "otherview.yaml").write_text(CARD)
    shutil.copy(ROOT / "prompts" / "otherview.yaml", tmp_path / "prompts" / "otherview.yaml")
    (tmp_path / places.PUBLISHED / "dense.yaml").write_text(CARD.replace("otherview", "dense"))
    check()
    said = capsys.readouterr().out
    models = ("tiny", "tiny-untrained")
    summaries = [json.loads(places.summary(model, "otherview").read_bytes()) for model in models]
    metrics = [one["contrasts"]["published"]["card"]["metrics"] for one in summaries]
    counts = [f"{one['heads_over_t3']} ({one['heads_over_t3_fraction']:.0%})" for one in metrics]
    row = next(line for line in said.splitlines() if "12,091 (74%)" in line)
    assert re.split(r" {2,}", row.strip())[1:] == ["12,091 (74%)", *counts]
    assert "No result here repeats the protocol of dense-plantain" in said
    check(["otherview"], as_json=True)
    (beside,) = json.loads(capsys.readouterr().out)["beside"]
    assert (beside["card"], beside["rows"][0]["metric"]) == ("otherview-plantain", "heads_over_t3")
    assert beside["rows"][0]["models"] == dict(zip(models, counts, strict=True))


def test_a_ratio_of_nothing_and_an_effect_without_pairs_are_no_disagreement():
    assert answers(card(heads_over_t3=0, observed_over_null_p99_t3=0))["observed_over_null_p99_t3"] is Answer.unchecked
    assert answers(card(heads_over_d08=10, heads_over_t3=5)) == {}


def test_a_folder_without_cards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no published card"):
        check()


def test_a_probe_without_a_card_is_no_success():
    with pytest.raises(InputError, match="'dens'") as caught:
        check(["dens"])
    assert caught.value.exit_code == 2
    assert caught.value.fix.startswith("use one of: after, ")


DENSE = (ROOT / "reports/published/dense.yaml").read_text()
DAMAGE = {
    "bad syntax": ("pairs: 25", "pairs: [25", "", "not valid YAML"),
    "a key twice": ("pairs: 25", "pairs: 25\n  pairs: 26", "", "twice"),
    "words for a number": ("pairs: 25", "pairs: many", "metrics.pairs", "'many' is not a number"),
    "no number": ("pairs: 25", "pairs:", "metrics.pairs", "'' is not a number"),
    "a negative count": ("pairs: 25", "pairs: -5", "metrics.pairs", "-5 lies outside [1, 1e15]"),
    "half a pair": ("pairs: 25", "pairs: 25.5", "metrics.pairs", "not a whole number"),
    "a comma": ("t3: 8263", 't3: "8,263"', "metrics.heads_over_t3", "'8,263' is not a number"),
    "a percentage": ("0.506", "50.6%", "metrics.heads_over_t3_fraction", "'50.6%' is not a number"),
    "a share over one": ("0.506", "50.6", "metrics.heads_over_t3_fraction", "outside [0, 1]"),
    "a list": ("pairs: 25", "pairs: [25]", "metrics.pairs", "a list is not a number"),
    "an infinite ratio": ("t3: 6.2", "t3: .inf", "metrics.observed_over_null_p99_t3", "'.inf' is not a number"),
    "a ratio named inf": ("t3: 6.2", "t3: inf", "metrics.observed_over_null_p99_t3", "'inf' is not a number"),
    "a ratio past all": ("t3: 6.2", "t3: 1e999", "metrics.observed_over_null_p99_t3", "1e999 lies outside"),
    "no analysis": ("analysis: card\n", "", "analysis", "needs `analysis`"),
    "a nameless card": ("card: dense-plantain", "card: []", "card", "text"),
    "no units": (", units: 192, median_abs_d: 1.02", ", median_abs_d: 1.02", "blocks.3.units", "needs `units`"),
    "no unit": ("t3: 283, units: 768", "t3: 283, units: 0", "blocks.0.units", "0 lies outside"),
    "an odd kind": (
        "block_kind: joint, block: 4",
        "block_kind: j, block: 4",
        "blocks.4.block_kind",
        "not one of [joint, single]",
    ),
    "a row of text": (
        "  - {block_kind: joint, block: 4",
        "  - four\n  - {block_kind: joint, block: 4",
        "blocks.4",
        "'four' is not a mapping",
    ),
    "claims in words": ("protocol:", "claims: four\nprotocol:", "claims", "'four' is not a mapping"),
    "a claim in words": (
        "protocol:",
        "claims: {substituted_words: four}\nprotocol:",
        "claims.substituted_words",
        "'four'",
    ),
    "a contrast that is none": ("contrast: published", "contrast: publishd", "contrast", "no contrast 'publishd'"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "prompts").symlink_to(ROOT / "prompts")
    (tmp_path / "reports/published").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "reports/published"


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_card_is_one_sentence_with_file_line_field_and_fix(folder, damage):
    old, new, field, words = DAMAGE[damage]
    assert old in DENSE
    (folder / "dense.yaml").write_text(DENSE.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        check()
    error = caught.value
    assert error.exit_code == 2
    assert error.field.startswith(field)
    assert words in error.problem
    assert error.fix
    assert error.line
    assert "dense.yaml:" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(("name", "text"), [("metrics", "abc"), ("metrics", ""), ("blocks", "3")])
def test_a_section_of_another_kind(folder, name, text):
    short = "card: a\nprobe: dense\nmodel: m\ncontrast: published\nanalysis: card\nmetrics: {units: 5}\n"
    kept = "\n".join(line for line in short.splitlines() if not line.startswith(name))
    (folder / "a.yaml").write_text(f"{kept}\n{name}: {text}\n")
    with pytest.raises(InputError, match=r"a\.yaml:\d") as caught:
        read_cards(folder)
    assert caught.value.field == name
    assert caught.value.fix


@pytest.mark.parametrize("data", [b"card: \xff", b"", b"abc", b"- 1"])
def test_a_file_that_is_no_card(folder, data):
    (folder / "a.yaml").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.yaml") as caught:
        read_cards(folder)
    assert caught.value.fix


def test_the_report_reads_cards_as_the_check_does(folder):
    (folder / "dense.yaml").write_text(DENSE.replace("pairs: 25", "pairs: many"))
    with pytest.raises(InputError, match="'many' is not a number"):
        read_published(folder.parent.parent, "dense")
    (folder / "dense.yaml").write_text(DENSE.replace("0.85\n", "0.850\n"))
    (found,) = read_published(folder.parent.parent, "dense")
    assert found.metrics["split_half_r_q25"] == 0.85
    assert found.printed["split_half_r_q25"] == "0.850"


def test_every_card_is_read_once_however_many_probes_there_are(monkeypatch):
    read, results = [], [SimpleNamespace(root=ROOT, probe=f"p{n}", analysis=lambda *_: None) for n in range(20)]
    whole = published.read_card
    monkeypatch.setattr(published, "read_card", lambda path: read.append(path) or whole(path))
    assert published.abreast(results) == []
    assert sorted(read) == sorted((ROOT / places.PUBLISHED).glob("*.yaml"))
