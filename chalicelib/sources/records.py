"""What every source makes of a record: a fact, or a reason why not.

A record is *skipped* where it is of no use (its kind is counted), *rejected* where it is wrong (it is quarantined
whole, R14).
"""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.facts.model import Identity, PlacedFact, encode_fact, flaw_of_id
from chalicelib.times import DAY_MS, LAST_MS

LONGEST_NAME = 512
"""Bytes of a user name, ``UserId`` or endpoint id: Cognito and Pinpoint take 128 characters, of up to four bytes.

It stands in sort keys, which take 1,024.
"""

LARGEST_FACT = 42_000
"""Bytes of a stored fact; PutEvents takes 40 attributes and metrics of 250 characters.

A transaction takes 4 MB, and a link may move 80 facts in one.
"""


class Skipped(NamedTuple):
    """A record of no use for attribution, by what it is."""

    kind: str


class Rejected(Exception):
    """A record that is wrong; the message is the reason that operators read."""


Outcome = PlacedFact | Skipped


def checked_time(time: int) -> int:
    """A time that a key can hold.

    Raises
    ------
    Rejected
        Before 1970 or after 9999.
    """
    if not 0 <= time <= LAST_MS:
        raise Rejected(f"time {time} is outside the years 1970 to 9999")
    return time


def interaction_time(event_time: int, arrival: int | None) -> int:
    """R8: the event's own time, unless it lies more than a day after the arrival: then a device's clock is wrong."""
    if arrival is not None and event_time > arrival + DAY_MS:
        return arrival
    return event_time


def named_at(event_time: int, arrival: int | None) -> int:
    """The time by which the settings say what names a record's user: the earlier of its event time and its arrival.

    The arrival alone would do, but for records that have none; the event time alone would not, for a device's clock
    may be ahead: a record that arrived before a change of the settings would be read anew by it when it is replayed.
    """
    return event_time if arrival is None else min(event_time, arrival)


def _bytes_of(text: str, what: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise Rejected(f"{what} holds half a character") from error


def checked_id(given: str, what: str) -> str:
    """An id that may stand inside a key.

    Raises
    ------
    Rejected
        Empty, too long, or with control characters.
    """
    if flaw := flaw_of_id(given):
        raise Rejected(f"{what} {flaw}")
    return given


def checked_size(placed: PlacedFact) -> PlacedFact:
    """A fact that its items, and the transactions that move it, can hold.

    Raises
    ------
    Rejected
        It is too large, as it is stored.
    """
    size = len(encode_fact(placed.fact).encode())
    if size > LARGEST_FACT:
        raise Rejected(f"a fact of {size} bytes, more than {LARGEST_FACT}")
    return placed


def named(kind: str, name: str | None) -> Identity | None:
    """The identity of a name; blank names name nobody.

    Raises
    ------
    Rejected
        No key can hold the name.
    """
    if name is None or not name.strip():
        return None
    if _bytes_of(name, "a user's name") > LONGEST_NAME:
        raise Rejected(f"a user's name is longer than {LONGEST_NAME} bytes")
    return Identity(kind, name)  # type: ignore[arg-type]
