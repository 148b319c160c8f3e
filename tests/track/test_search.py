"""Numbers and prompts are found again: held against a scan of the recorded results that shares no code with it."""

import json
import shutil
import subprocess
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from helpers.command_line import plantain
from helpers.workspace import ROOT

from plantain.base.errors import InputError
from plantain.probe.authoring.diff import load_expansion
from plantain.records.ledger import Ledger, LedgerEntry, RecordedSet
from plantain.track.search.lines import value_lines
from plantain.track.search.numbers import Number
from plantain.track.search.typed import as_typed
from plantain.track.search.values import Located

REPORTS = ROOT / "reports"
MEASURED = {
    (path.parent.name, path.parent.parent.name, contrast, analysis, metric): value
    for path in sorted(REPORTS.glob("*/*/metrics.json"))
    for contrast, analyses in json.loads(path.read_text()).items()
    for analysis, metrics in analyses.items()
    for metric, value in metrics.items()
}
JUDGED = {
    (probe, model, "target", "verdict", metric): value
    for probe, models in json.loads((REPORTS / "verdicts.json").read_text()).items()
    for model, metrics in models.items()
    for metric, value in metrics.items()
}
SHARES = {"sufficiency", "necessity", "redundancy", "random", "into_a", "into_b", "mediation"}
"""Numbers of swapped heads that may be said in per cent, besides p."""


def swapped(table):
    """Name to value of everything in a table of interventions, by its JSON alone."""
    yield from ((name, table[name]) for name in ("output_change", "additivity"))
    yield from (table.get("areas") or {}).items()
    yield from ((f"{one['name']}.{part}", one[part]) for one in table["tests"] for part in ("statistic", "p"))
    for one in table["curve"]:
        yield from ((f"first_{one['heads']}.{part}", one[part]) for part in ("sufficiency", "necessity", "random"))
    for one in table["heads"]:
        yield f"{one['block_kind']}_{one['block']}.head_{one['head']}.mediation", one["mediation"]
    seen = []
    for one in table.get("sets", []):
        seen.append(one["how"])
        name = "set" if one["how"] == "chosen" else f"{one['how']}.{one['of'] or seen.count(one['how'])}"
        parts = (*SHARES - {"random", "mediation"}, "off_axis", "dose")
        yield from ((f"{name}.{part}", one[part]) for part in parts if one[part] is not None)
    for one in table.get("donors", []):
        name = f"donors.{one['kind']}" + (f".{one['contrast']}" if one["kind"] == "decoy" else "")
        yield from ((f"{name}.{part}", one[part]) for part in ("statistic", "p", "apart"))
    for one in table.get("routes", []):
        yield from ((f"{who}.at_{one['tokens']}", one[key]) for who, key in (("all", "all_heads"), ("set", "chosen")))


SWAPPED = {
    (probe, model, "target", "swaps", name): float(value)
    for probe, models in json.loads((REPORTS / "verdicts.json").read_text()).items()
    for model in models
    if (path := REPORTS / "study" / "causal" / model / f"{probe}.json").exists()
    for name, value in swapped(json.loads(path.read_text()))
}
RECORDED = MEASURED | JUDGED | SWAPPED
TARGET = {place[4]: value for place, value in RECORDED.items() if place[:4] == ("otherview", "tiny", "target", "heads")}
"""Numbers to ask about; whatever they are, the scan above says who reports them."""
R, SHARE, MANY, DELTA = (TARGET[name] for name in ("split_half_r", "heads_over_t3_fraction", "heads_over_t3", "delta"))
BOUND, UNITS = (int(TARGET[name]) for name in ("selective_heads_lower_bound", "alive_units"))
TEXTS_OF_NUMBERS = [f"{R:.2f}", f"{R:.3f}", f"{R:.1f}", "1.0", f"{TARGET['max_abs_t']:.1f}", f"{DELTA:g}",
                    f"{SHARE:.2f}".lstrip("0"), "0.0", "5.0e-3"]  # fmt: skip
PERCENTAGES = [(f"{SHARE:.0%}", "0.01"), (f"{100 * SHARE:.0f} %", "0.01"), (f"{SHARE:.1%}", "0.001"), ("0%", "0.01")]
FRACTIONS = [[f"{BOUND}/{UNITS}"], [f"{BOUND} of {UNITS}"], [str(BOUND), "of", str(UNITS)], [f"{BOUND} / {UNITS}"]]


@pytest.fixture
def recorded(checkout):
    """The results of this repository as git holds them, without its history."""
    shutil.copytree(ROOT / "prompts", checkout / "prompts")
    for path in (ROOT / "params.yaml", *REPORTS.rglob("*.json"), *REPORTS.rglob("*.yaml")):
        target = checkout / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return checkout


def found(*arguments):
    """Place and value of everything that is found in the workspace."""
    told = json.loads(plantain("audit", "--json", *arguments).output)["numbers"]
    keys = ("probe", "model", "contrast", "analysis", "metric")
    return {tuple(one[key] for key in keys): one["value"] for one in told if one["where"] == "workspace"}


def where(says):
    return {place: value for place, value in RECORDED.items() if says(place[-1], Decimal(str(value)))}


def flat(output):
    return " ".join(output.split())


def to(value, step):
    return value.quantize(Decimal(step), ROUND_HALF_UP)


@pytest.mark.parametrize("text", TEXTS_OF_NUMBERS)
def test_a_number_matches_what_rounds_to_it_at_the_precision_typed(recorded, text):
    step = Decimal(1).scaleb(Decimal(text).as_tuple().exponent)
    expected = where(lambda _, value: to(value, step) == Decimal(text))
    assert expected
    assert found(text) == expected


@pytest.mark.parametrize("text", [str(BOUND), f"{MANY:.0f}", "0", "1"])
def test_a_whole_number_matches_itself_alone(recorded, text):
    expected = where(lambda _, value: value == int(text))
    assert expected
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "step"),
    PERCENTAGES,
)
def test_a_percentage_matches_shares_and_probabilities(recorded, text, step):
    wanted = Decimal(text.rstrip("% ")) / 100
    p = {name for *_, name in RECORDED if name.endswith("_p") or name.startswith(("count_p", "p_holm"))}
    p |= {name for *_, name in SWAPPED if name.rpartition(".")[2] in {"p", *SHARES} or ".at_" in name}
    expected = where(lambda name, value: (name in p or name.endswith("_fraction")) and to(value, step) == wanted)
    assert expected
    assert found(text) == expected


@pytest.mark.parametrize("words", FRACTIONS)
def test_a_fraction_matches_counts_of_that_many_units_and_equal_shares(recorded, words):
    units = {place[:4]: value for place, value in RECORDED.items() if place[4] == "alive_units"}
    units |= {(*place[:3], "verdict"): units[*place[:3], "heads"] for place in JUDGED}
    counts = {place for place in RECORDED if "heads" in place[4] or place[4] in ("null_p99_t3", "template_count")}
    counts = {place for place in counts if not place[4].endswith(("_fraction", "_p")) and units[place[:4]] == UNITS}
    shares = {place for place in RECORDED if place[4].endswith("_fraction")}
    expected = {place: RECORDED[place] for place in counts if RECORDED[place] == BOUND}
    expected |= {place: RECORDED[place] for place in shares if RECORDED[place] == float(f"{BOUND / UNITS:.6g}")}
    assert ("otherview", "tiny", "target", "heads", "selective_heads_lower_bound") in expected
    assert found(*words) == expected
    assert f"selective_heads_lower_bound  {BOUND} of {UNITS}" in plantain("audit", *words).output


@pytest.mark.parametrize("name", ["split_half_r", "heads.split_half_r", "target.heads.split_half_r"])
def test_a_name_narrows_the_question(recorded, name):
    expected = {
        place: value
        for place, value in where(lambda _, value: to(value, "0.01") == Decimal(f"{R:.2f}")).items()
        if ".".join(place[2:]).endswith(f".{name}") or ".".join(place[2:]) == name
    }
    assert expected
    assert found(f"{name}={R:.2f}") == expected == found("--metric", f"{name}={R:.2f}")


def test_the_middle_of_two_is_rounded_away_from_zero(recorded):
    path = recorded / "reports/tiny/dense/metrics.json"
    numbers = {
        "made": {"heads": {"low": 0.935, "high": 0.945, "minus": -0.935, "a_fraction": 0.935, "b_fraction": 0.945}}
    }
    path.write_text(json.dumps(numbers))
    (recorded / "reports/ledger.json").unlink()
    names = lambda *words: {place[-1] for place in found(*words) if place[2] == "made"}  # noqa: E731
    assert names("0.94") == {"low", "a_fraction"}
    assert names("94%") == {"a_fraction"}
    assert names("--", "-0.94") == names("\N{MINUS SIGN}0.94") == {"minus"}


def test_the_numbers_of_the_workspace_are_those_of_its_metrics_and_not_of_an_older_ledger(recorded):
    path = recorded / "reports/tiny/otherview/metrics.json"
    data = json.loads(path.read_text())
    data["target"]["heads"]["split_half_r"] = 0.123456
    path.write_text(json.dumps(data))
    told = json.loads(plantain("audit", "split_half_r=0.1235", "--json").output)["numbers"]
    assert [(one["contrast"], one["prompts_sha256"]) for one in told] == [("target", None)]
    assert ("otherview", "tiny", "target", "heads", "split_half_r") not in found(f"{R:g}")


def test_a_published_card_is_named(recorded):
    output = plantain("audit", "12,091").output
    assert "12,091 in the workspace" in output
    assert "[the published card otherview-plantain (otherview.yaml)]" in output
    assert "heads_over_t3  12091 of 16320" in output
    assert plantain("audit", "12091/16320").code == 0
    assert "single0" in plantain("audit", "283/768").output


def test_a_number_that_nothing_matches_gets_the_nearest_in_a_sentence(recorded):
    answer = plantain("audit", "split_half_r=0.5555")
    values = sorted(
        {value for place, value in RECORDED.items() if place[-1] == "split_half_r"} | {0.863},
        key=lambda value: abs(value - 0.5555),
    )
    assert answer.code == 1
    said = flat(answer.output)
    assert [text.split(" ")[0] for text in said.split("nearest are ")[1].split("), ")] == [
        f"{one:g}" for one in values[:3]
    ]
    told = json.loads(plantain("audit", "split_half_r=0.5555", "--json").output)
    assert (told["numbers"], [one["value"] for one in told["nearest"]]) == ([], values[:3])
    assert told["workspace"] == str(recorded)


def test_whole_numbers_that_others_round_to_are_mentioned(recorded):
    path = recorded / "reports/tiny/dense/metrics.json"
    path.write_text(json.dumps({"made": {"heads": {"delta": 1234.4321, "pairs": 1234.0, "beyond": 1234.5}}}))
    output = plantain("audit", "1234").output
    assert "Not counted, since they have decimals that round to 1234: 1234.43 (dense@tiny made.heads delta)" in flat(
        output
    )
    assert "beyond" not in output
    assert set(found("1234").values()) == {1234.0}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["abc"], "'abc' is neither a result nor a number. Fix: write PROBE@MODEL, or a number such as 0.94"),
        (["otherview"], "neither a result nor a number"),
        (["0,94"], "'0,94' is not a number. Fix: write a number such as 0.94"),
        (["nan"], "neither a result"),
        (["1e999"], "more digits than any number here"),
        (["9" * 99], "more digits than any number here"),
        (["5/0"], "divides by nothing"),
        (["6.3/7.5"], "not a number"),
        (["0.94", "0.95"], "not a number"),
        (["%"], "neither a result nor a number"),
        (["split_half=0.94"], "no number is called 'split_half'. Fix: did you mean split_half_r or "),
        (["--metric", "0.94"], "'0.94' is not a metric and its value"),
        (["--metric", "=0.94"], "is not a metric and its value"),
        (["--metric", "split_half_r=much"], "'much' is not a number"),
        (["0.94", "--prompt", "cat"], "more than one question at once"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence_with_exit_code_2(recorded, words, said):
    answer = plantain("audit", *words)
    assert (answer.code, answer.output) == (2, "")
    assert said in answer.errors
    assert answer.errors.count("\n") == 1


def test_a_damaged_table_is_named(recorded):
    (recorded / "reports/tiny/dense/metrics.json").write_text("{")
    answer = plantain("audit", "0.94")
    assert (answer.code, "reports/tiny/dense/metrics.json: not readable" in answer.errors) == (2, True)


def test_a_workspace_without_results_has_no_number(recorded):
    shutil.rmtree(recorded / "reports")
    answer = plantain("audit", "split_half_r=0.94")
    assert (answer.code, "there is none to compare it with" in flat(answer.output)) == (1, True)


@pytest.mark.parametrize(
    "words", [["0.94"], ["0"], ["0.12345"], ["--prompt", "cat"], ["--prompt", "cat/mention"], ["12091"]]
)
def test_answers_fit_a_terminal_and_name_the_workspace_first(recorded, words):
    lines = plantain("audit", *words).output.splitlines()
    assert max(map(len, lines)) <= 100
    assert " the workspace " in " ".join(lines[:2])


TEXTS = {"seen": "The kitchen seen by {creature}", "eyes": "A kitchen through the eyes of {creature}",
         "with": "A kitchen with {creature}", "idle": "Nothing but {creature}"}  # fmt: skip
METRICS = {"pairs": 3.0, "max_abs_t": 4.5}


@pytest.fixture
def house(checkout, git):
    """Commit a probe with the ledger of a run of it; every contrast has two numbers of its own."""
    (checkout / "prompts").mkdir()
    shutil.copy(ROOT / "params.yaml", checkout)

    def run(*, creature="a cat", base=0.0, commit=True, **contrasts):
        sides = contrasts or {"target": ("seen", "with"), "published": ("eyes", "with")}
        probe = {
            "probe": "mini",
            "conditions": {name: {"prompt": text} for name, text in TEXTS.items()},
            "contrasts": {
                name: {"a": a, "b": b, "role": name if name in ("target", "published") else "control"}
                for name, (a, b) in sides.items()
            },
            "items": [{"id": "cat", "creature": creature}, {"id": "ant", "creature": "an ant"}],
        }
        Path("prompts/mini.yaml").write_text(json.dumps(probe))
        expansion = load_expansion("mini", checkout)
        records = {f"{one.item}/{one.condition}": one.sha256 for one in expansion.records}
        entries = [
            LedgerEntry(
                probe="mini", model="tiny", contrast=name, analysis="heads", prompts_sha256=expansion.set_sha256,
                capture_key=None, receipt_sha256="0" * 64, metrics={key: METRICS[key] + base for key in METRICS},
            )
            for name in sides
        ]  # fmt: skip
        sets = {expansion.set_sha256: RecordedSet(probe="mini", records=records)}
        Path("reports").mkdir(exist_ok=True)
        Path("reports/ledger.json").write_bytes(Ledger(prompt_sets=sets, numbers=entries).to_bytes())
        if not commit:
            return expansion.set_sha256, "workspace"
        git("add", "--all")
        git("commit", "--quiet", "--message", "One more")
        return expansion.set_sha256, git("rev-parse", "HEAD")

    return run


def entered(*arguments):
    told = json.loads(plantain("audit", *arguments, "--json").output)
    return {(one["contrast"], one["where"], tuple(one["records"])) for one in told["numbers"]}


def test_a_prompt_entered_the_numbers_of_the_contrasts_with_its_wording_alone(house):
    house()
    assert entered("--prompt", "cat/seen") == {("target", "workspace", ("cat/seen",))}
    assert entered("--prompt", "cat/eyes") == {("published", "workspace", ("cat/eyes",))}
    assert entered("--prompt", "A kitchen with a cat") == {
        ("target", "workspace", ("cat/with",)), ("published", "workspace", ("cat/with",)),
    }  # fmt: skip
    assert entered("--prompt", "cat") == {
        ("target", "workspace", ("cat/seen", "cat/with")), ("published", "workspace", ("cat/eyes", "cat/with")),
    }  # fmt: skip


def test_a_prompt_that_is_in_no_contrast_entered_none(house):
    house()
    answer = plantain("audit", "--prompt", "cat/idle")
    assert answer.code == 1
    assert "it was asked, and its wording is in no contrast" in flat(answer.output)
    answer = plantain("audit", "--prompt", "dog")
    assert (answer.code, "nothing like it was asked" in flat(answer.output)) == (1, True)


def test_the_contrasts_are_those_of_the_time(house):
    _, first = house()
    house(creature="a grey cat", target=("eyes", "with"))
    assert entered("--prompt", "ant/seen") == {("target", first, ("ant/seen",))}
    assert entered("--prompt", "ant/eyes") == {
        ("target", "workspace", ("ant/eyes",)), ("published", first, ("ant/eyes",)),
    }  # fmt: skip
    output = plantain("audit", "--prompt", "ant/seen").output
    assert f"since {first[:10]} of " in output
    assert "2 numbers of target.heads" in output


def test_an_edit_after_the_run_changes_nothing_about_what_was_asked(house, checkout):
    house()
    path = checkout / "prompts/mini.yaml"
    path.write_text(path.read_text().replace("a cat", "a dog"))
    assert entered("--prompt", "cat/seen") == {("target", "workspace", ("cat/seen",))}


def test_a_set_whose_probe_file_is_lost_is_told_as_such(house, checkout):
    house(commit=False)
    (checkout / "prompts/mini.yaml").unlink()
    assert entered("--prompt", "cat/seen") == {
        (name, "workspace", ("cat/seen",)) for name in ("target", "published")
    }  # fmt: skip
    assert "(?) No probe file gives that prompt set any more" in plantain("audit", "--prompt", "cat/seen").output


def test_earlier_numbers_come_after_and_each_of_them_once(house):
    house()
    house(base=1.0)
    house(base=2.0)
    house()
    told = json.loads(plantain("audit", "max_abs_t=4.5", "--json").output)["numbers"]
    assert {(one["where"], one["contrast"]) for one in told} == {("workspace", "target"), ("workspace", "published")}
    told = json.loads(plantain("audit", "5.50", "--json").output)["numbers"]
    assert {one["where"] for one in told} == {_commit(1)}
    output = plantain("audit", "5.5").output
    assert "0 numbers now, 2 earlier" in flat(output)
    assert f"max_abs_t  5.5  since {_commit(1)[:10]} of " in output


def test_a_number_of_several_states_of_the_ledger_is_one_line(house):
    house()
    sides = {"target": ("seen", "with"), "published": ("eyes", "with")}
    _, second = house(again=("seen", "eyes"), **sides)
    house(base=7.0)
    (one,) = json.loads(plantain("audit", "again.heads.max_abs_t=4.5", "--json").output)["numbers"]
    assert (one["where"], one["states"]) == (second, 1)
    (one,) = json.loads(plantain("audit", "target.heads.max_abs_t=4.5", "--json").output)["numbers"]
    assert one["states"] == 2
    assert "in 2 states of the ledger" in plantain("audit", "target.heads.max_abs_t=4.5").output


def _commit(index):
    log = subprocess.run(["git", "log", "--reverse", "--format=%H"], capture_output=True, text=True, check=True)
    return log.stdout.split()[index]


@pytest.mark.parametrize("text", ["", " ", "--", "1/2/3", "1.2.3", "0x1F", "1,23", "½", "one of two"])
def test_other_texts_are_no_numbers(text):
    with pytest.raises(InputError) as caught:
        as_typed(text)
    assert caught.value.fix


def test_the_longest_names_fit_too():
    long = "a" * 40
    place = (long, f"{long}-untrained", "b" * 40, "c" * 40, "heads_over_t3")
    one = Number(*place, 63.0, "0" * 64, None, "workspace", of=75.0)
    then = replace(one, where="1" * 40, since="2026-01-01", states=12, metric="d" * 40)
    card = replace(one, where="the published card of somebody (somebody.yaml)", prompts_sha256=None)
    answer = Located("63/75", (one,), (card,), (then,), (), ())
    none = replace(answer, now=(), cards=(), earlier=(), nearest=(one, then))
    lines = [line for told in (answer, none) for line in value_lines(told, "/" + "folder/" * 30)]
    assert max(map(len, lines)) <= 100
    assert f"since {'1' * 10} of 2026-01-01, in 12 states of the ledger" in flat("\n".join(lines))
