"""When and from which commit each receipt was made, as far as this checkout's journal knows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from plantain.track.history import Revision
from plantain.track.journal import Execution
from plantain.track.results import Held

ELSEWHERE: Final = "another checkout (this one's journal holds no execution of it)"


@dataclass(frozen=True)
class Times:
    """The journal, looked up by receipt and by place."""

    by_receipt: dict[str, Execution]
    last_at: dict[str, str]
    """Receipt path to the digest of the receipt that was executed there last."""
    now: float
    """What stands for the time of a receipt that the journal does not know."""
    revision: Revision | None
    """Where the results were found; None for the workspace."""

    @classmethod
    def of(cls, journal: Iterable[Execution], revision: Revision | None = None) -> "Times":
        """Index ``journal``; of several executions of one receipt the last counts."""
        lines = list(journal)
        by_receipt = {line.receipt_sha256: line for line in lines}
        last_at = {line.receipt_path: line.receipt_sha256 for line in lines}
        return cls(by_receipt, last_at, revision.time if revision else datetime.now(UTC).timestamp(), revision)

    def span(self, held: Held) -> tuple[float, float]:
        """Start and end in seconds since the epoch; for a receipt unknown to the journal, when it was found."""
        line = self.by_receipt.get(held.sha256)
        return (line.started, line.ended) if line else (self.now, self.now)

    def tags(self, held: Held) -> dict[str, str]:
        """Commit, dirtiness and, for a result that DVC restored, where it was computed."""
        line = self.by_receipt.get(held.sha256)
        found = {"recorded_in": self.revision.sha} if self.revision else {}
        if line is None:
            return found | {"cached_from": ELSEWHERE}
        tags = found | {"git_dirty": str(line.dirty).lower(), "executed_on": line.host}
        tags |= {"mlflow.source.git.commit": line.commit} if line.commit else {}
        tags |= {"git_diff_sha256": line.diff_sha256} if line.diff_sha256 else {}
        tags |= {"experiment": line.experiment} if line.experiment else {}
        restored = self.revision is None and self.last_at.get(held.path) != held.sha256
        return tags | ({"cached_from": self._origin(line)} if restored else {})

    @staticmethod
    def _origin(line: Execution) -> str:
        moment = datetime.fromtimestamp(line.started, UTC).isoformat(timespec="seconds")
        return f"execution of {moment} at commit {line.commit or 'none'}"
