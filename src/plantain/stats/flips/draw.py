"""Which signs are flipped: sets of sign flips that hold the identity first."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.stats.validate import Floats

Words = NDArray[np.uint64]

STORED_FLIPS = 1_000_000
"""Beyond this many flips counts are kept as a histogram."""
DRAWN_BYTES = 16 * 1024 * 1024
"""What the codes of drawn flips may take."""
SIGNS = 1 << 18
"""Signs that are held at once, 2 MiB of them."""
WORD = 64


@dataclass(frozen=True)
class FlipSet:
    """Flips as bits; row 0 is the identity."""

    blocks: int
    """Blocks that a flip may negate, each as a whole."""
    codes: Words
    """``(flips, words)``: bit j of a row is set where block j is negated."""
    exact: bool
    """Every flip of the space is here once."""
    space: int
    """Distinct flips: up to a global sign where the sign does not matter."""

    def __len__(self) -> int:
        return int(self.codes.shape[0])

    def bits(self, start: int = 0, stop: int | None = None) -> NDArray[np.uint8]:
        """Rows as 0 and 1, ``(rows, blocks)``."""
        rows = np.ascontiguousarray(self.codes[start:stop]).astype("<u8").view(np.uint8)
        return np.unpackbits(rows, axis=1, count=self.blocks, bitorder="little")

    def signs(self, start: int = 0, stop: int | None = None) -> Floats:
        """Rows as +1 and -1, ``(rows, blocks)``."""
        found = self.bits(start, stop).astype(np.float64)
        found *= -2.0
        found += 1.0
        return found

    def sums(self, addends: Floats, start: int, stop: int) -> Floats:
        """What rows make of addends ``(blocks, units)``: ``signs(start, stop) @ addends``, few signs at a time.

        Addends are whole numbers in float64, whose sums are exact: how many are taken at a time changes nothing.
        """
        last, size = min(stop, len(self)), max(1, SIGNS // self.blocks)
        found = np.empty((last - start, addends.shape[1]))
        for at in range(start, last, size):
            end = min(at + size, last)
            np.matmul(self.signs(at, end), addends, out=found[at - start : end - start])
        return found

    def chosen(self, rows: NDArray[np.int64]) -> "FlipSet":
        """Some of the rows, in their order."""
        return replace(self, codes=self.codes[rows], exact=False)


def spelled(count: int) -> str:
    """A number of flips in digits, or as a power of 2 where it is one beyond 64 bits."""
    bits = count.bit_length() - 1
    return f"2^{bits}" if bits >= WORD and count == 1 << bits else str(count)


def drawn_bytes(blocks: int, flips: int) -> int:
    """What the codes of drawn flips take; more than `DRAWN_BYTES` is refused."""
    return flips * -(-blocks // WORD) * 8


def random_stream(seed: int, purpose: int) -> np.random.Philox:
    """Random bits for one purpose of one seed; raw Philox words are the same on every platform and NumPy version.

    Raises:
        InputError: The seed is negative.
    """
    if seed < 0:
        raise InputError(f"Seed {seed} is negative.", fix="Use 0 or more.", field="seed")
    return np.random.Philox(np.random.SeedSequence([seed, purpose]))


def draw_flips(blocks: int, flips: int, *, folded: bool = True, unique: bool = True, seed: int = 0) -> FlipSet:
    """The identity and other flips, all of them where there are few enough.

    Args:
        blocks: How many signs there are.
        flips: How many flips are wanted, the identity counted.
        folded: A flip and its negative count as one (two-sided tests): the last block keeps its sign.
        unique: No flip twice, and enumeration where 2^(blocks - 1) <= flips. Otherwise the published protocol: each
            block's sign drawn anew for every flip after the identity, repetitions allowed.
        seed: Seed of the draws.

    Raises:
        InputError: Fewer than one flip, or more than can be stored.
    """
    if flips < 1:
        raise InputError(f"{flips} flips leave no room for the identity.", fix="Ask for at least 1.", field="flips")
    free = blocks - 1 if folded else blocks
    if unique and 1 << (blocks - 1) <= flips:
        codes = np.arange(1 << free, dtype=np.uint64)[:, None]
        return FlipSet(blocks, codes, exact=True, space=1 << free)
    words = -(-blocks // WORD)
    if drawn_bytes(blocks, flips) > DRAWN_BYTES:
        raise InputError(
            f"{flips} drawn flips of {blocks} blocks need more than {DRAWN_BYTES >> 20} MiB.",
            fix=f'Ask for at most {DRAWN_BYTES // (8 * words)}, or for flips="exact".',
            field="flips",
        )
    stream = random_stream(seed, 1)
    drawn = _distinct(stream, flips - 1, free, words) if unique else _masked(stream, flips - 1, blocks, words)
    identity = np.zeros((1, words), dtype=np.uint64)
    return FlipSet(blocks, np.concatenate([identity, drawn]), exact=False, space=1 << free)


def _masked(stream: np.random.Philox, count: int, free: int, words: int) -> Words:
    raw = stream.random_raw(count * words).reshape(count, words)
    mask = np.array([(1 << min(max(free - WORD * word, 0), WORD)) - 1 for word in range(words)], dtype=np.uint64)
    masked: Words = raw & mask
    return masked


def _distinct(stream: np.random.Philox, count: int, free: int, words: int) -> Words:
    """The first `count` codes of the stream that are new and not the identity."""
    kept = np.zeros((1, words), dtype=np.uint64)
    while len(kept) <= count:
        fresh = _masked(stream, count + 16, free, words)
        kept = _first_seen(np.concatenate([kept, fresh]))
    return kept[1 : count + 1]


def _first_seen(codes: Words) -> Words:
    keys = codes[:, 0] if codes.shape[1] == 1 else codes.view([("", np.uint64)] * codes.shape[1])[:, 0]
    _, first = np.unique(keys, return_index=True)
    first.sort()
    return codes[first]
