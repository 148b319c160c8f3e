"""A number as somebody typed it, which stands for everything that is printed like that: 0.94, 94%, 12,091, 63/75."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final, Protocol

from plantain.base.errors import InputError
from plantain.base.files import six_digits

_DIGITS = r"(?:\d{1,3}(?:[,_]\d{3})+|\d+)"
_NUMBER: Final = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_SHARE: Final = re.compile(rf"({_DIGITS})\s*(?:/|\bof\b)\s*({_DIGITS})", re.IGNORECASE)
_LONGEST, _FARTHEST = 30, 60
"""Digits of a number, and the largest exponent; no metric needs as many."""
_EXACT: Final = Context(prec=500)
"""Enough for any float and any step."""
FIX: Final = "write a number such as 0.94, 12091, 94% or 63/75, with a point before the decimals."
_HEADS: Final = ("null_p99_", "template_count")


class Reported(Protocol):
    """What is compared with a typed number."""

    @property
    def metric(self) -> str:
        """Its name."""
        ...

    @property
    def value(self) -> float:
        """The number itself."""
        ...

    @property
    def of(self) -> float | None:
        """``alive_units`` of the same analysis, where that is given."""
        ...


@dataclass(frozen=True)
class TypedNumber:
    """One number, at the precision at which it was typed."""

    text: str
    value: Decimal
    step: Decimal | None = None
    """The place of the last digit; None for a whole number, which stands for itself alone."""
    percent: bool = False
    of: Decimal | None = None
    """What it is a part of, in a fraction."""

    def matches(self, number: Reported) -> bool:
        """Whether ``number``, printed like this one, reads the same."""
        if self.of is not None:
            return self._is_part(number)
        return (not self.percent or is_proportion(number.metric)) and self._reads(number.value)

    def rounds_to(self, number: Reported) -> bool:
        """Whether this is a whole number that ``number``, which has decimals, would be rounded to."""
        plain = self.step is None and self.of is None
        return plain and not number.value.is_integer() and rounded(number.value, Decimal(1)) == self.value

    def distance(self, number: Reported) -> float | None:
        """How far ``number`` is off; None where it is of another kind than this one."""
        if self.of is not None:
            if is_count(number.metric) and number.of == self.of:
                return abs(number.value - float(self.value)) / float(self.of)
            share = float(self.value / self.of)
            return 1 + abs(number.value - share) if number.metric.endswith("_fraction") else None
        if self.percent and not is_proportion(number.metric):
            return None
        return abs(number.value - float(self.value))

    def _reads(self, value: float) -> bool:
        return (exact(value) if self.step is None else rounded(value, self.step)) == self.value

    def _is_part(self, number: Reported) -> bool:
        assert self.of is not None
        if number.metric.endswith("_fraction"):
            return six_digits(float(self.value / self.of)) == six_digits(number.value)
        return is_count(number.metric) and number.of == self.of and exact(number.value) == self.value


_SHARES: Final = ("p", "sufficiency", "necessity", "redundancy", "random", "into_a", "into_b", "mediation")
"""Last parts of the names of numbers of swapped heads that are probabilities, or shares of a change."""


def exact(value: float) -> Decimal:
    """A float as its shortest decimal, which is how files hold it."""
    return Decimal(repr(float(value)))


def rounded(value: float, step: Decimal) -> Decimal:
    """``value`` to a multiple of ``step``, a half away from zero, as people round."""
    return exact(value).quantize(step, ROUND_HALF_UP, _EXACT)


def is_proportion(metric: str) -> bool:
    """Whether a metric lies between 0 and 1 as a share or a probability, so that it may be said in per cent."""
    part = metric.rpartition(".")[2]
    share = "." in metric and (part in _SHARES or part.startswith("at_"))
    return share or metric.endswith(("_fraction", "_p")) or metric.startswith(("count_p_", "p_holm"))


def is_count(metric: str) -> bool:
    """Whether a metric counts units."""
    if metric.endswith(("_fraction", "_p")):
        return False
    return "heads" in metric or metric.startswith(_HEADS)


def as_typed(text: str) -> TypedNumber:
    """Read what a person typed: a number, a percentage, or a fraction.

    Raises:
        InputError: it is none of these.
    """
    plain = " ".join(text.replace("\N{MINUS SIGN}", "-").split())
    share = _SHARE.fullmatch(plain)
    if share:
        return _fraction(text, *share.groups())
    percent = plain.endswith("%")
    plain = plain.removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(plain):
        raise InputError(f"'{text}' is not a number.", fix=FIX)
    value = _decimal(text, plain)
    step = Decimal(1).scaleb(int(value.as_tuple().exponent))
    if percent:
        return TypedNumber(text, value / 100, step / 100, percent=True)
    whole = "." not in plain and "e" not in plain.lower()
    return TypedNumber(text, value, None if whole else step)


def _fraction(text: str, part: str, whole: str) -> TypedNumber:
    value, of = _decimal(text, part), _decimal(text, whole)
    if not of:
        raise InputError(f"'{text}' is not a number: it divides by nothing.", fix=FIX)
    return TypedNumber(text, value, of=of)


def _decimal(text: str, digits: str) -> Decimal:
    value = Decimal(re.sub("[,_]", "", digits))
    if len(value.as_tuple().digits) > _LONGEST or abs(value.adjusted()) > _FARTHEST or len(digits) > 2 * _LONGEST:
        raise InputError(f"'{text[:40]}' has more digits than any number here.", fix=FIX)
    return value
