"""A repository with results in it, as the earlier stages would have left them: any geometry, known effects."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from scipy import stats as sps

from plantain.base.files import digest, readable_json

CREATURES = [
    "an adult human", "a tall person", "a child", "a toddler", "an infant", "a horse", "a large dog", "a small dog",
    "a cat", "a rabbit", "a parrot", "an owl", "a lizard", "a snake", "a frog", "a goldfish", "an octopus", "a crab",
    "a spider", "an ant", "a fly", "a moth", "a bee with ultraviolet vision", "an echolocating bat",
    "a shark with electroreception", "a sea turtle with magnetoreception", "a mantis shrimp",
    "a creature with thermal-infrared eyes", "a jellyfish", "an alien with non-visual senses",
]  # fmt: skip
NASTY = '<img src=x onerror="window.pwned=1"></script><script>window.pwned=1</script>&amp; {{7*7}}'


@dataclass(frozen=True)
class Geometry:
    joint: int = 5
    single: int = 20
    heads: int = 4
    head_width: int = 32
    mlp_ratio: int = 3

    @property
    def attention_groups(self) -> int:
        return self.heads * self.head_width // 16


CARD = """
card: otherview-plantain
probe: otherview
model: FLUX.2 Klein 4B
contrast: published
analysis: card
metrics: {heads_over_t3: 12091, heads_over_t3_fraction: 0.74, null_p99_t3: 654, unheard_of: 1}
"""

TINY = Geometry()
KLEIN = Geometry(heads=24, head_width=128)


@dataclass(frozen=True)
class Cell:
    probe: str = "otherview"
    model: str = "tiny"
    items: int = 30
    geometry: Geometry = TINY
    strength: float = 1.0
    seed: int = 0
    controls: tuple[str, ...] = ("paraphrase", "length")
    target: bool = True
    of: str | None = None
    nasty: bool = False
    template_tests: bool = True
    vectors: bool = False
    """Whether the target was compared by direction, profile and over text tokens too."""


def head_units(geometry: Geometry) -> pl.DataFrame:
    rows = []
    for kind, count in (("joint", geometry.joint), ("single", geometry.single)):
        for block in range(count):
            for head in range(geometry.heads):
                stream = "image" if kind == "joint" else "all"
                rows.append((kind, block, stream, "attention", head, head, head * geometry.head_width,
                             geometry.head_width))  # fmt: skip
    return _units(rows)


def group_units(geometry: Geometry) -> pl.DataFrame:
    rows = []
    groups = geometry.attention_groups
    for kind, count in (("joint", geometry.joint), ("single", geometry.single)):
        mlp = groups * geometry.mlp_ratio if kind == "single" else 0
        for block in range(count):
            for index in range(groups + mlp):
                attention = index < groups
                head = index * 16 // geometry.head_width if attention else None
                stream = "image" if kind == "joint" else "all"
                rows.append((kind, block, stream, "attention" if attention else "mlp", head, index, index * 16, 16))
    return _units(rows)


def text_units(geometry: Geometry) -> pl.DataFrame:
    """Heads over text tokens: those of the joint blocks' text stream in place of their image stream."""
    stream = pl.col("stream").replace("image", "text")
    return head_units(geometry).with_columns(stream)


def vector_tables(cell: Cell) -> dict[str, pl.DataFrame]:
    """By measure: t without a sign and others in every measure; the second head is dead."""
    found = {}
    for place, name in enumerate(("direction", "profile", "text_direction")):
        units = text_units(cell.geometry) if name == "text_direction" else head_units(cell.geometry)
        t = np.random.Generator(np.random.Philox([cell.seed, place])).gamma(2.0, 3.0, len(units))
        t[1] = np.nan
        columns = {"template_t": t, "template_delta": t / 2, "template_p": np.exp(-t)}
        spread = {key: pl.Series(values).fill_nan(None) for key, values in columns.items()}
        found[name] = units.with_columns(alive=pl.Series(np.isfinite(t)), **spread)
    return found


def write_vectors(cell: Cell, folder: Path, contrast: dict) -> dict:
    """The tables of the target by every vector measure; their part of the summary."""
    found = {}
    for place, (name, table) in enumerate(vector_tables(cell).items()):
        table.write_parquet(folder / f"target.{name}.parquet")
        tokens = ["text"] if name == "text_direction" else ["noise", "reference"]
        metrics = {"units": len(table), "alive_units": len(table) - 1, "selective_heads_lower_bound": 31 + place,
                   "template_simes_p": 0.011 + place / 1000, "delta": 7.25 + place,
                   "concept_information": 2.5 + place}  # fmt: skip
        found[name] = {"role": "target", "tokens": tokens, "a": contrast["a"], "b": contrast["b"], "metrics": metrics,
                       "sentence": f"By {name}."}  # fmt: skip
    return found


def _units(rows):
    names = ["block_kind", "block", "stream", "part", "head", "index_in_block", "first_channel", "width"]
    return pl.DataFrame(rows, schema=names, orient="row").with_row_index("unit")


def _pattern(units: pl.DataFrame, strength: float, rng) -> np.ndarray:
    depth = np.where(units["block_kind"] == "joint", units["block"], units["block"] + 5).astype(float)
    shape = 0.25 + 1.1 * np.exp(-(((depth - 3) / 3.5) ** 2)) + 0.45 * np.exp(-(((depth - 16) / 4) ** 2))
    return strength * shape * rng.standard_normal(len(units)) * 0.05


def simulate(units, items, strength, rng):
    mean = _pattern(units, strength, rng)
    shared = rng.standard_normal((items, 3)) @ rng.standard_normal((3, len(units))) * 0.015
    values = mean + shared + rng.standard_normal((items, len(units))) * 0.045
    values[:, 3] = 0.0
    return values


def tables(units, values, rng, *, flips=201, template=True):
    """The unit table, the null counts and the summary of one analysis."""
    n = len(values)
    alive = (values != 0).any(0)
    mean, sd = values.mean(0), values.std(0, ddof=1)
    t = np.divide(mean * np.sqrt(n), sd, out=np.zeros_like(mean), where=sd > 0)
    signs = np.where(rng.random((flips, n)) < 0.5, -1.0, 1.0)
    signs[0] = 1
    square = (values**2).sum(0)
    flipped = signs @ values / n
    spread = np.sqrt(np.maximum((square - n * flipped**2) / (n - 1), 1e-30))
    null = np.abs(flipped * np.sqrt(n) / spread) * alive
    counts = np.stack([(null > threshold).sum(1) for threshold in (3.0, 5.0)], 1)
    p = 2 * sps.t.sf(np.abs(t), n - 1)
    maximum = null.max(1)
    p_fwer = (1 + (maximum[1:, None] >= np.abs(t)[None]).sum(0)) / flips
    half = rng.permutation(n)
    parts = [values[half[: n // 2]], values[half[n // 2 :]]]
    halves = [np.nan_to_num(part.mean(0) * np.sqrt(len(part)) / np.maximum(part.std(0, ddof=1), 1e-12))
              for part in parts]  # fmt: skip
    void = pl.when(pl.Series(alive))
    d = t / np.sqrt(n)
    template_t = t / 8 + rng.standard_normal(len(t)) if template else np.full(len(t), np.nan)
    frame = units.with_columns(
        alive=pl.Series(alive),
        degenerate=pl.lit(False),
        mean_difference=pl.Series(mean),
        t=void.then(pl.Series(t)),
        d_z=void.then(pl.Series(d)),
        g_z=void.then(pl.Series(d * 0.97)),
        g_low=void.then(pl.Series(d * 0.97 - 0.35)),
        g_high=void.then(pl.Series(d * 0.97 + 0.35)),
        p=void.then(pl.Series(p)),
        p_fwer=void.then(pl.Series(p_fwer)),
        q_bh=void.then(pl.Series(sps.false_discovery_control(p))),
        q_by=void.then(pl.Series(sps.false_discovery_control(p, method="by"))),
        half_a_t=pl.Series(halves[0]),
        half_b_t=pl.Series(halves[1]),
        template_t=pl.Series(template_t).fill_nan(None),
        template_delta=pl.Series(template_t / 1.7).fill_nan(None),
        template_p=pl.Series(2 * sps.t.sf(np.abs(template_t), 10)).fill_nan(None),
    )
    null_frame = pl.DataFrame({"flip": np.arange(flips), "t3": counts[:, 0], "t5": counts[:, 1]})
    return frame, null_frame, _summary(frame, values, counts, halves, alive)


def _summary(frame, values, counts, halves, alive):
    r = float(np.corrcoef(*halves)[0, 1])
    absolute = frame["t"].abs()
    p99 = np.sort(counts[1:], 0)[int(np.ceil(0.99 * (len(counts) - 1))) - 1]
    units = int(alive.sum())
    metrics = {"units": len(frame), "alive_units": units, "pairs": len(values)}
    for index, (name, threshold) in enumerate((("t3", 3.0), ("t5", 5.0))):
        observed = int((absolute > threshold).sum())
        metrics |= {f"heads_over_{name}": observed, f"heads_over_{name}_fraction": observed / units}
        metrics |= {f"null_mean_{name}": float(counts[1:, index].mean()), f"null_p99_{name}": int(p99[index])}
        if p99[index]:
            metrics[f"observed_over_null_p99_{name}"] = observed / int(p99[index])
    large = int((frame["d_z"].abs() > 0.8).sum())
    metrics |= {"heads_over_d08": large, "heads_over_d08_fraction": large / units, "max_abs_t": float(absolute.max()),
                "split_half_r": r, "split_half_r_q25": r - 0.02, "split_half_r_q75": r + 0.015,
                "effect": float(frame["mean_difference"].abs().median())}  # fmt: skip
    blocks = []
    for key, rows in frame.group_by("block_kind", "block", "part", "stream", maintain_order=True):
        over = int((rows["t"].abs() > 3).sum())
        blocks.append(dict(zip(("block_kind", "block", "part", "stream"), key, strict=True)) | {
            "units": len(rows), "max_abs_t": rows["t"].abs().max(), "over_t3": over,
            "median_abs_d": rows["d_z"].abs().median(), "median_abs_effect": rows["mean_difference"].abs().median(),
            "lower_bound": max(0, over - 1 - len(rows) // 8)})  # fmt: skip
    return {
        "metrics": metrics,
        "blocks": blocks,
        "null": {"flips": len(counts), "exact": False, "flip_space": 2.0 ** (len(values) - 1),
                 "smallest_p": 1 / len(counts), "mean": {"t3": metrics["null_mean_t3"], "t5": metrics["null_mean_t5"]},
                 "p99": {"t3": int(p99[0]), "t5": int(p99[1])},
                 "p99_interval": {"t3": [int(p99[0] * 0.6), int(p99[0] * 2 + 1)], "t5": [0, int(p99[1] * 2 + 2)]}},
        "split_half": {"r": [r - 0.02, r, r + 0.015], "median": r, "q25": r - 0.02, "q75": r + 0.015,
                       "spearman_brown": 2 * r / (1 + r), "jackknife_interval": [r - 0.06, r + 0.06], "null_p": 0.001},
        "sentences": [f"{metrics['heads_over_t3']} units differ between these sentences."],
        "warnings": [],
    }  # fmt: skip


def _contrasts(cell: Cell) -> dict:
    found = {"published": ("published", ["viewpoint"], ["mention"], 1.0)}
    if cell.target:
        found["target"] = ("target", ["viewpoint", "viewpoint_2"], ["mention", "mention_2"], 0.9)
    sides = {"paraphrase": (["viewpoint"], ["viewpoint_2"]), "length": (["mention"], ["mention_2"])}
    for index, name in enumerate(cell.controls):
        found[name] = ("control", *sides.get(name, sides["length"]), 0.85 - 0.35 * index)
    return found


def write_cell(root: Path, cell: Cell) -> Path:
    """Everything that a report of ``cell`` reads, under ``root``; returns ``root``."""
    rng = np.random.Generator(np.random.Philox(cell.seed))
    folder = root / "data" / "stats" / cell.model / cell.probe
    folder.mkdir(parents=True, exist_ok=True)
    heads, groups = head_units(cell.geometry), group_units(cell.geometry)
    summary = {"schema": "plantain.summary/1", "probe": cell.probe, "model": cell.model, "contrasts": {}}
    items = item_ids(cell)
    for name, (role, a, b, factor) in _contrasts(cell).items():
        summary["contrasts"][name] = {}
        for analysis, units in (("card", groups), ("heads", heads)):
            local = np.random.Generator(np.random.Philox([cell.seed, len(name), len(units)]))
            values = simulate(units, cell.items, cell.strength * factor, local)
            frame, null, facts = tables(units, values, rng, template=cell.template_tests and role == "target")
            frame.write_parquet(folder / f"{name}.{analysis}.parquet")
            null.write_parquet(folder / f"{name}.{analysis}.null.parquet")
            if analysis == "heads":
                columns = {str(unit): values[:, unit] for unit in range(len(units))}
                pl.DataFrame({"item": items} | columns).write_parquet(folder / f"{name}.heads.differences.parquet")
            settings = {"unit": "head", "tokens": "image", "measure": "log_rms"}
            card = {"unit": "group16", "tokens": "all", "measure": "rms"}
            summary["contrasts"][name][analysis] = facts | (card if analysis == "card" else settings) | {
                "role": role, "a": a, "b": b, "exploratory": (role, analysis) != ("target", "heads")}  # fmt: skip
    if cell.vectors:
        target = summary["contrasts"]["target"]["heads"]
        summary["vectors"] = {"target": write_vectors(cell, folder, target)}
        target["metrics"] |= {"selective_heads_lower_bound": 29, "template_simes_p": 0.02, "delta": 6.5,
                              "concept_information": 1.75}  # fmt: skip
    (folder / "summary.json").write_bytes(readable_json(summary))
    _prompts(root, cell, items)
    _model(root, cell)
    return root


def write_verdict(root: Path, probe="otherview", model="tiny", rung=6, holm=None, **more) -> Path:
    """A verdict of the target at ``rung``, and of every control at 1; ``more`` replaces fields.

    ``holm`` is what becomes of it among all probes; its sentence is that of the verdict where it has none.
    """
    path = root / "data" / "verdicts" / model / f"{probe}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "schema": "plantain.verdict/2", "probe": probe, "model": model, "rules_sha256": "0" * 64, "trend": None,
        "length": [], "untrained": {},
        "contrast": "target", "analysis": "heads", "rung": rung, "rungs": [], "sentence": f"Rung {rung} of 7. Target.",
        "metrics": {"delta": 15.3},
        "exploratory": {"paraphrase": {"rung": 1, "rungs": [], "sentence": "Rung 1 of 7: paraphrase.", "metrics": {}}},
        "information": {"model": 4.45, "text": 0.024, "reinit": 0.028, "shuffle": 0.025, "untrained_items": ["a-cat"]},
    } | more  # fmt: skip
    if found["trend"]:
        always = {"field": "rank", "nuisance": "tokens", "inflation": 1.0, "heads_over_unadjusted": 0}
        found["trend"] = always | found["trend"]
    path.write_bytes(readable_json(found))
    records = {} if holm is None else {probe: {"sentence": found["sentence"]} | holm}
    _write_holm(path.parents[1] / "holm.json", model, records)
    return path


def _write_holm(path: Path, model: str, records: dict) -> None:
    """Add records of a model, by probe, to the table over all cells."""
    table = (
        json.loads(path.read_text()) if path.exists() else {"schema": "plantain.holm/1", "alpha": 0.05, "models": {}}
    )
    table["models"].setdefault(model, {}).update(records)
    path.write_bytes(readable_json(table))


def item_ids(cell: Cell) -> list[str]:
    return [CREATURES[i % 30].split(" ", 1)[1].replace(" ", "-") + ("" if i < 30 else f"-{i}")
            for i in range(cell.items)]  # fmt: skip


def _prompts(root: Path, cell: Cell, items: list[str]) -> None:
    templates = {
        "viewpoint": "Render this kitchen from the viewpoint of {}", "viewpoint_2": "Show this kitchen as seen by {}",
        "mention": "Render this kitchen with {} in it", "mention_2": "Show this kitchen containing {}",
    }  # fmt: skip
    rows = []
    for index, item in enumerate(items):
        creature = NASTY if cell.nasty and index == 0 else CREATURES[index % 30]
        for condition, template in templates.items():
            prompt = template.format(creature)
            rows.append({"item": item, "condition": condition, "prompt": prompt, "reference": ["kitchen"],
                         "sha256": digest([cell.probe, item, condition, prompt]), "creature": creature,
                         "rank": index + 1})  # fmt: skip
    folder = root / "data" / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    records = pl.DataFrame(rows)
    records.write_parquet(folder / f"{cell.probe}.parquet")
    words = pl.col("prompt").str.split(" ").list.len().cast(pl.Int32).alias("tokens")
    stats = root / "data" / "stats" / cell.model / cell.probe
    records.select("item", "condition", words).write_parquet(stats / "tokens.parquet")
    kitchen = "A photographic kitchen scene, wooden countertops, soft daylight, no people present"
    reference = [{"name": "kitchen", "prompt": kitchen, "file": None, "file_sha256": None, "sha256": digest(kitchen)}]
    (folder / f"{cell.probe}.references.json").write_bytes(readable_json({"references": reference}))
    (root / "prompts").mkdir(exist_ok=True)
    title = f"Perspective-taking versus mention {NASTY if cell.nasty else ''}".strip()
    text = {"probe": cell.probe, "title": title,
            "hypothesis": "A viewpoint is an operation of its own, not one more word in the sentence."}  # fmt: skip
    (root / "prompts" / f"{cell.probe}.yaml").write_text(json.dumps(text), encoding="utf-8")


def _model(root: Path, cell: Cell) -> None:
    folder = root / "models" / cell.model
    folder.mkdir(parents=True, exist_ok=True)
    geometry = {"joint_blocks": cell.geometry.joint, "single_blocks": cell.geometry.single,
                "heads": cell.geometry.heads, "head_width": cell.geometry.head_width,
                "mlp_width": 3 * cell.geometry.heads * cell.geometry.head_width,
                "groups": len(group_units(cell.geometry)), "parameters": 1_234_567,
                "text_width": 96}  # fmt: skip
    part = {"class_name": "Part", "config_sha256": "0" * 64, "weights_sha256": "0" * 64, "bytes": 1}
    lock = {"name": cell.model, "source": "untrained" if cell.of else "hub", "base": "hub", "repo": "example/klein",
            "trained": not cell.of, "text_encoder_out_layers": [9], "group_width": 16, "files_sha256": "0" * 64,
            "components": dict.fromkeys(("text_encoder", "tokenizer", "transformer", "vae", "scheduler"), part),
            "revision": "0" * 40, "path": None, "of": cell.of, "method": "reinit" if cell.of else None, "seeds": [],
            "device": "cpu", "dtype": "float32", "height": 64, "width": 64, "max_sequence_length": 96,
            "is_distilled": False, "geometry": geometry}  # fmt: skip
    (folder / "model.lock.json").write_bytes(readable_json(lock))
    image = root / "data" / "references" / (cell.of or cell.model) / cell.probe / "kitchen.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    wave = np.add.outer(np.arange(96), np.arange(96))
    Image.fromarray(np.stack([wave % 255, wave[::-1] % 255, 255 - wave % 200], -1).astype(np.uint8)).save(image)
