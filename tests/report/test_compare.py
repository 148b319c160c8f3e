import dataclasses
import html
import re

import numpy as np
import polars as pl
import pytest
import scipy.stats
from helpers.report_fixture import CARD, KLEIN, Cell, write_cell, write_verdict

from plantain.base import places
from plantain.report import words as wording
from plantain.report.compare import contents as comparing
from plantain.report.compare.effects import effect_at
from plantain.report.compare.maps import SHIFT_OF, maps_of, scales
from plantain.report.compare.plots import write_plots
from plantain.report.compare.table import write_table
from plantain.report.compare.write import claims_beside, write_compare
from plantain.report.page.write import write_page
from plantain.report.published import abreast
from plantain.report.result import load_result


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    write_cell(root, Cell())
    write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1))
    write_cell(root, Cell(probe="dense", items=25, seed=2))
    return write_cell(root, Cell(model="klein", geometry=KLEIN, seed=4, controls=()))


def get(root, probe="otherview", model="tiny"):
    return load_result(root, probe, model)


def text_of(results, tmp_path):
    path = tmp_path / "compare.html"
    write_compare(results, path)
    return html.unescape(re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")))


def test_a_model_and_its_untrained_twin_are_a_fair_comparison(root):
    assert comparing.unfair([get(root), get(root, model="tiny-untrained")]) == []


def test_what_makes_a_comparison_unfair_is_said(root, tmp_path):
    reasons = " ".join(comparing.unfair([get(root), get(root, "dense")]))
    assert "Probes differ (otherview; dense)" in reasons
    assert "Numbers of pairs differ (30; 25)" in reasons
    assert "Models differ (tiny; klein)" in " ".join(comparing.unfair([get(root), get(root, model="klein")]))
    said = text_of([get(root), get(root, "dense")], tmp_path)
    assert "Not a fair comparison" in said
    assert "Not a fair comparison" not in text_of([get(root), get(root, model="tiny-untrained")], tmp_path)


def test_a_control_that_is_the_same_network_is_found_out(tmp_path):
    write_cell(tmp_path, Cell(controls=()))
    write_cell(tmp_path, Cell(model="tiny-untrained", of="tiny", controls=()))
    reasons = comparing.unfair([get(tmp_path), get(tmp_path, model="tiny-untrained")])
    assert ["one network" in reason for reason in reasons] == [True]


def test_the_card_ours_and_the_untrained_stand_side_by_side(root, tmp_path):
    folder = root / "reports" / "published"
    folder.mkdir(parents=True)
    (folder / "otherview.yaml").write_text(CARD)
    results = [get(root), get(root, model="tiny-untrained"), get(root, "dense")]
    (found,) = abreast(results)
    assert [result.model for result in found.models] == ["tiny", "tiny-untrained"]
    over = [result.card.metrics["heads_over_t3"] for result in results[:2]]
    shares = [result.card.metrics["heads_over_t3_fraction"] for result in results[:2]]
    first = found.rows[0]
    assert first.card == "12,091 (74%)"
    assert first.models == [f"{count:,.0f} ({share:.0%})" for count, share in zip(over, shares, strict=True)]
    assert over[0] != over[1]
    assert [row.label for row in found.rows[1:]] == ["null p99, |t| over 3"]
    said = " ".join(text_of(results, tmp_path).split())
    assert f"12,091 (74%) {first.models[0]} {first.models[1]}" in said


def test_changed_prompts_are_found_and_shown(root, tmp_path_factory, tmp_path):
    other = write_cell(tmp_path_factory.mktemp("other"), Cell())
    path = other / "data" / "prompts" / "otherview.parquet"
    frame = pl.read_parquet(path)
    changed = pl.when((pl.col("item") == "spider") & (pl.col("condition") == "mention"))
    frame = frame.filter(pl.col("item") != "ant").with_columns(
        prompt=changed.then(pl.lit("A kitchen, a spider")).otherwise("prompt"),
        sha256=changed.then(pl.lit("0" * 64)).otherwise("sha256"),
    )
    frame.write_parquet(path)
    a, b = get(root), dataclasses.replace(get(other), rev="main")
    diff = comparing.prompt_diff(a, b)
    assert (diff.same, diff.only_a, diff.only_b) == (115, 4, 0)
    assert diff.changed == [("spider", "mention", "Render this kitchen with a spider in it", "A kitchen, a spider")]
    assert "prompt sets of otherview differ" in " ".join(comparing.unfair([a, b]))
    assert "A kitchen, a spider" in text_of([a, b], tmp_path)


def test_counts_at_equal_n_come_from_subsets_of_the_pairs(root):
    analysis = get(root).main
    values = analysis.differences.drop("item").to_numpy()
    found = comparing.equal_n(analysis, 25)
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(400):
        part = values[rng.choice(30, 25, replace=False)]
        with np.errstate(invalid="ignore"):
            counts.append((np.abs(part.mean(0) / (part.std(0, ddof=1) / 5)) > 3).sum())
    assert found.mean == pytest.approx(np.mean(counts), abs=4 * np.std(counts) / np.sqrt(200))
    assert found.low <= found.mean <= found.high <= 99
    assert found == comparing.equal_n(analysis, 25)


def test_at_the_smallest_n_the_observed_count_stands(root):
    analysis = get(root, "dense").main
    found = comparing.equal_n(analysis, 25)
    assert (found.mean, found.low, found.high) == (analysis.metrics["heads_over_t3"],) * 3


def test_overlap_is_counted_against_random_picks(root):
    a, b = get(root).main, get(root, "dense").main
    found = comparing.overlap(a, b)
    tops = [np.argsort(-x.table["t"].abs().fill_null(0).to_numpy(), kind="stable")[: found.size] for x in (a, b)]
    assert (found.size, found.shared) == (5, len(set(tops[0]) & set(tops[1])))
    rng = np.random.default_rng(1)
    picks = np.array([len(set(rng.permutation(99)[:5]) & set(range(5))) for _ in range(4000)])
    assert found.expected == pytest.approx(picks.mean(), abs=0.05)
    assert (picks <= found.at_most).mean() >= 0.95
    assert comparing.overlap(a, a).shared == found.size


def test_what_is_shared_by_chance_is_scipys_quantile():
    for units, size in ((1, 1), (2, 1), (20, 1), (40, 20), (99, 5), (75, 60), (600, 30), (16_320, 816)):
        assert comparing.shared_by_chance(units, size) == scipy.stats.hypergeom(units, size, size).ppf(0.95)


def test_two_networks_are_compared_only_by_what_reordering_heads_leaves(root):
    trained, untrained = get(root), get(root, model="tiny-untrained")
    values, said = comparing.map_difference(trained, untrained)
    shuffled = untrained.main.table.sample(fraction=1.0, shuffle=True, seed=3).sort(
        "block_kind", "block", maintain_order=True
    )
    untrained.main.__dict__["table"] = shuffled
    again, _ = comparing.map_difference(trained, untrained)
    assert values.to_list() == again.to_list()
    assert "sorted within each block" in said
    block = trained.main.table.filter(block_kind="single", block=4)["mean_difference"].abs().sort(descending=True)
    other = shuffled.filter(block_kind="single", block=4)["mean_difference"].abs().sort(descending=True)
    assert values[20 + 16 : 20 + 20].to_list() == pytest.approx((block - other).to_list())


def test_one_model_is_compared_head_by_head(root):
    a, b = get(root), get(root, "dense")
    values, said = comparing.map_difference(a, b)
    shifts = [result.main.table["mean_difference"][17] for result in (a, b)]
    assert values[17] == pytest.approx(shifts[0] - shifts[1])
    assert "head by head" in said


def test_other_geometries_get_profiles_and_no_difference_map(root, tmp_path):
    said = text_of([get(root), get(root, model="klein")], tmp_path)
    assert "The geometries differ" in said
    assert "are the same. Chance gives" not in said


def test_a_chosen_contrast_is_what_is_compared(root, tmp_path):
    a = dataclasses.replace(get(root), chosen="paraphrase")
    assert a.address == "otherview@tiny:paraphrase"
    assert a.main.label == "paraphrase.heads"
    assert "paraphrase.heads" in text_of([a, get(root)], tmp_path)


def test_equal_inputs_give_equal_bytes(root, tmp_path):
    for name in ("one.html", "two.html"):
        write_compare([get(root), get(root, "dense"), get(root, model="tiny-untrained")], tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_two_contrasts_of_one_cell_both_stand_in_the_overview_with_their_own_verdicts(tmp_path):
    root = write_cell(tmp_path, Cell())
    write_verdict(root, rung=6)
    target = load_result(root, "otherview", "tiny")
    control = dataclasses.replace(target, chosen="paraphrase")
    write_compare([target, control], tmp_path / "compare.html")
    html = (tmp_path / "compare.html").read_text(encoding="utf-8")
    overview = html.split('id="overview"')[1].split("</section>")[0]
    assert 'data-map="otherview@tiny"' in overview
    assert "otherview@tiny: rung 6, heads beyond rewording" in overview
    assert "otherview@tiny:paraphrase: rung 1, heads beyond rewording" in overview
    found = r'<tr data-result="([^"]+)" data-about="\d"><th scope="row">[^<]+</th><td>(rung \d)</td>'
    rungs = dict(re.findall(found, html))
    assert rungs == {"otherview@tiny": "rung 6", "otherview@tiny:paraphrase": "rung 1"}
    assert "Contrasts differ (target; paraphrase)" in html


def test_probes_that_differ_make_only_their_own_section_unfair(tmp_path):
    cells = (Cell(), Cell(probe="dense", items=30, seed=2))
    results = [load_result(write_cell(tmp_path, cell), cell.probe, cell.model) for cell in cells]
    assert comparing.unfair_within(results) == []
    assert any("Probes differ" in reason for reason in comparing.unfair(results))


CONTROL = {
    "decides": "words",
    "p": 0.01,
    "floor": 0.01,
    "number": 7,
    "own_p": 0.5,
    "reason": "told",
    "contrast": "decoy",
}


def cells_of(html, address):
    """The cells of a result's row in the table of verdicts, by their heading."""
    row = html.split(f'<tr data-result="{address}"')[1].split("</tr>")[0]
    parts = re.findall(r'data-label="([^"]+)">(.*?)</t[hd]>', row, re.DOTALL)
    return {name: " ".join(re.sub(r"<[^>]+>", " ", text).split()) for name, text in parts}


def effect_said(result):
    """The median effect of all pairs over heads that differ at all, with the interval as the table has it."""
    found = effect_at(result, 30)
    assert found.value == pytest.approx(result.main.table.filter("alive")["mean_difference"].abs().median(), rel=1e-5)
    return f"{found.value:.3g} [{found.low:.3g} to {found.high:.3g}]"


def test_the_page_opens_with_what_every_result_may_claim(tmp_path):
    root = write_cell(tmp_path, Cell(controls=()))
    write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1, controls=()))
    controls = [CONTROL | {"outcome": "differs"},
                CONTROL | {"contrast": "sketch", "decides": "picture", "outcome": "fails"}]  # fmt: skip
    holm = {"probes": 14, "p": 0.01, "p_holm": 0.09, "survives": False, "rung": 3}
    write_verdict(root, rung=6, controls=controls, holm=holm)
    write_verdict(root, model="tiny-untrained", rung=1, holm=holm)
    results = [get(root), get(root, model="tiny-untrained")]
    bounded = results[0].main.summary.model_copy(
        update={"metrics": results[0].main.summary.metrics | {"selective_heads_lower_bound": 63.0}}
    )
    results[0].__dict__["main"] = dataclasses.replace(results[0].main, summary=bounded)
    write_compare(results, root / "reports" / "index.html")
    html = (root / "reports" / "index.html").read_text(encoding="utf-8")
    first = html.index("<table")
    assert first == html.index('<table class="verdicts"'), "one probe: no table of probes and models"
    assert html.index('id="verdicts"') < html.index('id="overview"') < html.index('id="metrics-title"')
    assert cells_of(html, "otherview@tiny") == {
        "probe": "otherview Perspective-taking versus mention", "model": "tiny",
        "rung reached": "rung 6 every seed and reference", "heads beyond rewording (95%)": "at least 63",
        "median effect at 30 pairs (95%)": effect_said(results[0]),
        "deciding controls": "decoy: words alone excluded sketch: same picture in other words: fails",
        "Holm over probes": "rung 3 survives: p = 0.09 over 14 probes",
        "untrained twin": f"rung 1, effect {effect_said(results[1])} (tiny-untrained)",
    }  # fmt: skip
    untrained = cells_of(html, "otherview@tiny-untrained")
    assert (untrained["model"], untrained["untrained twin"]) == ("tiny-untrained untrained", "is untrained tiny")
    assert (untrained["heads beyond rewording (95%)"], untrained["deciding controls"]) == (wording.DASH, "none")
    assert untrained["Holm over probes"].startswith("nothing claimed")
    row = html.split('<tr data-result="otherview@tiny"')[1].split("</tr>")[0]
    for cell in row.split("</td>")[:-1]:
        assert 'href="tiny/otherview/index.html' in cell or 'href="tiny-untrained/otherview/index.html' in cell


def test_no_map_of_the_index_shows_t_over_items(root):
    results = [get(root), get(root, model="tiny-untrained"), get(root, "dense")]
    maps = maps_of(results)
    assert set(maps) == {name for one in results for name in (one.address, SHIFT_OF + one.address)}
    for one in results:
        assert maps[one.address].values.to_list() == one.main.table["template_delta"].to_list()
        assert maps[SHIFT_OF + one.address].values.to_list() == one.main.table["mean_difference"].to_list()
    said = scales(maps.values())
    assert said["template_delta"]["unit"] == "standard deviations between wordings"
    assert (said["effect"]["name"], said["effect"]["unit"]) == ("mean difference", "log RMS")
    tops = [one.main.table["template_delta"].abs().quantile(0.99) for one in results]
    assert said["template_delta"]["end"] >= max(tops)


def test_files_beside_the_index_are_linked_and_those_of_a_page_elsewhere_are_not(root, tmp_path):
    results = [get(root), get(root, "dense")]
    page = root / places.INDEX
    page.parent.mkdir(exist_ok=True)
    write_compare(results, page)
    write_plots(results, root / places.PLOTS)
    write_table(claims_beside(results, page), results, root / places.TABLE_CSV, root / places.TABLE_JSON)
    (root / places.VERDICTS).write_text("{}")
    for result in results:
        write_page(result, root / places.page(result.model, result.probe))
    hrefs = re.findall(r'<a [^>]*href="([^"#][^"#]*)', page.read_text(encoding="utf-8"))
    assert {"verdicts.json", "index.csv", "index.json", "plots/heatmap.csv", "tiny/dense/index.html"} <= set(hrefs)
    assert all((page.parent / href).is_file() for href in hrefs)
    write_compare(results, tmp_path / "compare.html")
    assert not re.search(r'<a [^>]*href="[^"#]', (tmp_path / "compare.html").read_text(encoding="utf-8"))


def test_a_result_whose_wordings_were_not_compared_has_no_map_over_them(tmp_path):
    root = write_cell(tmp_path, Cell(template_tests=False, controls=()))
    write_compare([get(root)], tmp_path / "compare.html")
    html = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert 'data-map="otherview@tiny"' not in html
    assert "no map over wordings" in html


def test_probes_and_models_stand_in_one_table_of_rungs(tmp_path):
    root = write_cell(tmp_path, Cell(controls=()))
    write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1, controls=()))
    write_cell(root, Cell(probe="dense", items=25, seed=2, controls=()))
    fails = {"probes": 2, "p": 0.04, "p_holm": 0.08, "survives": False, "rung": 0}
    write_verdict(root, rung=6)
    write_verdict(root, model="tiny-untrained", rung=1, holm=fails)
    write_verdict(root, probe="dense", rung=4, holm=fails)
    results = [get(root), get(root, model="tiny-untrained"), get(root, "dense")]
    write_compare(results, root / "reports" / "index.html")
    html = (root / "reports" / "index.html").read_text(encoding="utf-8")
    assert html.index('class="grid"') < html.index('<table class="verdicts"')
    table = html.split('<table class="grid">')[1].split("</table>")[0]
    cells = [re.split(r"</t[hd]>", row.split(">", 1)[1])[:-1] for row in table.split("<tr")[1:]]
    rows = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row] for row in cells]
    assert [row[-3:] for row in rows[1:]] == [
        ["otherview", "rung 6", "rung 1"],
        ["dense", "rung 4 Holm: does not survive", "not run"],
    ]
    assert set(re.findall(r'href="([^"#]+)', table)) == {
        f"{one.model}/{one.probe}/index.html" for one in results
    }  # fmt: skip
