"""The model card: read by the library that hubs read cards with, and held against the files that it is made from."""

import json
import re

import polars as pl
import pytest
from helpers.command_line import plantain
from helpers.report_fixture import CARD, NASTY, Cell, write_cell, write_verdict
from huggingface_hub import ModelCard

from plantain.base import places
from plantain.report.model_card import TAGS, model_card
from plantain.report.result import load_result

RUNG = {"rung": 6, "name": "every seed and reference", "status": "passed", "number": 0.0078, "measures": "largest p",
        "p": 0.0078, "floor": 0.0078, "not_claimed": "That a head <causes> anything."}  # fmt: skip
FAILED = {"rung": 7, "name": "causal", "status": "failed", "p": 0.4, "floor": 0.01, "reason": "swaps change nothing"}
HOLM = {"probes": 14, "p": 0.01, "p_holm": 0.09, "survives": False, "rung": 3}


@pytest.fixture
def root(tmp_path):
    root = write_cell(tmp_path, Cell(nasty=True))
    write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1, nasty=True))
    twin = json.loads((root / "data/stats/tiny-untrained/otherview/summary.json").read_bytes())
    untrained = {"tiny-untrained": {"published": twin["contrasts"]["published"]["card"]["metrics"]}}
    numbers = {"verdict_rung": 6.0, "delta": 15.3}
    write_verdict(root, rung=6, rungs=[RUNG, FAILED], holm=HOLM, metrics=numbers, untrained=untrained)
    for mark in ("params.yaml", "dvc.yaml", "environment.yaml"):
        (root / mark).write_text("")
    (root / places.PUBLISHED).mkdir(parents=True)
    (root / places.PUBLISHED / "otherview.yaml").write_text(CARD)
    return root


def section(text, name):
    return text.split(f"## {name}\n")[1].split("\n## ")[0]


def rows(text):
    """Tables as lists of cells."""
    parts = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("\\", "") for cell in part] for part in parts]


def test_the_header_is_one_that_hubs_read(root):
    result = load_result(root, "otherview", "tiny")
    data = ModelCard(model_card(result, "mit")).data
    assert (data.license, data.library_name, data.pipeline_tag, data.language) == (
        "mit", "diffusers", "image-to-image", "en"
    )  # fmt: skip
    assert data.tags == [*TAGS, "otherview"]
    assert data.base_model == "example/klein" == result.lock.repo
    found = {one.metric_type: one.metric_value for one in data.eval_results}
    assert found == {"verdict_rung": 6.0, "p_holm": 0.09}
    assert {one.dataset_revision for one in data.eval_results} == {result.prompts_sha256}
    assert data.model_name == "otherview@tiny"


def test_its_numbers_are_those_of_the_result_beside_those_of_chance(root):
    result = load_result(root, "otherview", "tiny")
    text = model_card(result)
    metrics = json.loads((root / "data/stats/tiny/otherview/summary.json").read_bytes())["contrasts"]
    counted = {row[0]: row[1:] for row in rows(section(text, "Results"))}
    card = metrics["published"]["card"]["metrics"]
    value, by_chance = counted["16-channel groups with |t| over 3"]
    assert value == f"{card['heads_over_t3']:,} ({card['heads_over_t3_fraction']:.0%})"
    assert f"null p99 {card['null_p99_t3']}" in by_chance
    assert re.search(r"tiny-untrained [\d,]+ \(\d+%\)", by_chance)
    heads = metrics["target"]["heads"]["metrics"]
    assert counted["heads with |t| over 3"][0] == f"{heads['heads_over_t3']} ({heads['heads_over_t3_fraction']:.0%})"
    table = pl.read_parquet(root / "data/stats/tiny/otherview/target.heads.parquet")
    block, loudest = table.with_columns(pl.col("t").abs()).sort("t", descending=True, nulls_last=True).select(
        pl.format("{} {}", "block_kind", "block"), "t"
    ).row(0)  # fmt: skip
    listed = [line for line in section(text, "Results").splitlines() if line.startswith("- ")][5:]
    assert listed[0].startswith(f"- {block}: largest \\|t\\| {loudest:.2f}")
    assert len(listed) == 5


def test_it_says_what_is_claimed_what_is_not_and_what_stands_against_it(root):
    text = model_card(load_result(root, "otherview", "tiny"))
    assert "**Rung 6 of 7. Target.**" in text
    claimed = section(text, "What may be claimed")
    status = {row[0]: row[2:4] for row in rows(claimed)}
    assert status["6"] == ["passed", "0.0078 largest p"]
    assert status["7"][0] == "failed"
    assert "Of 14 probes put to this model" in claimed
    assert "does not survive" in claimed
    unclaimed = section(text, "What is not claimed")
    assert "an operation, an axis or a representation" in unclaimed
    assert "By rung 6: That a head &lt;causes&gt; anything." in unclaimed
    assert "Rung 7 was failed: swaps change nothing." in section(text, "Limitations")
    beside = {row[0]: row[1:] for row in rows(section(text, "Beside the card otherview-plantain"))}
    assert beside["metric"] == ["otherview-plantain", "tiny", "tiny-untrained"]
    assert beside["16-channel groups with |t| over 3"][0] == "12,091 (74%)"
    controls = [row[0] for row in rows(section(text, "Controls"))]
    assert controls[2:] == ["target", "length", "paraphrase"]


def test_prompts_are_quoted_and_nothing_of_them_is_markup(root):
    text = model_card(load_result(root, "otherview", "tiny"))
    assert NASTY.split()[0] == "<img"
    assert "<img" not in text
    assert "Render this kitchen from the viewpoint of &lt;img" in text


def test_an_untrained_model_says_so_and_one_without_a_verdict_claims_nothing(root):
    text = model_card(load_result(root, "otherview", "tiny-untrained"))
    assert "> tiny-untrained is untrained" in text
    assert "**Verdict: not tested." in text
    assert ModelCard(text).data.eval_results is None


def test_a_model_without_untrained_versions_is_said_to_lack_them(tmp_path):
    write_cell(tmp_path, Cell())
    write_verdict(tmp_path)
    assert "No untrained version" in section(model_card(load_result(tmp_path, "otherview", "tiny")), "Limitations")


def test_the_command_prints_or_writes_and_overwrites_nothing(root):
    printed = plantain("card", "otherview@tiny", folder=root)
    assert printed.code == 0, printed.errors
    done = plantain("card", "otherview@tiny", "--out", "README.md", "--license", "cc-by-4.0", folder=root)
    assert done.output == "Wrote README.md.\n"
    written = (root / "README.md").read_text(encoding="utf-8")
    assert written == printed.output.replace("apache-2.0", "cc-by-4.0")
    again = plantain("card", "otherview@tiny", "--out", "README.md", folder=root)
    assert (again.code, "exists already" in again.errors) == (2, True)
