"""Texts that a tokenizer tells apart and a person cannot: odd spaces, letters of another alphabet, spaces in a row.

Of the alphabets that share shapes with Latin, Cyrillic and Greek are those that people type by accident; their letters
are listed here by name, which keeps a table of ten thousand pairs (Unicode's confusables) out of the dependencies.
"""

import re
import unicodedata
from collections import Counter
from typing import Final

_ALPHABETS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
"""Alphabets whose letters are not mixed within a word."""

_TWINS: Final = {
    "CYRILLIC SMALL LETTER": {
        "a": "A", "e": "IE", "o": "O", "p": "ER", "c": "ES", "y": "U", "x": "HA", "j": "JE", "s": "DZE", "h": "SHHA",
        "i": "BYELORUSSIAN-UKRAINIAN I", "d": "KOMI DE", "q": "QA", "w": "WE", "l": "PALOCHKA",
    },
    "CYRILLIC CAPITAL LETTER": {
        "A": "A", "B": "VE", "E": "IE", "K": "KA", "M": "EM", "H": "EN", "O": "O", "P": "ER", "C": "ES", "T": "TE",
        "Y": "U", "X": "HA", "J": "JE", "S": "DZE", "I": "BYELORUSSIAN-UKRAINIAN I", "Q": "QA", "W": "WE",
    },
    "GREEK SMALL LETTER": {
        "a": "ALPHA", "i": "IOTA", "k": "KAPPA", "o": "OMICRON", "p": "RHO", "u": "UPSILON", "v": "NU", "x": "CHI",
    },
    "GREEK CAPITAL LETTER": {
        "A": "ALPHA", "B": "BETA", "E": "EPSILON", "H": "ETA", "I": "IOTA", "K": "KAPPA", "M": "MU", "N": "NU",
        "O": "OMICRON", "P": "RHO", "T": "TAU", "X": "CHI", "Y": "UPSILON", "Z": "ZETA",
    },
}  # fmt: skip
"""Latin letters, and what the letter of the same shape is called."""

_TWIN: Final = {
    ord(unicodedata.lookup(f"{alphabet} {name}")): latin
    for alphabet, letters in _TWINS.items()
    for latin, name in letters.items()
}
_UNSEEN: Final = dict.fromkeys([0x200C, 0x200D, *range(0xFE00, 0xFE10)])
_HYPHENS: Final = dict.fromkeys([0x2010, 0x2011], "-")
_WORD: Final = re.compile(r"[^\W\d_]+")
_GAP: Final = re.compile(r"[^\S\n]{2,}")


def character_name(character: str) -> str:
    """``U+00A0 NO-BREAK SPACE``."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def skeleton(text: str) -> str:
    """What a person sees of ``text``: two texts of one skeleton look the same."""
    shown = unicodedata.normalize("NFKC", text.translate(_UNSEEN)).translate(_HYPHENS).translate(_TWIN)
    return " ".join(shown.split())


def told_apart(a: str, b: str) -> str:
    """By which characters two texts of one skeleton differ, in words."""
    names = [character_name(one) for one in sorted(set(a) ^ set(b))]
    if names:
        return ", ".join(names)
    gap = Counter(a)[" "] != Counter(b)[" "]
    return "how many U+0020 SPACE stand in a row" if gap else f"the places of {', '.join(oddities(a)) or 'spaces'}"


def oddities(text: str) -> tuple[str, ...]:
    """What of ``text`` does not look like what it is, in words, each once."""
    if text.isascii() and "  " not in text:
        return ()
    odd = dict.fromkeys(character_name(one) for one in text if _disguised(one))
    odd |= dict.fromkeys(f"{character_name(one)} in '{word}'" for word in _WORD.findall(text) for one in _foreign(word))
    if _GAP.search(text):
        odd["two spaces in a row"] = None
    return tuple(odd)


def _disguised(character: str) -> bool:
    """Spaces that are not the space, letters that are another letter in a costume, and what a lost character left."""
    if character.isascii():
        return False
    kind = unicodedata.category(character)
    plain = kind[0] == "L" and unicodedata.normalize("NFKC", character).isascii()
    return kind == "Zs" or plain or character == "\N{REPLACEMENT CHARACTER}"


def _foreign(word: str) -> list[str]:
    """The letters of ``word`` that are not of the alphabet of most of its letters; none where there is just one."""
    if word.isascii():
        return []
    found = {letter: alphabet for letter in word if (alphabet := _alphabet(letter))}
    counts = Counter(found[letter] for letter in word if letter in found)
    if len(counts) < 2:
        return []
    # Of equally many, Latin is what was meant: the first of _ALPHABETS.
    home = max(counts, key=lambda alphabet: (counts[alphabet], -_ALPHABETS.index(alphabet)))
    return [letter for letter, alphabet in found.items() if alphabet != home]


def _alphabet(letter: str) -> str:
    first = unicodedata.name(letter, "").split(" ")[0]
    return first if first in _ALPHABETS else ""
