"""Attribution models: how the touches of a user's path share an event, in weights that sum to exactly one.

The models share out the *same* credited events. Last touch, the system's own, decides whether an event is attributed
(R1); the others tell the share of each touch that led to it, so the sums of all models are equal.

Pure, and without floats: a weight is a whole number of units of which a model says how many make an event. Times are
milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

from chalicelib.attribution.touches import Touch
from chalicelib.times import DAY_MS

Model = Literal["last_touch", "first_touch", "linear", "position_based", "time_decay"]
MODELS: tuple[Model, ...] = get_args(Model)

LONGEST_PATH = 500
"""Touches of one event's path; of more the newest count. A person has a few dozen, only a machine has more."""

DEFAULT_HALF_LIFE_MS = 7 * DAY_MS
SHORTEST_HALF_LIFE_MS = DAY_MS // 24
LONGEST_HALF_LIFE_MS = 90 * DAY_MS

DECAY_UNITS = 10**12
"""Units of an event in time decay: its weights are irrational, so they are rounded to these."""

_FINE_BITS = 128
_EXACT = Context(prec=60)
_LN2 = _EXACT.ln(Decimal(2))


class Weights(NamedTuple):
    """Of one event: ``parts`` in the order of the path, together exactly ``whole``."""

    whole: int
    parts: tuple[int, ...]

    @property
    def fractions(self) -> list[Fraction]:
        """What part of the event each touch has."""
        return [Fraction(part, self.whole) for part in self.parts]


def path_of(touches: Iterable[Touch], decider: Touch, time: int) -> list[Touch]:
    """The touches that share an event at ``time`` which ``decider`` has the credit for, oldest first.

    Those of the user up to the decider (R4's order) whose own window still covers the event. Touches of one journey
    after one another are each a position of their own. The decider is always the last, whatever ``touches`` holds.
    """
    before = {one.order: one for one in touches if one.covers(time) and one.order < decider.order}
    return [*(before[order] for order in sorted(before)[-(LONGEST_PATH - 1) :]), decider]


def weights_of(model: Model, times: Sequence[int], half_life: int = DEFAULT_HALF_LIFE_MS) -> Weights:
    """The weights of a path's touches at ``times``, oldest first; ``half_life`` in milliseconds.

    Raises
    ------
    ValueError
        The path is empty: an event that no touch leads to has no weights.
    """
    if not times:
        raise ValueError("a path has at least one touch")
    if model == "time_decay":
        return _time_decay(times, half_life)
    return _BY_POSITION[model](len(times))


def _last_touch(length: int) -> Weights:
    return Weights(1, (*[0] * (length - 1), 1))


def _first_touch(length: int) -> Weights:
    return Weights(1, (1, *[0] * (length - 1)))


def _linear(length: int) -> Weights:
    return Weights(length, (1,) * length)


def _position_based(length: int) -> Weights:
    """40 % for the first and the last, 20 % for those between together; two share alike."""
    if length < 3:
        return _linear(length)
    between = length - 2
    return Weights(5 * between, (2 * between, *[1] * between, 2 * between))


_BY_POSITION: dict[str, Callable[[int], Weights]] = {
    "last_touch": _last_touch,
    "first_touch": _first_touch,
    "linear": _linear,
    "position_based": _position_based,
}


def _time_decay(times: Sequence[int], half_life: int) -> Weights:
    """Half the weight for each half-life that a touch is older than the newest one: only differences of age count."""
    newest = max(times)
    return Weights(DECAY_UNITS, tuple(apportioned([_fine(newest - one, half_life) for one in times], DECAY_UNITS)))


def _fine(age: int, half_life: int) -> int:
    """``2^(-age/half_life)`` in units of ``2^-128``, the same on every machine: ``exp`` is correctly rounded."""
    halvings, rest = divmod(age, half_life)
    part = _EXACT.exp(_EXACT.divide(_EXACT.multiply(_LN2, Decimal(-rest)), Decimal(half_life)))
    return int(_EXACT.multiply(part, Decimal(1 << _FINE_BITS))) >> halvings


def apportioned(amounts: Sequence[int], units: int) -> list[int]:
    """``units`` shared in proportion to amounts, in whole units, by largest remainder.

    Each share is rounded down, and what is left goes to the largest remainders, one unit each; of equal ones the later
    goes first (in a path: the newer touch).
    """
    total = sum(amounts)
    shares = [units * one // total for one in amounts]
    remainders = [units * one % total for one in amounts]
    later_first = sorted(range(len(amounts)), key=lambda at: (remainders[at], at), reverse=True)
    for at in later_first[: units - sum(shares)]:
        shares[at] += 1
    return shares


def rounded(amounts: Sequence[Fraction], places: int) -> list[Decimal]:
    """Amounts with so many decimal places, whose sum is that of the exact ones, rounded half-even.

    By largest remainder: each is rounded down or up to the next unit of the last place. Of equal remainders the earlier
    is rounded up first.
    """
    scaled = [one * 10**places for one in amounts]
    shown = [one.numerator // one.denominator for one in scaled]
    remainders = [one - floor for one, floor in zip(scaled, shown, strict=True)]
    left = round(sum(scaled, Fraction(0))) - sum(shown)
    for at in sorted(range(len(shown)), key=lambda at: (-remainders[at], at))[:left]:
        shown[at] += 1
    return [Decimal(one).scaleb(-places, _EXACT) for one in shown]
