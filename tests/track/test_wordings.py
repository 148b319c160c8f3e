import json

import pytest
from helpers.track_helpers import make_results, write_ledger

from plantain.commands.diff import _lines
from plantain.probe.authoring.diff import load_expansion, parse_bytes
from plantain.probe.spec import parse_probe
from plantain.track import ledger
from plantain.track.address import everything
from plantain.track.difference import compare
from plantain.track.results import Cell, FolderReader, read_results
from plantain.track.sides import Side
from plantain.track.wordings import changes, dropped, probe_at

TEXTS = {"seen": "The kitchen seen by {creature}", "eyes": "A kitchen through the eyes of {creature}",
         "view": "Kitchen, the view of {creature}", "with": "A kitchen with {creature}",
         "beside": "A kitchen, {creature} beside it"}  # fmt: skip


def source(a=("seen", "eyes", "view"), b=("with", "beside"), *, creature="a cat", control=False, **texts):
    conditions = {name: {"prompt": text} for name, text in {**TEXTS, **texts}.items()}
    contrasts = {"target": {"a": list(a), "b": list(b), "role": "target"}}
    contrasts |= {"reworded": {"a": "seen", "b": "eyes", "role": "control"}} if control else {}
    items = [{"id": "cat", "creature": creature}, {"id": "ant", "creature": "an ant"}]
    return json.dumps({"probe": "mini", "conditions": conditions, "contrasts": contrasts, "items": items})


def probe(*arguments, **options):
    return parse_probe(parse_bytes(source(*arguments, **options).encode(), "prompts/mini.yaml"))


def told(found):
    return [(one.contrast, one.side, [w.name for w in one.dropped], [w.name for w in one.added]) for one in found]


def test_a_wording_that_left_its_side_is_named_and_one_that_came(checkout):
    assert told(changes(probe(), probe(a=("seen", "eyes")))) == [("target", "a", ["view"], [])]
    assert told(changes(probe(a=("seen", "eyes")), probe())) == [("target", "a", [], ["view"])]
    assert told(changes(probe(), probe(a=("seen", "eyes"), b=("with", "view")))) == [
        ("target", "a", ["view"], []),
        ("target", "b", ["beside"], ["view"]),
    ]
    assert told(changes(probe(control=True), probe())) == [
        ("reworded", "a", ["seen"], []),
        ("reworded", "b", ["eyes"], []),
    ]


def test_a_wording_is_its_text_and_not_its_name():
    other = probe(view="Nothing but {creature}")
    assert told(changes(probe(), other)) == [("target", "a", ["view"], ["view"])]
    assert changes(probe(), other)[0].dropped[0].prompt == TEXTS["view"]
    renamed = probe(a=("seen", "eyes", "sight"), sight=TEXTS["view"])
    assert changes(probe(), renamed) == ()
    assert changes(probe(), probe(creature="a grey cat")) == (), "another creature drops no wording"


@pytest.fixture
def house(checkout, git):
    """Commit a probe file, with the ledger of its numbers unless it is only written down."""
    (checkout / "prompts").mkdir()

    def run(*arguments, model="tiny", published=True, **options):
        (checkout / "prompts/mini.yaml").write_text(source(*arguments, **options))
        sha256 = load_expansion("mini", checkout).set_sha256
        if published:
            write_ledger(checkout, ("mini", model, sha256))
        git("add", "--all")
        git("commit", "--quiet", "--message", "One more")
        return sha256, git("rev-parse", "HEAD")

    return run


CELL = Cell("mini", "tiny", {})


def drops(root, until=None):
    now = probe_at(FolderReader(root), "mini")
    return [(one.prompts_sha256, one.commit, told(one.sides)) for one in dropped(root, CELL, now, until)]


def test_a_wording_dropped_after_its_numbers_were_published_is_told(checkout, house):
    sha256, commit = house()
    house(a=("seen", "eyes"))
    assert drops(checkout) == [(sha256, commit, [("target", "a", ["view"], [])])]
    (found,) = dropped(checkout, CELL, probe_at(FolderReader(checkout), "mini"))
    assert str(found) == (
        f"wordings dropped since set {sha256[:12]} whose numbers were published (commit {commit[:10]}): "
        'target a: view "Kitchen, the view of {creature}"'
    )
    assert drops(checkout, until=commit) == [(sha256, commit, [("target", "a", ["view"], [])])]
    house()
    assert drops(checkout) == [], "it is back"


def test_what_was_never_published_or_only_on_another_model_may_be_dropped(checkout, house):
    house(published=False)
    house(a=("seen", "view"), model="other")
    house(a=("seen", "eyes"))
    assert drops(checkout) == []


def test_an_edit_that_was_committed_before_it_was_run_is_not_taken_for_published(checkout, house):
    house(a=("seen", "eyes"))
    house(a=("seen", "eyes", "new"), new="Never run with {creature}", published=False)
    house(a=("seen", "eyes"))
    assert drops(checkout) == []


def test_what_an_experiment_tried_counts_and_what_came_after_a_revision_does_not(checkout, house, git):
    _, first = house(a=("seen", "eyes"))
    git("switch", "--quiet", "--detach")
    tried, commit = house(a=("seen", "eyes", "new"), new="Tried with {creature}")
    git("update-ref", "refs/exps/ab/cdef/brave-bee", "HEAD")
    git("switch", "--quiet", "main")
    assert drops(checkout) == [(tried, commit, [("target", "a", ["new"], [])])]
    assert drops(checkout, until=first) == []


@pytest.fixture
def results(checkout, git):
    """A result, and another after a wording was dropped, each committed; gives the difference between the two."""
    (checkout / "prompts").mkdir()

    def run(*, published):
        for a in (("seen", "eyes", "view"), ("seen", "eyes")):
            make_results(checkout, probes=("mini",), texts={"adult": f"asked with {len(a)} wordings"})
            (checkout / "prompts/mini.yaml").write_text(source(a=a))
            ledger.write(checkout, read_results(FolderReader(checkout)))
            if not published:
                write_ledger(checkout)
            git("add", "--all")
            git("commit", "--quiet", "--message", "One more")
        sides = [everything(checkout, rev) for rev in ("HEAD~1", "HEAD")]
        return compare(*(Side(found.cells[0], found.reader) for found in sides), ("then", "now"))

    return run


@pytest.mark.parametrize("published", [True, False])
def test_a_difference_names_what_was_dropped_and_whether_its_numbers_had_been_published(results, published):
    found = results(published=published)
    assert told(found.wordings) == [("target", "a", ["view"], [])]
    lines = list(_lines(found, None))
    assert '  wording dropped, target a: view "Kitchen, the view of {creature}"' in lines
    said = "had been published" if published else "are in no ledger there"
    assert f"  Numbers of the set with what was dropped {said} (then)." in lines
    assert not any(line.startswith("  wording added") for line in lines)


def test_a_difference_of_one_contrast_names_the_wordings_of_that_one(results, checkout):
    results(published=True)
    sides = [everything(checkout, rev) for rev in ("HEAD~1", "HEAD")]
    sides = [Side(found.cells[0], found.reader) for found in sides]
    assert compare(*sides, ("then", "now"), "published").wordings == ()
    assert compare(*sides, ("then", "now"), "target").wordings != ()
    backwards = list(_lines(compare(*reversed(sides), ("now", "then")), None))
    assert '  wording added, target a: view "Kitchen, the view of {creature}"' in backwards
    assert not any("what was dropped" in line for line in backwards)
