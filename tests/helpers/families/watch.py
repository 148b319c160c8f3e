"""Hooks of the tests' own on a plain pipeline call: what projections see, what the transformer gives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Edit = Callable[[str, Tensor], Tensor]
"""What a projection sees instead, from its name and what it would see."""


@dataclass
class Seen:
    """One or more forwards of a transformer."""

    inputs: dict[str, list[Tensor]] = field(default_factory=dict)
    """Projection to what it saw, (1, positions, channels) a forward."""
    arguments: list[dict[str, Any]] = field(default_factory=list)
    """What the transformer was called with."""
    outputs: list[Tensor] = field(default_factory=list)
    """What it gave: the prediction of its one step."""

    @property
    def velocity(self) -> Tensor:
        """What the one forward gave."""
        (found,) = self.outputs
        return found

    def only(self, name: str) -> Tensor:
        """What a projection saw in the one forward, (positions, channels)."""
        (found,) = self.inputs[name]
        assert found.shape[0] == 1, found.shape
        return found[0]


@contextmanager
def watching(
    transformer: Any, names: Sequence[str], edit: Edit | None = None, instead: Mapping[str, Any] | None = None
) -> Iterator[Seen]:
    """See every forward of a transformer, and change what its projections see.

    Args:
        transformer: of any family.
        names: its projections.
        edit: what they see instead.
        instead: arguments of the transformer, put in place of those that its pipeline gives.
    """
    seen = Seen()

    def see(name: str) -> Callable[..., Any]:
        def hook(_module: Any, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            seen.inputs.setdefault(name, []).append(arguments[0].detach().clone())
            return None if edit is None else (edit(name, arguments[0].clone()), *arguments[1:])

        return hook

    def called(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        seen.arguments.append({**dict(enumerate(arguments)), **named})
        return arguments, {**named, **(instead or {})}

    def given(_module: Any, _arguments: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple | list) else output.sample
        seen.outputs.append((torch.stack(first) if isinstance(first, list) else first).detach().clone())

    handles = [transformer.get_submodule(name).register_forward_pre_hook(see(name)) for name in names]
    handles.append(transformer.register_forward_pre_hook(called, with_kwargs=True))
    handles.append(transformer.register_forward_hook(given))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
