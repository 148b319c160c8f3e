"""How tensors get to a device and back: at once, or on CUDA without anybody waiting.

A copy from memory that is not pinned, and every copy to the host, waits until the device has done all that it was
given, which then idles while the next forward is prepared. So on CUDA what goes up is pinned first, and what comes down
is asked for once the next forward runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

Arriving = Callable[[], list[NDArray[Any]]]
"""Waits for what is on its way to the host, and gives it."""


class Carrier(Protocol):
    """Between the host and one device."""

    late: ClassVar[bool]
    """Whether results come later than the forward that gives them: then the next forward need not wait for them."""

    def ready(self, tensor: Tensor) -> Tensor:
        """A tensor of the host, put where :meth:`up` need not wait for it."""

    def up(self, tensor: Tensor) -> Tensor:
        """A tensor on the device."""

    def down(self, tensors: Sequence[Tensor]) -> Arriving:
        """Send tensors to the host."""


@dataclass(frozen=True)
class Waiting:
    """Every copy is finished before the next line."""

    device: torch.device
    late: ClassVar[bool] = False

    def ready(self, tensor: Tensor) -> Tensor:
        """As it is."""
        return tensor

    def up(self, tensor: Tensor) -> Tensor:
        """Copied, unless it is there."""
        return tensor.to(self.device)

    def down(self, tensors: Sequence[Tensor]) -> Arriving:
        """Copied, unless they are there."""
        found = [tensor.cpu().numpy() for tensor in tensors]
        return lambda: found


@dataclass(frozen=True)
class Streaming:
    """Copies are queued behind what the device computes: CUDA."""

    device: torch.device
    pin: Callable[[Tensor], Tensor] = Tensor.pin_memory
    event: Callable[[], Any] = torch.cuda.Event
    stream: Callable[[torch.device], Any] = torch.cuda.current_stream
    late: ClassVar[bool] = True

    def ready(self, tensor: Tensor) -> Tensor:
        """Pinned; torch gives the memory back only after the copies out of it."""
        return self.pin(tensor) if tensor.device.type == "cpu" else tensor

    def up(self, tensor: Tensor) -> Tensor:
        """Pinned, then queued."""
        return self.ready(tensor).to(self.device, non_blocking=True)

    def down(self, tensors: Sequence[Tensor]) -> Arriving:
        """Queued into memory that torch pins, with a mark behind it."""
        found = [tensor.to("cpu", non_blocking=True) for tensor in tensors]
        mark = self.event()
        mark.record(self.stream(self.device))

        def arrive() -> list[NDArray[Any]]:
            mark.synchronize()
            return [tensor.numpy() for tensor in found]

        return arrive


@lru_cache(maxsize=8)
def carrier_for(device: torch.device) -> Carrier:
    """How tensors travel to and from a device."""
    return Streaming(device) if device.type == "cuda" else Waiting(device)
