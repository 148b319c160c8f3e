import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save

from plantain.base.files import canonical_json
from plantain.records.tensors import mapped_tensors, write_tensors


@pytest.mark.parametrize("shapes", [{"b": (3, 4), "a": (5,)}, {"one": (1, 1), "none": (0, 4)}, {"scalar": ()}, {}])
@pytest.mark.parametrize("header", [{}, {"say": 'ä "quoted"\\\n\t\u0001\u007f 猫'}, {"long": "x" * 9}])
def test_files_are_those_of_safetensors_itself(tmp_path, shapes, header):
    random = np.random.default_rng(0)
    tensors = {name: random.random(shape, dtype=np.float32) for name, shape in shapes.items()}
    tensors |= {f"{name}_count": random.integers(0, 9, shape, dtype=np.int32) for name, shape in shapes.items()}
    write_tensors(tmp_path / "a", tensors, header)
    assert (tmp_path / "a").read_bytes() == save(tensors, {"plantain": canonical_json(header).decode()})
    found, read = mapped_tensors(tmp_path / "a")
    assert found == header
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_arrays_that_lie_otherwise_in_memory_are_written_in_order(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_tensors(tmp_path / "a", {"a": array.T}, {})
    np.testing.assert_array_equal(mapped_tensors(tmp_path / "a")[1]["a"], array.T)


def test_neither_writing_nor_reading_holds_a_copy(tmp_path):
    array = np.ones((1 << 20, 4), np.float32)
    tracemalloc.start()
    write_tensors(tmp_path / "a", {"a": array}, {})
    assert mapped_tensors(tmp_path / "a")[1]["a"][7, 3] == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes / 20


def test_what_is_read_cannot_be_changed_and_outlives_the_file(tmp_path):
    path = tmp_path / "a"
    write_tensors(path, {"a": np.ones(4, np.float32)}, {})
    held = mapped_tensors(path)[1]["a"]
    write_tensors(path, {"a": np.zeros(4, np.float32)}, {})
    np.testing.assert_array_equal(held, 1)
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 2


def test_other_types_are_refused(tmp_path):
    with pytest.raises(KeyError):
        write_tensors(tmp_path / "a", {"a": np.ones(4)}, {})
