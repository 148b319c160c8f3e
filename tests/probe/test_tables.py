"""Tables as people have them: out of spreadsheets, and the files of public prompt sets."""

from pathlib import Path

import pytest

from plantain.base.errors import InputError
from plantain.probe.authoring import table as module
from plantain.probe.authoring.check import check_probe
from plantain.probe.authoring.new import new_probe
from plantain.probe.authoring.rows import Columns, items_of_column, pairs_of
from plantain.probe.authoring.table import read_table
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe

CASES = Path(__file__).parent / "cases"
BOTH = [("A cat", "A dog"), ("A hen, white", "A pig")]


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pairs(path: Path, columns: Columns | None = None):
    return [(item["a"], item["b"]) for item in pairs_of(read_table(path), columns or Columns())]


def refused(path: Path, columns: Columns | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        table = read_table(path)
        if columns and columns.items:
            items_of_column(table, columns.items)
        pairs_of(table, columns or Columns())
    assert (caught.value.file, bool(caught.value.fix)) == (path, True)
    return caught.value


TABLE = '{0}A cat{1}A dog{2}"A hen, white"{1}A pig{2}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("commas.csv", TABLE.format("a,b\n", ",", "\n")),
        ("capitals.csv", TABLE.format("A,B\n", ",", "\n")),
        ("row numbers.csv", ',A,B\n0,A cat,A dog\n1,"A hen, white",A pig\n'),
        ("padded.csv", 'a,b,,\nA cat,A dog,,\n"A hen, white",A pig,,\n,,,\n'),
        ("semicolons.csv", TABLE.format("a;b\n", ";", "\n")),
        ("excel.csv", TABLE.format("sep=;\r\na;b\r\n", ";", "\r\n")),
        ("tabs.csv", TABLE.format("a\tb\n", "\t", "\n")),
        ("tabs.tsv", TABLE.format("a\tb\n", "\t", "\n")),
        ("marked.csv", b"\xef\xbb\xbf" + TABLE.format("a;b\n", ";", "\n").encode()),
        ("unicode text.txt.csv", TABLE.format("a\tb\r\n", "\t", "\r\n").encode("utf-16")),
        ("objects.jsonl", '{"b":"A dog","a":"A cat"}\n{"a":"A hen, white","b":"A pig"}'),
        ("blank.csv", TABLE.format("\n , \na,b\n\n", ",", "\n ,\n")),
    ],
)
def test_tables_of_every_make_are_read(tmp_path, name, content):
    assert pairs(written(tmp_path, content, name)) == BOTH


def test_columns_are_chosen_by_name_in_any_case(tmp_path):
    path = written(tmp_path, "Kind,Left,Right\nk,A cat,A dog\nk,A hen,A pig\n")
    assert pairs(path, Columns("left", "RIGHT")) == [("A cat", "A dog"), ("A hen", "A pig")]
    error = refused(path, Columns("left", "write"))
    assert "there is no column 'write'; the columns are Kind, Left, Right" in error.problem
    assert "--b" in error.fix


SETS = [
    ("PartiPrompts.tsv", "Prompt\tCategory\tChallenge\tNote\nbond\tAbstract\tBasic\tB-i\na cow\tA\tB\t\n", "Prompt"),
    ("drawbench.csv", 'Prompts,Category\n"bond",Colors\na cow,Colors\n', "Prompts"),
    ("metadata.jsonl", '{"tag":"t","include":[{"class":"c"}],"prompt":"bond"}\n{"prompt":"a cow"}\n', "prompt"),
    ("color_val.txt", "bond\na cow\n", "prompt"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "column"), SETS, ids=[name for name, *_ in SETS])
def test_public_prompt_sets_become_items_and_without_a_flag_the_flag_is_named(tmp_path, name, content, column):
    path = written(tmp_path, content, name)
    assert [item["text"] for item in items_of_column(read_table(path), column)] == ["bond", "a cow"]
    error = refused(path)
    assert column in error.problem
    assert "--items" in error.fix


def test_a_row_of_a_known_prompt_set_is_refused_for_what_it_lacks():
    path = CASES / "partiprompts.tsv"
    assert "Prompt, Category, Challenge, Note" in refused(path).problem
    error = refused(path, Columns(items="prompt"))
    assert (error.line, "a single item" in error.problem) == (2, True)


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("duplicated_pairs.csv", 3, ("copy", "line 2")),
        ("homoglyph.csv", 2, ("look the same", "U+0430 CYRILLIC SMALL LETTER A")),
        ("dblspace.csv", 2, ("look the same", "U+0020 SPACE stand in a row")),
        ("hangulfiller.csv", 2, ("U+3164 HANGUL FILLER",)),
    ],
)
def test_small_tables_that_went_wrong_are_refused_at_their_line(name, line, words):
    error = refused(CASES / name)
    assert error.line == line
    assert all(word in error.problem for word in words)


def test_blank_rows_are_left_out_and_counted():
    table = read_table(CASES / "blankrows.csv")
    assert [row.line for row in table.rows] == [3, 6]
    assert table.blank == (2, 4, 5, 7)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a,b,\nx,y,z\n", 2, "'z' stands under no column name"),
        ("a,a\nx,y\n", 1, "the columns are a, a"),
        ("id,a,b\nx,p,q\nx,r,s\n", 3, "'x' occurs twice; it stands in line 2 too"),
        ("id,a,b\nx,p,q\ny,p,q\n", 3, "copy"),
        (b"PK\x03\x04rest", None, "workbook"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, line, words):
    error = refused(written(tmp_path, content))
    assert (error.line, words in error.problem) == (line, True)


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 100_000])
def test_lines_that_are_no_objects_are_named(tmp_path, text):
    assert refused(written(tmp_path, f'{{"a": "x", "b": "y"}}\n{text}\n', "x.jsonl")).line == 2


def test_tables_are_bounded(tmp_path, monkeypatch):
    path = written(tmp_path, "a,b\n" + "".join(f"x{n},y{n}\n" for n in range(9)))
    monkeypatch.setattr(module, "MOST_ITEMS", 8)
    assert refused(path).line == 10
    monkeypatch.setattr(module, "LARGEST_FILE", 20)
    assert "bytes" in refused(path).problem


def test_one_column_becomes_items_under_eight_wordings_a_side(house):
    path = written(house, "Prompts,Category\n\n{braces} and: colons # here,x\n'quotes',x\n", "bench.csv")
    said = []
    made = new_probe("bench", house, path, Columns(items="prompts"), tell=said.append)
    found = check_probe(made, house)
    assert (found.problems, found.notes, found.items) == ((), (), 2)
    target = found.contrasts[0]
    assert (target.templates_a, target.templates_b, target.own_words_a, target.own_words_b) == (8, 8, (), ())
    prompts = {record.prompt for record in expand(read_probe(made), house).records}
    assert "{braces} and: colons # here, as the photographer shows it" in prompts
    assert said == [f"Left out: 1 blank rows of {path} (line 2)."]


def test_sides_and_items_are_not_named_together(house):
    path = written(house, "a,b\nx,y\nz,w\n")
    with pytest.raises(InputError, match="beside --a or --b"):
        new_probe("mine", house, path, Columns("a", "b", "a"))


def test_an_error_in_the_made_probe_names_the_file_that_was_asked_for(house, monkeypatch):
    monkeypatch.setattr("plantain.probe.spec.MOST_RECORDS", 3)
    path = written(house, "a,b\nx,y\nz,w\n")
    with pytest.raises(InputError) as caught:
        new_probe("mine", house, path)
    assert caught.value.file == house / "prompts" / "mine.yaml"
