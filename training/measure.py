"""The figures and pictures of docs/tiny.md, from the shipped weights."""

import json
from pathlib import Path

from diffusers import Flux2KleinPipeline
from scipy.stats import spearmanr

from plantain.model.tiny.assemble import pipeline
from plantain.model.untrained import reinitialise
from training import behaviour, classroom, sheet, world
from training.creatures import CREATURES
from training.examination import MENTION, VIEWPOINT, examine, examine_poses, pose_questions, questions, set_scene
from training.lessons import Lesson, Outcome, read_lessons

_STEPS = {"tiny": (1, 4, 14), "tiny-mention": (1, 4), "tiny-untrained": (1,)}
"""Denoising steps that each model is measured at."""


def measure(pipe: Flux2KleinPipeline, lessons: tuple[Lesson, ...], steps: int) -> dict[str, float]:
    """What docs/tiny.md reports about the taught wordings of one model at one number of steps."""
    asked = ("viewpoint", "mention", "title", "neutral")
    seen = examine(pipe, set_scene(), behaviour.encode(pipe, questions(lessons, asked)), steps, asked)
    figures = {
        "role": (seen.role("viewpoint", VIEWPOINT) + seen.role("mention", MENTION)) / 2,
        "viewpoint_exact": seen.exact("viewpoint", VIEWPOINT),
        "viewpoint_as_mention": seen.exact("viewpoint", MENTION),
        "mention_exact": seen.exact("mention", MENTION),
        "flipped": seen.flipped(),
        "height_spearman": float(spearmanr(seen.heights(), [one.eye for one in CREATURES]).statistic),
        "shown_when_mentioned": seen.shown("mention", lambda one: world.doorway(1)),
        "shown_when_looking": seen.shown("viewpoint", lambda one: world.seen_by([one])),
        "shown_by_title": seen.shown("title", lambda one: world.doorway(1)),
        "title_change": seen.change("title"),
        "neutral_change": seen.change("neutral"),
        "error_over_copying": seen.error("viewpoint", VIEWPOINT),
        "pose": examine_poses(pipe, behaviour.encode(pipe, pose_questions(lessons)), steps),
    }
    return {name: round(value, 3) for name, value in figures.items()}


def held_out(pipe: Flux2KleinPipeline, lessons: tuple[Lesson, ...]) -> dict[str, dict[str, int] | float]:
    """What is drawn in one step for each wording that was never taught."""
    asked = ("viewpoint_9", "viewpoint_10", "mention_9", "mention_10")
    seen = examine(pipe, set_scene(), behaviour.encode(pipe, questions(lessons, asked)), 1, asked)
    poses = behaviour.encode(pipe, pose_questions(lessons, held_out=True))
    tallies: dict[str, dict[str, int] | float] = {name: seen.tally(name) for name in asked}
    return {**tallies, "pose": round(examine_poses(pipe, poses, 1, held_out=True), 3)}


def kitchens(pipe: Flux2KleinPipeline, lessons: tuple[Lesson, ...]) -> list[list[sheet.Floats]]:
    """Reference pictures from the kitchen's own prompt, as the reference stage makes them, from six seeds."""
    text = behaviour.encode(pipe, [sheet.ask(lessons, Outcome.room, 0)])
    return [[behaviour.generate(pipe, text, None, steps=14, guidance=4.0, seed=seed)[0] for seed in range(6)]]


def report(out: Path, images: Path) -> None:
    """Print the figures of all models, write them to ``out``, and draw the pictures of the documentation."""
    lessons = read_lessons(sheet.PROMPTS)
    images.mkdir(parents=True, exist_ok=True)
    draw_world(images / "tiny-world.png")
    found = {}
    for name, counts in _STEPS.items():
        pipe = pipeline("transformer-mention" if name == "tiny-mention" else "transformer")
        pipe.set_progress_bar_config(disable=True)
        if name == "tiny-untrained":
            reinitialise(pipe.transformer, 0)
        taught = {f"{steps} steps": measure(pipe, lessons, steps) for steps in counts}
        found[name] = {**taught, "held out": held_out(pipe, lessons)}
        draw(pipe, lessons, images, name)
        print(name, json.dumps(found[name], indent=1), flush=True)
    (out / "measured.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def draw(pipe: Flux2KleinPipeline, lessons: tuple[Lesson, ...], images: Path, name: str) -> None:
    """The sheets of one model."""
    rows = sheet.creature_rows(pipe, lessons, steps=4, seed=4_242)
    sheet.sheet(rows, images / f"{name}-rooms.png")
    if name == "tiny":
        once = sheet.creature_rows(pipe, lessons, steps=1, seed=4_242)
        sheet.sheet(once, images / "tiny-rooms-one-step.png")
        sheet.sheet(sheet.body_rows(pipe, lessons, steps=4), images / "tiny-poses.png")
        sheet.sheet(kitchens(pipe, lessons), images / "tiny-kitchens.png")


def draw_world(path: Path) -> None:
    """The world itself: one kitchen as each creature sees it and, below, with the creature in it."""
    room = world.sample_rooms(1, classroom.generator(7), kitchens=1.0)
    views = world.everyone(room)
    sheet.sheet([list(views[role, start : start + 10]) for start in (0, 10, 20) for role in (0, 1)], path, scale=1)
