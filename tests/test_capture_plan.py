import numpy as np
import pytest
from capture_model import LENGTH, image_folder, make_lock, prompted, records

from plantain.capture.activations import write_activations
from plantain.capture.cell import capture_cell
from plantain.capture.plan import pass_positions, plan
from plantain.capture.progress import Silent
from plantain.capture.rates import pass_flops, rate
from plantain.config import CaptureParams, ReferenceParams


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "cache"))
    image_folder(tmp_path / "images", "kitchen")
    return tmp_path


def test_the_forecast_is_what_happens(folder):
    lock, put, params = make_lock(folder, "family"), records("kitchen"), CaptureParams(seeds=[0, 1])
    forecast = plan(put, [prompted("kitchen", "A kitchen")], lock, params, ReferenceParams())
    result = capture_cell(put, folder / "images", lock, params, Silent())
    assert forecast.passes == result.notes["passes"] == 3 * 2 * 2 * 2
    assert forecast.prompts == 6
    assert forecast.images == 1
    path = folder / "a.safetensors"
    write_activations(path, result.activations)
    np.testing.assert_allclose(forecast.activation_bytes, path.stat().st_size, rtol=0.1)
    kept = sum(file.stat().st_size for file in (folder / "cache").rglob("*.safetensors"))
    np.testing.assert_allclose(forecast.cache_bytes, kept, rtol=0.1)
    assert not forecast.rate.measured
    after = plan(put, [], lock, params, ReferenceParams())
    assert after.rate.measured
    assert 0 < after.seconds < 60
    assert rate(lock, "cuda").measured is False


def test_operations_of_the_full_size_model():
    """76.6 TFLOP a pass at 1024 x 1024 with one reference and 512 text positions, 6.14 GFLOP a position."""
    from plantain.model.lock import Geometry

    class Lock:
        geometry = Geometry(
            joint_blocks=5,
            single_blocks=20,
            heads=24,
            head_width=128,
            mlp_width=9216,
            groups=17280,
            parameters=0,
            text_width=7680,
        )

    assert pass_flops(Lock, 512 + 2 * 4096) == pytest.approx(76.6e12, rel=0.01)


def test_positions_are_those_of_a_pass(folder):
    lock = make_lock(folder)
    assert pass_positions(lock, True) == LENGTH + 32
    found = capture_cell(records("kitchen"), folder / "images", lock, CaptureParams(), Silent()).activations
    assert (found.token_count.sum(axis=-1) == pass_positions(lock, True)).all()
