"""Cells with planted truths, from activations up: what the verdict stage gets to see."""

import math
from dataclasses import replace

import numpy as np
import polars as pl

from helpers.vector_cells import NOTHING_KEPT
from plantain.base.files import digest
from plantain.base.params import (
    AnalysisParams,
    CaptureParams,
    Measure,
    ReferenceParams,
    Source,
    Tokens,
    UnitKind,
    VerdictParams,
)
from plantain.ladder.beside import Sources
from plantain.ladder.judge import CellEvidence, FixedRules
from plantain.probe.records import Contrasts, ExpandedContrast, Record
from plantain.probe.spec import Role
from plantain.records.activations import TOKENS, Activations
from plantain.records.lock import Component, Geometry, ModelLock
from plantain.records.study_keys import shared_inputs
from plantain.records.summary import AnalysisSummary, SignFlipNull, SplitHalves, Summary

HEADS = 60
SIDE = 6
A = tuple(f"a_{k}" for k in range(SIDE))
B = tuple(f"b_{k}" for k in range(SIDE))
STRATA = ("short", "short", "middle", "middle", "long", "long") * 2
LENGTHS = {"short": 6, "middle": 7, "long": 8}
RULES = VerdictParams(flips=300, permutations=500)
ANALYSIS = AnalysisParams(unit=UnitKind.head, tokens=Tokens.image, measure=Measure.log_rms, split_flips=200)
TARGET = ExpandedContrast("target", A, B, Role.target, STRATA, None)
CONTROL = ExpandedContrast("control", A[:4], A[2:], Role.control, (None,) * 8, None)
GEOMETRY = Geometry(
    joint_blocks=0, single_blocks=5, heads=12, head_width=32, mlp_width=0, groups=60, parameters=1, text_width=8
)
IMAGES = {"kitchen": "1" * 64}


def log_rms(*, items=12, seeds=1, references=1, concept=0.0, planted=10, templates=1.0, noise=0.3, rng=0):
    """(item, condition, reference, seed, head): templates have shifts of their own, side a the concept as well."""
    draw = np.random.default_rng(rng)
    level = templates * draw.normal(size=(2 * SIDE, HEADS))
    level[:SIDE, :planted] += concept
    values = level[None, :, None, None] + noise * draw.normal(size=(items, 2 * SIDE, references, seeds, HEADS))
    return values / 10


def activations(values, lengths=LENGTHS):
    items, _, references, seeds, heads = values.shape
    square = np.full((1, items, 2 * SIDE, references, seeds, 4, heads), np.nan, np.float32)
    square[0, ..., 2, :] = np.exp(2 * values)
    counts = np.zeros((items, 2 * SIDE, references, 4), np.int32)
    counts[..., 2] = 16
    counts[..., 0] = np.array([lengths[s] for s in STRATA])[None, :, None] + np.arange(items)[:, None, None] % 3
    names = tuple(f"item-{k}" for k in range(items))
    labels = tuple(f"image_{k}" for k in range(references))
    return Activations(square, counts, names, A + B, labels, tuple(range(seeds)), (0,), TOKENS, {})


def groups():
    rows = [("single", k // 12, "all", "attention", k % 12, 32 * (k % 12), 32) for k in range(HEADS)]
    names = ["block_kind", "block", "stream", "part", "head", "first_channel", "width"]
    return pl.DataFrame(rows, schema=names, orient="row")


def records(items=12):
    return tuple(
        Record(f"item-{k}", name, f"{name} of item {k}", ("kitchen",), digest([k, name]), {"rank": k + 1})
        for k in range(items)
        for name in A + B
    )


def contrasts(*more, items=12):
    fields = tuple({"rank": k + 1} for k in range(items))
    return Contrasts("probe", tuple(f"item-{k}" for k in range(items)), fields, (TARGET, *more))


def lock(name="tiny", weights="w", of=None):
    component = Component(class_name="C", config_sha256="c", weights_sha256="same", bytes=1)
    parts = dict.fromkeys(("text_encoder", "tokenizer", "vae", "scheduler"), component)
    parts["transformer"] = component.model_copy(update={"weights_sha256": weights})
    return ModelLock(
        trained=True,
        name=name, source=Source.untrained if of else Source.embedded, base=Source.embedded, of=of, device="cpu",
        dtype="float32", height=64, width=64, max_sequence_length=48, text_encoder_out_layers=[9], is_distilled=False,
        group_width=32, components=parts, files_sha256="f",
        geometry=GEOMETRY,
    )  # fmt: skip


def sources(model=None, **changes):
    model = model or lock()
    shared = shared_inputs(lock(), CaptureParams(), ANALYSIS, RULES, {"torch": "1"})
    made = Sources(model, lock(), shared, IMAGES, CaptureParams(), ReferenceParams())
    return replace(made, **changes)


def analysed(role="control", spearman_brown=0.95, null_p=0.005, metrics=None, blocks=()):
    """An analysis as the analyze stage sums it up, with these split halves."""
    half = SplitHalves(
        r=[], median=None, q25=None, q75=None, spearman_brown=spearman_brown, jackknife_interval=None, null_p=null_p
    )
    null = SignFlipNull(flips=1, exact=False, flip_space=1.0, smallest_p=1.0, mean={}, p99={}, p99_interval={})
    return AnalysisSummary(
        role=role, unit="head", tokens="image", measure="log_rms", a=["x"], b=["y"], exploratory=role != "target",
        metrics=metrics or {}, blocks=list(blocks), null=null, split_half=half, sentences=[], warnings=[],
    )  # fmt: skip


def cell(values, *more, beside=None, split=(0.95, 0.005), lengths=LENGTHS, embeddings=None, grams=NOTHING_KEPT):
    known = contrasts(*more, items=values.shape[0])
    found = {one.name: {"heads": analysed(str(one.role), *split)} for one in known.contrasts}
    summary = Summary(probe="probe", model="tiny", contrasts=found)
    found = activations(values, lengths)
    rows = records(values.shape[0])
    return CellEvidence("probe", "tiny", found, grams, groups(), rows, known, summary, beside or sources(), embeddings)


FRAME = FixedRules("heads", ANALYSIS, RULES)


def floor_of(*sizes):
    """Smallest two-sided p of relabelling templates within strata, sides equally large."""
    return 2 / math.prod(math.comb(2 * n, n) for n in sizes)
