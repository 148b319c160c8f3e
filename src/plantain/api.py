"""Results in Python: ``plantain.load("otherview@tiny")`` and ``plantain.results()``, from any folder of a workspace."""

import tempfile
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.base import places
from plantain.base.errors import InputError
from plantain.records.activations import Activations, read_activations
from plantain.records.units import read_units
from plantain.records.verdict import Climb
from plantain.report.result import Analysis, Result
from plantain.report.vectors import vector_analyses
from plantain.report.words import claim
from plantain.track.address import Address, parse
from plantain.track.reopen import bring, open_result, reader_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class NamedArray:
    """An array whose axes have names, and whose positions have labels."""

    values: NDArray[Any]
    axes: Mapping[str, tuple[Hashable, ...]]
    """Name to labels of every axis, in the order of the array's axes."""

    def select(self, **labels: Hashable) -> "NamedArray":
        """The part at one label of each named axis; those axes are gone: ``select(item="cat", tokens="noise")``.

        Raises:
            InputError: there is no such axis, or no such label on it.
        """
        for name, label in labels.items():
            known = self.axes.get(name)
            if known is None:
                raise InputError(f"there is no axis '{name}'.", fix=f"use one of: {', '.join(self.axes)}.")
            if label not in known:
                shown = ", ".join(map(repr, known[:12])) + (", …" if len(known) > 12 else "")
                raise InputError(f"the axis '{name}' has no label {label!r}.", fix=f"use one of: {shown}.")
        index = tuple(self.axes[name].index(labels[name]) if name in labels else slice(None) for name in self.axes)
        return NamedArray(self.values[index], {name: known for name, known in self.axes.items() if name not in labels})

    @property
    def shape(self) -> dict[str, int]:
        """Name to length of every axis."""
        return {name: len(labels) for name, labels in self.axes.items()}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"NamedArray({', '.join(f'{name}: {size}' for name, size in self.shape.items())})"


@dataclass(frozen=True)
class Loaded:
    """One result: a probe on a model, in the workspace or at a revision. Files are read when they are asked for."""

    address: str
    """The address that it was loaded by."""
    result: Result = field(repr=False)
    """What reports are made from."""
    workspace: Path
    _folder: "tempfile.TemporaryDirectory[str] | None" = field(default=None, repr=False)
    """Where files of a revision lie, for as long as this result is held."""

    @property
    def verdict(self) -> Climb | None:
        """How far the contrast that stands first got up the ladder of claims; None where it was not climbed.

        Its sentence and its metrics (``p_holm``) say too what becomes of the claim among all probes of the run.
        """
        found = self.result.standing
        told = {"sentence": claim(self.result), "metrics": self.result.numbers}
        return found.model_copy(update=told) if found else None

    @property
    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """Every number: ``metrics[contrast][analysis][name]``. A metric without a value is absent.

        Beside the analyses stand vector measures, such as ``direction``, where the capture kept what they need.
        """
        found: dict[str, dict[str, dict[str, float]]] = {}
        for analysis in self.result.analyses():
            found.setdefault(analysis.contrast, {})[analysis.name] = analysis.metrics
        for contrast, analyses in found.items():
            analyses |= {one.measure.value: one.metrics for one in vector_analyses(self.result, contrast)}
        return found

    def units(self, contrast: str | None = None, analysis: str | None = None) -> pl.DataFrame:
        """A row a unit (a head, or a 16-channel group): its place in the model and its statistics.

        Args:
            contrast: Its name; None: the one that stands first.
            analysis: Its name, or a vector measure: ``direction``, ``profile``, ``text_direction``; None: ``heads``.

        Raises:
            InputError: there is no such contrast or analysis; names those that are there.
        """
        first = self.result.contrast(contrast) if contrast else self.result.main
        vectors = {one.measure.value: one for one in vector_analyses(self.result, first.contrast)}
        return vectors[analysis].table if analysis in vectors else self._analysis(contrast, analysis, vectors).table

    def heatmap(self, contrast: str | None = None, analysis: str | None = None) -> "Figure":
        """The t of every unit, blocks down and units across, as in reports; arguments as of :meth:`units`."""
        from plantain.report.figures.heatmaps import hero
        from plantain.report.figures.style import plantain_style

        with plantain_style():
            return hero(self.result, self._analysis(contrast, analysis))

    @property
    def prompts(self) -> pl.DataFrame:
        """A row a (item, condition): the prompt as it was run, its references, its digest, the item's fields."""
        return self.result.records

    @property
    def activations(self) -> NamedArray:
        """Mean of x² over a token set and a group's channels, by draw, item, condition, reference, seed, tokens, group.

        NaN where a token set is empty, or not seen by the group's projection.
        """
        held = self._activations
        groups = tuple(range(held.mean_square.shape[-1]))
        axes: dict[str, tuple[Hashable, ...]] = {"draw": held.draws, "item": held.items, "condition": held.conditions}
        axes |= {"reference": held.references, "seed": held.seeds, "tokens": held.tokens, "group": groups}
        return NamedArray(held.mean_square, axes)

    @property
    def token_count(self) -> NamedArray:
        """Positions in each token set, by item, condition, reference, tokens: the weights by which mean squares add."""
        held = self._activations
        axes = {"item": held.items, "condition": held.conditions, "reference": held.references, "tokens": held.tokens}
        return NamedArray(held.token_count, axes)

    @cached_property
    def groups(self) -> pl.DataFrame:
        """A row a group, in the order of the axis ``group``: its block, stream, part, head and channels."""
        return read_units(self._file(places.units(self.result.model)))

    @cached_property
    def _activations(self) -> Activations:
        return read_activations(self._file(places.activations(self.result.model, self.result.probe)))

    def _analysis(self, contrast: str | None, analysis: str | None, others: Iterable[str] = ()) -> Analysis:
        """The analysis of that name; where there is none, ``others`` are named beside those that are there."""
        first = self.result.contrast(contrast) if contrast else self.result.main
        found = self.result.analysis(first.contrast, analysis) if analysis else first
        if found is None:
            known = ", ".join([*self.result.summary.contrasts[first.contrast], *others])
            problem = f"the contrast '{first.contrast}' of {self.address} has no analysis '{analysis}'."
            raise InputError(problem, fix=f"use one of: {known}.")
        return found

    def _file(self, path: Path) -> Path:
        """Where ``path`` of the workspace lies; of a revision, large files are brought when they are asked for."""
        rev = self.result.rev
        if rev and not (self.result.root / path).exists():
            bring(reader_of(self.workspace, rev), [path.as_posix()], self.result.root)
        return self.result.root / path


def load(address: str, root: str | Path | None = None) -> Loaded:
    """Open a result.

    Args:
        address: ``PROBE@MODEL``, with ``@REV`` for a revision of git and ``:CONTRAST`` for another contrast first.
        root: A folder in the workspace; None: the working folder.

    Raises:
        InputError: the folder is in no workspace, or nothing is there; names the fix.
    """
    workspace, wanted = _workspace(root), parse(address)
    if not isinstance(wanted, Address):
        raise InputError(f"'{address}' is a run of MLflow.", fix="give PROBE@MODEL; its tags name both.")
    folder = tempfile.TemporaryDirectory(prefix="plantain-") if wanted.rev else None
    result = open_result(workspace, wanted, Path(folder.name) if folder else workspace)
    return Loaded(address, result, workspace, folder)


def results(root: str | Path | None = None) -> list[str]:
    """The address of every result that the workspace holds, sorted; ``root`` as of :func:`load`.

    Raises:
        InputError: the folder is in no workspace.
    """
    found = _workspace(root).glob("data/stats/*/*/summary.json")
    return sorted(f"{path.parent.name}@{path.parent.parent.name}" for path in found)


def _workspace(root: str | Path | None) -> Path:
    return places.expect_workspace(Path(root or ".").absolute())
