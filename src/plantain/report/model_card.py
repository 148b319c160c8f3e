"""A result as a model card: Markdown with the YAML header that model hubs read, for the repository of a finding.

In the manner in which such probes are published, with what those cards lack: what a network that knows nothing scores,
what the controls did, and what is not claimed. Every number is the result's own.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import plantain
from plantain.base.params import Source
from plantain.records.lock import ModelLock
from plantain.records.summary import BlockRow
from plantain.report import ladder
from plantain.report import words as wording
from plantain.report.chance import chance
from plantain.report.columns import GLUE
from plantain.report.family import family_lines
from plantain.report.markdown import bare, control_rows, measure_rows
from plantain.report.metric_rows import metric_rows
from plantain.report.published import beside, untrained_names
from plantain.report.result import Analysis, Result

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TAGS: Final = ("interpretability", "per-head-attention", "paired-prompt-probe", "plantain")
_METRICS: Final = ("verdict_rung", "selective_heads_lower_bound", "concept_information", "p_holm")
"""Of the verdict, in the header."""
_COUNTED: Final = ("heads_over_t3", "heads_over_t5", "heads_over_d08", "split_half_r", "max_abs_t", "effect")
_TOP: Final = 5
"""Blocks that are listed."""


def model_card(result: Result, licence: str = "apache-2.0") -> str:
    """The card of ``result``; its text is published under ``licence``, a name that hubs know."""
    return f"---\n{_header(result, licence)}---\n\n" + "\n".join(_body(result, licence)) + "\n"


def _header(result: Result, licence: str) -> str:
    from huggingface_hub import ModelCardData

    task = "image-to-image" if result.references else "text-to-image"
    evaluated = list(_evaluated(result, task))
    header = ModelCardData(
        language="en",
        license=licence,
        base_model=_base_model(result),
        library_name="diffusers",
        pipeline_tag=task,
        tags=[*TAGS, result.probe],
        model_name=result.address if evaluated else None,
        eval_results=evaluated or None,
    )
    return f"{header.to_yaml(line_break=chr(10))}\n"


def _base_model(result: Result) -> str | None:
    """The repository that was probed; None for a model that is on no hub."""
    return result.lock.repo if result.lock.base is Source.hub else None


def _evaluated(result: Result, task: str) -> Iterator["EvalResult"]:
    """The few numbers that a claim rests on; the data set is the prompt set, by digest."""
    from huggingface_hub import EvalResult

    numbers = result.numbers
    for name in _METRICS:
        if name in numbers:
            yield EvalResult(
                task_type=task,
                dataset_type="prompt-set",
                dataset_name=result.probe,
                dataset_revision=result.prompts_sha256,
                metric_type=name,
                metric_value=numbers[name],
                metric_name=name.replace("_", " "),
            )


def _body(result: Result, licence: str) -> Iterator[str]:
    yield from (f"# {bare(result.title)}", "")
    yield from (f"A per-head attention probe of {_named(result.lock)}, `{result.address}`.", "")
    yield from (f"**{bare(wording.verdict_sentence(result))}**", "")
    note = wording.weights_note(result.lock)
    yield from (f"> {bare(note)}", "") if note else ()
    hypothesis = result.declared.get("hypothesis")
    yield from ("## Question", "", bare(str(hypothesis)), "") if hypothesis else ()
    yield from ("## Method", "", *_method(result), "")
    yield from ("## Results", "", *_results(result))
    yield from ("## What may be claimed", "", *_claimed(result))
    yield from control_rows(result)
    yield from _published(result)
    yield from ("## What is not claimed", "", *_not_claimed(result), "")
    yield from ("## Limitations", "", *_limits(result), "")
    yield from ("## What it rests on", "")
    yield from (f"- {name}: `{value}`" for name, value in result.digests.items())
    yield from (
        "",
        f"Made with plantain {plantain.__version__}. `plantain audit {result.address}` follows every number",
    )
    yield from ("to its prompts; `plantain show` and the page of the cell hold the rest.", "")
    yield from ("## License", "", licence)


def _named(lock: ModelLock) -> str:
    """The model, with what it was made from."""
    if lock.repo is None:
        return lock.name
    return f"{lock.name} ({lock.repo}" + (f" at {lock.revision[:12]})" if lock.revision else ")")


def _method(result: Result) -> Iterator[str]:
    main, lock = result.main, result.lock
    images = len(result.references)
    seen = (
        ""
        if not images
        else f", conditioned on {'one image' if images == 1 else f'{images} images'} of the model's own"
    )
    yield (
        f"{result.records['item'].n_unique()} items, each put to the model in {len(main.summary.a)} wordings of one "
        f"side and {len(main.summary.b)} of the other ({bare(wording.contrast_phrase(main))}){seen}. One forward pass "
        f"a prompt, {lock.dtype}, {lock.height} by {lock.width} pixels. What the attention output projections see is "
        f"reduced to {wording.measure_phrase(main)}: {wording.number(main.metrics.get('units'))} "
        f"{wording.units_noun(main)}."
    )
    yield ""
    first = str(result.records["item"][0])
    for name, sides in (("First side", main.summary.a), ("Second side", main.summary.b)):
        yield f"- {name}, for {bare(first)}: {_quoted(result, first, sides)}"
    yield ""
    yield (
        "Over items, whole pairs change their sign, and the count of heads is read against that null. From rung 3 on a "
        "row is a wording and no item: what a rewording changes counts as noise."
    )


def _quoted(result: Result, item: str, conditions: list[str]) -> str:
    """The prompts of one item in every wording of a side."""
    rows = {
        name: text for at, name, text in result.records.select("item", "condition", "prompt").iter_rows() if at == item
    }
    return "; ".join(f"\N{LEFT DOUBLE QUOTATION MARK}{bare(rows[name])}\N{RIGHT DOUBLE QUOTATION MARK}"
                     for name in conditions if name in rows)  # fmt: skip


def _results(result: Result) -> Iterator[str]:
    card = [result.card] if result.card and result.card.label != result.main.label else []
    for analysis in (*card, result.main):
        role = "the published protocol" if analysis.name == "card" else "true heads"
        said = f"{bare(wording.contrast_phrase(analysis))}, {wording.measure_phrase(analysis)}"
        yield from (f"`{analysis.label}`, {role}: {said}.", "")
        yield from ("| metric | value | by chance |", "|---|---:|---|")
        for row in metric_rows(analysis):
            if row.name in _COUNTED:
                share = (
                    f" ({wording.percent(analysis.metrics[f'{row.name}_fraction'])})"
                    if _shared(row.name, analysis)
                    else ""
                )
                by_chance = chance(row.name, analysis, result).replace(GLUE, " ")
                yield f"| {bare(row.label)} | {row.value}{share} | {bare(by_chance)} |"
        yield from ("", *_blocks(analysis), "")
    yield from (wording.ITEM_LEVEL, "")


def _shared(name: str, analysis: Analysis) -> bool:
    return f"{name}_fraction" in analysis.metrics


def _blocks(analysis: Analysis) -> Iterator[str]:
    """The blocks of largest |t|, as such cards list them: the whole projection, where it has several parts."""
    parts: dict[tuple[str, int], BlockRow] = {}
    for row in analysis.summary.blocks:
        if row.part == "all" or (row.block_kind, row.block) not in parts:
            parts[row.block_kind, row.block] = row
    yield from ("Blocks by largest \\|t\\|:", "")
    for row in sorted((row for row in parts.values() if row.max_abs_t is not None), key=_loudness)[:_TOP]:
        yield (
            f"- {row.block_kind} {row.block}: largest \\|t\\| {wording.fixed(row.max_abs_t)}, {row.over_t3} of "
            f"{row.units} over 3, median \\|d\\| {wording.fixed(row.median_abs_d)}"
        )


def _loudness(row: BlockRow) -> float:
    return -(row.max_abs_t or 0.0)


def _claimed(result: Result) -> Iterator[str]:
    """The ladder as a table, then what stands beside it."""
    yield from ("| rung | says | became of it | number | p | smallest p possible |", "|---:|---|---|---|---:|---:|")
    for rung, said in zip(ladder.ladder(result), ladder.SAID, strict=True):
        number = "" if rung.number is None else f"{wording.number(rung.number)} {bare(rung.measures)}".strip()
        p, floor = wording.number(rung.p, 2), wording.number(rung.floor, 2)
        yield f"| {rung.rung} | {said} | {bare(rung.status.value)} | {number} | {p} | {floor} |"
    yield ""
    yield from measure_rows(result)
    told = [*ladder.beside(result), *family_lines(result)]
    yield from (f"- {bare(text)}" for text in told)
    yield from ("",) if told else ()


def _published(result: Result) -> Iterator[str]:
    """The published card of the same question beside this result and its untrained versions."""
    for card, _, rows in beside(result):
        names = [result.model, *untrained_names(result)]
        yield from (f"## Beside the card {bare(card.card)}", "")
        yield from (f"Its numbers are of {bare(card.model)}. {bare(card.prompts)}".strip(), "")
        yield f"| metric | {bare(card.card)} | {' | '.join(map(bare, names))} |"
        yield f"|---|{'---:|' * (1 + len(names))}"
        yield from (f"| {bare(row.label)} | {row.card} | {' | '.join(row.models)} |" for row in rows)
        yield ""


def _not_claimed(result: Result) -> Iterator[str]:
    yield from (f"- {bare(text)}" for text in wording.not_shown(result))
    climb = result.standing
    reached = [rung for rung in climb.rungs if rung.rung == climb.rung] if climb else []
    yield from (f"- By rung {rung.rung}: {bare(rung.not_claimed)}" for rung in reached if rung.not_claimed)


def _limits(result: Result) -> Iterator[str]:
    told = [*ladder.design_sentences(result), *result.main.summary.warnings]
    stopped = next((rung for rung in ladder.ladder(result) if rung.reason), None)
    told += [f"Rung {stopped.rung} was {stopped.status.value}: {stopped.reason}."] if stopped else []
    if not untrained_names(result) and not wording.is_untrained(result.lock):
        told.append(
            "No untrained version of this model was asked the same: what a network that knows nothing scores is open."
        )
    yield from (
        f"- {bare(text)}" for text in told or ["Those of the question and its wordings; none was found in the design."]
    )
