"""Distinct users, counted from tallies alone.

A user counts once in a range of days: on the first of their active days in it. That is the one active day whose
previous active day lies before the range (or does not exist). So of each day the tallies hold how many users were
active on it, and how many of them were active before on which day; a range counts the former less those of the latter
whose previous day lies in the range, too.

Previous days are kept by day for a quarter and by month beyond, so that a day holds a bounded number of them. So the
count is exact for every range of up to a quarter, for every one that begins with a month, and for one without a
beginning. Of others it is a lower bound: a previous day in the month in which the range begins counts as in the range.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chalicelib.times import day_number, numbered_day

NEVER = "-"

OFTEN = 4
"""From so many times a day on, a number of its own says how often."""

NEAR_DAYS = 31
"""Gaps that a report of a month needs."""

DAILY_DAYS = 92
"""Gaps that are kept by day, a quarter; longer ones by month."""

MONTHLY_DAYS = 3_653
"""Gaps that are kept by month, ten years; of longer ones only that they are longer is known."""

LONGER = 100_000
"""Stands for a gap of more than ten years: above every number of days that is kept, and below every month."""

MOST_DAYS = 4_000
"""Active days of a user that are kept; of more, which take eleven years, the last to come count for nobody."""


class PresenceChange(NamedTuple):
    """Add ``delta`` to the users active on ``day`` who were active before on ``previous``."""

    day: str
    previous: str
    delta: int


def gap_before(day: str, previous: str) -> int:
    """The gap between two active days (``YYYYMMDD``) as it is counted: a number of days, the month of the previous day
    as ``YYYYMM``, or ``LONGER``.
    """
    days = day_number(day) - day_number(previous)
    if days <= DAILY_DAYS:
        return days
    return int(previous[:6]) if days <= MONTHLY_DAYS else LONGER


class ActiveDay:
    """A day (``YYYYMMDD``) in a range of days that begins with ``first`` (None: without a beginning), as counting the
    users of the range needs it.
    """

    def __init__(self, day: str, first: str | None) -> None:
        self._days = None if first is None else day_number(day) - day_number(first)
        self._month = int(first[:6]) if first else 0
        self._begins_a_month = first is not None and first.endswith("01")

    def holds(self, gap: int) -> bool:
        """Whether the previous active day of users of this day lies in the range. Where it may, it does."""
        if self._days is None:
            return True
        if gap < LONGER:
            return gap <= self._days
        # Longer gaps are longer than a quarter, so they begin before a range that is not.
        if gap == LONGER or self._days <= DAILY_DAYS:
            return self.is_uncertain(gap)
        return gap >= self._month

    def is_uncertain(self, gap: int) -> bool:
        """Whether that previous day may lie before the range as well as in it."""
        if self._days is None or gap < LONGER or self._days <= DAILY_DAYS:
            return False
        if gap == LONGER:
            return self._days > MONTHLY_DAYS
        return gap == self._month and not self._begins_a_month


def changed_presence(active: Mapping[str, int], day: str, delta: int) -> tuple[dict[str, int], list[PresenceChange]]:
    """A user's activity per day after ``delta`` more on a day, and what that changes in the tallies.

    Raises
    ------
    ValueError
        There is less to take away, and no day was left out.
    """
    before = active.get(day, 0)
    after = before + delta
    if len(active) >= MOST_DAYS and not before:
        return dict(active), []
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
