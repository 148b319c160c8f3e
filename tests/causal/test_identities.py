"""What must hold in any network, and what is said where it does not."""

import copy
from dataclasses import replace

import pytest
import torch
from helpers.capture_model import make_lock

from plantain.base.errors import CheckFailed
from plantain.causal import identities as checked
from plantain.causal.identities import check_identities
from plantain.causal.theatre import Theatre


def both(stage, creature="a small dog"):
    return stage.clean[creature, "mention"], stage.clean[creature, "viewpoint"]


@pytest.mark.parametrize("name", ["tiny", "untrained", "small"])
def test_they_hold_in_trained_and_untrained_networks(name, request):
    stage = request.getfixturevalue(name)
    found = check_identities(stage.theatre, *both(stage))
    assert found.self_swap == 0.0
    assert found.all_heads == pytest.approx((1.0, 1.0), abs=1e-5)
    assert found.off_axis == pytest.approx((0.0, 0.0), abs=1e-5)
    assert found.batch <= 1e-5
    assert found.swaps >= 16


def test_they_hold_in_a_low_precision_too(staged, home, small_model):
    low = staged(lambda: make_lock(small_model, dtype="bfloat16"), home / "noise")
    found = check_identities(low.theatre, *both(low))
    assert found.self_swap == 0.0
    assert found.all_heads == (1.0, 1.0)


class Pooled(torch.nn.Module):
    """A time embedding that pooled text enters, as in FLUX.1; the text is read where it enters the transformer."""

    def __init__(self, transformer):
        super().__init__()
        self.inner = transformer.time_guidance_embed
        width = transformer.inner_dim
        generator = torch.Generator().manual_seed(0)
        channels = transformer.config.joint_attention_dim
        self.weight = torch.nn.Parameter(torch.randn(channels, width, generator=generator) * 0.05)
        self.text = None
        transformer.register_forward_pre_hook(self.read, with_kwargs=True)

    def read(self, _module, _arguments, named):
        self.text = named["encoder_hidden_states"].mean(dim=1)

    def forward(self, timestep, guidance):
        return self.inner(timestep, guidance) + self.text @ self.weight


@pytest.fixture
def pooled(small) -> Theatre:
    transformer = copy.deepcopy(small.theatre.transformer)
    transformer.time_guidance_embed = Pooled(transformer)
    return replace(small.theatre, transformer=transformer)


def test_pooled_text_in_the_modulation_is_the_share_that_all_heads_leave(pooled, small):
    passes = [pooled.clean(small.passes["a small dog", condition]) for condition in ("mention", "viewpoint")]
    found = check_identities(pooled, *passes, attention_alone=False)
    assert found.self_swap == 0.0
    assert max(found.all_heads) < 0.999
    assert found.modulation_share == pytest.approx(1.0 - min(found.all_heads))
    assert found.modulation_share > 0.001
    with pytest.raises(CheckFailed, match=r"all heads at image tokens mediate .*, not 1"):
        check_identities(pooled, *passes)


def test_a_pass_that_is_not_resumed_as_it_was_made_is_noticed(small, monkeypatch):
    inner = checked.replace(small.theatre)
    made = Theatre._batch

    def other(self, recipient, edits, start):
        return made(self, recipient, edits, start) + 1e-3

    monkeypatch.setattr(Theatre, "_batch", other)
    with pytest.raises(CheckFailed, match=r"'small' \(float32\): swapping all heads with a pass's own changes"):
        check_identities(inner, *both(small))


def test_a_batch_that_differs_from_single_swaps_is_noticed(small, monkeypatch):
    made = Theatre._batch

    def other(self, recipient, edits, start):
        return made(self, recipient, edits, start) * (1.0 if len(edits) == 1 else 1.001)

    monkeypatch.setattr(Theatre, "_batch", other)
    with pytest.raises(CheckFailed, match=r"a swap in a batch differs from the same swap alone by 0\.001"):
        check_identities(small.theatre, *both(small))
