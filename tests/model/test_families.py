"""The reader and its rows against hooks of the tests' own on a tiny pipeline of every family."""

import pytest
import torch
from diffusers import DiffusionPipeline
from helpers.families import EACH, FAMILIES, SIZE, build, call
from helpers.families.qwen import affordable
from helpers.families.watch import watching
from PIL import Image

from plantain.model.architectures import ImageInput, architecture_calling, architecture_of
from plantain.model.geometry import geometry, projections

PROMPT = "A photo of a red cube"
JOINT = "transformer_blocks.{}.attn.to_out.0", "transformer_blocks.{}.attn.to_add_out"


def joint(blocks, heads, width, *names):
    image, text = names or JOINT
    return [(image, blocks, "joint", "image", heads, width, 0), (text, blocks, "joint", "text", heads, width, 0)]


def crossed(blocks, own, cross):
    name = "transformer_blocks.{}.attn%d.to_out.0"
    return [(name % 1, blocks, "image", "image", *own, 0), (name % 2, blocks, "cross", "image", *cross, 0)]


FLUX2 = [*joint(2, 3, 32), ("single_transformer_blocks.{}.attn.to_out", 3, "single", "all", 3, 32, 288)]
FLUX1 = [*joint(2, 3, 32), ("single_transformer_blocks.{}.proj_out", 3, "single", "all", 3, 32, 384)]
REFINED = ("noise_refiner.{}.%s.to_out.0", "context_refiner.{}.%s.to_out.0", "layers.{}.%s.to_out.0")


def refined(attention, refiners, blocks, heads, width):
    image, text, both = (name % attention for name in REFINED)
    return [
        (image, refiners, "image", "image", heads, width, 0),
        (text, refiners, "text", "text", heads, width, 0),
        (both, blocks, "single", "all", heads, width, 0),
    ]


TABLE = {
    "flux2-klein": FLUX2,
    "flux2-klein-distilled": FLUX2,
    "flux2-dev": FLUX2,
    "flux1-dev": FLUX1,
    "flux1-schnell": FLUX1,
    "flux1-kontext": FLUX1,
    "chroma": FLUX1,
    "qwen-image": joint(3, 3, 32),
    "qwen-image-edit": joint(3, 3, 32),
    "z-image": refined("attention", 2, 3, 3, 32),
    "lumina2": refined("attn", 1, 2, 2, 96),
    "sd35-medium": [
        (JOINT[0], 3, "joint", "image", 2, 64, 0),
        (JOINT[1], 2, "joint", "text", 2, 64, 0),
        ("transformer_blocks.{}.attn2.to_out.0", 2, "image", "image", 2, 64, 0),
    ],
    "sd35-large": [(JOINT[0], 3, "joint", "image", 2, 64, 0), (JOINT[1], 2, "joint", "text", 2, 64, 0)],
    "pixart-sigma": crossed(3, (2, 72), (2, 72)),
    "sana": crossed(3, (7, 32), (2, 112)),
    "auraflow": [
        *joint(2, 3, 32, "joint_transformer_blocks.{}.attn.to_out.0", "joint_transformer_blocks.{}.attn.to_add_out"),
        ("single_transformer_blocks.{}.attn.to_out.0", 3, "single", "all", 3, 32, 0),
    ],
    "cogview4": [("transformer_blocks.{}.attn1.to_out.0", 3, "single", "all", 3, 32, 0)],
}
"""Name, blocks, kind, stream, heads, head width and MLP width, by hand from how the pipelines are built."""

DEAD = {
    "z-image": {"noise_refiner.0.attention.to_out.0", "noise_refiner.1.attention.to_out.0"},
    "lumina2": {"noise_refiner.0.attn.to_out.0"},
    "pixart-sigma": {"transformer_blocks.0.attn1.to_out.0"},
    "sana": {"transformer_blocks.0.attn1.to_out.0"},
}


@pytest.fixture(scope="module", params=EACH)
def family(request, tmp_path_factory):
    with affordable():
        yield Loaded(request.param, build(request.param, tmp_path_factory.mktemp("family") / request.param))


class Loaded:
    """A family's pipeline, read from its folder as a hub model is, and one plain call of it."""

    def __init__(self, name, folder):
        self.name, self.edits = name, FAMILIES[name].edits
        self.pipeline = DiffusionPipeline.from_pretrained(folder, use_safetensors=True)
        self.transformer = self.pipeline.transformer
        self.row = architecture_of(self.transformer)
        self.found = {one.name: one for one in projections(self.transformer)}
        self.names = [pattern.format(i) for pattern, blocks, *_ in TABLE[name] for i in range(blocks)]
        self.seen = self.run(PROMPT)

    def run(self, prompt, image=0, latents=None):
        picture = Image.linear_gradient("L").rotate(90 * image).resize((SIZE, SIZE)).convert("RGB")
        with watching(self.transformer, self.names) as seen:
            call(self.name, self.pipeline, prompt, latents, image=picture if self.edits else None)
        return seen

    def arguments(self, seen=None):
        """Text and latents as the transformer was given them, by its own names."""
        given = (seen or self.seen).arguments[0]
        text = next(key for key in ("encoder_hidden_states", "cap_feats", 2) if key in given)
        latents = next(key for key in ("hidden_states", 0) if key in given)
        return given, text, latents

    def text(self, seen=None):
        given, text, _latents = self.arguments(seen)
        return given[text][0]

    def latents(self, seen=None):
        given, _text, latents = self.arguments(seen)
        return given[latents][0]

    @property
    def image_tokens(self):
        """Without those that fill them up."""
        latents, patch = self.latents(), self.transformer.config.get("patch_size", 2)
        return latents.shape[0] if latents.dim() == 2 else latents.shape[-1] * latents.shape[-2] // patch**2


def test_the_table_of_the_reader_is_that_of_the_classes(family):
    found = {
        one.name: (one.block_kind, one.stream, one.heads, one.head_width, one.mlp_width)
        for one in family.found.values()
    }
    wanted = {line[0].format(i): line[2:] for line in TABLE[family.name] for i in range(line[1])}
    assert found == wanted
    for one in family.found.values():
        assert family.transformer.get_submodule(one.name) is one.module
        assert one.module.in_features == one.heads * one.head_width + one.mlp_width
    assert {name for name, one in family.found.items() if one.dead} == DEAD.get(family.name, set())


def test_one_plain_call_is_one_forward_in_which_every_projection_fires_once(family):
    assert len(family.seen.outputs) == 1
    assert {name: len(inputs) for name, inputs in family.seen.inputs.items()} == dict.fromkeys(family.found, 1)
    assert type(family.pipeline).__name__ in architecture_calling(type(family.pipeline).__name__).pipelines


def test_projections_see_the_positions_that_the_row_declares(family):
    row, text, image = family.row, len(family.text()), family.image_tokens
    filled = [-(-count // row.multiple) * row.multiple for count in (text + row.ahead, image)]
    wanted = {"text": filled[0], "image": filled[1], "all": sum(filled)}
    if row.trimmed:
        wanted["all"] = image + int(family.arguments()[0]["encoder_attention_mask"].sum())
        assert image < wanted["all"] < sum(filled)
    for name, one in family.found.items():
        assert family.seen.only(name).shape == (wanted[one.stream], one.width), name


def test_what_was_saved_is_what_was_made(family):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = FAMILIES[family.name].make()
    assert type(made) is type(family.pipeline)
    for name, module in made.components.items():
        if isinstance(module, torch.nn.Module):
            loaded = getattr(family.pipeline, name).state_dict()
            assert all(torch.equal(loaded[key], value) for key, value in module.state_dict().items()), name
    assert geometry(family.transformer, 16) == geometry(made.transformer, 16)


def unmixed(query, key, value, *_rest, **_named):
    """Attention in which every token sees itself alone, and nothing of another sequence."""
    if key.shape[-2] != query.shape[-2]:
        return query
    return value.repeat_interleave(query.shape[-3] // value.shape[-3], dim=-3)


def changed(family, monkeypatch, key, place):
    """Positions at which projections see something else when one place of an argument is another, (stream, place)."""
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", unmixed)
    given, *_keys = family.arguments()
    other = dict(given)
    inner = given[key][0].clone()
    inner[place] += 1.0
    other[key] = [inner] if isinstance(given[key], list) else inner[None]
    both = []
    for arguments in (given, other):
        plain = [arguments[index] for index in sorted(key for key in arguments if isinstance(key, int))]
        named = {key: value for key, value in arguments.items() if isinstance(key, str)}
        with torch.inference_mode(), watching(family.transformer, family.names) as seen:
            family.transformer(*plain, **named)
        both.append(seen)
    found = {}
    for name, one in family.found.items():
        moved = (both[0].only(name) != both[1].only(name)).any(1).nonzero()[:, 0].tolist()
        found.setdefault(one.stream, []).append(moved)
    return found


def test_a_text_token_stands_where_the_row_says(family, monkeypatch):
    _given, key, _latents = family.arguments()
    row, token = family.row, 3
    first = -(-family.image_tokens // row.multiple) * row.multiple if row.order[0] == "image" else row.ahead
    places = changed(family, monkeypatch, key, token)
    for stream, start in {"text": row.ahead, "all": first}.items():
        assert all(moved == [start + token] for moved in places.get(stream, [])), stream
    if family.name != "sana":  # Its image tokens look at one another through another function, which is left as it is.
        assert all(moved == [] for moved in places.get("image", []))


def test_an_image_token_stands_where_the_row_says(family, monkeypatch):
    if family.name == "sana":
        pytest.skip("linear attention and convolutions mix image tokens, and Sana has no projection of both streams")
    *_rest, key = family.arguments()
    patch, row = family.transformer.config.get("patch_size", 2), family.row
    packed = family.latents().dim() == 2
    side = SIZE // 8 // (1 if packed else patch)
    token = 5
    place = token if packed else (..., patch * (token // side), patch * (token % side))
    places = changed(family, monkeypatch, key, place)
    for name, one in family.found.items():
        start = family.seen.only(name).shape[0] - family.image_tokens if one.stream == "all" else 0
        if one.stream == "all" and row.order[0] == "image":
            start = 0
        assert one.stream == "text" or [start + token] in places[one.stream], name
    assert all(moved == [] for moved in places.get("text", []))
    assert all(len(moved) == 1 for stream in ("image", "all") for moved in places.get(stream, [])), places


def test_a_condition_stands_behind_what_is_denoised(family):
    takes = family.row.picture is not ImageInput.none and family.edits
    assert takes == family.edits
    if not takes:
        return
    own, other = family.latents(), family.latents(family.run(PROMPT, image=1))
    moved = (own != other).any(1).nonzero()[:, 0].tolist()
    denoised = (SIZE // 16) ** 2
    assert moved
    assert min(moved) >= denoised
    assert len(own) > denoised
    read = not torch.equal(family.text(), family.text(family.run(PROMPT, image=1)))
    assert read == (family.row.picture is ImageInput.vlm)
