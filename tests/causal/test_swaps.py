"""Swaps against the same channels exchanged by hand in whole passes of the plain transformer."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from helpers.capture_model import make_lock

from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import CaptureParams
from plantain.capture.forward import assemble
from plantain.capture.progress import Silent
from plantain.causal.heads import Head, HeadSet, TokenRoute, all_heads, kind_of
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre

TEXT, NOISE, REFERENCE = 96, 16, 16
POSITIONS = {
    TokenRoute.image: range(TEXT, TEXT + NOISE + REFERENCE),
    TokenRoute.noise: range(TEXT, TEXT + NOISE),
    TokenRoute.reference: range(TEXT + NOISE, TEXT + NOISE + REFERENCE),
    TokenRoute.text: range(TEXT),
}


def hooks(transformer) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in transformer.modules())


def names(transformer) -> list[str]:
    joint = len(transformer.transformer_blocks)
    single = len(transformer.single_transformer_blocks)
    pairs = [f"transformer_blocks.{b}.attn.{part}" for b in range(joint) for part in ("to_out.0", "to_add_out")]
    return pairs + [f"single_transformer_blocks.{b}.attn.to_out" for b in range(single)]


@contextmanager
def at_projections(transformer, take):
    modules = dict(transformer.named_modules())
    handles = [
        modules[name].register_forward_pre_hook(lambda _m, a, at=at: take(at, a[0]))
        for at, name in enumerate(names(transformer))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(stage, one) -> torch.Tensor:
    theatre = stage.theatre
    inputs, layout = assemble((one,), [theatre.embeddings(one.prompt)], theatre.scene, theatre.target)
    with torch.inference_mode():
        return theatre.transformer(**inputs)[0][0, : layout.noise]


def by_hand(stage, recipient, donor, heads, tokens, *, width=32) -> torch.Tensor:
    """Two whole passes with the test's own hooks: the first reads, the second writes channel after channel."""
    seen = {}
    with at_projections(stage.theatre.transformer, lambda at, x: seen.__setitem__(at, x.clone())):
        run(stage, donor)

    def write(at, x):
        wanted = [head for place, head in heads if place == at]
        if not wanted:
            return None
        x = x.clone()
        # The image stream of a joint block begins with the noise.
        shift = TEXT if at < 2 * len(stage.theatre.transformer.transformer_blocks) and at % 2 == 0 else 0
        for head in wanted:
            for position in POSITIONS[tokens]:
                for channel in range(head * width, (head + 1) * width):
                    x[0, position - shift, channel] = seen[at][0, position - shift, channel]
        return (x,)

    with at_projections(stage.theatre.transformer, write):
        return run(stage, recipient)


def passes(stage):
    return stage.clean["a small dog", "mention"], stage.clean["a small dog", "viewpoint"]


IMAGE_SETS = {
    "first": [(0, 0)],
    "joint": [(2, 1), (4, 2), (8, 0)],
    "last": [(29, 2)],
    "single": [(10, 0), (10, 2), (17, 1)],
    "mixed": [(6, 0), (6, 1), (13, 2), (24, 0)],
}


@pytest.mark.parametrize("heads", IMAGE_SETS.values(), ids=IMAGE_SETS)
@pytest.mark.parametrize("tokens", [TokenRoute.image, TokenRoute.noise, TokenRoute.reference])
def test_image_tokens_bit_for_bit_as_by_hand(tiny, heads, tokens):
    recipient, donor = passes(tiny)
    found = tiny.theatre.swapped(recipient, [Swap(donor, HeadSet.of(heads), tokens)])
    expected = by_hand(tiny, recipient.asked, donor.asked, heads, tokens)
    assert torch.equal(found[0], expected)
    if tokens is not TokenRoute.reference or heads != [(29, 2)]:  # after the last block nobody reads the reference
        assert not torch.equal(found[0], recipient.velocity)


@pytest.mark.parametrize("heads", [[(1, 0)], [(3, 1), (9, 2)], [(7, 0), (11, 2), (20, 1)], [(28, 0)]])
def test_text_tokens_bit_for_bit_as_by_hand(tiny, heads):
    recipient, donor = passes(tiny)
    found = tiny.theatre.swapped(recipient, [Swap(donor, HeadSet.of(heads), TokenRoute.text)])
    assert torch.equal(found[0], by_hand(tiny, recipient.asked, donor.asked, heads, TokenRoute.text))
    assert not torch.equal(found[0], recipient.velocity)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_swaps_of_a_batch_are_single_swaps(small, size):
    recipient, donor = passes(small)
    edits = [Swap(donor, HeadSet((head,))) for head in reversed(small.theatre.heads().heads)]
    edits.append(Swap(donor, HeadSet.of([(1, 0), (5, 1)]), TokenRoute.text))
    edits.append(Swap(small.clean["a small dog", "viewpoint_2"], small.theatre.heads(), TokenRoute.noise))
    found = replace(small.theatre, batch_size=size).swapped(recipient, edits)
    assert found.dtype == torch.float32
    assert found.shape == (12, 16, 16)
    for row, edit in enumerate(edits):
        expected = by_hand(small, recipient.asked, edit.donor.asked, edit.heads, edit.tokens)
        torch.testing.assert_close(found[row], expected, rtol=1e-5, atol=1e-6)


def test_only_attention_channels_are_touched(tiny):
    """Every head of a single block: what the projection then sees differs in the attention channels alone."""
    recipient, donor = passes(tiny)
    block, seen = 4, []
    module = tiny.theatre.transformer.single_transformer_blocks[block].attn.to_out
    forward = module.forward
    module.forward = lambda x: seen.append(x.clone()) or forward(x)
    try:
        run(tiny, recipient.asked)
        tiny.theatre.swapped(recipient, [Swap(donor, HeadSet.of([(14, 0), (14, 1), (14, 2)]))])
    finally:
        del module.forward
    before, after = seen
    assert before.shape[-1] == 96 + 288
    assert torch.equal(before[..., 96:], after[..., 96:]), "MLP channels"
    assert torch.equal(before[:, :TEXT], after[:, :TEXT]), "text tokens"
    assert not torch.equal(before[:, TEXT:, :96], after[:, TEXT:, :96])


def test_the_order_in_which_heads_are_named_is_no_matter(small):
    recipient, donor = passes(small)
    one, other = HeadSet.of([(4, 1), (0, 0), (6, 1)]), HeadSet.of([(6, 1), (4, 1), (0, 0), (4, 1)])
    assert one == other
    assert hash(one) == hash(other)
    assert one.digest == other.digest != HeadSet.of([(4, 1), (0, 0)]).digest
    found = small.theatre.swapped(recipient, [Swap(donor, one), Swap(donor, other)])
    assert torch.equal(found[0], found[1])


def test_clean_passes_and_weights_are_left_as_they_were(small):
    recipient, donor = passes(small)
    kept = [one.values.clone() for one in (*recipient.attention.values(), *donor.attention.values())]
    inputs = [one.image.clone() for one in recipient.blocks]
    small.theatre.swapped(recipient, [Swap(donor, small.theatre.heads())])
    now = [one.values for one in (*recipient.attention.values(), *donor.attention.values())]
    assert all(torch.equal(a, b) for a, b in zip(kept, now, strict=True))
    assert all(torch.equal(a, b.image) for a, b in zip(inputs, recipient.blocks, strict=True))
    assert torch.equal(run(small, recipient.asked), recipient.velocity)
    assert hooks(small.theatre.transformer) == 0


def test_no_hook_is_left_after_an_exception(small, monkeypatch):
    recipient, donor = passes(small)
    block = small.theatre.transformer.single_transformer_blocks[2]

    def fail(**_arguments):
        raise RuntimeError("no such luck")

    with monkeypatch.context() as patch:
        patch.setattr(block, "forward", fail)
        with pytest.raises(RuntimeError, match="no such luck"):
            small.theatre.swapped(recipient, [Swap(donor, small.theatre.heads())])
    assert hooks(small.theatre.transformer) == 0


def test_a_projection_that_is_passed_by_is_noticed(small, monkeypatch):
    """The hook sits on a module that the forward no longer calls."""
    recipient, donor = passes(small)
    attention = small.theatre.transformer.single_transformer_blocks[1].attn
    weight = attention.to_out.weight
    small.theatre.projections  # noqa: B018  (read before the module is replaced)
    kept = attention.to_out
    attention.to_out = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    try:
        with pytest.raises(CheckFailed, match=r"single_transformer_blocks\.1\.attn\.to_out ran 0 times"):
            small.theatre.swapped(recipient, [Swap(donor, HeadSet.of([(5, 0)]))])
    finally:
        attention.to_out = kept


def test_a_swap_that_changes_nothing_is_noticed(small):
    recipient = small.clean["a small dog", "mention"]
    again = small.theatre.clean(recipient.asked)
    found = small.theatre.swapped(recipient, [Swap(recipient, small.theatre.heads())])
    assert torch.equal(found[0], recipient.velocity)
    with pytest.raises(CheckFailed, match="changed nothing in 'mention' of 'a small dog'"):
        small.theatre.swapped(recipient, [Swap(again, small.theatre.heads())])


@pytest.mark.parametrize(
    ("heads", "tokens", "said"),
    [
        ([], TokenRoute.image, "names no head"),
        ([(1, 0)], TokenRoute.image, "transformer_blocks.0.attn.to_add_out sees no image tokens"),
        ([(0, 0)], TokenRoute.text, "transformer_blocks.0.attn.to_out.0 sees no text tokens"),
        ([(0, 2)], TokenRoute.image, "no head 2 at projection 0"),
        ([(7, 0)], TokenRoute.image, "no head 0 at projection 7"),
    ],
)
def test_what_cannot_be_swapped_is_refused(small, heads, tokens, said):
    recipient, donor = passes(small)
    with pytest.raises(InputError, match=said):
        small.theatre.swapped(recipient, [Swap(donor, HeadSet.of(heads), tokens)])


def test_passes_must_share_their_tokens_and_donors_must_have_kept_them(small):
    recipient, donor = passes(small)
    bare = small.theatre.clean(replace(donor.asked, reference=None))
    with pytest.raises(InputError, match="differ in their tokens"):
        small.theatre.swapped(recipient, [Swap(bare, HeadSet.of([(0, 0)]))])
    with pytest.raises(InputError, match="sees no reference tokens"):
        small.theatre.swapped(bare, [Swap(bare, HeadSet.of([(0, 0)]), TokenRoute.reference)])
    noise = replace(small.theatre, routes=(TokenRoute.noise,)).clean(donor.asked)
    with pytest.raises(InputError, match="kept no image tokens"):
        small.theatre.swapped(recipient, [Swap(noise, HeadSet.of([(0, 0)]))])


def test_all_heads_are_those_whose_projections_see_the_tokens(tiny):
    geometry = tiny.theatre.lock.geometry
    for tokens in TokenRoute:
        seeing = [at for at, one in enumerate(tiny.theatre.projections) if one.stream in tokens.streams]
        assert all_heads(geometry, tokens).heads == tuple(Head(at, head) for at in seeing for head in range(3))
    assert len(tiny.theatre.heads()) == 75


def test_heads_stand_in_the_order_of_the_units_that_are_tested(tiny):
    from plantain.measure.views import head_streams, heads
    from plantain.model.geometry import group_table

    geometry, groups = tiny.theatre.lock.geometry, group_table(tiny.theatre.transformer, 16)
    rows = heads(groups).table.select("block_kind", "block", "head").rows()
    assert rows == [place(head, tiny.theatre) for head in all_heads(geometry, TokenRoute.image)]
    streams = head_streams(groups).table
    both = HeadSet((*all_heads(geometry, TokenRoute.image), *all_heads(geometry, TokenRoute.text)))
    assert streams.select("block_kind", "block", "head").rows() == [place(head, tiny.theatre) for head in both]


def place(head, theatre):
    one = theatre.projections[head.projection]
    assert kind_of(head, theatre.lock.geometry) == one.block_kind
    return one.block_kind, one.block, head.head


def test_passes_without_a_reference(small):
    recipient, donor = (
        small.theatre.clean(replace(small.passes["a small dog", side], reference=None))
        for side in ("mention", "viewpoint")
    )
    assert recipient.shape == (96, 16, 0)
    heads = small.theatre.heads()
    found = small.theatre.swapped(recipient, [Swap(donor, heads), Swap(donor, heads, TokenRoute.noise)])
    assert torch.equal(found[0], donor.velocity)
    assert torch.equal(found[1], donor.velocity)


def test_the_attention_kernel_that_is_declared_computes(small, home):
    theatre = Theatre.open(
        [small.passes["a small dog", "mention"]],
        {"kitchen": home / "noise" / "kitchen.png"},
        small.theatre.lock,
        CaptureParams(attention="math"),
        progress=Silent(),
    )
    processors = {block.attn.processor._attention_backend for block in theatre.transformer.single_transformer_blocks}
    assert [str(kernel.value) for kernel in processors] == ["_native_math"]
    clean = theatre.clean(small.passes["a small dog", "mention"])
    assert torch.equal(theatre.swapped(clean, [Swap(clean, theatre.heads())])[0], clean.velocity)
    torch.testing.assert_close(clean.velocity, small.clean["a small dog", "mention"].velocity, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "1 passes of 'small' do not fit into memory"),
        (RuntimeError("No available kernel. Aborting execution."), "no attention kernel 'native'"),
    ],
)
def test_what_a_device_lacks_is_said_in_a_sentence(small, monkeypatch, failure, said):
    recipient, donor = passes(small)

    def fail(**_arguments):
        raise failure

    monkeypatch.setattr(small.theatre.transformer.single_transformer_blocks[2], "forward", fail)
    with pytest.raises(InputError, match=said):
        small.theatre.swapped(recipient, [Swap(donor, small.theatre.heads())])
    with pytest.raises(InputError, match=said):
        small.theatre.clean(recipient.asked)
    assert hooks(small.theatre.transformer) == 0


def test_another_draw_is_another_network_with_the_same_words_and_pictures(staged, home, small_model):
    family = staged(lambda: make_lock(small_model, "family"), home / "noise")
    second = family.theatre.drawn(1)
    one, other = (family.passes["a small dog", side] for side in ("mention", "viewpoint"))
    assert second.draw == 1
    assert second.embeddings is family.theatre.embeddings
    assert not torch.equal(second.clean(one).velocity, family.clean["a small dog", "mention"].velocity)
    found = second.swapped(second.clean(one), [Swap(second.clean(other), second.heads())])
    assert torch.equal(found[0], second.clean(other).velocity)
    with pytest.raises(InputError, match="no draw 2"):
        family.theatre.drawn(2)
