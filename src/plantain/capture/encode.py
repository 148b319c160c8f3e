"""Prompt embeddings: every distinct prompt through the text encoder once, then from the store.

The encoding is the pipeline's own static method, so its values are the pipeline's. What the store keeps is the
embedding and where the real text stands in it, so that a later run needs neither encoder nor tokenizer.
"""

import copy
import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline

from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.capture.progress import Progress
from plantain.capture.shards import Store, Vanished
from plantain.capture.workers import is_small, share, worker_count
from plantain.model.load import load_text_encoder, load_tokenizer
from plantain.probe.tokens import counter, refuse_unusable
from plantain.records.keys import TEMPLATE_FLAGS, text_identity
from plantain.records.lock import Component, ModelLock

_WORTH_COLLECTING = 1 << 28
"""Bytes below which a full collection, half a second with torch imported, costs more than it frees."""

_TOGETHER = 16
"""Prompts that a small encoder takes at a time: its interpreter, not its arithmetic, sets the pace."""


@dataclass(frozen=True)
class Embedding:
    """One prompt as the transformer sees it."""

    values: torch.Tensor
    """(1, positions, channels), on the CPU."""
    text: tuple[int, int]
    """First and past-the-last position of the prompt itself; the others are padding."""

    def prepared(self, ready: Callable[[torch.Tensor], torch.Tensor]) -> "Embedding":
        """The same with its values put where a device takes them from."""
        return Embedding(ready(self.values), self.text)


class Embeddings:
    """Prompt embeddings, encoded once and then read from the store one at a time."""

    def __init__(self, lock: ModelLock, device: str, progress: Progress) -> None:
        """Open the store for a model. Nothing is loaded."""
        self._lock, self._device, self._progress = lock, device, progress
        self._store = Store("embeddings", progress.note)
        self._frame = text_identity(lock, device)
        self._recent = lru_cache(maxsize=4)(self._read)

    def drop_damaged(self, prompts: Iterable[str]) -> None:
        """Read every stored prompt, so that those that are damaged are missing from then on."""
        for prompt in set(prompts):
            self._store.read(self._key(prompt))

    def ensure(self, prompts: Iterable[str], *, trusted: bool = False) -> None:
        """Encode what is missing. The encoder is loaded only for that, and freed again.

        Args:
            prompts: what will be asked for.
            trusted: whether its file is enough for a stored prompt, which is checked where it is used; else each is
                read to see that it is whole.

        Raises:
            InputError: a prompt would be truncated, or holds text that the tokenizer maps to a special token.
        """
        wanted = sorted(set(prompts))
        if not trusted:
            self.drop_damaged(wanted)
        missing = [prompt for prompt in wanted if not self._store.holds(self._key(prompt))]
        if not missing:
            return
        tokenizer = load_tokenizer(self._lock)
        labels = {f"prompt {prompt!r}": prompt for prompt in missing}
        refuse_unusable(labels, counter(tokenizer), self._lock.max_sequence_length)
        self._progress.phase(f"{self._lock.name}: encode", len(missing), "prompts")
        workers = worker_count(self._lock.components["text_encoder"], self._device, len(missing))
        # A second round does alone, and with its own errors, what workers left.
        for count in dict.fromkeys((workers, 1)):
            left = [prompt for prompt in missing if not self._store.holds(self._key(prompt))]
            if left:
                share(left, count, partial(self._encode, tokenizer), self._progress)

    def _encode(self, tokenizer: Any, prompts: Sequence[str], progress: Progress) -> None:
        encoder = trunk(load_text_encoder(self._lock, self._device), self._lock)
        size = together(self._lock, self._device)
        for first in range(0, len(prompts), size):
            some = prompts[first : first + size]
            for prompt, embedding in zip(some, encode_batch(some, size, tokenizer, encoder, self._lock), strict=True):
                self._keep(prompt, embedding)
            progress.advance(len(some))
        del encoder
        release(self._device, self._lock.components["text_encoder"])

    def __call__(self, prompt: str) -> Embedding:
        """The embedding of a prompt that :meth:`ensure` has seen.

        Raises:
            Vanished: it was damaged or removed since; :meth:`ensure` encodes it again.
        """
        return self._recent(prompt)

    def _read(self, prompt: str) -> Embedding:
        entry = self._store.read(self._key(prompt))
        if entry is None:
            raise Vanished(f"the stored embedding of {prompt!r} vanished while it was needed. Fix: run again.")
        values = torch.from_numpy(entry["values"].copy()).view(getattr(torch, self._lock.dtype))
        first, last = entry["text"].tolist()
        return Embedding(values, (first, last))

    def _keep(self, prompt: str, embedding: Embedding) -> None:
        # Stored as bytes, since NumPy has no bfloat16.
        values = embedding.values.contiguous().view(torch.uint8).numpy()
        self._store.write(self._key(prompt), {"values": values, "text": np.array(embedding.text, dtype=np.int32)})

    def _key(self, prompt: str) -> str:
        return digest(self._frame | {"prompt": prompt})


def together(lock: ModelLock, device: str) -> int:
    """Prompts that a model's encoder takes at a time: several only where their values are those of single ones."""
    small = is_small(lock.components["text_encoder"], device)
    return _TOGETHER if small and lock.dtype == "float32" else 1


def encode(prompt: str, tokenizer: Any, encoder: Any, lock: ModelLock) -> Embedding:
    """One prompt through the encoder, just as the pipeline call does it."""
    return encode_batch([prompt], 1, tokenizer, encoder, lock)[0]


@torch.inference_mode()
def encode_batch(prompts: Sequence[str], size: int, tokenizer: Any, encoder: Any, lock: ModelLock) -> list[Embedding]:
    """Up to ``size`` prompts through the encoder at once.

    On a CPU in float32 the values are those of single ones bit for bit. A smaller batch is filled up all the same, so
    that on no machine a value can hang on which prompts were encoded before.
    """
    filled = [*prompts, *[prompts[-1]] * (size - len(prompts))]
    values = Flux2KleinPipeline._get_qwen3_prompt_embeds(
        text_encoder=encoder,
        tokenizer=tokenizer,
        prompt=filled,
        max_sequence_length=lock.max_sequence_length,
        hidden_states_layers=list(lock.text_encoder_out_layers),
    ).cpu()
    spans = [text_span(prompt, tokenizer, lock.max_sequence_length) for prompt in prompts]
    return [Embedding(values[row : row + 1], span) for row, span in enumerate(spans)]


def trunk(encoder: Any, lock: ModelLock) -> Any:
    """The part of a text encoder that the pipeline reads: no language-model head, no layer above the last one read.

    The values are the same: hidden state k is what enters layer k. The encoder itself is left as it is.
    """
    body = copy.copy(encoder.base_model)
    body.config = copy.deepcopy(body.config)
    body.config.num_hidden_layers = min(body.config.num_hidden_layers, max(lock.text_encoder_out_layers) + 1)
    return body


def text_span(prompt: str, tokenizer: Any, length: int) -> tuple[int, int]:
    """Where the prompt stands among ``length`` positions, as first and past-the-last.

    Raises:
        InputError: the tokenizer pads on both sides or inside.
    """
    text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, **TEMPLATE_FLAGS)
    mask = np.asarray(tokenizer(text, padding="max_length", truncation=True, max_length=length)["attention_mask"])
    real = np.flatnonzero(mask)
    first, last = (int(real[0]), int(real[-1]) + 1) if real.size else (0, 0)
    if last - first != real.size or (first > 0 and last < length):
        fix = "use the tokenizer that belongs to the pipeline."
        raise InputError("the tokenizer pads a prompt on both sides or in its middle.", fix=fix)
    return first, last


def release(device: str, component: Component) -> None:
    """Give back the memory of a component that was deleted, unless it is too small to matter."""
    if component.bytes < _WORTH_COLLECTING:
        return
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.startswith("mps"):
        torch.mps.empty_cache()
