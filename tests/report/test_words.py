import dataclasses
import io
import json
import re
from types import SimpleNamespace

import pytest
from helpers.report_fixture import NASTY, Cell, write_cell, write_verdict
from helpers.verdict_cells import lock as make_lock
from rich.console import Console

from plantain.base.params import Method, Source
from plantain.report import words as wording
from plantain.report.metric_rows import metric_rows
from plantain.report.result import load_result
from plantain.report.text import headlines, run_card, show

CLAIMS = re.compile(r"\b(axis|operation|representation|understands|encodes)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = write_cell(tmp_path_factory.mktemp("repository"), Cell())
    return write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1, nasty=True))


def lock(**changes):
    return make_lock("m").model_copy(update=changes)


def printed(result, *, terminal=False):
    stream = io.StringIO()
    colours = "truecolor" if terminal else "auto"
    Console(file=stream, width=110, force_terminal=terminal, color_system=colours, highlight=False).print(show(result))
    return stream.getvalue()


def test_the_headline_carries_the_numbers_of_the_files(root):
    result = load_result(root, "otherview", "tiny")
    path = root / "data" / "stats" / "tiny" / "otherview" / "summary.json"
    target = json.loads(path.read_text())["contrasts"]["target"]["heads"]
    text = "\n".join(headlines([result]))
    low, high = target["null"]["p99_interval"]["t3"]
    assert f"{target['metrics']['heads_over_t3']} of {target['metrics']['alive_units']} heads" in text
    assert f"null p99 {target['null']['p99']['t3']} [95%: {low} to {high}]" in text
    mean = target["null"]["mean"]["t3"]
    assert f"by chance: null mean {mean:.2g}, null p99" in " ".join(text.split())


def test_a_network_that_knows_nothing_is_called_so_everywhere(root):
    result = load_result(root, "otherview", "tiny-untrained")
    assert "never trained" in "\n".join(headlines([result]))
    assert "No model of this run was trained" in "\n".join(headlines([result]))
    assert "untrained" in printed(result)
    assert "is untrained" in run_card(result)
    trained = load_result(root, "otherview", "tiny")
    assert "never trained" not in "\n".join(headlines([trained]))
    assert wording.weights_note(trained.lock) == ""


def test_shuffled_and_embedded_weights_have_their_own_words():
    assert "shuffled" in wording.weights_note(lock(source=Source.untrained, of="klein", method=Method.shuffle))
    assert "never been trained" in wording.weights_note(lock(source=Source.embedded, trained=False))
    assert wording.weights_note(lock()) == ""


def test_item_level_numbers_are_said_to_differ_and_nothing_more(root):
    result = load_result(root, "otherview", "tiny")
    said = [wording.count_sentence(result.main), wording.split_sentence(result.main), wording.ITEM_LEVEL]
    said += ["\n".join(headlines([result])), printed(result).split("Item level")[1]]
    assert not any(CLAIMS.search(text) for text in said)
    assert "these sentences differ" in wording.ITEM_LEVEL


def test_the_ratio_of_the_card_is_not_comparable(root):
    result = load_result(root, "otherview", "tiny")
    notes = {row.name: row.note for row in metric_rows(result.card)}
    assert notes["observed_over_null_p99_t3"] == wording.RATIO_NOTE
    assert wording.RATIO_NOTE in run_card(result)


def test_a_verdict_is_shown_and_its_absence_too(root, tmp_path):
    assert "not tested" in run_card(load_result(root, "otherview", "tiny"))
    write_cell(tmp_path, Cell(controls=()))
    write_verdict(tmp_path, rung=2, sentence="Rung 2 of 7: repeats.", extra=1)
    result = load_result(tmp_path, "otherview", "tiny")
    for text in (run_card(result), printed(result), "\n".join(headlines([result]))):
        assert "Rung 2 of 7" in text


def test_the_card_of_a_nasty_probe_holds_no_markup(root):
    assert "<script" not in run_card(load_result(root, "otherview", "tiny-untrained"))
    assert NASTY.split()[0] == "<img"


def test_the_terminal_view_is_plain_when_piped_and_coloured_when_not(root):
    result = load_result(root, "otherview", "tiny")
    assert "\x1b[" not in printed(result)
    assert "\x1b[" in printed(result, terminal=True)
    for block in ("j0", "j4", "s0", "s19"):
        assert re.search(rf"^{block}\b", printed(result), re.MULTILINE)


def test_how_many_heads_differ_beyond_wording_stands_beside_the_count(root):
    result = load_result(root, "otherview", "tiny")
    for bound, said in ((0.0, "no head can be said"), (7.0, "at least 7 heads")):
        metrics = result.main.summary.metrics | {"selective_heads_lower_bound": bound}
        result.__dict__["main"] = dataclasses.replace(
            result.main, summary=result.main.summary.model_copy(update={"metrics": metrics})
        )
        assert said in "\n".join(headlines([result]))
        assert said in run_card(result)
        assert re.search(rf"beyond rewording, at least +{bound:.0f} ", printed(result))


@pytest.mark.parametrize(
    ("value", "text"),
    [(12091.0, "12,091"), (-3.25, "−3.25"), (None, "–"), (float("nan"), "–"), (0.00031, "3.1e−4"), (0.0, "0")],  # noqa: RUF001
)
def test_numbers_read_like_numbers(value, text):
    assert wording.number(value) == text


def test_a_page_says_how_a_model_is_guided_and_which_heads_cannot_respond():
    def note(guidance, scale, dead):
        geometry = SimpleNamespace(dead_heads=dead)
        return wording.model_note(
            SimpleNamespace(name="mine", guidance=guidance, guidance_scale=scale, geometry=geometry)
        )

    assert note("none", None, 0) == ""
    assert note("embedded", 3.5, 0) == "mine is guided by a number that it is told (3.5 here)."
    assert note("distilled", None, 16) == (
        "mine was distilled to few steps: it is measured as it is run, without guidance. "
        "16 heads are dead by design, since no text reaches them: they are units of no test."
    )
