"""Which of torch's attention kernels a transformer computes with: as declared, or the fastest of a CUDA device.

Torch's own choice is not always the fastest, and which one is depends on device, version and shape. So it is measured
where it is asked for, on the shape of the longest pass, and remembered, so that a resumed capture finds its shards.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from plantain.base.files import digest, readable_json, remembered, write_atomic
from plantain.base.params import AttentionKernel, CaptureParams, CapturePath
from plantain.base.places import state_dir
from plantain.records.keys import path_of
from plantain.records.lock import ModelLock

_TRIED: Final = (AttentionKernel.native, AttentionKernel.cudnn, AttentionKernel.flash)
_GAIN: Final = 0.97
"""Share of the time of torch's own choice from which on another kernel is taken: less is noise."""
_CLOSE: Final = 4.0
"""Roundings of the dtype, at the largest value, by which kernels may differ."""
_TIMED: Final = 5
"""Runs that are timed, after two that are not."""

Attend = Callable[[AttentionKernel], Tensor]
Timed = Callable[[Callable[[], Tensor]], float]


@dataclass(frozen=True)
class KernelChoice:
    """What a choice that was left open came to."""

    kernel: AttentionKernel | None = None
    """None where nothing was left open, or nothing could be measured."""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    """Of one attention over all positions, by the kernels that are there."""

    def applied(self, params: CaptureParams) -> CaptureParams:
        """The parameters with the choice made."""
        open_still = params.attention is AttentionKernel.auto
        return params.model_copy(update={"attention": self.kernel or AttentionKernel.native}) if open_still else params

    @property
    def notes(self) -> dict[str, Any]:
        """What a receipt says of it."""
        if self.kernel is None:
            return {}
        return {"attention": {"kernel": str(self.kernel), "milliseconds": dict(self.milliseconds)}}


def chosen_kernel(lock: ModelLock, params: CaptureParams, positions: int, device: str) -> KernelChoice:
    """The kernel of a capture whose longest pass has so many positions; measured once a device, version and shape."""
    there = device.startswith("cuda") and torch.cuda.is_available()
    open_still = params.attention is AttentionKernel.auto and path_of(lock, params) is CapturePath.fast
    if not (there and open_still):
        return KernelChoice()
    shape = (1, positions, lock.geometry.heads, lock.geometry.head_width)
    key = digest([torch.cuda.get_device_name(device), torch.__version__, lock.dtype, *shape])
    known = remembered(state_dir() / "kernels.json")
    with suppress(KeyError, TypeError, ValueError):  # what is torn is measured again
        return KernelChoice(AttentionKernel(known[key]["kernel"]), dict(known[key]["milliseconds"]))
    found = measured_kernel(attention_on(shape, getattr(torch, lock.dtype), device), device_milliseconds)
    entry = {"kernel": str(found.kernel), "milliseconds": dict(found.milliseconds)}
    write_atomic(state_dir() / "kernels.json", readable_json(known | {key: entry}))
    return found


def measured_kernel(attend: Attend, timed: Timed) -> KernelChoice:
    """The fastest kernel that gives what torch's own choice does; that choice where none is faster by 3%.

    Args:
        attend: attention by a kernel; fails where it is not there.
        timed: milliseconds of a call.
    """
    expected: Tensor | None = None
    times: dict[AttentionKernel, float] = {}
    for kernel in _TRIED:
        try:
            found = attend(kernel)
            expected = found if expected is None else expected
            if _agree(found, expected):
                times[kernel] = timed(lambda kernel=kernel: attend(kernel))  # type: ignore[misc]
        except (RuntimeError, ValueError):
            if kernel is AttentionKernel.native:
                return KernelChoice(AttentionKernel.native)
    best = min(times, key=times.__getitem__)
    own = times[AttentionKernel.native]
    kernel = best if times[best] < _GAIN * own else AttentionKernel.native
    return KernelChoice(kernel, {str(name): round(time, 3) for name, time in times.items()})


def _agree(found: Tensor, expected: Tensor) -> bool:
    allowed = _CLOSE * torch.finfo(expected.dtype).eps * float(expected.abs().max())
    return bool((found.float() - expected.float()).abs().max() <= allowed)


def attention_on(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> Attend:
    """Attention by the functions of diffusers that a transformer calls, over random (1, positions, heads, width)."""
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    made = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(shape, generator=made).to(device=device, dtype=dtype) for _ in range(3))

    @torch.inference_mode()
    def attend(kernel: AttentionKernel) -> Tensor:
        name = "native" if kernel is AttentionKernel.native else f"_native_{kernel}"
        found: Tensor = dispatch_attention_fn(query, key, value, backend=AttentionBackendName(name))
        return found

    return attend


def device_milliseconds(run: Callable[[], Tensor]) -> float:
    """Milliseconds of a call on the CUDA device, the mean of several."""
    for _ in range(2):
        run()
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    first.record()
    for _ in range(_TIMED):
        run()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) / _TIMED


def use_kernel(transformer: Any, kernel: AttentionKernel) -> None:
    """Let the transformer compute its attention by another kernel of torch than torch's own choice.

    diffusers makes it the choice of every model of the process too, which is put back.
    """
    if kernel in (AttentionKernel.native, AttentionKernel.auto):
        return
    from diffusers.models.attention_dispatch import attention_backend

    with attention_backend():
        transformer.set_attention_backend(f"_native_{kernel}")


def is_missing_kernel(error: BaseException) -> bool:
    """Whether torch has no attention kernel of the wanted kind for these tensors."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("no available kernel" in text or "no viable backend" in text)
