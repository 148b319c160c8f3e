"""Which of torch's attention kernels a transformer computes with."""

from typing import Any

from plantain.base.params import AttentionKernel


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
