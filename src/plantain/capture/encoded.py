"""Prompts as the pipelines of any row encode them: once each, by the pipeline's own method, then from the store.

Encoders are loaded for this alone and freed again, so that an encoder and a transformer need not fit side by side. What
the pipeline call would have encoded is then handed to it. Which positions hold text is seen from what the encoders were
given, or from the masks that they gave back.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.capture.encode import Embedding, release
from plantain.capture.progress import Progress
from plantain.capture.shards import Arrays, Store, Vanished
from plantain.model.architectures import Architecture, TextSpan, architecture_calling
from plantain.model.layout import part_role
from plantain.model.load import load_part, pipeline_of
from plantain.model.materialise import materialise
from plantain.model.opening import empty_part
from plantain.records.keys import text_identity
from plantain.records.lock import ModelLock

EncodedOutputs = tuple[Any, ...]
"""What ``encode_prompt`` of a pipeline gives: tensors, lists of tensors, None."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt as a pipeline hands it to its transformer, on the CPU."""

    outputs: EncodedOutputs
    text: Mask
    """Which of the transformer's text positions hold the prompt, (positions,)."""

    @property
    def values(self) -> torch.Tensor:
        """The embedding, (positions, channels)."""
        first = self.outputs[0]
        found: torch.Tensor = first[0]
        return found

    @property
    def embedding(self) -> Embedding:
        """The same where the transformer is called by itself: one tensor of text, in one span."""
        (span,) = runs_of(self.text)
        return Embedding(self.outputs[0], span)

    def prepared(self, ready: Callable[[torch.Tensor], torch.Tensor]) -> "EncodedPrompt":
        """The same with its tensors put where a device takes them from."""
        return EncodedPrompt(moved(self.outputs, ready), self.text)


def runs_of(mask: Mask) -> tuple[tuple[int, int], ...]:
    """First and past-the-last position of every run of True; one empty run where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    found = tuple((int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True))
    return found or ((0, 0),)


class EncodedPrompts:
    """Prompts of one model, encoded once and then read from the store."""

    def __init__(self, lock: ModelLock, device: str, progress: Progress) -> None:
        """Open the store for a model. Nothing is loaded."""
        self._lock, self._device, self._progress = lock, device, progress
        self._store = Store("embeddings", progress.note)
        self._frame = text_identity(lock, device)

    def drop_damaged(self, prompts: Iterable[str]) -> None:
        """As :meth:`plantain.capture.encode.Embeddings.drop_damaged`."""
        for prompt in set(prompts):
            self._store.read(self._key(prompt))

    def ensure(self, prompts: Iterable[str], *, trusted: bool = False) -> None:
        """Encode what is missing; as :meth:`plantain.capture.encode.Embeddings.ensure`.

        Raises:
            InputError: a prompt fills all positions, so that its end may be cut off, or holds a control token.
        """
        wanted = sorted(set(prompts))
        if not trusted:
            self.drop_damaged(wanted)
        missing = [prompt for prompt in wanted if not self._store.holds(self._key(prompt))]
        if not missing:
            return
        self._progress.phase(f"{self._lock.name}: encode", len(missing), "prompts")
        pipeline = encoding_pipeline(self._lock, self._device)
        for prompt in missing:
            self._store.write(self._key(prompt), _packed(encode_once(pipeline, self._lock, self._device, prompt)))
            self._progress.advance()
        parts = [name for name in self._lock.components if part_role(name) == "text_encoder"]
        del pipeline
        for name in parts:
            release(self._device, self._lock.components[name])

    def __call__(self, prompt: str) -> EncodedPrompt:
        """A prompt that :meth:`ensure` has seen.

        Raises:
            Vanished: it was damaged or removed since.
        """
        entry = self._store.read(self._key(prompt))
        if entry is None:
            raise Vanished(f"the stored embedding of {prompt!r} vanished while it was needed. Fix: run again.")
        return _unpacked(entry)

    def _key(self, prompt: str) -> str:
        return digest(self._frame | {"prompt": prompt})


def encoding_pipeline(lock: ModelLock, device: str) -> Any:
    """The pipeline with its encoders alone; of transformer and autoencoder it has what configurations say."""
    loaded = {
        name: load_part(lock, name, device)
        for name in lock.components
        if part_role(name) in ("text_encoder", "tokenizer", "processor", "scheduler")
    }
    folder = materialise(lock)
    empty = {name: empty_part(folder / name, lock.components[name].class_name) for name in ("transformer", "vae")}
    return pipeline_of(lock, loaded | empty)


@torch.inference_mode()
def encode_once(pipeline: Any, lock: ModelLock, device: str, prompt: str) -> EncodedPrompt:
    """One prompt by the pipeline's own ``encode_prompt``, asked as its call asks it where nothing guides.

    Raises:
        InputError: see :meth:`EncodedPrompts.ensure`.
    """
    row = architecture_calling(lock.pipeline)
    with _listening(pipeline, row) as heard:
        outputs = pipeline.encode_prompt(**_asked(pipeline, lock, row, device, prompt))
    outputs = tuple(outputs) if isinstance(outputs, tuple) else (outputs,)
    found = EncodedPrompt(_on_cpu(outputs), _text(row, outputs, heard, pipeline))
    _refuse_cut(prompt, found, heard, pipeline, lock)
    return found


def _asked(pipeline: Any, lock: ModelLock, row: Architecture, device: str, prompt: str) -> dict[str, Any]:
    wanted = inspect.signature(pipeline.encode_prompt).parameters
    usual = inspect.signature(pipeline.__call__).parameters
    asked = {name: usual[name].default if name in usual else None for name in wanted if _must(wanted[name], usual)}
    known: dict[str, Any] = {
        "prompt": prompt,
        "device": torch.device(device),
        "max_sequence_length": lock.max_sequence_length,
        "do_classifier_free_guidance": False,
        "text_encoder_out_layers": tuple(lock.text_encoder_out_layers),
    } | dict(row.call)
    return asked | {name: value for name, value in known.items() if name in wanted}


def _must(one: inspect.Parameter, usual: Mapping[str, inspect.Parameter]) -> bool:
    """Whether an argument is passed on: the call has its own default for it, or it has none at all."""
    own = one.kind is not one.VAR_KEYWORD and one.default is one.empty
    return own or one.name in usual


@dataclass(frozen=True)
class _Heard:
    """What one text encoder was given."""

    encoder: str
    ids: NDArray[np.int64]
    """(positions,)"""
    mask: Mask | None

    def real(self, tokenizer: Any) -> Mask:
        """Positions of the prompt: by the mask; without one, what is left of the padding before or behind it."""
        if self.mask is not None:
            return self.mask
        padded = self.ids == tokenizer.pad_token_id
        places = np.arange(len(self.ids))
        if padded[0]:
            return np.asarray(places >= int(np.argmin(padded)))
        # Where the end of the text pads too, the first of them is the end.
        end = int(tokenizer.pad_token_id == tokenizer.eos_token_id)
        return np.asarray(places < (int(np.argmax(padded)) + end if padded.any() else len(self.ids)))


@contextmanager
def _listening(pipeline: Any, row: Architecture) -> Iterator[list[_Heard]]:
    heard: list[_Heard] = []

    def listen(name: str) -> Any:
        def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            ids = args[0] if args else kwargs.get("input_ids")
            mask = kwargs.get("attention_mask")
            kept = None if mask is None else mask[0].cpu().numpy().astype(bool)
            if ids is not None:
                heard.append(_Heard(name, ids[0].cpu().numpy().astype(np.int64), kept))

        return hook

    handles = []
    try:
        for name in row.encoders:
            encoder = getattr(pipeline, name, None)
            if encoder is not None:
                handles.append(encoder.register_forward_pre_hook(listen(name), with_kwargs=True))
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _text(row: Architecture, outputs: EncodedOutputs, heard: Sequence[_Heard], pipeline: Any) -> Mask:
    positions = int(outputs[0][0].shape[0])
    if row.text is TextSpan.whole:
        return np.ones(positions, dtype=bool)
    if row.text is TextSpan.mask:
        return np.asarray(outputs[1][0].cpu().numpy().astype(bool))
    by_name = {one.encoder: one.real(_tokenizer(pipeline, one.encoder)) for one in heard}
    if row.text is TextSpan.encoder:
        return by_name[row.encoders[-1]]
    first, last = by_name[row.encoders[0]], by_name.get(row.encoders[-1])
    found = np.zeros(positions, dtype=bool)
    found[: len(first)] = first
    if last is not None:
        found[len(first) : len(first) + len(last)] = last
    return found


def _tokenizer(pipeline: Any, encoder: str) -> Any:
    found = getattr(pipeline, encoder.replace("text_encoder", "tokenizer"))
    return getattr(found, "tokenizer", found)  # a processor holds one


def _refuse_cut(prompt: str, found: EncodedPrompt, heard: Sequence[_Heard], pipeline: Any, lock: ModelLock) -> None:
    """Refuse a prompt that may have lost its end, or that says something else to the tokenizer than it reads."""
    row = architecture_calling(lock.pipeline)
    told = [heard[0]] if row.text is TextSpan.clip_t5 and heard else []
    full = found.text[len(told[0].ids) :] if told else found.text
    limit = lock.max_sequence_length
    over = int(full.sum()) >= limit or any(one.real(_tokenizer(pipeline, one.encoder)).all() for one in told)
    if over:
        fix = "shorten the prompt, or raise the model's max_sequence_length."
        raise InputError(
            f"prompt {prompt!r} fills all {limit} text positions, so that its end may be cut off.", fix=fix
        )
    for encoder in row.encoders:
        if getattr(pipeline, encoder, None) is not None:
            _refuse_control(prompt, _tokenizer(pipeline, encoder))


def _refuse_control(prompt: str, tokenizer: Any) -> None:
    control = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    held = [one for one in tokenizer(prompt, add_special_tokens=False)["input_ids"] if one in control]
    if held:
        name = tokenizer.convert_ids_to_tokens(held[0])
        raise InputError(f"prompt {prompt!r} holds the control token {name}.", fix="reword the prompt.")


def _on_cpu(value: Any) -> Any:
    return moved(value, torch.Tensor.cpu)


def moved(value: Any, move: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Tensors, and what holds them, each given to ``move``."""
    if isinstance(value, torch.Tensor):
        return move(value)
    return type(value)(moved(one, move) for one in value) if isinstance(value, list | tuple) else value


_LIST, _NOTHING = "list", "none"


def _packed(prompt: EncodedPrompt) -> dict[str, NDArray[Any]]:
    """Tensors as bytes, since NumPy has no bfloat16; their place, type and shape are their names."""
    found: dict[str, NDArray[Any]] = {"text": prompt.text}
    for place, value in enumerate(prompt.outputs):
        if isinstance(value, list):
            found[f"{place}|{_LIST}"] = np.zeros(len(value), dtype=np.uint8)
            found |= {_name(f"{place}.{at}", one): _bytes(one) for at, one in enumerate(value)}
        elif value is None:
            found[f"{place}|{_NOTHING}"] = np.zeros(0, dtype=np.uint8)
        else:
            found[_name(str(place), value)] = _bytes(value)
    return found


def _name(place: str, tensor: torch.Tensor) -> str:
    return f"{place}|{str(tensor.dtype).removeprefix('torch.')}|{'x'.join(map(str, tensor.shape))}"


def _bytes(tensor: torch.Tensor) -> NDArray[np.uint8]:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy()


def _unpacked(entry: Arrays) -> EncodedPrompt:
    tensors: dict[str, torch.Tensor] = {}
    lengths: dict[str, int | None] = {}
    for name, values in entry.items():
        place, _, kind = name.partition("|")
        if kind == _NOTHING:
            lengths[place] = None
        elif kind == _LIST:
            lengths[place] = len(values)
        elif kind:
            dtype, _, shape = kind.partition("|")
            sizes = [int(size) for size in shape.split("x") if size]
            tensors[place] = torch.from_numpy(values.copy()).view(getattr(torch, dtype)).reshape(sizes)
    return EncodedPrompt(tuple(_outputs(tensors, lengths)), np.asarray(entry["text"]).astype(bool))


def _outputs(tensors: Mapping[str, torch.Tensor], lengths: Mapping[str, int | None]) -> Iterator[Any]:
    places = {int(name) for name in lengths} | {int(name) for name in tensors if "." not in name}
    for place in sorted(places):
        key = str(place)
        if key in tensors:
            yield tensors[key]
        else:
            length = lengths[key]
            yield None if length is None else [tensors[f"{key}.{at}"] for at in range(length)]
