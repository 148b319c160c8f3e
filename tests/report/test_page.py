import base64
import hashlib
import json
import re

import numpy as np
import polars as pl
import pytest
from helpers.report_fixture import CARD, KLEIN, NASTY, Cell, write_cell, write_verdict

from plantain.base import places
from plantain.base.errors import InputError
from plantain.ladder.climb import rung_record
from plantain.ladder.evidence import Rung
from plantain.records.verdict import NAMES, Status
from plantain.report import ladder, unit_measures
from plantain.report import words as wording
from plantain.report.family import among_probes, write_family
from plantain.report.page import sections
from plantain.report.page.write import write_page
from plantain.report.payload import rows
from plantain.report.published import beside
from plantain.report.result import load_result


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    cell = Cell(geometry=KLEIN, model="klein", nasty=True, controls=("paraphrase", "length", "decoy"))
    root = write_cell(tmp_path_factory.mktemp("repository"), cell)
    folder = root / "reports" / "published"
    folder.mkdir(parents=True)
    (folder / "otherview.yaml").write_text(CARD)
    (folder / "other.yaml").write_text(CARD.replace("probe: otherview", "probe: other"))
    return load_result(root, "otherview", "klein")


@pytest.fixture(scope="module")
def html(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    write_page(result, path)
    return path.read_text(encoding="utf-8")


def data(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL).group(1))


def test_a_full_size_page_is_small_and_needs_no_network(html):
    assert len(html.encode()) < 5_000_000
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert not re.search(r"https?://|//cdn|@import|url\((?!#)", without_names)


def test_equal_inputs_give_equal_bytes(result, html, tmp_path):
    write_page(result, tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == html


def test_markup_in_prompts_never_becomes_markup(html):
    assert NASTY not in html
    assert "<script>window.pwned" not in html
    assert "<img src=x" not in html
    assert html.count("</script>") == 3
    assert NASTY in data(html)["prompts"]["viewpoint"]["adult-human"]


def test_only_the_pages_own_script_may_run(html):
    script = re.search(r"<script>(.*)</script>", html, re.DOTALL).group(1)
    seal = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html).group(1).replace("&#39;", "'")
    assert f"script-src 'sha256-{seal}' 'self' file:;" in policy
    assert "default-src 'none'" in policy


def test_the_script_gets_the_numbers_of_the_files(html, result):
    entry = next(entry for entry in data(html)["analyses"] if entry["label"] == "published.card")
    measure = next(measure for measure in entry["measures"] if measure["key"] == "t")
    found = np.frombuffer(base64.b64decode(measure["values"]), "<f4")
    table = pl.read_parquet(result.stats_folder / "published.card.parquet")
    np.testing.assert_allclose(found, table["t"].fill_null(float("nan")).to_numpy(), rtol=1e-6)
    assert sum(row["units"] for row in entry["rows"]) == len(table) == 16_320
    assert entry["rows"][7] == {
        "label": "s2", "kind": "single", "block": 2, "units": 768, "mlp": 192, "stream": "all", "width": 16,
        "perHead": 8,
    }  # fmt: skip


def test_every_metric_of_the_main_analyses_is_on_the_page(html, result):
    shown = set(re.findall(r'data-metric="(\w+)"', html))
    folded = {f"{name}{end}" for name in shown for end in ("_fraction", "_q25", "_q75")}
    assert set(result.main.metrics) | set(result.card.metrics) <= shown | folded


def test_a_fraction_with_no_count_of_its_own_keeps_its_row(result):
    metrics = {"skewed_fraction": 0.13, "heads_over_t3": 4.0, "heads_over_t3_fraction": 0.5}
    summary = result.main.summary.model_copy(update={"metrics": metrics})
    analysis = type(result.main)("target", "heads", summary, result.stats_folder)
    from plantain.report.metric_rows import metric_rows

    assert [(row.name, row.value) for row in metric_rows(analysis)] == [
        ("heads_over_t3", "4"),
        ("skewed_fraction", "13%"),
    ]


def test_the_published_numbers_stand_beside_ours(html, result):
    ((card, analysis, rows),) = beside(result)
    assert (card.card, analysis.label) == ("otherview-plantain", "published.card")
    ours = f"{result.card.metrics['heads_over_t3']:,.0f}"
    assert rows[0].card == "12,091 (74%)"
    assert rows[0].models[0].startswith(ours)
    assert [row.label for row in rows[1:]] == ["null p99, |t| over 3"]
    assert "12,091 (74%)" in html


def test_a_broken_card_names_its_file_and_field(tmp_path):
    write_cell(tmp_path, Cell(controls=()))
    folder = tmp_path / "reports" / "published"
    folder.mkdir(parents=True)
    (folder / "one.yaml").write_text(CARD.replace("model: FLUX.2 Klein 4B\n", ""))
    with pytest.raises(InputError, match=r"one\.yaml.*model"):
        beside(load_result(tmp_path, "otherview", "tiny"))


def test_the_ladder_shows_what_the_verdict_says(tmp_path):
    write_cell(tmp_path, Cell(controls=()))
    assert {rung.status for rung in ladder.ladder(load_result(tmp_path, "otherview", "tiny"))} == {"not tested"}
    rungs = [
        {
            "rung": 1,
            "name": "differs",
            "status": "passed",
            "number": 58,
            "floor": None,
            "guarantee": "at least 58 <heads>",
        },
        {"rung": 2, "name": "repeats", "status": "failed", "number": 0.4, "floor": 0.7, "guarantee": "none"},
    ]
    write_verdict(tmp_path, rung=1, rungs=rungs, sentence="Rung 1 of 7.")
    result = load_result(tmp_path, "otherview", "tiny")
    assert [rung.status for rung in ladder.ladder(result)] == ["passed", "failed", *["not tested"] * 5]
    write_page(result, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "at least 58 &lt;heads&gt;" in html
    assert html.index("Rung 1 of 7.") < html.index('class="tiles"')


def test_a_rung_as_the_statistics_write_it_is_read_and_its_reason_shown(tmp_path):
    write_cell(tmp_path, Cell(controls=()))
    passed = Rung(1, NAMES[0], Status.passed, "heads that differ, lower bound", 58, 0.0001, 0.0001)
    untested = Rung(2, NAMES[1], Status.untested, reason="there is no split-half of these items")
    rungs = [rung_record(rung).model_dump(mode="json") for rung in (passed, untested)]
    write_verdict(tmp_path, rung=1, rungs=rungs, sentence="Rung 1.")
    result = load_result(tmp_path, "otherview", "tiny")
    assert [rung.name for rung in ladder.ladder(result)] == list(NAMES)
    write_page(result, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "(heads that differ, lower bound: 58, p = 1.0e" in html
    assert "smallest p that this design allows 1.0e" in html
    assert "there is no split-half of these items" in html


BESIDE = {
    "design": {"scheme": "frames", "wordings": [8, 8], "rows": [8, 8], "floor": 0.0078125, "problem": "",
               "ties": [{"reason": "word", "wordings": ["viewpoint", "viewpoint_2"], "shared": "view"}]},
    "spread": {"ratio": 0.25, "p": 0.012, "floor": 0.002, "significant": True},
    "controls": [{"contrast": "decoy", "decides": "words", "outcome": "differs", "p": 0.01, "floor": 0.01, "number": 7,
                  "own_p": 0.5, "reason": "words alone are excluded: at least 7 heads"}],
    "both": {"measures": "description", "number": 31, "p": 0.001},
    "holm": {"probes": 12, "p": 0.0079, "p_holm": 0.0948, "survives": False, "rung": 0, "reason": ""},
}  # fmt: skip


def test_what_was_compared_stands_on_the_page_with_what_decides_beside_it(tmp_path):
    write_cell(tmp_path, Cell(controls=()))
    reported = Rung(2, NAMES[1], Status.reported, "split-half reliability", 0.93, 0.01, 0.005, guarantee="It repeats.")
    rungs = [rung_record(reported).model_dump(mode="json")]
    write_verdict(tmp_path, rung=3, rungs=rungs, sentence="Rung 3 of 7: so many.", **BESIDE)
    write_page(load_result(tmp_path, "otherview", "tiny"), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    section = html.split('<section id="ladder"')[1].split("</section>")[0]
    assert (
        "8 frames of both sides; the sides are exchanged within each. The smallest p that this allows is 0.0078"
        in section
    )
    assert "viewpoint and viewpoint_2: one piece of evidence, since they share" in section
    assert "control decoy: words alone are excluded: at least 7 heads." in section
    assert "scatter 0.25 times as much as the second (p = 0.012); a difference in spread may be all there is" in section
    assert "Over items and wordings together (description): at least 31 differ" in section
    assert '<span class="status">reported</span>' in section
    assert "It repeats." in section


def test_one_probe_more_changes_what_all_pages_show_and_no_page(tmp_path):
    root = write_cell(tmp_path, Cell(controls=()))
    path, script = root / places.page("tiny", "otherview"), root / places.HOLM_SCRIPT
    found = []
    for probes, survives in ((12, True), (13, False)):
        record = BESIDE["holm"] | {"probes": probes, "survives": survives, "rung": 3, "sentence": f"Of {probes}."}
        write_verdict(root, rung=3, sentence="Rung 3 of 7: alone.", holm=record)
        result = load_result(root, "otherview", "tiny")
        write_page(result, path)
        write_family([result], script)
        told = json.loads(script.read_text().removeprefix("const HOLM = ").removesuffix(";\n"))["otherview@tiny"]
        assert told["claim"] == wording.claim(result) == f"Of {probes}."
        assert f"Of {probes} probes" in told["said"]
        assert told["verdict"] == hashlib.sha256((root / places.verdict("tiny", "otherview")).read_bytes()).hexdigest()
        found.append(path.read_bytes())
    assert found[0] == found[1]
    html = found[0].decode()
    assert 'id="verdict">Rung 3 of 7: alone.</p>' in html
    said = html.split('<li id="among-probes">')[1].split("</li>")[0]
    assert said.startswith("Said of this probe alone.")
    for href in re.findall('href="([^"]+)"', said):
        assert (path.parent / href).resolve() in {(root / places.INDEX).resolve(), (root / places.HOLM).resolve()}


def test_a_probe_that_counts_in_no_correction_says_so(tmp_path):
    root = write_cell(tmp_path, Cell(controls=()))
    write_verdict(root, sentence="Rung 1 of 7.")
    result = load_result(root, "otherview", "tiny")
    assert (wording.claim(result), result.holm) == ("Rung 1 of 7.", None)
    assert "cannot pass rung 3" in among_probes(result)


def test_without_the_table_over_all_probes_no_reader_says_the_claim_as_of_its_probe_alone(tmp_path):
    root = write_cell(tmp_path, Cell(controls=()))
    path = write_verdict(root, sentence="Rung 6 of 7.")
    (root / places.HOLM).unlink()
    result = load_result(root, "otherview", "tiny")
    with pytest.raises(InputError, match=r"Holm's correction \(No such file"):
        wording.claim(result)
    write_page(result, root / "page.html")
    older = json.loads(path.read_bytes()) | {"schema": "plantain.verdict/1", "holm": BESIDE["holm"]}
    older |= {"sentence": "Rung 6 of 7 (fails Holm, 12 probes).", "metrics": {"p_holm": 0.0948}}
    path.write_text(json.dumps(older))
    result = load_result(root, "otherview", "tiny")
    assert (wording.claim(result), result.numbers) == (older["sentence"], {"p_holm": 0.0948})


SCHEMES = {
    "clusters": ({}, "4 + 5 clusters of 8 + 8 wordings, exchanged freely"),
    "control": ({"control": "decoy"}, "4 frames of this contrast with 5 of control 'decoy', which has its words"),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_way_to_compare_is_said(tmp_path, scheme):
    more, said = SCHEMES[scheme]
    write_cell(tmp_path, Cell(controls=()))
    told = BESIDE["design"] | {"scheme": scheme, "rows": [4, 5], "ties": []} | more
    write_verdict(tmp_path, design=told)
    assert said in ladder.design_sentences(load_result(tmp_path, "otherview", "tiny"))[0]
    write_verdict(tmp_path, design=told | {"problem": "4 independent wordings a side are needed", "floor": None})
    assert ladder.design_sentences(load_result(tmp_path, "otherview", "tiny"))[0].startswith(
        "Nothing could be compared: 4 ind"
    )
    write_verdict(tmp_path)
    assert ladder.design_sentences(load_result(tmp_path, "otherview", "tiny")) == []


def test_large_reference_images_are_made_small_enough_to_travel(result, tmp_path):
    from PIL import Image

    path = result.reference_image("kitchen")
    noise = np.random.Generator(np.random.Philox(0)).integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
    before = path.read_bytes()
    Image.fromarray(noise).save(path)
    try:
        (picture,) = sections.pictures(result)
        assert 10_000 < len(picture.data) < 800_000
    finally:
        path.write_bytes(before)


def test_a_probe_without_reference_ranks_or_controls_has_a_page(tmp_path):
    write_cell(tmp_path, Cell(controls=(), target=False, template_tests=False))
    path = tmp_path / "data" / "prompts" / "otherview.parquet"
    pl.read_parquet(path).drop("rank", "creature").with_columns(
        pl.lit([], pl.List(pl.String)).alias("reference")
    ).write_parquet(path)
    (tmp_path / "data" / "prompts" / "otherview.references.json").write_text('{"references": []}')
    (tmp_path / "prompts" / "otherview.yaml").unlink()
    write_page(load_result(tmp_path, "otherview", "tiny"), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "nothing tells this difference from any other" in html
    assert 'id="chart-rank"' not in html


def test_the_prompts_table_counts_tokens(tmp_path):
    root = write_cell(tmp_path, Cell())
    result = load_result(root, "otherview", "tiny")
    rows = dict(sections.prompt_table(result))["mention"]
    assert [row["tokens"] for row in rows[:3]] == [len(row["prompt"].split(" ")) for row in rows[:3]]
    write_page(result, tmp_path / "page.html")
    assert f'<td class="tokens">{rows[0]["tokens"]}</td>' in (tmp_path / "page.html").read_text()
    (result.stats_folder / "tokens.parquet").unlink()
    assert "tokens" not in dict(sections.prompt_table(load_result(root, "otherview", "tiny")))["mention"][0]


@pytest.fixture
def judged(tmp_path):
    root = write_cell(tmp_path, Cell())
    folder = root / "reports" / "published"
    folder.mkdir(parents=True)
    (folder / "otherview.yaml").write_text(CARD + "prompts: They are the card's own.\n")
    write_verdict(
        root,
        trend={"identifiable": True, "threshold": 3.0, "heads_over": 2, "p": 0.09},
        untrained={"tiny-untrained": {"published": {"heads_over_t3": 451, "heads_over_t3_fraction": 0.88}}},
    )
    write_page(load_result(root, "otherview", "tiny"), root / "page.html")
    return root


def test_published_ours_and_untrained_stand_side_by_side(judged):
    html = (judged / "page.html").read_text(encoding="utf-8")
    table = html.split('class="beside"')[1].split("</table>")[0]
    row = re.search(r"16-channel groups with \|t\| over 3</th>(.*?)</tr>", table, re.DOTALL).group(1)
    ours = load_result(judged, "otherview", "tiny").card.metrics
    cells = re.findall(r'<td class="n">([^<]*)</td>', row)
    assert cells[0] == "12,091 (74%)"
    assert cells[1].startswith(f"{ours['heads_over_t3']:,.0f}")
    assert cells[2] == "451 (88%)"
    assert "They are the card" in html


def test_delta_and_concept_information_stand_with_what_prompts_and_untrained_draws_give(judged):
    html = (judged / "page.html").read_text(encoding="utf-8")
    tiles = html.split('class="tiles"')[1].split("</dl>")[0]
    assert "15.30" in tiles
    assert "by chance" not in html
    table = html.split('id="information"')[1].split("</table>")[0]
    assert re.findall(r'<td class="n">([^<]*)</td>', table) == ["4.45", "0.024", "0.028", "0.025"]
    assert "2 heads follow the items" in html


def test_what_is_not_shown_follows_the_rung(judged):
    told = {}
    for rung in (1, 4, 6):
        write_verdict(judged, rung=rung)
        told[rung] = " ".join(wording.not_shown(load_result(judged, "otherview", "tiny")))
    assert "That the difference comes from training" in told[1]
    assert "That the difference comes from training" not in told[4]
    assert "Which heads training brought about" in told[4]
    assert "it recurred in those that were run" not in told[4]
    assert "it recurred in those that were run" in told[6]
    assert all("That a head causes anything" in text for text in told.values())


def test_a_control_is_weighed_by_its_own_rung_and_not_by_its_count(judged):
    html = (judged / "page.html").read_text(encoding="utf-8")
    section = html.split('id="controls"')[1].split("</section>")[0]
    assert "control: rung 1" in section
    assert "responds as much" not in html


def test_the_verdict_comes_first_and_has_25_words_at_most(judged):
    html = (judged / "page.html").read_text(encoding="utf-8")
    body = html.split("</h1>")[1]
    verdict = re.search(r'id="verdict">([^<]*)</p>', body).group(1)
    assert verdict == "Rung 6 of 7. Target."
    before = re.sub(r"<[^>]*>?", " ", body.split('id="verdict"')[0]).split()
    assert before == ["probe", "otherview", "on", "model", "tiny"]
    assert len(verdict.split()) <= 25
    assert html.index('id="verdict"') < html.index('id="verdict-detail"') < html.index('id="map-section"')


def test_behind_the_verdict_stand_the_rung_reached_what_ended_the_climb_and_the_deciding_controls(tmp_path):
    write_cell(tmp_path, Cell(controls=()))
    passed = Rung(3, NAMES[2], Status.passed, guarantee="At least 7 heads separate the sides.")
    failed = Rung(4, NAMES[3], Status.failed, reason="untrained draws do as much")
    rungs = [rung_record(rung).model_dump(mode="json") for rung in (passed, failed)]
    write_verdict(tmp_path, rung=3, rungs=rungs, controls=BESIDE["controls"])
    assert sections.verdict_detail(load_result(tmp_path, "otherview", "tiny")) == [
        "Rung 3, exceeds paraphrase: At least 7 heads separate the sides.",
        "Rung 4, exceeds untrained, failed: untrained draws do as much.",
        "The same words elsewhere, control decoy: words alone are excluded: at least 7 heads.",
    ]


def test_links_lead_to_files_of_the_workspace(tmp_path):
    root = write_cell(tmp_path, Cell())
    write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1))
    known = {"published": {"heads_over_t3": 451, "heads_over_t3_fraction": 0.88}}
    for model in ("tiny", "tiny-untrained"):
        write_verdict(root, model=model, untrained={"tiny-untrained": known} if model == "tiny" else {})
        (root / places.metrics(model, "otherview")).parent.mkdir(parents=True)
        (root / places.metrics(model, "otherview")).write_text("{}")
        write_page(load_result(root, "otherview", model), root / places.page(model, "otherview"))
    (root / places.INDEX).write_text("")
    other = {"tiny": "tiny-untrained", "tiny-untrained": "tiny"}
    for model, twin in other.items():
        page = root / places.page(model, "otherview")
        hrefs = re.findall(r'<a [^>]*href="([^"#][^"]*)"', page.read_text(encoding="utf-8"))
        found = {(page.parent / href).resolve() for href in hrefs}
        assert all(path.is_file() for path in found)
        stats = root / places.stats(model, "otherview")
        tables = {path for path in stats.glob("*.parquet") if path.name.count(".") in (2, 3)} - set(
            stats.glob("*.null.parquet")
        )
        expected = {root / places.INDEX, root / places.page(twin, "otherview"), page.parent / "metrics.json", *tables}
        assert {path.resolve() for path in expected} <= found


def test_a_measure_is_a_row_of_one_table_and_no_script_knows_its_name(tmp_path, monkeypatch):
    root = write_cell(tmp_path, Cell(controls=()))
    path = root / "data" / "stats" / "tiny" / "otherview" / "target.heads.parquet"
    frame = pl.read_parquet(path)
    frame.with_columns(pl.lit(0.25).alias("direction_share")).write_parquet(path)
    rule = unit_measures.ScaleRule(unit_measures.ScaleKind.rising)
    row = unit_measures.UnitMeasure(
        "direction", "direction_share", "direction", "share", "over wordings", "Turns.", rule
    )
    monkeypatch.setattr(unit_measures, "UNIT_MEASURES", (*unit_measures.UNIT_MEASURES, row))
    write_page(load_result(root, "otherview", "tiny"), root / "page.html")
    html = (root / "page.html").read_text(encoding="utf-8")
    target, published = (
        next(entry for entry in data(html)["analyses"] if entry["label"] == label)
        for label in ("target.heads", "published.heads")
    )
    (found,) = [measure for measure in target["measures"] if measure["key"] == "direction"]
    assert (found["name"], found["unit"], found["said"]) == ("direction", "share", "Turns.")
    assert found["scale"] == {"kind": "rising", "end": 0.25, "knee": 0.0, "ticks": [0.0, 0.25]}
    assert set(np.frombuffer(base64.b64decode(found["values"]), "<f4")) == {0.25}
    assert "direction" not in {measure["key"] for measure in published["measures"]}
    script = html.split("<script>")[1]
    assert not any(f'"{one.key}"' in script for one in unit_measures.UNIT_MEASURES if len(one.key) > 1)


def test_the_text_stream_of_a_joint_block_is_a_row_of_its_own():
    units = pl.DataFrame({
        "block_kind": ["joint"] * 4 + ["single"] * 2, "block": [0] * 4 + [0] * 2, "head": [0, 1, 0, 1, 0, 1],
        "stream": ["image"] * 2 + ["text"] * 2 + ["all"] * 2, "part": ["attention"] * 6, "width": [32] * 6,
        "column": [0, 1, 0, 1, 0, 1],
    })  # fmt: skip
    assert [(row["label"], row["units"]) for row in rows(units)] == [("j0", 2), ("j0t", 2), ("s0", 2)]
