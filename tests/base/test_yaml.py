import pytest

from plantain.base.errors import InputError
from plantain.base.yaml import read_yaml


def write(folder, data):
    path = folder / "file.yaml"
    path.write_bytes(data)
    return path


def test_plain_data_and_lines(tmp_path):
    source = read_yaml(write(tmp_path, b"a:\n  b: 1\n  c:\n    - x\n    - y\n"))
    assert source.data == {"a": {"b": 1, "c": ["x", "y"]}}
    assert type(source.data["a"]["b"]) is int
    assert source.line("a", "c", 1) == 5
    assert source.line("a", "missing") == 1


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a: 1\nb: 2\na: 3\n", 3, "occurs twice"),
        (b"a: 1\nb: \xff\n", 2, "not valid UTF-8"),
        (b"a: [1\nb: 2\n", 2, "not valid YAML"),
        (b"a: \x07bell\n", None, "not valid YAML"),
        (b"a: 1\nb: 2026-13-45\n", 2, "a number or a date cannot be read (month"),
        (b"a: " + 5000 * b"9" + b"\n", 1, "a number or a date cannot be read (Exceeds"),
        (b"a: 1\nb:\n  - !!bool x\n", 3, "not of the kind that it is written as"),
        (b"a: 1\n[[]]: x\n", 1, "not of the kind that it is written as"),
        (b"%TAG ! x", 1, "a directive and no document"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, data, line, words):
    path = write(tmp_path, data)
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    assert words in caught.value.problem
    assert caught.value.line == line
    assert caught.value.file == path
    assert caught.value.fix


@pytest.mark.filterwarnings("error")
def test_an_anchor_given_again_stands_for_the_later_value_without_a_word(tmp_path):
    assert read_yaml(write(tmp_path, b"a: &x 1\nb: *x\nc: &x 2\nd: *x\n")).data == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_yaml(tmp_path / "nowhere.yaml")


def refused(path, **options):
    with pytest.raises(InputError) as caught:
        read_yaml(path, **options)
    assert caught.value.fix
    return caught.value


def test_aliases_that_stand_for_too_much_are_refused_where_they_are_written(tmp_path):
    """Nine aliases of nine, nine levels deep: 387 million values in 600 bytes."""
    rows = ['l0: &l0 ["x","x","x","x","x","x","x","x","x"]']
    rows += [f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    error = refused(write(tmp_path, "\n".join(rows).encode()))
    # 9, 90, 819, 7,380, 66,429: the aliases of line 6 go beyond 100,000.
    assert (error.line, "100,000" in error.problem) == (6, True)


def test_merged_keys_count_as_the_aliases_they_are(tmp_path):
    keys = ", ".join(f"k{n}: 1" for n in range(2_000))
    rows = [f"m: &m {{{keys}}}", *(f"m{n}: {{<<: *m}}" for n in range(40))]
    assert refused(write(tmp_path, "\n".join(rows).encode())).line == 26


def test_an_alias_inside_its_own_anchor_is_refused(tmp_path):
    error = refused(write(tmp_path, b"a: 1\nb: &b\n  - c\n  - *b\n"))
    assert (error.line, "'*b' stands inside its own anchor" in error.problem) == (4, True)


def test_a_few_aliases_are_read_as_ever(tmp_path):
    source = read_yaml(write(tmp_path, b"a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\n"))
    assert source.data == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}
    assert source.line("c", "y") == 5


def test_values_nested_too_deeply_are_refused(tmp_path):
    assert read_yaml(write(tmp_path, b"a:\n  " + b"[" * 40 + b"]" * 40)).data
    error = refused(write(tmp_path, b"a: 1\nb: " + b"[" * 5_000 + b"]" * 5_000))
    assert (error.line, "levels deep" in error.problem) == (2, True)


def test_a_list_may_be_bounded_and_is_refused_at_the_entry_beyond(tmp_path):
    path = write(tmp_path, b"a: [1, 2, 3, 4]\nb:\n" + b"  - 1\n" * 9)
    assert len(read_yaml(path, longest=9).data["b"]) == 9
    assert refused(path, longest=8).line == 11


def test_a_file_that_is_too_large_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("plantain.base.yaml.LARGEST_FILE", 10)
    assert read_yaml(write(tmp_path, b"a: 1234567")).data == {"a": 1234567}
    error = refused(write(tmp_path, b"a: 12345678"))
    assert "11 bytes" in error.problem


@pytest.mark.parametrize("value", [b"2026-13-41", b"1" * 5_000])
def test_numbers_and_dates_that_python_refuses_are_named(tmp_path, value):
    assert "quotes" in refused(write(tmp_path, b"a: " + value)).fix


def test_values_are_those_of_yaml_1_2(tmp_path):
    data = read_yaml(write(tmp_path, b"a: yes\nb: 010\nc: 1e3\nd: 0x1F\ne: ~\nf: 'null'\ng: true\n")).data
    assert data == {"a": "yes", "b": 10, "c": 1000.0, "d": 31, "e": None, "f": "null", "g": True}
