"""What ``plantain run --dry-run`` prints: passes, time, disk and memory of every cell, before anything runs."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from plantain.capture.plan import Plan, plan
from plantain.config import Params
from plantain.model.lock import ModelLock, lock_path, read_lock
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe


def print_forecast(params: Params, cells: list[tuple[str, str]]) -> None:
    """Print the forecast of ``cells``, as for an empty store; what is stored already costs nothing."""
    table = Table("probe", "model", "passes", "prompts", "images", "time", "disk", "memory", box=None)
    assumed = False
    for probe, model in cells:
        expansion = expand(read_probe(Path("prompts", f"{probe}.yaml")), Path())
        found = plan(expansion.records, expansion.references, _lock(params, model), params.capture, params.reference)
        assumed |= not found.rate.measured
        table.add_row(probe, model, *_row(found))
    Console().print(table)
    print("Time and disk are for an empty store; memory is the peak of the largest component.")
    if assumed:
        print("Some times rest on an assumed rate: nothing was captured with that model on this machine yet.")


def _lock(params: Params, model: str) -> ModelLock:
    path = lock_path(model)
    if path.exists():
        return read_lock(path)
    from plantain.model.resolve import resolve  # imports torch

    return resolve(model, params)[0]


def _row(found: Plan) -> list[str]:
    mebibytes = 1 << 20
    disk = (found.activation_bytes + found.cache_bytes) / mebibytes
    memory = f"{found.memory_bytes / mebibytes:,.0f} MiB"
    counts = [f"{number:,}" for number in (found.passes, found.prompts, found.images)]
    return [*counts, _duration(found.seconds), f"{disk:,.0f} MiB", memory]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
