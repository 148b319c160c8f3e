"""A small real FLUX.2 Klein pipeline with random weights, and records to put to it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

from plantain.base import places
from plantain.base.files import digest, write_atomic
from plantain.base.params import (
    CaptureParams,
    Method,
    ModelParams,
    Params,
    ReferenceParams,
    ReportParams,
    RunParams,
    Source,
    TrackingParams,
    VerdictParams,
)
from plantain.capture.progress import Silent
from plantain.model.resolve import resolve
from plantain.probe.records import Record, ReferenceRecord
from plantain.records.lock import ModelLock
from plantain.records.manifest import manifest_of

LAYERS = [1, 2, 3]
LENGTH = 96
SIZE = 64
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def tokenizer() -> Qwen2TokenizerFast:
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {piece: index for index, piece in enumerate([*sorted(ByteLevel.alphabet()), *marks])}
    made = Qwen2TokenizerFast(vocab=vocabulary, merges=[], extra_special_tokens=marks[1:])
    made.chat_template = TEMPLATE
    return made


def transformer(joint: int = 2, single: int = 3) -> Flux2Transformer2DModel:
    return Flux2Transformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=joint,
        num_single_layers=single,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=3 * 32,
        timestep_guidance_channels=64,
        axes_dims_rope=(8, 8, 8, 8),
        rope_theta=2000,
        guidance_embeds=False,
    ).eval()


def build_pipeline(seed: int = 0) -> Flux2KleinPipeline:
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=272,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=256,
        )
    ).eval()
    vae = AutoencoderKLFlux2(
        sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    ).eval()
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0, time_shift_type="exponential")
    made = Flux2KleinPipeline(scheduler, vae, encoder, tokenizer(), transformer(), is_distilled=False)
    torch.random.set_rng_state(state)
    made.set_progress_bar_config(disable=True)
    return made


def make_lock(folder: Path, name: str = "small", group_width: int = 16, **changes) -> ModelLock:
    """Save the pipeline below ``folder`` (once) and resolve it, or an untrained model made from it."""
    path = folder / "pipeline"
    if not path.exists():
        build_pipeline().save_pretrained(path)
    settings = {
        "device": "cpu",
        "dtype": "float32",
        "height": SIZE,
        "width": SIZE,
        "max_sequence_length": LENGTH,
        "text_encoder_out_layers": LAYERS,
    }
    models = {
        "small": ModelParams(source=Source.local, path=str(path), **(settings | changes)),
        "untrained": ModelParams(source=Source.untrained, of="small", method=Method.reinit, seed=5),
        "family": ModelParams(source=Source.untrained, of="small", method=Method.reinit, seeds=2),
    }
    params = Params(
        run=RunParams(),
        models=models,
        reference=ReferenceParams(),
        capture=CaptureParams(group_width=group_width),
        analyses={},
        verdict=VerdictParams(),
        report=ReportParams(),
        tracking=TrackingParams(),
    )
    return resolve(name, params)[0]


class Notes(Silent):
    """What a person would have been told: sentences, and steps of the work."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps = 0
        self.passes = 0
        self._unit = ""

    def phase(self, label: str, total: int, unit: str) -> None:
        self._unit = unit

    def advance(self, steps: int = 1) -> None:
        self.steps += steps
        self.passes += steps if self._unit == "passes" else 0

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


def record(item: str, condition: str, prompt: str, *references: str) -> Record:
    sha256 = digest([item, condition, prompt, list(references)])
    return Record(item, condition, prompt, references, sha256, {})


def prompted(name: str, prompt: str) -> ReferenceRecord:
    return ReferenceRecord(name, prompt, None, None, digest([name, prompt]))


CREATURES = ("a dog", "a bee", "an adult human")


def records(*references: str, creatures: Sequence[str] = CREATURES) -> tuple[Record, ...]:
    found = []
    for creature in creatures:
        item = creature.replace(" ", "-")
        found.append(record(item, "viewpoint", f"Seen by {creature}", *references))
        found.append(record(item, "mention", f"A room with {creature}", *references))
    return tuple(found)


def image_folder(folder: Path, *names: str, size: tuple[int, int] = (SIZE, SIZE)) -> Path:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        pixels = torch.randint(0, 255, (size[1], size[0], 3), generator=torch.Generator().manual_seed(index))
        Image.fromarray(pixels.to(torch.uint8).numpy()).save(folder / f"{name}.png")
    return folder


def listed(folder: Path) -> None:
    """Write the manifest of a folder, as the stage that fills it does."""
    write_atomic(places.manifest(folder), manifest_of(folder).to_bytes())
