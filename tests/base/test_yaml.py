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
        (b"a: 2026-13-45\n", None, "a value cannot be read (month"),
        (b"a: " + 5000 * b"9" + b"\n", None, "a value cannot be read (Exceeds"),
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


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_yaml(tmp_path / "nowhere.yaml")
