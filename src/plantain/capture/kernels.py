"""How the transformer computes: which of torch's attention kernels, and whether its blocks are compiled.

Both change the last bits of a result, so both are in the keys. The plain way, which is the default, is the only one
whose values are those of the plain pipeline call bit for bit.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from plantain.capture.hooks import Capture, Layout, Taps, reducing
from plantain.config import AttentionKernel, CaptureParams
from plantain.model.geometry import projections

Watch = Callable[[Layout], AbstractContextManager[Capture]]


def watcher(transformer: Any, params: CaptureParams) -> Watch:
    """Set the transformer up as ``params`` say; a context manager that sees one forward of it."""
    if params.attention is not AttentionKernel.native:
        transformer.set_attention_backend(f"_native_{params.attention}")
    hooked = projections(transformer)
    if not params.compile:
        return partial(_alone, hooked, params.group_width)
    taps = Taps(hooked, params.group_width, compiled=True)
    transformer.compile_repeated_blocks()
    return partial(taps.watch, stop=True)


def is_missing_kernel(error: BaseException) -> bool:
    """Whether torch has no attention kernel of the wanted kind for these tensors."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("no available kernel" in text or "no viable backend" in text)


def _alone(hooked: Any, group_width: int, layout: Layout) -> AbstractContextManager[Capture]:
    return reducing(hooked, layout, group_width, stop=True)
