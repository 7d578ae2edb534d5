"""Tallies: numbers that reports add up, so that a report costs the same for a thousand events and a hundred million.

An event is added to the application's total once, when its own record comes; what it is credited to is added and
taken away at the journey. So unattributed is total minus credited, at every moment (R13).

A tally is of one day. A figure by the day of the event is added to that day, one by the day of the touch to the
touch's; so the numbers of a day are sums over what they count by, never products, and each of those is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from chalicelib.attribution.currencies import OTHER
from chalicelib.attribution.delays import delay_class
from chalicelib.attribution.participation import NEAR_DAYS, NEVER, PresenceChange, gap_before
from chalicelib.attribution.value import EXACT, Value
from chalicelib.keys import Key, ViewKeys
from chalicelib.projection.codes import NO_CURRENCY, Codes
from chalicelib.projection.unit import Unit
from chalicelib.projection.views import Credit
from chalicelib.settings.model import Settings
from chalicelib.times import day_of

EVENTS, VALUES = "n", "v"
EVENTS_BY_TOUCH, VALUES_BY_TOUCH = "N", "V"
TOUCHES = "t"
SENDS = "s"
WAITING = "w"
DELAYS = "l"
STAMPS = "m"
Presence = Literal["r", "c", "k"]
"""Users by day: ``r`` touched, ``c`` with a credited event, ``k`` with a touch that an event is credited to."""
REACHED: Presence = "r"
CONVERTED: Presence = "c"
CONVERTED_BY_TOUCH: Presence = "k"
DECIMALS = (VALUES, VALUES_BY_TOUCH)


class Tally(NamedTuple):
    """What an attribute of a tally counts.

    Attributes
    ----------
    letter
        ``n`` events by their own day, ``v`` their value, ``N`` and ``V`` the same by the day of the touch, ``t``
        touches, ``s`` sends, ``w`` touches of journeys beyond the cap, ``l`` delays, ``m`` stamps, ``r``, ``c`` and
        ``k`` users (`Presence`).
    key
        Code of event type and currency, kind of touch, class of delay, code of the stamp, or the gap since the users
        were active before (`participation.gap_before`); 0 for sends, waiting touches and all users.
    """

    letter: str
    key: int | str


@lru_cache(maxsize=50_000)
def parse_tally(name: str) -> Tally:
    """What an attribute counts. The same few hundred names recur in the items of all days."""
    letter, _, key = name.partition("|")
    return Tally(letter, key if letter == TOUCHES else int(key or 0))


class Tallies:
    """Adds to one application's tallies within a unit of work.

    Parameters
    ----------
    settings
        As the generation sees them.
    """

    def __init__(self, unit: Unit, keys: ViewKeys, settings: Settings) -> None:
        self._unit = unit
        self._keys = keys
        self._time_zone = settings.time_zone
        self._codes = Codes(unit, keys, settings)

    def day_of(self, time: int) -> str:
        """The day that a time (ms UTC) counts in."""
        return day_of(time, self._time_zone)

    def event(self, time: int, event_type: str, value: Value | None, count: int) -> None:
        """Count an event in the application's total; ``count`` is 1, or -1 to take it away."""
        currency = value.currency if value else NO_CURRENCY
        code = self._codes.of_event(event_type, currency, time)
        if count > 0 and self._codes.is_capped(code, event_type, currency):
            self._unit.count("CappedEventTypes")
        if count > 0 and value and value.currency == OTHER:
            self._unit.count("OtherCurrencies")
        self._add_event(self._key(self.day_of(time), None), (EVENTS, VALUES), code, value, count)

    def credit(self, credit: Credit, count: int) -> None:
        """Count an event at the journey that it is credited to; ``count`` is 1, or -1 to take it away."""
        touch, value = credit.touch, credit.value
        code = self._codes.of_event(credit.event_type, value.currency if value else NO_CURRENCY, credit.event_time)
        key = self._key(self.day_of(credit.event_time), credit.journey)
        touched = self._key(self.day_of(credit.touched), credit.journey)
        self._add_event(key, (EVENTS, VALUES), code, value, count)
        self._add_event(touched, (EVENTS_BY_TOUCH, VALUES_BY_TOUCH), code, value, count)
        if touch:
            self._unit.add(key, f"{DELAYS}|{delay_class(credit.event_time - touch.time)}", count)
        if touch and credit.stamp is not None:
            self._unit.add(key, f"{STAMPS}|{self._codes.of_stamp(credit.stamp)}", count)

    def touch(self, journey: str, time: int, kind: str, count: int) -> None:
        self._unit.add(self._key(self.day_of(time), journey), f"{TOUCHES}|{kind}", count)

    def waiting(self, time: int, count: int) -> None:
        """Count a touch that waits for its journey to be named, at the application; or that it waits no longer."""
        self._unit.add(self._key(self.day_of(time), None), WAITING, count)

    def send(self, journey: str, time: int, count: int) -> None:
        self._unit.add(self._key(self.day_of(time), journey), SENDS, count)

    def present(self, journey: str, presence: Presence, changes: Iterable[PresenceChange]) -> None:
        """Count users by the days they were active, and by when they were active before."""
        for change in changes:
            key = self._key(change.day, journey)
            self._unit.add(key, presence, change.delta)
            if change.previous != NEVER:
                gap = gap_before(change.day, change.previous)
                if gap > NEAR_DAYS:
                    key = self._keys.far_tally(self._unit.bucket, change.day, journey)
                self._unit.add(key, f"{presence}|{gap}", change.delta)

    def _key(self, day: str, journey: str | None) -> Key:
        return self._keys.tally(self._unit.bucket, day, journey)

    def _add_event(self, key: Key, letters: tuple[str, str], code: int, value: Value | None, count: int) -> None:
        events, values = letters
        self._unit.add(key, f"{events}|{code}", count)
        if value:
            self._unit.add(key, f"{values}|{code}", EXACT.multiply(value.amount, count))
