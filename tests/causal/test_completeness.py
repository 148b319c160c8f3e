"""All heads at image tokens carry everything that text does to the picture, or all but what pooled text does.

Every hook of a family sits where it should if, and only if, taking the attention outputs of one prompt's pass into
another's gives that prompt's velocity. The hooks are the tests' own; where they sit, the reader says.
"""

import functools

import pytest
import torch
from helpers.families import EACH, FAMILIES, SIZE, call
from helpers.families.qwen import affordable
from helpers.families.watch import watching
from PIL import Image

from plantain.model.architectures import architecture_of
from plantain.model.geometry import projections

FIRST, SECOND = "A photo of a red cube", "A kitchen seen by two small dogs at dusk"
POOLED = {"flux1-dev", "flux1-schnell", "flux1-kontext", "sd35-medium", "sd35-large"}


@pytest.fixture(scope="module", params=EACH)
def family(request):
    with affordable(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield Passes(request.param)


class Passes:
    """Plain pipeline calls of a family, with image tokens where the test finds them."""

    def __init__(self, name):
        self.name = name
        self.pipeline = FAMILIES[name].make()
        self.found = {one.name: one for one in projections(self.pipeline.transformer)}
        self.picture = Image.effect_noise((SIZE, SIZE), 60.0).convert("RGB") if FAMILIES[name].edits else None
        self.clean = functools.cache(self.run)

    def run(self, prompt, edit=None, instead=None):
        with watching(self.pipeline.transformer, list(self.found), edit, instead) as seen:
            call(self.name, self.pipeline, prompt, image=self.picture)
        return seen

    def image(self, name, seen):
        """Positions of image tokens in what a projection sees: as many as image projections see, at one end."""
        one, length = self.found[name], seen.only(name).shape[0]
        if one.stream != "all":
            return slice(0, length)
        row = architecture_of(self.pipeline.transformer)
        count = self.tokens(seen)
        return slice(0, count) if row.order[0] == "image" else slice(length - count, length)

    def tokens(self, seen):
        """Image tokens, counted from what the transformer was given, without what fills them up."""
        given = seen.arguments[0]
        latents = given.get("hidden_states", given.get(0))
        if isinstance(latents, list):
            (latents,) = latents
        if latents.dim() == 3:
            return latents.shape[1]
        return latents.shape[-2] * latents.shape[-1] // self.pipeline.transformer.config.get("patch_size", 2) ** 2

    def swapped(self, recipient, donor, *, pooled=False, without=None):
        """Velocity of the recipient's pass with the donor's attention outputs at image tokens.

        Args:
            recipient: its prompt.
            donor: its prompt.
            pooled: whether the donor's pooled text is taken too.
            without: a projection that keeps the recipient's.
        """
        given, own = self.clean(donor), self.clean(recipient)

        def edit(name, values):
            one = self.found[name]
            if one.stream != "text" and name != without:
                to, channels = self.image(name, own), slice(0, one.attention_width)
                values[0, to, channels] = given.only(name)[self.image(name, given), channels]
            return values

        instead = {"pooled_projections": given.arguments[0]["pooled_projections"]} if pooled else {}
        return self.run(recipient, edit, instead).velocity

    def mediation(self, recipient, donor, **changes):
        """Share of the change of the velocity, and what lies off its axis."""
        own, given = self.clean(recipient).velocity.double(), self.clean(donor).velocity.double()
        change, wanted = self.swapped(recipient, donor, **changes).double() - own, given - own
        size = wanted.square().sum()
        share = float((change * wanted).sum() / size)
        return share, float((change - share * wanted).norm() / size.sqrt())

    @property
    def pooled(self):
        """What the row says."""
        return architecture_of(self.pipeline.transformer).pooled_text


def test_a_pass_takes_its_own_values_back_and_nothing_changes(family):
    assert torch.equal(family.swapped(FIRST, FIRST), family.clean(FIRST).velocity)


WAYS = pytest.mark.parametrize("way", [(FIRST, SECOND), (SECOND, FIRST)], ids=["there", "back"])


@WAYS
def test_all_heads_at_image_tokens_carry_what_attention_carries(family, way):
    assert family.pooled == (family.name in POOLED)
    share, off_axis = family.mediation(*way, pooled=family.pooled)
    assert share == pytest.approx(1.0, abs=1e-5)
    assert off_axis < 1e-5
    wanted = family.clean(way[1]).velocity
    found = family.swapped(*way, pooled=family.pooled)
    assert float((found - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    if family.pooled:
        assert family.mediation(*way)[0] < 0.9


def test_without_one_projection_the_identity_breaks(family):
    """A hook that sits wrong, or not at all, is seen, unless it sits where image tokens look at one another alone."""
    for name, one in family.found.items():
        if one.stream == "text":
            continue
        share = family.mediation(FIRST, SECOND, pooled=family.pooled, without=name)[0]
        if one.block_kind == "image":
            assert share == pytest.approx(1.0, abs=1e-5), name
        else:
            assert abs(share - 1.0) > 1e-4, name
