"""Tallies: numbers that reports add up, so that a report costs the same for a thousand events and a hundred million.

An event is added to the application's total once, when its own record comes; what it is credited to is added and
taken away at the journey. So unattributed is total minus credited, at every moment (R13).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal
from urllib.parse import quote, unquote

from chalicelib.attribution.participation import PresenceChange
from chalicelib.attribution.value import EXACT, Value
from chalicelib.keys import Key, ViewKeys, tally_bucket
from chalicelib.projection.unit import Unit
from chalicelib.times import day_of

NO_CURRENCY = ""

SENDS = "s"
Presence = Literal["r", "c"]
"""``r`` reached (touched), ``c`` converted (has a credited event)."""


def events_name(currency: str, event_type: str) -> str:
    """Attribute that counts events. Both parts may hold any character, so the first is percent-encoded."""
    return f"n|{quote(currency)}|{event_type}"


def value_name(currency: str, event_type: str) -> str:
    """Attribute that sums their value."""
    return f"v|{quote(currency)}|{event_type}"


def touches_name(kind: str) -> str:
    return f"t|{kind}"


def presence_name(presence: Presence, previous: str) -> str:
    """Attribute that counts users active on a day, by the day they were active before."""
    return f"{presence}|{previous}"


class Tallies:
    """Adds to one application's tallies within a unit of work."""

    def __init__(self, unit: Unit, keys: ViewKeys) -> None:
        self._unit = unit
        self._keys = keys
        self._bucket = tally_bucket(unit.shard)

    def _key(self, day: str, journey: str | None) -> Key:
        return self._keys.tally(self._bucket, day, journey)

    def event(self, journey: str | None, time: int, event_type: str, value: Value | None, count: int) -> None:
        """Count an event at a journey, or in the application's total where ``journey`` is None.

        ``count`` is 1, or -1 to take it away.
        """
        key = self._key(day_of(time), journey)
        currency = value.currency if value else NO_CURRENCY
        self._unit.add(key, events_name(currency, event_type), count)
        if value:
            self._unit.add(key, value_name(currency, event_type), EXACT.multiply(value.amount, count))

    def touch(self, journey: str, time: int, kind: str) -> None:
        self._unit.add(self._key(day_of(time), journey), touches_name(kind), 1)

    def send(self, journey: str, time: int) -> None:
        self._unit.add(self._key(day_of(time), journey), SENDS, 1)

    def presence(self, journey: str, presence: Presence, changes: Iterable[PresenceChange]) -> None:
        for change in changes:
            self._unit.add(self._key(change.day, journey), presence_name(presence, change.previous), change.delta)


def parse_tally(name: str) -> tuple[str, str, str]:
    """What an attribute counts: its letter, then currency and event type, or kind, or previous day."""
    letter, _, rest = name.partition("|")
    if letter in ("n", "v"):
        currency, _, event_type = rest.partition("|")
        return letter, unquote(currency), event_type
    return letter, rest, ""


def as_count(number: object) -> int:
    """A stored number that counts."""
    if not isinstance(number, Decimal | int):
        raise TypeError(f"a tally holds {number!r}")
    return int(number)
