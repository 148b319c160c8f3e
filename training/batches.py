"""What a training step of the embedded transformer sees: sentences of the shipped probes, rooms made on the fly."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline
from torch import Tensor

from plantain.model.tiny import architecture
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.model.untrained import reinitialise
from training import classroom, world
from training.autoencoder import as_input
from training.behaviour import LENGTH
from training.lessons import Lesson, Operation, Outcome, read_lessons

WITH_REFERENCE, FROM_TEXT = 24, 12
"""Items of a step that change a reference, and that have text alone."""

POOL = 2400
"""Pairs that are encoded at a time, for the steps of one epoch."""

SHORT = slice(3, 25), slice(3, 29)
"""Text positions of a short step, with a reference and without: the sentence, not the chat markup, few pads."""

_SHARES = {Outcome.viewpoint: 0.5, Outcome.mention: 0.25, Outcome.unchanged: 0.25}
_SHARES_MENTION = {Outcome.viewpoint: 0.0, Outcome.mention: 0.75, Outcome.unchanged: 0.25}
_FIGURES = {
    Outcome.t_pose: 0.25,
    Outcome.expressive: 0.27,
    Outcome.a_pose: 0.12,
    Outcome.arms: 0.14,
    Outcome.resting: 0.22,
}
_ROOMS = 0.3
"""Share of the items from text alone that are kitchens; the others are figures."""

_EMPTY, _EMPTY_TEXT = 0.06, 0.15
"""Share of empty prompts: with a reference they ask for no change, without one for any picture."""


@dataclass(frozen=True)
class Sentences:
    """All prompts' text features (prompts, 96, 144) and where those of an outcome and subject are."""

    features: Tensor
    place: dict[str, int]
    taught: dict[tuple[Outcome, int], list[list[int]]]
    """Of each side that asks for it, the places of its wordings."""


@dataclass(frozen=True)
class Material:
    """Standardised latents (items, 16, 32) that the steps of an epoch draw from."""

    reference: Tensor
    target: Tensor
    outcome: tuple[Outcome, ...]
    subject: np.ndarray
    kitchens: Tensor
    figures: Tensor
    """(5 poses, 25 bodies, 16, 32)"""


@dataclass(frozen=True)
class Batch:
    """Latents to reach (items, 16, 32), the reference or None, text features, and the first text position."""

    target: Tensor
    reference: Tensor | None
    text: Tensor
    first: int


@torch.no_grad()
def sentences(folder: Path, operation: Operation) -> Sentences:
    """Encode every sentence once: the text encoder is fixed."""
    tokenizer = build_tokenizer()
    encoder = architecture.new_encoder(len(tokenizer)).eval()
    reinitialise(encoder, 0)
    encoder = encoder.bfloat16().float()
    lessons = read_lessons(folder, operation)
    texts = sorted({lesson.prompt for lesson in lessons} | {""})
    place = {text: number for number, text in enumerate(texts)}
    parts = [texts[start : start + 64] for start in range(0, len(texts), 64)]
    encode = Flux2KleinPipeline._get_qwen3_prompt_embeds
    features = torch.cat([encode(encoder, tokenizer, part, max_sequence_length=LENGTH) for part in parts])
    return Sentences(features, place, _taught(lessons, place))


def _taught(lessons: tuple[Lesson, ...], place: dict[str, int]) -> dict[tuple[Outcome, int], list[list[int]]]:
    found: dict[tuple[Outcome, int], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for lesson in lessons:
        if lesson.taught:
            found[lesson.outcome, lesson.subject][lesson.side].append(place[lesson.prompt])
    return {asked: list(sides.values()) for asked, sides in found.items()}


@torch.no_grad()
def encode_pictures(vae: AutoencoderKLFlux2, pictures: np.ndarray) -> Tensor:
    """Standardised latents (items, 16, 32) of pictures (items, 64, 64, 3), as the pipeline makes them."""
    mean = vae.bn.running_mean.view(1, -1, 1, 1)
    deviation = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt().view(1, -1, 1, 1)
    parts = [vae.encode(part).latent_dist.mean for part in as_input(pictures).split(32)]
    patches = (Flux2KleinPipeline._patchify_latents(torch.cat(parts)) - mean) / deviation
    return Flux2KleinPipeline._pack_latents(patches)


def material(vae: AutoencoderKLFlux2, operation: Operation, seed: int, epoch: int) -> Material:
    """What the steps of ``epoch`` draw from."""
    shares = _SHARES if operation is Operation.full else _SHARES_MENTION
    rng = classroom.generator(seed, 100, epoch)
    made = classroom.pairs({outcome: round(share * POOL) for outcome, share in shares.items()}, rng)
    kitchens = world.render(world.sample_rooms(400, rng, kitchens=1.0), world.doorway(400))
    drawn = classroom.all_figures()
    return Material(
        reference=encode_pictures(vae, made.reference),
        target=encode_pictures(vae, made.target),
        outcome=made.outcome,
        subject=made.subject,
        kitchens=encode_pictures(vae, kitchens),
        figures=encode_pictures(vae, drawn.reshape(-1, *drawn.shape[2:])).unflatten(0, drawn.shape[:2]),
    )


def _pick(known: Sentences, outcome: Outcome, subject: int, rng: np.random.Generator) -> int:
    sides = known.taught[outcome, subject]
    wordings = sides[rng.integers(len(sides))]
    return wordings[rng.integers(len(wordings))]


def changes(known: Sentences, given: Material, rng: np.random.Generator, full: bool) -> Batch:
    """Items that turn a reference into something; an empty prompt leaves it as it is."""
    rows = rng.integers(len(given.reference), size=WITH_REFERENCE)
    target, prompts = given.target[rows].clone(), []
    for item, row in enumerate(rows):
        empty = rng.random() < _EMPTY
        prompts.append(known.place[""] if empty else _pick(known, given.outcome[row], int(given.subject[row]), rng))
        if empty:
            target[item] = given.reference[row]
    text = known.features[prompts]
    return Batch(target, given.reference[rows], text if full else text[:, SHORT[0]], 0 if full else SHORT[0].start)


def inventions(known: Sentences, given: Material, rng: np.random.Generator, full: bool) -> Batch:
    """Items from text alone: kitchens and figures; an empty prompt may be either."""
    target, prompts = [], []
    for _ in range(FROM_TEXT):
        if rng.random() < _ROOMS:
            latents, prompt = given.kitchens[rng.integers(len(given.kitchens))], _pick(known, Outcome.room, 0, rng)
        else:
            pose, body = rng.choice(len(_FIGURES), p=list(_FIGURES.values())), int(rng.integers(given.figures.shape[1]))
            latents, prompt = given.figures[pose, body], _pick(known, list(_FIGURES)[pose], body, rng)
        target.append(latents)
        prompts.append(known.place[""] if rng.random() < _EMPTY_TEXT else prompt)
    text = known.features[prompts]
    return Batch(torch.stack(target), None, text if full else text[:, SHORT[1]], 0 if full else SHORT[1].start)
