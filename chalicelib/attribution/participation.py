"""Distinct users, counted exactly for any range of days from tallies alone.

A user counts once in a range of days: on the first of their active days in it. That is the one active day whose
previous active day lies before the range (or does not exist). So a tally per day that counts users *by the day
they were active before* answers every range: add up, over the days of the range, those whose previous day is
before its start.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chalicelib.times import day_number, numbered_day

NEVER = "-"

OFTEN = 4
"""From so many times a day on, a number of its own says how often."""


class PresenceChange(NamedTuple):
    """Add ``delta`` to the users active on ``day`` who were active before on ``previous``."""

    day: str
    previous: str
    delta: int


def changed_presence(active: Mapping[str, int], day: str, delta: int) -> tuple[dict[str, int], list[PresenceChange]]:
    """A user's activity per day after ``delta`` more on a day, and what that changes in the tallies."""
    before = active.get(day, 0)
    after = before + delta
    if after < 0:
        raise ValueError(f"{before} activities on {day}, cannot take away {-delta}")
    changed = {one: count for one, count in active.items() if one != day}
    if after:
        changed[day] = after
    if (before > 0) == (after > 0):
        return changed, []
    return changed, list(_neighbours(sorted(one for one in active if one != day), day, 1 if after else -1))


def _neighbours(others: list[str], day: str, sign: int) -> Iterator[PresenceChange]:
    at = bisect.bisect(others, day)
    previous = others[at - 1] if at else NEVER
    yield PresenceChange(day, previous, sign)
    if at < len(others):
        yield PresenceChange(others[at], previous, -sign)
        yield PresenceChange(others[at], day, sign)


def packed(active: Mapping[str, int]) -> bytes:
    """Activity per day in about a byte a day: the days since the one before, and how often.

    It is written anew with each event, so that a year of days must not cost more than one of them: a started KB is a
    write unit. So one number tells both, as long as it was less than four times.
    """
    made = bytearray()
    last = 0
    for day in sorted(active):
        number = day_number(day)
        gap, count = number - last, active[day]
        _append(made, gap * OFTEN + min(count, OFTEN) - 1)
        if count >= OFTEN:
            _append(made, count - OFTEN)
        last = number
    return bytes(made)


def unpacked(stored: bytes) -> dict[str, int]:
    """What ``packed`` made."""
    active: dict[str, int] = {}
    numbers = _numbers(stored)
    number = 0
    for one in numbers:
        gap, count = one // OFTEN, one % OFTEN + 1
        number += gap
        active[numbered_day(number)] = count if count < OFTEN else count + next(numbers)
    return active


def _append(made: bytearray, number: int) -> None:
    """Seven bits a byte, the least first; the eighth says that more follow."""
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)


def _numbers(stored: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in stored:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
