import json

import pytest
from helpers.track_helpers import make_results, parameters, runs, write_ledger

from plantain.base import git as objects
from plantain.track.asked import CHANCE, Asked, AskedSet, asked, asked_of, asked_sentence
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sync import sync
from plantain.track.results import FolderReader, read_results


@pytest.fixture
def commit(git):
    def run(message="One more"):
        git("add", "--all", "reports")
        git("commit", "--quiet", "--allow-empty", "--message", message)

    return run


def counts(root, more=()):
    return {model: (one.probes, one.prompt_sets) for model, one in asked(root, more).items()}


def test_every_set_of_prompts_on_every_ref_counts_once_experiments_and_workspace_included(checkout, git, commit):
    write_ledger(checkout, ("mini", "tiny", "1" * 64), ("mini", "tiny-untrained", "1" * 64))
    commit()
    write_ledger(checkout, ("mini", "tiny", "2" * 64))
    commit()
    write_ledger(checkout, ("mini", "tiny", "1" * 64))
    commit("Back again")
    git("switch", "--quiet", "--create", "side", "HEAD~1")
    write_ledger(checkout, ("dense", "tiny", "3" * 64))
    commit("An experiment")
    git("update-ref", "refs/exps/ab/cdef/brave-bee", "HEAD")
    git("switch", "--quiet", "main")
    git("branch", "--quiet", "--delete", "--force", "side")
    assert counts(checkout) == {"tiny": (2, 3), "tiny-untrained": (1, 1)}
    write_ledger(checkout, ("mini", "tiny", "4" * 64))
    assert counts(checkout) == {"tiny": (2, 4), "tiny-untrained": (1, 1)}
    assert counts(checkout, [AskedSet("tiny", "new", "5" * 64)])["tiny"] == (3, 5)
    git("update-ref", "-d", "refs/exps/ab/cdef/brave-bee")
    assert counts(checkout)["tiny"] == (1, 3)


def test_a_set_that_only_a_merge_holds_counts(checkout, git, commit):
    write_ledger(checkout, ("mini", "tiny", "1" * 64))
    commit()
    git("switch", "--quiet", "--create", "side")
    write_ledger(checkout, ("mini", "tiny", "2" * 64))
    commit()
    git("switch", "--quiet", "main")
    commit("Nothing new")
    git("merge", "--quiet", "--no-commit", "--no-ff", "side")
    write_ledger(checkout, ("mini", "tiny", "3" * 64))
    commit("Both")
    (checkout / "reports/ledger.json").unlink()
    assert counts(checkout) == {"tiny": (1, 3)}


def test_each_ledger_of_the_history_is_read_once(checkout, commit, monkeypatch):
    for digit in "121213":
        write_ledger(checkout, ("mini", "tiny", digit * 64))
        commit()
    read = []
    real = objects.git_objects

    def spied(root, names, **options):
        read.extend(names if options.get("content", True) else [])
        return real(root, names, **options)

    monkeypatch.setattr("plantain.track.asked.git_objects", spied)
    assert counts(checkout) == {"tiny": (1, 3)}
    assert (len(read), len(set(read))) == (3, 3)
    write_ledger(checkout, ("mini", "tiny", "4" * 64))
    commit()
    assert counts(checkout) == {"tiny": (1, 4)}
    assert len(read) == 4
    note = checkout / ".plantain" / "asked.json"
    for damage in (b"{", b'{"questions": 3}', b'{"questions": [], "ledgers": {"%s": [9]}}' % read[0].encode()):
        note.write_bytes(damage)
        assert counts(checkout) == {"tiny": (1, 4)}


def test_a_workspace_below_the_top_of_its_repository_is_counted(checkout, git, commit, monkeypatch):
    below = checkout / "reports" / "study"
    write_ledger(below, ("mini", "tiny", "1" * 64))
    commit()
    write_ledger(below, ("mini", "tiny", "2" * 64))
    monkeypatch.chdir(below)
    assert counts(below) == {"tiny": (1, 2)}


def test_a_shallow_clone_and_a_folder_outside_git_say_at_least(checkout, git, commit, tmp_path, monkeypatch):
    for digit in "12":
        write_ledger(checkout, ("mini", "tiny", digit * 64))
        commit()
    assert str(asked(checkout)["tiny"]) == "tiny was asked 1 probe in 2 prompt sets"
    git("clone", "--quiet", "--depth", "1", checkout.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    found = asked(tmp_path / "shallow")["tiny"]
    assert str(found) == "tiny was asked at least 1 probe in 1 prompt set"
    assert found.tags == {"asked_probes": "at least 1", "asked_prompt_sets": "at least 1"}
    outside = tmp_path / "outside"
    write_ledger(outside, ("mini", "tiny", "1" * 64))
    monkeypatch.chdir(outside)
    assert not asked(outside)["tiny"].whole


def test_a_ledger_that_cannot_be_read_makes_the_count_a_least_one(checkout, commit):
    write_ledger(checkout, ("mini", "tiny", "1" * 64))
    commit()
    (checkout / "reports/ledger.json").write_text("torn")
    assert asked(checkout) == {"tiny": Asked("tiny", 1, 1, whole=False)}
    commit()
    (checkout / "reports/ledger.json").unlink()
    assert asked(checkout) == asked(checkout) == {"tiny": Asked("tiny", 1, 1, whole=False)}


def test_the_sentence_is_one_line_for_all_models_and_empty_for_none():
    counted = [Asked("tiny", 2, 5, whole=True), Asked("other", 1, 1, whole=True)]
    said = f"tiny was asked 2 probes in 5 prompt sets; other was asked 1 probe in 1 prompt set; {CHANCE}."
    assert asked_sentence(counted) == said
    assert asked_sentence([]) == ""


def test_models_of_cells_are_counted_with_what_they_were_just_asked(checkout, commit):
    make_results(checkout, models=("tiny", "other"))
    write_ledger(checkout, ("otherview", "tiny", "1" * 64), ("gone", "left", "1" * 64))
    commit()
    cells = read_results(FolderReader(checkout)).cells
    assert {one.model: (one.probes, one.prompt_sets) for one in asked_of(checkout, cells)} == {
        "tiny": (2, 3),
        "other": (2, 2),
    }


def tags(root):
    return {
        run.info.run_name: (run.data.tags.get("asked_probes"), run.data.tags.get("asked_prompt_sets"))
        for run in runs(root)
        if "asked_probes" in run.data.tags
    }


def test_publish_says_it_in_one_line_and_on_the_parents_and_counts_on(tracked, git, commit):
    make_results(tracked)
    first = publish(tracked, parameters())
    assert first.sentence().splitlines()[1] == f"publish: tiny was asked 2 probes in 2 prompt sets; {CHANCE}."
    assert tags(tracked) == {"otherview@tiny": ("2", "2"), "dense@tiny": ("2", "2")}
    commit()
    again = publish(tracked, parameters())
    assert (again.created, again.updated) == (0, 0), "what is committed is no other question"
    write_ledger(tracked, ("otherview", "tiny", "9" * 64))
    commit("Another set")
    third = publish(tracked, parameters())
    assert (third.created, third.updated) == (0, 2), "the parents alone"
    assert tags(tracked) == {"otherview@tiny": ("2", "3"), "dense@tiny": ("2", "3")}
    assert sync(tracked, parameters()).updated == 0


def test_the_file_of_the_index_page_is_written_anew_and_nothing_that_git_or_dvc_holds_has_the_count(tracked, commit):
    make_results(tracked)
    publish(tracked, parameters(), tracked / "mlflow/published.json")
    commit()
    kept = [tracked / name for name in ("reports/ledger.json", "mlflow/published.json")]
    before = [path.read_bytes() for path in kept]
    assert told(tracked) == {"tiny": "tiny was asked 2 probes in 2 prompt sets"}
    write_ledger(tracked, ("otherview", "tiny", "9" * 64))
    commit("Another set")
    publish(tracked, parameters(), tracked / "mlflow/published.json")
    assert told(tracked) == {"tiny": "tiny was asked 2 probes in 3 prompt sets"}
    assert [path.read_bytes() for path in kept] == before


def told(root):
    text = (root / "reports/asked.js").read_text()
    said = json.loads(text.removeprefix("const ASKED = ").removesuffix(";\n"))
    assert said["chance"] == CHANCE
    return said["models"]
