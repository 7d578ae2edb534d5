"""Time: integer milliseconds UTC inside, ISO-8601 with ``Z`` outside. The machine's time zone is never consulted."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
DAY_MS = 86_400_000
LAST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last time that ISO-8601 with four digits can name."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What the application asks for the time; tests inject their own."""

    def now(self) -> int:
        """Now, in milliseconds UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


def to_iso(ms: int) -> str:
    """``1564618621380`` -> ``2019-08-01T00:17:01.380Z``.

    A window that ends after the year 9999, which four digits cannot name, is shown to end with it.
    """
    ms = min(ms, LAST_MS)
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % SECOND_MS:03d}Z"


def from_iso(text: str) -> int:
    """Milliseconds UTC of an ISO-8601 date or time; without an offset it is UTC.

    Raises
    ------
    ValueError
        It is not ISO-8601 or outside the years 1970 to 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    if not 0 <= ms <= LAST_MS:
        raise ValueError(f"{text} is outside the years 1970 to 9999")
    return ms


def day_of(ms: int, time_zone: str = "UTC") -> str:
    """The day of a time in a time zone, ``YYYYMMDD``: sorts as text as the days follow each other.

    ``time_zone`` is a name of the IANA database. What would fall after the year 9999 falls on its last day.
    """
    if time_zone == "UTC":
        return _named(_EPOCH + timedelta(days=ms // DAY_MS))
    try:
        moment = (_EPOCH + timedelta(milliseconds=ms)).astimezone(_zone(time_zone))
    except OverflowError:
        return "99991231"
    return _named(moment)


@lru_cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def day_number(day: str) -> int:
    """Counts days, so that two of them can be told apart by so many days."""
    return date(int(day[:4]), int(day[4:6]), int(day[6:])).toordinal()


def numbered_day(number: int) -> str:
    """The day of a number; before the year 1 and after 9999 the first and last that there is."""
    return _named(date.fromordinal(min(max(number, 1), date.max.toordinal())))


def _named(day: date) -> str:
    return f"{day.year:04d}{day.month:02d}{day.day:02d}"


def day_to_iso(day: str) -> str:
    """``20190801`` -> ``2019-08-01``."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"
