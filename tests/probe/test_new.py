import difflib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.commands.probe import app
from plantain.probe.authoring import new as module
from plantain.probe.authoring.check import design
from plantain.probe.authoring.new import new_probe
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe
from plantain.stages.pipelines import add_pipeline, pipeline_text


def state(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def csv(folder, text):
    path = folder / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_example_is_a_probe_and_stands_in_run_probes(house):
    before = read_params(house / "params.yaml").run.probes
    path = new_probe("mine", house)
    assert path == house / "prompts" / "mine.yaml"
    expansion = expand(read_probe(path), house)
    target = design(expansion.contrasts[0], expansion.records)
    assert (target.templates_a, target.own_words_a, target.own_words_b) == (8, (), ())
    assert read_params(house / "params.yaml").run.probes == [*before, "mine"]


def test_just_one_line_of_params_changes(house):
    before = (house / "params.yaml").read_text().splitlines()
    new_probe("mine", house)
    after = (house / "params.yaml").read_text().splitlines()
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert len(changes) == 2
    assert "mine" in changes[1]


def test_a_block_list_keeps_its_indentation(house):
    params = house / "params.yaml"
    text = params.read_text().replace("probes: [otherview, dense]", "probes:\n      - otherview # first\n      - dense")
    params.write_text(text)
    new_probe("mine", house)
    assert params.read_text() == text.replace("      - dense", "      - dense\n      - mine")


def test_pairs_become_items_with_whole_sentences(house):
    table = '\ufeffid,b,a\r\nx-1,"He said ""no"", twice",{yes}\r\n\r\nx-2,null,"two\r\nlines"\r\n'
    expansion = expand(read_probe(new_probe("mine", house, csv(house, table))), house)
    prompts = {(record.item, record.condition): record.prompt for record in expansion.records}
    assert prompts == {
        ("x-1", "a"): "{yes}",
        ("x-1", "b"): 'He said "no", twice',
        ("x-2", "a"): "two\nlines",
        ("x-2", "b"): "null",
    }
    assert [(contrast.name, contrast.a, contrast.b) for contrast in expansion.contrasts] == [("target", ("a",), ("b",))]


def test_rows_without_ids_are_numbered(house):
    table = "a,b\n" + "".join(f"left {k},right {k}\n" for k in range(11))
    probe = read_probe(new_probe("mine", house, csv(house, table)))
    assert list(probe.items)[:2] == ["pair-01", "pair-02"]
    assert len(probe.items) == 11


@pytest.mark.parametrize(
    ("table", "line", "problem"),
    [
        ("a,b\nx,y\nx,z\n", None, None),
        ("", 1, "empty"),
        ("a,b\n", 1, "no pair"),
        ("a,b\nx,y\n", 2, "a single pair"),
        ("sentence\nx\ny\n", 1, "one column, sentence"),
        ("a,b,c\nx,y,z\n", 1, "the columns are a, b, c"),
        ("a,b\nx,y\nx,y,z\n", 3, "3 cells stand under 2 columns"),
        ('a,b\n"x\nx",y\nz,\n', 4, "the text is empty"),
        ("a,b\nx,y\nx,x\n", 3, "the same sentence"),
        ("a,b\nx,a\tb\n", 2, "U+0009"),
        ("id,a,b\nq,x,y\nq,z,y\n", 3, "'q' occurs twice"),
        ("id,a,b\nQ Q,x,y\n", 2, "not a valid id"),
        ('a,b\nx,"y\n', 2, "not valid CSV"),
        (b"a,b\nx,\xff\n", 2, "not valid UTF-8"),
    ],
)
def test_a_table_that_cannot_be_a_probe_changes_nothing(house, table, line, problem):
    path = csv(house, table)
    before = state(house)
    if problem is None:
        new_probe("mine", house, path)
        assert set(state(house)) - set(before) == {Path("prompts/mine.yaml")}
        return
    with pytest.raises(InputError) as caught:
        new_probe("mine", house, path)
    assert (caught.value.file, caught.value.line) == (path, line)
    assert problem in caught.value.problem
    assert caught.value.fix
    assert state(house) == before


@pytest.mark.parametrize("name", ["My-Probe", "otherview", "../escape", "a" * 41, ""])
def test_names_that_are_taken_or_not_valid_are_refused(house, name):
    before = state(house)
    with pytest.raises(InputError):
        new_probe(name, house)
    assert state(house) == before


def test_an_existing_file_is_never_overwritten(house):
    (house / "prompts" / "mine.yaml").write_text("precious")
    before = state(house)
    with pytest.raises(InputError, match="exists already"):
        new_probe("mine", house)
    assert state(house) == before


def test_nothing_is_half_done_when_params_cannot_be_written(house, monkeypatch):
    write = module.write_atomic

    def fail_on_params(path, data):
        if path.name == "params.yaml":
            raise OSError("disk full")
        write(path, data)

    before = state(house)
    monkeypatch.setattr(module, "write_atomic", fail_on_params)
    with pytest.raises(OSError, match="disk full"):
        new_probe("mine", house)
    assert state(house) == before


def test_a_probe_that_is_removed_leaves_the_run_with_its_stages_and_keeps_its_file(house, monkeypatch):
    monkeypatch.chdir(house)
    before = Path("params.yaml").read_bytes()
    run = CliRunner()
    assert run.invoke(app, ["new", "dusk"], catch_exceptions=False).exit_code == 0
    assert Path("pipelines/dusk/dvc.yaml").read_bytes() == pipeline_text("dusk")
    assert run.invoke(app, ["rm", "dusk"], catch_exceptions=False).exit_code == 0
    assert Path("params.yaml").read_bytes() == before
    assert (Path("pipelines/dusk").exists(), Path("prompts/dusk.yaml").exists()) == (False, True)
    with pytest.raises(InputError, match=r"run\.probes.*not listed"):
        run.invoke(app, ["rm", "dusk"], catch_exceptions=False)


def test_a_probe_that_left_run_probes_by_hand_can_still_be_removed(house, monkeypatch):
    """As the stages of such a probe say when they refuse to run."""
    monkeypatch.chdir(house)
    add_pipeline("gone")
    before = Path("params.yaml").read_bytes()
    assert CliRunner().invoke(app, ["rm", "gone"], catch_exceptions=False).exit_code == 0
    assert (Path("pipelines/gone").exists(), Path("params.yaml").read_bytes()) == (False, before)
