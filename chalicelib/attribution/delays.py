"""How long after the touch events came: distributions that add up, so that a report needs no list of events.

A delay is kept in whole seconds to five significant binary digits: up to 31 seconds exactly, above that in classes
whose width is at most a sixteenth of the delay. Medians and percentiles are told as the middle of their class, so
within about three percent.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.times import SECOND_MS

SIGNIFICANT_BITS = 5


def delay_class(delay: int) -> int:
    """The class of a delay in milliseconds: the least whole number of seconds that is in it."""
    seconds = delay // SECOND_MS
    shift = _shift(seconds)
    return seconds >> shift << shift


def percentile(classes: Mapping[int, int], percent: int) -> float | None:
    """The delay in seconds that so many percent of the events do not exceed (nearest rank); None where there are none.

    ``classes`` counts events by ``delay_class``.
    """
    total = sum(classes.values())
    rank = -(-total * percent // 100)
    for least in sorted(classes):
        rank -= classes[least]
        if total and rank <= 0:
            return least + ((1 << _shift(least)) - 1) / 2
    return None


def _shift(seconds: int) -> int:
    return max(0, seconds.bit_length() - SIGNIFICANT_BITS)
