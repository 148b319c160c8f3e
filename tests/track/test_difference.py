"""What differs between two results, for a person who reads it in a terminal and for a program."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.command_line import plantain
from helpers.report_fixture import write_verdict
from helpers.track_helpers import empty, make_results, write
from helpers.workspace import ROOT

from plantain.probe.authoring.diff import load_expansion
from plantain.probe.store import write_expansion
from plantain.records.receipt import PromptSet
from plantain.track import ledger
from plantain.track.results import FolderReader, read_results

TEXTS = {"seen": "The kitchen seen by {creature}", "eyes": "A kitchen through the eyes of {creature}",
         "with": "A kitchen with {creature}"}  # fmt: skip
ITEMS = {"cat": "a cat", "ant": "an ant", "owl": "an owl"}
METRICS = {"heads_over_t3": 59.0, "alive_units": 75.0, "split_half_r": 0.95, "pairs": 3.0}
CARD = {"heads_over_t3": 304.0, "alive_units": 510.0}
RUNGS = ("differs", "reproducible", "exceeds paraphrase")


def rung(number, status, reason=""):
    return {"rung": number, "name": RUNGS[number - 1], "status": status, "measures": "", "number": None, "p": None,
            "floor": None, "reason": reason}  # fmt: skip


@pytest.fixture
def run(checkout, git):
    """A result of a probe, committed unless it is to stand in the workspace alone."""
    (checkout / "prompts").mkdir()
    shutil.copy(ROOT / "params.yaml", checkout)

    def make(texts=TEXTS, items=ITEMS, *, target=METRICS, card=CARD, climb=None, commit=True, model="tiny"):
        contrasts = {"target": {"a": "seen", "b": "with", "role": "target"}}
        probe = {
            "probe": "mini",
            "conditions": {name: {"prompt": text} for name, text in texts.items()},
            "contrasts": contrasts,
            "items": [{"id": name, "creature": creature} for name, creature in items.items()],
        }
        Path("prompts/mini.yaml").write_text(json.dumps(probe))
        expansion = load_expansion("mini", checkout)
        make_results(checkout, probes=("mini",), models=(model,))
        write_expansion(expansion, checkout / "data/prompts")
        records = {f"{one.item}/{one.condition}": one.sha256 for one in expansion.records}
        prompts = PromptSet(probe="mini", set_sha256=expansion.set_sha256, records=records)
        own = {"probe": "mini", "model": model, "capture_key": "0" * 64}
        write(checkout, empty("prompts", probe="mini", prompts=prompts))
        write(checkout, empty("capture", **own, prompts=prompts))
        write(checkout, empty("analyze", **own, metrics={"target": {"heads": target, "card": card}}))
        if climb:
            write_verdict(checkout, probe="mini", model=model, rung=climb[0], rungs=climb[1])
        ledger.write(checkout, read_results(FolderReader(checkout)))
        if commit:
            git("add", "--all", "--force")
            git("commit", "--quiet", "--message", "One more")

    return make


def diff(*arguments):
    answer = plantain("diff", *arguments)
    assert answer.code == 0, answer.errors
    assert max(map(len, answer.output.splitlines())) <= 100
    return answer.output


def flat(output):
    return " ".join(output.split())


def test_the_verdict_comes_first_with_the_rungs_that_fared_otherwise(run):
    run(climb=(1, [rung(1, "passed"), rung(3, "failed", "no head separates them (p = 0.5)")]))
    run(target=METRICS | {"heads_over_t3": 60.0}, climb=(3, [rung(1, "passed"), rung(3, "passed")]), commit=False)
    lines = diff().splitlines()
    assert lines[1] == "  verdict: rung 1 -> 3 (differs -> exceeds paraphrase)"
    assert lines[2] == "    rung 3, exceeds paraphrase: failed -> passed"
    back = diff("workspace", "HEAD")
    assert "verdict: rung 3 -> 1" in back
    assert "rung 3, exceeds paraphrase: passed -> failed: no head separates them (p = 0.5)" in back
    (told,) = json.loads(diff_json())
    assert (told["verdict"]["before"], told["verdict"]["after"]) == (1, 3)
    assert told["verdict"]["rungs"][0]["before"] == "failed"


def diff_json(*arguments):
    return plantain("diff", *arguments, "--json").output


def test_without_the_verdict_itself_gits_table_of_rungs_answers(run, checkout):
    run()
    table = checkout / "reports/verdicts.json"
    table.write_text(json.dumps({"mini": {"tiny": {"verdict_rung": 1.0}}}))
    run()
    table.write_text(json.dumps({"mini": {"tiny": {"verdict_rung": 4.0}}}))
    run(target=METRICS | {"pairs": 4.0}, commit=False)
    assert "verdict: rung 1 -> 4 (differs -> exceeds untrained)" in diff()
    table.write_text("[]")
    assert "verdict: rung 1 (differs) -> none" in diff()


def test_headline_numbers_stand_side_by_side_moved_or_not(run):
    run()
    run(target=METRICS | {"heads_over_t3": 61.0}, commit=False)
    output = diff()
    assert "verdict" not in output, "neither was judged"
    rows = [line.split() for line in output.splitlines() if line.startswith("  target.") or "before" in line]
    assert ["before", "after"] in rows
    assert ["target.heads.heads_over_t3", "59", "of", "75", "61", "of", "75"] in rows
    assert ["target.heads.split_half_r", "0.95", "0.95"] in rows
    assert ["target.card.heads_over_t3", "304", "of", "510", "304", "of", "510"] in rows
    assert output.index("split_half_r") < output.index("numbers moved" if "numbers moved" in output else "number moved")
    (told,) = json.loads(diff_json())
    assert {one["name"]: (one["before"], one["after"]) for one in told["headline"]}["target.heads.heads_over_t3"] == (
        59,
        61,
    )


def test_an_edited_template_is_one_line_however_many_items_there_are(run):
    run()
    run(TEXTS | {"eyes": "The kitchen as {creature} sees it"}, commit=False)
    output = flat(diff())
    assert "3 prompts differ" in output
    new = "The kitchen as {creature} sees it"
    edit = f'condition eyes edited (3 prompts): "{TEXTS["eyes"]}" -> "{new}"'
    assert output.count(edit) == output.count("condition ") == 1
    assert "item " not in output
    (told,) = json.loads(diff_json())
    assert [(one["condition"], one["prompts"], one["example"]) for one in told["conditions"]] == [("eyes", 3, False)]
    assert {one["record"] for one in told["prompts"]} == {"cat/eyes", "ant/eyes", "owl/eyes"}


def test_conditions_that_came_and_went(run):
    run()
    texts = {name: TEXTS[name] for name in ("seen", "with")} | {"view": "The view of {creature}"}
    run(texts, commit=False)
    output = flat(diff())
    assert 'condition eyes removed (3 prompts): "A kitchen through the eyes of {creature}"' in output
    assert 'condition view added (3 prompts): "The view of {creature}"' in output


def test_items_that_came_and_went_are_listed_once_and_an_edited_one_with_its_field(run):
    run()
    run(items={"cat": "a grey cat", "ant": "an ant", "bee": "a bee", "bat": "a bat"}, commit=False)
    output = diff()
    assert "  2 items added: bee, bat\n" in output
    assert "  1 item removed: owl\n" in output
    assert '  item cat edited: creature "a cat" -> "a grey cat"\n' in output
    assert "condition " not in output
    (told,) = json.loads(diff_json())
    assert [one["item"] for one in told["items"]] == ["cat", "owl", "bee", "bat"]


def test_where_the_template_is_not_known_a_prompt_stands_for_it(run, checkout):
    run()
    run(TEXTS | {"eyes": "The kitchen as {creature} sees it"}, commit=False)
    (checkout / "prompts/mini.yaml").write_text("probe: mini\n")
    output = flat(diff())
    example = '(3 prompts), for example: "A kitchen through the eyes of an ant" -> "The kitchen as an ant sees it"'
    assert f"condition eyes edited {example}" in output


def test_receipts_that_are_not_here_are_told_and_the_ledger_answers(run, checkout, git):
    run()
    git("rm", "-r", "--quiet", "--cached", "receipts", "data")
    git("commit", "--quiet", "--message", "As DVC leaves it")
    run(TEXTS | {"eyes": "The kitchen as {creature} sees it"}, target=METRICS | {"pairs": 4.0}, commit=False)
    output = flat(diff())
    assert "The receipts of mini@tiny (HEAD) are not here (`dvc fetch --all-commits` brings them" in output
    assert "condition eyes edited (3 prompts)" in output
    assert "target.heads.pairs: 3 -> 4" in output
    assert "not known without the receipts" in output or "prompts mini" in output
    (told,) = json.loads(diff_json())
    assert told["unread"] == ["mini@tiny (HEAD)"]


def test_nothing_differs_between_a_result_and_itself(run):
    run(climb=(1, [rung(1, "passed")]))
    assert diff("mini@tiny@HEAD", "mini@tiny").splitlines()[1:] == ["  nothing differs"]


@pytest.mark.skipif(not (ROOT / "data/verdicts/tiny/otherview.json").exists(), reason="the results are not pulled")
def test_the_recorded_results_differ_in_a_hundred_columns(monkeypatch):
    monkeypatch.chdir(ROOT)
    output = diff("otherview@tiny", "otherview@tiny-untrained", "--every")
    then, now = (
        json.loads((ROOT / f"data/verdicts/{model}/otherview.json").read_text())["rung"]
        for model in ("tiny", "tiny-untrained")
    )
    assert output.splitlines()[1].startswith(f"  verdict: rung {then} -> {now} (")
    diff("otherview@tiny", "dense@tiny", "--every")
