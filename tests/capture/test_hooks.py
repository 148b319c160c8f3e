import numpy as np
import pytest
import torch
from helpers.capture_model import transformer

from plantain.base.errors import InputError
from plantain.capture.hooks import reducing
from plantain.capture.means.span_means import token_means
from plantain.capture.means.token_sets import Layout
from plantain.capture.not_finite import NotFinite
from plantain.model.geometry import projections

TEXT, NOISE, REFERENCE = 7, 4, 2
LAYOUT = Layout(((0, 5),), TEXT, NOISE, REFERENCE)


@pytest.fixture(scope="module")
def model():
    return transformer()


def inputs(rows: int = 1, text: int = TEXT) -> dict:
    image = NOISE + REFERENCE
    return {
        "hidden_states": torch.randn(rows, image, 16, generator=torch.Generator().manual_seed(1)),
        "encoder_hidden_states": torch.randn(rows, text, 96, generator=torch.Generator().manual_seed(2)),
        "timestep": torch.ones(rows),
        "guidance": None,
        "img_ids": torch.arange(image * 4).reshape(1, image, 4),
        "txt_ids": torch.arange(text * 4).reshape(1, text, 4),
        "return_dict": False,
    }


def hooks(model) -> int:
    return sum(len(module._forward_pre_hooks) for module in model.modules())


def test_hooks_are_gone_after_a_pass_and_after_any_failure(model):
    with torch.inference_mode(), reducing(projections(model), LAYOUT, 16, stop=True) as capture:
        assert hooks(model) == 7
        model(**inputs())
    assert hooks(model) == 0
    assert len(capture.fired) == 7
    for failure in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(failure), reducing(projections(model), LAYOUT, 16, stop=True):
            raise failure
        assert hooks(model) == 0


def test_stopping_early_leaves_the_rest_undone_and_changes_nothing(model):
    found = []
    for stop in (True, False):
        ran = []
        handle = model.proj_out.register_forward_hook(lambda *_, ran=ran: ran.append(1))
        with torch.inference_mode(), reducing(projections(model), LAYOUT, 16, stop=stop) as capture:
            model(**inputs())
        handle.remove()
        found.append(capture.mean_square())
        assert bool(ran) is not stop
    np.testing.assert_array_equal(*found)


def test_a_forward_that_is_not_run_is_refused(model):
    with pytest.raises(InputError, match="no hook fired"), reducing(projections(model), LAYOUT, 16, stop=True):
        pass
    assert hooks(model) == 0


def test_a_block_that_is_skipped_is_named(model):
    block = model.single_transformer_blocks[1]
    forward = block.forward
    block.forward = lambda hidden_states, **_: hidden_states
    try:
        with (
            pytest.raises(InputError, match=r"1 of 7 projections never ran.*blocks\.1"),
            torch.inference_mode(),
            reducing(projections(model), LAYOUT, 16, stop=False),
        ):
            model(**inputs())
    finally:
        block.forward = forward


def test_two_calls_in_one_pass_are_refused(model):
    with torch.inference_mode(), reducing(projections(model), LAYOUT, 16, stop=False):
        model(**inputs())
        with pytest.raises(InputError, match="ran twice"):
            model(**inputs())


def test_another_number_of_positions_is_refused(model):
    with (
        pytest.raises(InputError, match="was expected"),
        torch.inference_mode(),
        reducing(projections(model), LAYOUT, 16, stop=False),
    ):
        model(**inputs(text=TEXT + 1))
    assert hooks(model) == 0


def test_padding_on_the_left_is_padding(model):
    left = Layout(((2, TEXT),), TEXT, NOISE, REFERENCE)
    with torch.inference_mode(), reducing(projections(model), left, 16, stop=True) as capture:
        seen: list[torch.Tensor] = []
        module = model.single_transformer_blocks[0].attn.to_out
        handle = module.register_forward_pre_hook(lambda _m, a: seen.append(a[0].clone()))
        model(**inputs())
        handle.remove()
    start = 2 * 2 * 4
    squares = seen[0].pow(2).unflatten(-1, (-1, 16)).mean(-1)[0]
    found = capture.mean_square()[0, 1, start : start + squares.shape[-1]]
    np.testing.assert_array_equal(found, squares[:2].mean(0).numpy())
    assert left.counts() == [[5, 2, NOISE, REFERENCE]]


def test_waiting_for_one_another_changes_no_bit(model, monkeypatch):
    found = []
    for limit in (0, 1000, 1 << 30):
        monkeypatch.setattr("plantain.capture.means.span_means._WAITING", limit)
        layout = Layout(((0, 5), (0, 2)), TEXT, NOISE, REFERENCE)
        with torch.inference_mode(), reducing(projections(model), layout, 16, stop=True) as capture:
            model(**inputs(rows=2))
        found.append(capture.mean_square())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_chunks_of_a_long_activation_change_no_bit(monkeypatch):
    x = torch.randn(2, 50, 64, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    whole = token_means(x, 16)
    monkeypatch.setattr("plantain.capture.means.span_means._CHUNK", 64 * 2 * 3)
    assert torch.equal(token_means(x, 16), whole)
    assert whole.dtype == torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_refused_with_its_place(model, value):
    given = inputs(rows=2)
    given["hidden_states"][1, NOISE] = value
    layout = Layout(((0, 5), (0, 5)), TEXT, NOISE, REFERENCE)
    with torch.inference_mode(), reducing(projections(model), layout, 16, stop=True) as capture:
        model(**given)
    with pytest.raises(NotFinite) as found:
        capture.mean_square()
    assert found.value.row == 1
    assert found.value.projection == "transformer_blocks.0.attn.to_out.0"
    assert found.value.tokens == "noise"


def test_a_set_without_tokens_is_nan_and_no_refusal(model):
    layout = Layout(((0, TEXT),), TEXT, NOISE + REFERENCE, 0)
    with torch.inference_mode(), reducing(projections(model), layout, 16, stop=True) as capture:
        model(**inputs())
    values = capture.mean_square()
    assert np.isnan(values[0, [1, 3]]).all()
    assert np.isfinite(values[0, [0, 2]]).any(axis=1).all()
