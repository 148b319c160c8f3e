"""The ledger: every number of the current cells with its prompt-set digest, in git."""

from collections.abc import Iterator
from pathlib import Path

from plantain.base.files import write_atomic
from plantain.records.ledger import LEDGER, Ledger, LedgerEntry, RecordedSet
from plantain.track.results import Cell, Results


def ledger_of(results: Results) -> Ledger:
    """The ledger of ``results``: the same results give the same value."""
    sets = {
        cell.prompts.set_sha256: RecordedSet(probe=cell.prompts.probe, records=cell.prompts.records)
        for cell in results.cells
        if cell.prompts
    }
    numbers = [entry for cell in results.cells for entry in _numbers(cell)]
    return Ledger(prompt_sets=sets, numbers=sorted(numbers, key=lambda entry: entry.place))


def write(root: Path, results: Results) -> Path:
    """Write ``reports/ledger.json`` below ``root``, and only where its bytes change."""
    path, content = root / LEDGER, ledger_of(results).to_bytes()
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)
    return path


def _numbers(cell: Cell) -> Iterator[LedgerEntry]:
    analyze = cell.held.get("analyze")
    if analyze is None or cell.prompts is None:
        return
    for contrast, analyses in analyze.receipt.metrics.items():
        for analysis, metrics in analyses.items():
            yield LedgerEntry(
                probe=cell.probe,
                model=cell.model,
                contrast=contrast,
                analysis=analysis,
                prompts_sha256=cell.prompts.set_sha256,
                capture_key=cell.capture_key,
                receipt_sha256=analyze.sha256,
                metrics=metrics,
            )
