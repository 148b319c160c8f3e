"""What plantain's capture makes of every family, against means of what the tests' own hooks saw in the plain call."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from helpers.capture_model import image_folder, record
from helpers.families import EACH, FAMILIES, SIZE, build, call
from helpers.families.qwen import affordable
from helpers.families.watch import watching
from PIL import Image

from plantain.base.config import read_params
from plantain.base.params import CaptureParams, ModelParams, Source
from plantain.capture.cell import capture_cell
from plantain.capture.noise import gaussian
from plantain.capture.progress import Silent
from plantain.model.geometry import projections
from plantain.model.resolve import resolve

PROMPTS = {"few": "A photo of a red cube", "many": "A kitchen seen by two small dogs at dusk in the rain"}
SEED = 3


def tokens(tokenizer, text, **settings):
    return len(tokenizer(text, **settings)["input_ids"])


def chat(pipeline, prompt, **settings):
    rendered = pipeline.tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True, **settings
    )
    return tokens(pipeline.tokenizer, rendered)


def klein(pipeline, prompt, seen):
    return range(chat(pipeline, prompt, enable_thinking=False)), 64


def flux2_dev(pipeline, prompt, seen):
    from diffusers.pipelines.flux2.pipeline_flux2 import format_input
    from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE

    messages = format_input(prompts=[prompt], system_message=SYSTEM_MESSAGE)
    count = len(pipeline.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"][0])
    return range(96 - count, 96), 96


def padded(part):
    """Text filled up to 64 positions on the side that the tokenizer fills."""

    def found(pipeline, prompt, seen):
        tokenizer = getattr(pipeline, part)
        count = tokens(tokenizer, prompt)
        return range(count) if tokenizer.padding_side == "right" else range(64 - count, 64), 64

    return found


def sd3(pipeline, prompt, seen):
    clip, later = (tokens(tokenizer, prompt) for tokenizer in (pipeline.tokenizer, pipeline.tokenizer_3))
    return [*range(clip), *range(77, 77 + later)], 77 + 64


def qwen(pipeline, prompt, seen):
    text = pipeline.prompt_template_encode.format(prompt)
    count = tokens(pipeline.tokenizer, text) - pipeline.prompt_template_encode_start_idx
    return range(count), count


def qwen_edit(pipeline, prompt, seen):
    """A picture of 96 pixels is 3 x 3 or 4 x 4 tokens of the encoder, so it is told from what the text is without."""
    count, length = qwen(pipeline, prompt, seen)[1], seen.arguments[0]["encoder_hidden_states"].shape[1]
    assert length - count + 1 in (9, 16)
    return range(length), length


def z_image(pipeline, prompt, seen):
    count = chat(pipeline, prompt, enable_thinking=True)
    return range(count), -(-count // 32) * 32


def lumina2(pipeline, prompt, seen):
    return range(tokens(pipeline.tokenizer, f"{pipeline.system_prompt} <Prompt Start> {prompt}")), 96


def sana(pipeline, prompt, seen):
    """The token that begins, and what follows the instruction, whose last token may have grown into the prompt."""
    said = "\n".join(inspect.signature(pipeline.__call__).parameters["complex_human_instruction"].default)
    return range(1 + tokens(pipeline.tokenizer, said + prompt) - (tokens(pipeline.tokenizer, said) - 1)), 64


def cogview4(pipeline, prompt, seen):
    count = tokens(pipeline.tokenizer, prompt)
    length = -(-count // 16) * 16
    return range(length - count, length), length


TEXT = {
    "flux2-klein": klein,
    "flux2-klein-distilled": klein,
    "flux2-dev": flux2_dev,
    "flux1-dev": padded("tokenizer_2"),
    "flux1-schnell": padded("tokenizer_2"),
    "flux1-kontext": padded("tokenizer_2"),
    "chroma": padded("tokenizer"),
    "qwen-image": qwen,
    "qwen-image-edit": qwen_edit,
    "z-image": z_image,
    "lumina2": lumina2,
    "sd35-medium": sd3,
    "sd35-large": sd3,
    "pixart-sigma": padded("tokenizer"),
    "sana": sana,
    "auraflow": padded("tokenizer"),
    "cogview4": cogview4,
}
"""Family to which of its text positions hold the prompt, and how many there are, by its tokenizer called by hand."""

LENGTHS = {"flux2-dev": 96, "lumina2": 96}
IMAGE_FIRST = {"z-image"}
REGISTERS = {"auraflow": 8}


def declare(name, folder):
    layers = [1, 2, 3] if name.startswith("flux2") else None
    entry = ModelParams(
        source=Source.local,
        path=str(folder),
        device="cpu",
        dtype="float32",
        height=SIZE,
        width=SIZE,
        max_sequence_length=LENGTHS.get(name, 64),
        text_encoder_out_layers=layers,
    )
    return read_params(Path(__file__).parents[2] / "params.yaml").model_copy(update={"models": {name: entry}})


@pytest.fixture(scope="module", params=EACH)
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("captured")
    with affordable(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTAIN_CACHE", str(folder / "state"))
        image_folder(folder / "images", "room", size=(SIZE, SIZE))
        build(request.param, folder / "model")
        lock, groups = resolve(request.param, declare(request.param, folder / "model"))
        yield Captured(request.param, folder, lock, groups)


class Captured:
    """A family's pipeline for plain calls, and the lock that plantain measures it by."""

    def __init__(self, name, folder, lock, groups):
        self.name, self.folder, self.lock, self.groups = name, folder, lock, groups
        self.pipeline = DiffusionPipeline.from_pretrained(folder / "model", use_safetensors=True)
        self.found = {one.name: one for one in projections(self.pipeline.transformer)}
        self.pictures = [True, False] if FAMILIES[name].edits and name != "qwen-image-edit" else [FAMILIES[name].edits]

    def captured(self, pictured, **params):
        reference = ("room",) if pictured else ()
        records = tuple(record("item", condition, prompt, *reference) for condition, prompt in PROMPTS.items())
        settings = {"path": "pipeline", "seeds": [SEED], "grams": False} | params
        return capture_cell(records, self.folder / "images", self.lock, CaptureParams(**settings), Silent()).activations

    def plain(self, prompt, pictured):
        """The plain pipeline call, from the same noise."""
        config = self.pipeline.transformer.config
        side, channels = SIZE // 8, config.in_channels
        if self.name.startswith("flux2"):
            latents = torch.from_numpy(gaussian(SEED, (1, channels, side // 2, side // 2)))
        elif self.name.startswith(("flux1", "chroma", "qwen")):
            grid = torch.from_numpy(gaussian(SEED, (1, channels // 4, side, side)))
            folded = grid.reshape(1, channels // 4, side // 2, 2, side // 2, 2).permute(0, 2, 4, 1, 3, 5)
            latents = folded.reshape(1, side * side // 4, channels)
        else:
            latents = torch.from_numpy(gaussian(SEED, (1, channels, side, side)))
        picture = Image.open(self.folder / "images" / "room.png") if pictured else None
        with watching(self.pipeline.transformer, list(self.found)) as seen:
            call(self.name, self.pipeline, prompt, latents.float(), picture)
        return seen

    def expected(self, prompt, pictured):
        """Mean squares by token set and group, and how many tokens are in each set."""
        seen = self.plain(prompt, pictured)
        real, length = TEXT[self.name](self.pipeline, prompt, seen)
        noise = (SIZE // (8 if self.name == "sana" else 16)) ** 2
        reference = self.references(seen, noise) if pictured else 0
        text = np.zeros(length, dtype=bool)
        text[list(real)] = True
        means = [self.means(name, seen.only(name), text, noise, reference) for name in self.found]
        return np.concatenate(means, axis=1), [text.sum(), (~text).sum(), noise, reference]

    @staticmethod
    def references(seen, noise):
        return seen.arguments[0]["hidden_states"].shape[1] - noise

    def means(self, name, values, text, noise, reference):
        """(token sets, groups) of one projection."""
        one, count = self.found[name], values.shape[0]
        squares = values.double().square().reshape(count, -1, self.lock.group_width).mean(-1).numpy()
        ahead = REGISTERS.get(self.name, 0)
        image = noise + reference
        if one.stream == "image":
            start, texts = 0, None
        elif one.stream == "text":
            start, texts = None, ahead
        elif self.name in IMAGE_FIRST:
            start, texts = 0, count - len(text)
        else:
            start, texts = count - image, ahead
        if self.name == "lumina2" and one.stream == "all":
            text = text[text]
        rows = np.full((4, squares.shape[1]), np.nan)
        for index, chosen in enumerate((text, ~text)):
            if texts is not None and chosen.any():
                rows[index] = squares[texts : texts + len(text)][chosen].mean(0)
        for index, (first, size) in enumerate(((0, noise), (noise, reference)), start=2):
            if start is not None and size:
                rows[index] = squares[start + first : start + first + size].mean(0)
        return rows


def compare(family, pictured, activations, rtol):
    assert activations.mean_square.shape[:2] == (1, 1)
    assert activations.mean_square.shape[-1] == family.groups.height
    for place, prompt in enumerate(PROMPTS.values()):
        wanted, counts = family.expected(prompt, pictured)
        assert activations.token_count[0, place, 0].tolist() == counts
        found = activations.mean_square[0, 0, place, 0, 0]
        assert np.isnan(found).tolist() == np.isnan(wanted).tolist()
        np.testing.assert_allclose(found, wanted, rtol=rtol)


def test_capture_measures_what_the_plain_call_shows(family):
    assert family.lock.fast or not family.name.startswith("flux2-klein")
    for path in ("pipeline", "fast") if family.lock.fast else ("pipeline",):
        for pictured in family.pictures:
            compare(family, pictured, family.captured(pictured, path=path), rtol=2e-5)
