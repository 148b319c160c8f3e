"""Prompt sets in MLflow's prompt registry: a prompt a probe, a version a set, linked with the rows of its results."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from mlflow.prompt.constants import IS_PROMPT_TAG_KEY, PROMPT_EXPERIMENT_IDS_TAG_KEY

from plantain.base.secrets import redacted
from plantain.track.mlflow.projection import DatasetSpec, RunSpec
from plantain.track.mlflow.prompt_text import prompt_text

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

DIGEST: Final = "prompts_sha256"
"""Tag of a version: the digest of its prompt set."""
_RUNS: Final = "mlflow.prompt.run_ids"
"""Tag of a version by which MLflow's pages find the prompts of a run, and the runs of a prompt.

MLflow's own client tags the run instead, which leads one way only; with both a run's page names the prompt twice.
"""
_MOST: Final = 2000
"""Runs that one version names at most, the newest: a tag of the registry holds 100 000 characters."""


@dataclass
class _Version:
    name: str
    number: int
    runs: list[str]


class Registry:
    """The prompt registry beside an experiment. What it lacks or refuses is a remark, and costs no run anything."""

    def __init__(self, client: "MlflowClient", experiment: str) -> None:
        self._client = client
        self._experiment = experiment
        self._versions: dict[str, _Version] = {}
        self.remark = ""
        """Why prompt sets are not in the registry; empty where they are."""

    def open(self, specs: Iterable[RunSpec]) -> None:
        """Find the version of every prompt set of ``specs``, and make those that are not there yet."""
        for spec in specs:
            for one in _sets(spec):
                if one.sha256 not in self._versions:
                    self._try(partial(self._open, spec, one))

    def link(self, specs: Iterable[RunSpec], run_ids: Mapping[str, str]) -> None:
        """Let every version name the rows that came of it."""
        for spec in specs:
            for one in _sets(spec):
                if one.sha256 in self._versions:
                    self._versions[one.sha256].runs.append(run_ids[spec.identity])
        for version in self._versions.values():
            self._try(partial(self._name_runs, version))

    def _try(self, work: Callable[[], None]) -> None:
        """Do ``work``; after a failure nothing more, so that a server without a registry is asked once."""
        if self.remark:
            return
        try:
            work()
        except Exception as error:  # a registry may be missing, foreign or closed to this user, and the runs stand
            reason = redacted(" ".join(str(error).split()))[:300].rstrip(".") or type(error).__name__
            self.remark = f"Prompt sets are not in MLflow's prompt registry: {reason}."

    def _open(self, spec: RunSpec, one: DatasetSpec) -> None:
        found = self._find(one)
        if not found:
            text = prompt_text(spec, one)
            if text is None:  # the files on disk are those of another set
                return
            self._make(one, text)
            found = self._find(one)
        first, *twins = found
        for twin in twins:  # two machines that publish to one server share no lock
            self._client.delete_prompt_version(one.name, str(twin.version))
        runs = [run for run in first.tags.get(_RUNS, "").split(",") if run]
        self._versions[one.sha256] = _Version(one.name, int(first.version), runs)

    def _find(self, one: DatasetSpec) -> list["ModelVersion"]:
        """The versions of a set, the oldest first."""
        query = f"name = '{one.name}' AND tags.`{IS_PROMPT_TAG_KEY}` = 'true' AND tags.`{DIGEST}` = '{one.sha256}'"
        return sorted(self._client.search_model_versions(query), key=lambda version: int(version.version))

    def _make(self, one: DatasetSpec, text: str) -> None:
        client, here = self._client, self._experiment
        prompt = client.get_prompt(one.name)
        if prompt is None:
            client.create_prompt(one.name, "The prompt sets of a probe, a version each.")
        known = prompt.tags.get(PROMPT_EXPERIMENT_IDS_TAG_KEY, "") if prompt else ""
        ids = [number for number in known.split(",") if number]
        if here not in ids:
            client.set_prompt_tag(one.name, PROMPT_EXPERIMENT_IDS_TAG_KEY, f",{','.join([*ids, here])},")
        about = f"{one.rows} prompts, prompt set {one.sha256}"
        client.create_prompt_version(one.name, text, description=about, tags={DIGEST: one.sha256})

    def _name_runs(self, version: _Version) -> None:
        runs = ",".join(list(dict.fromkeys(version.runs))[-_MOST:])
        held = self._client.get_prompt_version(version.name, version.number)
        if held is not None and held.tags.get(_RUNS, "") != runs:
            self._client.set_prompt_version_tag(version.name, version.number, _RUNS, runs)


def _sets(spec: RunSpec) -> tuple[DatasetSpec, ...]:
    """The prompt sets of a row; other runs have the set as a dataset alone."""
    return spec.datasets if spec.kind == "cell" else ()
