"""Clean passes against plain calls of the same transformer."""

import pytest
import torch

from plantain.base.errors import InputError
from plantain.capture.forward import assemble
from plantain.causal import clean as clean_module
from plantain.causal.clean import resume


def hooks(transformer) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in transformer.modules())


def plain(stage, one):
    """The pass as the transformer makes it, at all image tokens."""
    theatre = stage.theatre
    inputs, layout = assemble((one,), [theatre.embeddings(one.prompt)], theatre.scene, theatre.target)
    with torch.inference_mode():
        return theatre.transformer(**inputs)[0], layout


def test_the_velocity_is_that_of_the_plain_call_bit_for_bit(tiny):
    one = tiny.passes["a small dog", "viewpoint"]
    found, layout = plain(tiny, one)
    assert torch.equal(tiny.clean["a small dog", "viewpoint"].velocity, found[0, : layout.noise])
    assert torch.equal(tiny.theatre.velocities([one])[0], found[0, : layout.noise])
    assert layout.noise == layout.reference == 16


def test_a_pass_resumed_at_any_block_is_the_whole_pass_bit_for_bit(tiny):
    clean = tiny.clean["a small dog", "mention"]
    found, _ = plain(tiny, clean.asked)
    assert len(clean.blocks) == 25
    with torch.inference_mode():
        for start in range(25):
            assert torch.equal(resume(tiny.theatre.transformer, clean, start, 1), found), start


def test_rows_of_a_resumed_batch_are_all_that_pass(tiny):
    clean = tiny.clean["a small dog", "mention"]
    with torch.inference_mode():
        for start in (0, 4, 5, 24):
            found = resume(tiny.theatre.transformer, clean, start, 3)[:, : clean.layout.noise]
            assert torch.allclose(found, clean.velocity.expand(3, -1, -1), rtol=1e-5, atol=1e-6)


def test_attention_outputs_are_what_the_projections_see(tiny):
    theatre, clean = tiny.theatre, tiny.clean["a small dog", "viewpoint"]
    seen = {}
    handles = [
        one.module.register_forward_pre_hook(lambda _m, a, at=at: seen.__setitem__(at, a[0].clone()))
        for at, one in enumerate(theatre.projections)
    ]
    plain(tiny, clean.asked)
    for handle in handles:
        handle.remove()
    assert len(seen) == len(clean.attention) == 30
    for at, kept in clean.attention.items():
        assert torch.equal(kept.values, seen[at][0, :, :96])
        assert kept.first == 0
        assert kept.values.untyped_storage().nbytes() == kept.values.nbytes, "what is kept holds nothing else alive"


def test_fewer_routes_keep_fewer_tokens(small):
    from dataclasses import replace

    from plantain.causal.heads import TokenRoute

    one = small.passes["a small dog", "viewpoint"]
    noise = replace(small.theatre, routes=(TokenRoute.noise,)).clean(one)
    assert {len(kept.values) for kept in noise.attention.values()} == {16}
    assert sorted(noise.attention) == [0, 2, 4, 5, 6], "no text stream"
    whole = small.clean["a small dog", "viewpoint"]
    assert torch.equal(noise.attention[5].values, whole.attention[5].values[96:112])


def test_no_hook_is_left(small, monkeypatch):
    transformer = small.theatre.transformer
    assert hooks(transformer) == 0

    def fail(*_arguments):
        raise RuntimeError("no such luck")

    with monkeypatch.context() as patch:
        patch.setattr(clean_module.Recorder, "norm", fail)
        with pytest.raises(RuntimeError, match="no such luck"):
            small.theatre.clean(small.passes["a small dog", "viewpoint"])
    assert hooks(transformer) == 0


def test_blocks_that_do_not_run_are_noticed(small, monkeypatch):
    monkeypatch.setattr(clean_module.Recorder, "block", lambda *_: None)
    with pytest.raises(InputError, match="0 of 5 blocks ran in one pass"):
        small.theatre.clean(small.passes["a small dog", "viewpoint"])


def test_a_velocity_that_is_not_finite_is_refused(small):
    weight = small.theatre.transformer.proj_out.weight
    kept = weight.detach().clone()
    try:
        with torch.no_grad():
            weight[0, 0] = float("nan")
        with pytest.raises(InputError, match="not finite, item 'a small dog', condition 'mention'"):
            small.theatre.clean(small.passes["a small dog", "mention"])
    finally:
        with torch.no_grad():
            weight.copy_(kept)
