import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from typer.testing import CliRunner

from plantain.base.errors import InputError
from plantain.commands import prompts as module
from plantain.commands.probe import app as probe_app
from plantain.commands.prompts import app
from plantain.commands.run import run as run_pipeline
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.probe.authoring.check import TokenReader
from plantain.probe.tokens import TokenCount

ROOT = Path(__file__).parents[2]


@pytest.fixture
def house(tmp_path, monkeypatch):
    (tmp_path / "prompts").mkdir()
    for name in ("params.yaml", "prompts/otherview.yaml", "prompts/dense.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tokens(monkeypatch):
    """A tokenizer in which every word is one token and ``<end>`` is markup."""

    def encode(prompt):
        return TokenCount(len(prompt.split()), ("<end>",) if "<end>" in prompt else ())

    monkeypatch.setattr(module, "_readers", lambda params, model: ((TokenReader("toy", encode, 48),), []))


def run(*arguments, group=app, code=0):
    result = CliRunner().invoke(group, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def git(*arguments):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], check=True, capture_output=True)


def test_check_says_what_each_contrast_can_show(house, tokens):
    output = run("check", "otherview")
    assert "in every wording of a and in none of b: from, of, the, viewpoint" in output
    assert "with (24 of 30 items)" in output
    assert "words that change: 4 against 3 (not equally long)" in output
    assert "target, six: 8-12, equal for every item" in output
    assert output.count("fewer than 4 wordings a side") == 1


def test_check_asks_for_as_many_wordings_as_the_ladder_does(house, tokens):
    path = house / "params.yaml"
    path.write_text(path.read_text().replace("min_templates: 4 ", "min_templates: 7 "))
    assert run("check", "otherview").count("fewer than 7 wordings a side") > 1


def test_check_as_json_covers_every_probe_of_the_run(house, tokens):
    found = json.loads(run("check", "--json"))
    assert [probe["probe"] for probe in found] == ["otherview", "dense"]
    assert all(probe["ok"] for probe in found)
    assert {"floor", "floor_in_strata", "pieces_a", "ties"} <= set(found[0]["contrasts"][1])
    assert found[0]["reach"][0]["contrast"] == "target"
    assert found[0]["tokens"][0]["limit"] == 48


def test_check_fails_on_a_file_that_cannot_be_read_and_goes_on(house, tokens):
    path = house / "prompts" / "otherview.yaml"
    path.write_text(path.read_text().replace("{creature} has", "{beast} has"))
    output = run("check", code=1)
    assert "prompts/otherview.yaml:47: conditions.viewpoint_6: no item has the field 'beast'" in output
    assert "dense: fine as written" in output


def test_check_fails_on_markup_truncation_and_equal_sides(house, tokens):
    path = house / "prompts" / "dense.yaml"
    text = path.read_text()
    text = text.replace("arms: shaking its arms in confusion", f"arms: flapping <end> {'very ' * 60}wildly")
    path.write_text(text.replace("A photograph of {body} assuming a perfect T pose", "A photograph of {body} {pose}"))
    output = run("check", "dense", code=1)
    assert "robot in arms_1: the prompt holds the control token <end>" in output
    assert "and the model reads 48" in output
    assert "contrast published: both sides hold the same prompt for ballet-dancer" in output


def test_an_unequal_stratum_is_shown(house, tokens):
    path = house / "prompts" / "otherview.yaml"
    path.write_text(path.read_text().replace("{creature} has", "{creature} now has"))
    output = run("check", "otherview")
    assert "target, eight: NOT equal: viewpoint_6 11-15, viewpoint_7 10-14" in output


def test_conditions_in_no_contrast_are_named(house, tokens):
    path = house / "prompts" / "otherview.yaml"
    path.write_text(path.read_text().replace("conditions:\n", 'conditions:\n  spare: {prompt: "{creature}"}\n'))
    assert "held out or forgotten, at a pass an item each: spare" in run("check", "otherview")


def test_unknown_probes_and_models_are_refused(house):
    with pytest.raises(InputError, match="no such probe"):
        run("check", "nowhere")
    with pytest.raises(InputError, match="not declared"):
        run("check", "--model", "nowhere")


def test_without_a_lock_the_missing_model_is_named(house):
    output = run("check", "otherview")
    assert "tokens not counted with tiny" in output
    assert "dvc repro model@tiny" in output


def test_tokens_are_counted_once_for_models_that_share_a_tokenizer(house, monkeypatch):
    """The lock and the loader are stand-ins, since the real ones bring torch; the tokenizer is the embedded one."""
    asked = []

    def load_tokenizer(lock):
        asked.append(lock.name)
        return build_tokenizer()

    def read_lock(path):
        return SimpleNamespace(name=path.parent.name, max_sequence_length=96, pipeline="Flux2KleinPipeline")

    lock = SimpleNamespace(read_lock=read_lock)
    monkeypatch.setitem(sys.modules, "plantain.records.lock", lock)
    monkeypatch.setitem(sys.modules, "plantain.model.load", SimpleNamespace(load_tokenizer=load_tokenizer))
    for name in ("tiny", "tiny-untrained"):
        (house / "models" / name).mkdir(parents=True)
        (house / "models" / name / "model.lock.json").write_text("{}")
    output = run("check", "otherview")
    assert asked == ["tiny"]
    assert "of the 96 that it reads" in output
    assert "target, eight: " in output
    assert "NOT equal" not in output
    run("check", "otherview", "--model", "tiny-untrained")
    assert asked == ["tiny", "tiny-untrained"]


def test_tokens_are_counted_without_weights(house):
    """Klein's tokens and tiny's, each by itself; where a model is declared, it says how many are read."""
    (house / "prompts" / "mine.yaml").write_text(
        "probe: mine\nconditions:\n"
        '  a: {prompt: "A photograph of {x} in a T-pose"}\n  b: {prompt: "A photograph of {x} in a neat row"}\n'
        "contrasts: {target: {a: a, b: b, role: target}}\nitems: [{id: cat, x: a cat}, {id: dog, x: a dog}]\n"
    )
    klein = json.loads(run("check", "mine", "--tokenizer", "klein", "--json"))[0]["tokens"][0]
    assert (klein["model"], klein["limit"]) == ("klein", 512)
    assert klein["strata"][0]["templates"] == {"a": [22, 22], "b": [21, 21]}
    tiny = json.loads(run("check", "mine", "--tokenizer", "tiny", "--json"))[0]["tokens"][0]
    assert (tiny["model"], tiny["limit"]) == ("tiny", 96)
    assert tiny["strata"][0]["templates"] != klein["strata"][0]["templates"]
    with pytest.raises(InputError, match="both name a tokenizer"):
        run("check", "mine", "--tokenizer", "klein", "--model", "tiny")


def test_counting_kleins_tokens_does_not_pay_for_torch(house):
    code = "import sys; from plantain.cli import main\n"
    code += "sys.argv[1:] = ['prompts', 'check', 'dense', '--tokenizer', 'klein']\n"
    code += "try: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules, 'transformers' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "False False"


def test_show_prints_every_prompt_and_the_set_digest(house):
    lines = run("show", "otherview").splitlines()
    found = json.loads(run("show", "otherview", "--json"))
    assert len(found["records"]) == 30 * 38
    assert len(lines) == 30 * 38 + 2
    assert lines[0].split("  ")[1:] == [
        "adult-human", "viewpoint", "Render this kitchen from the viewpoint of an adult human", "[kitchen]",
    ]  # fmt: skip
    assert lines[-1] == f"1140 records, prompt set {found['set_sha256']}"


def test_diff_compares_files_and_revisions(house):
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    path = house / "prompts" / "otherview.yaml"
    path.write_text(path.read_text().replace("creature: a cat", "creature: a kitten"))
    output = run("diff", "prompts/otherview.yaml@HEAD", "otherview")
    assert "0 added, 0 removed, 38 edited" in output
    assert "Render this kitchen with a cat in it" in output
    assert "Render this kitchen with a kitten in it" in output
    assert "creature: a cat -> a kitten" in output
    assert json.loads(run("diff", "otherview@HEAD", "otherview@HEAD", "--json"))["empty"] is True
    with pytest.raises(InputError, match="git has no such file"):
        run("diff", "otherview@no-such-revision", "otherview")


def test_an_error_in_an_old_revision_names_that_revision(house):
    path = house / "prompts" / "otherview.yaml"
    good = path.read_text()
    path.write_text(good + "items: []\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    path.write_text(good)
    with pytest.raises(InputError, match="occurs twice") as caught:
        run("diff", "otherview@HEAD", "otherview")
    assert str(caught.value.file).endswith("prompts/otherview.yaml@HEAD")


def test_files_of_references_are_taken_from_the_revision(house):
    text = """\
probe: mine
references: {room: {file: room.png}}
conditions: {a: {prompt: "See {x}", reference: room}, b: {prompt: "Show {x}", reference: room}}
contrasts: {target: {a: a, b: b, role: target}}
items: [{id: cat, x: a cat}]
"""
    (house / "prompts" / "mine.yaml").write_text(text)
    Image.new("RGB", (64, 64), "red").save(house / "room.png")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    Image.new("RGB", (64, 64), "blue").save(house / "room.png")
    assert len(json.loads(run("diff", "mine@HEAD", "mine", "--json"))["edited"]) == 2


def test_probe_new_says_what_to_do_next(house):
    output = run("new", "mine", group=probe_app)
    assert "plantain prompts check mine" in output
    assert run("check", "mine").startswith("mine: fine as written")


def started(house, name, text, *flags, code=0):
    (house / name).write_text(text, encoding="utf-8")
    return run("new", "mine", "--from", name, *flags, group=probe_app, code=code)


def test_check_shows_odd_characters_by_name_and_what_few_items_can_reach(house, tokens):
    started(house, "pairs.csv", "a,b\nA\u00a0cat here,A\u00a0dog here\nA hen,A pig\n")
    output = run("check", "mine")
    assert "note: prompts/mine.yaml:15: items.0.a: the text holds U+00A0 NO-BREAK SPACE." in output
    assert "smallest p over items: 0.5 (1/2): no test over items can reach 0.05" in output
    assert "smallest p over items" not in run("check", "otherview")


def test_check_prints_twenty_notes_and_counts_the_rest(house, tokens):
    started(house, "pairs.csv", "a,b\n" + "".join(f"A\u00a0cat {n},A dog {n}\n" for n in range(25)))
    output = run("check", "mine")
    assert (output.count("note:"), "and 5 more notes" in output) == (20, True)
    assert len(json.loads(run("check", "mine", "--json"))[0]["notes"]) == 25


def test_check_fails_where_the_settings_cannot_be_met(house, tokens):
    path = house / "params.yaml"
    path.write_text(
        path.read_text().replace("flips: 10000      ", "flips: 10000").replace("flips: 10000", "flips: exact", 1)
    )
    started(house, "pairs.csv", "a,b\n" + "".join(f"A cat {n},A dog {n}\n" for n in range(40)))
    output = run("check", "mine", code=1)
    assert "params.yaml: analyses.heads.flips: all 2^39 flips of the 40 signs of the contrast 'target'" in output
    with pytest.raises(InputError, match="all 2\\^39 flips"):
        run_pipeline(["mine"], dry_run=True)
    with pytest.raises(InputError, match="all 2\\^39 flips"):
        run_pipeline(["mine"])


def test_new_takes_the_columns_that_it_is_told_and_says_what_it_left_out(house, tokens):
    table = "Prompt\tCategory\na red bowl\tx\n\t\na blue cup\tx\n"
    assert "Left out: 1 blank rows of parti.tsv (line 3)." in started(house, "parti.tsv", table, "--items", "Prompt")
    assert "26 conditions x 2 items" in run("check", "mine")
    assert "a red bowl, as the photographer shows it" in run("show", "mine")


def test_columns_without_a_table_are_refused(house):
    with pytest.raises(InputError, match="columns of a table"):
        run("new", "mine", "--items", "Prompt", group=probe_app)
