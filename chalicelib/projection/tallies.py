"""Tallies: numbers that reports add up, so that a report costs the same for a thousand events and a hundred million.

An event is added to the application's total once, when its own record comes; what it is credited to is added and
taken away at the journey. So unattributed is total minus credited, at every moment (R13).

A tally is of one day of events. How many days before it the touch was stands in the attribute, so that the same numbers
answer by the day of the event and by the day of the touch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from chalicelib.attribution.delays import delay_class
from chalicelib.attribution.participation import NEVER, PresenceChange
from chalicelib.attribution.value import EXACT, Value
from chalicelib.keys import Key, ViewKeys, tally_bucket
from chalicelib.projection.unit import Unit
from chalicelib.projection.views import Credit
from chalicelib.times import day_number, day_of

NO_CURRENCY = ""

EVENTS = "n"
VALUES = "v"
TOUCHES = "t"
SENDS = "s"
DELAYS = "l"
STAMPS = "m"
Presence = Literal["r", "c", "k"]
"""Users by day: ``r`` touched, ``c`` with a credited event, ``k`` with a touch that an event is credited to."""
REACHED: Presence = "r"


class Tally(NamedTuple):
    """What an attribute of a tally counts.

    Attributes
    ----------
    letter
        ``n`` events, ``v`` their value, ``t`` touches, ``s`` sends, ``l`` delays, ``m`` stamps, ``r``, ``c``, ``k``
        users (`Presence`), ``C`` and ``K`` users by event type.
    key
        Currency and event type, kind of touch, class of delay, stamp, or the event type of users (empty: of all).
    previous
        The day on which the users were active before; ``NEVER`` also for all that is not users.
    lag
        Days from the touch to the event.
    """

    letter: str
    key: str | int | tuple[str, str]
    previous: str = NEVER
    lag: int = 0


@lru_cache(maxsize=50_000)
def parse_tally(name: str) -> Tally:
    """What an attribute counts. The same few hundred names stand in the items of all days."""
    letter, _, rest = name.partition("|")
    if letter in (EVENTS, VALUES):
        currency, lag, event_type = rest.split("|", 2)
        return Tally(letter, (unquote(currency), event_type), lag=int(lag or 0))
    if letter in ("c", "C", "k", "K"):
        previous, lag, event_type = rest.split("|", 2)
        return Tally(letter, event_type, previous, int(lag))
    if letter == REACHED:
        return Tally(letter, "", rest)
    return Tally(letter, int(rest) if letter == DELAYS else rest)


class Tallies:
    """Adds to one application's tallies within a unit of work.

    Parameters
    ----------
    time_zone
        In which days are told.
    """

    def __init__(self, unit: Unit, keys: ViewKeys, time_zone: str) -> None:
        self._unit = unit
        self._keys = keys
        self._time_zone = time_zone
        self._bucket = tally_bucket(unit.shard)

    def day_of(self, time: int) -> str:
        """The day that a time (ms UTC) counts in."""
        return day_of(time, self._time_zone)

    def event(self, time: int, event_type: str, value: Value | None) -> None:
        """Count an event in the application's total."""
        self._add_event(self._key(self.day_of(time), None), event_type, value, None, 1)

    def credit(self, credit: Credit, count: int) -> None:
        """Count an event at the journey that it is credited to; ``count`` is 1, or -1 to take it away."""
        day = self.day_of(credit.event_time)
        key = self._key(day, credit.journey)
        touch = credit.touch
        self._add_event(key, credit.event_type, credit.value, self._lag(credit), count)
        if touch:
            self._unit.add(key, f"{DELAYS}|{delay_class(credit.event_time - touch.time)}", count)
        if touch and credit.stamp is not None:
            self._unit.add(
                self._keys.stamp_tally(self._bucket, day, credit.journey, credit.stamp),
                f"{STAMPS}|{credit.stamp}",
                count,
            )

    def touch(self, journey: str, time: int, kind: str) -> None:
        self._unit.add(self._key(self.day_of(time), journey), f"{TOUCHES}|{kind}", 1)

    def send(self, journey: str, time: int) -> None:
        self._unit.add(self._key(self.day_of(time), journey), SENDS, 1)

    def reached(self, journey: str, changes: Iterable[PresenceChange]) -> None:
        """Count users with a touch, by the day they were touched before."""
        for change in changes:
            self._unit.add(self._key(change.day, journey), f"{REACHED}|{change.previous}", change.delta)

    def converted(
        self,
        credit: Credit,
        presence: Presence,
        event_type: str | None,
        changes: Iterable[PresenceChange],
    ) -> None:
        """Count users with a credited event, by the day they were active before; of one event type, or of all.

        What changes on the day of the event's touch stands with the event's other numbers, with its lag: the touches of
        a batch lie on more days than its events.
        """
        event_day = self.day_of(credit.event_time)
        lag = self._lag(credit) if presence == "k" else 0
        for change in changes:
            here = day_number(event_day) - day_number(change.day) == lag
            name = f"{presence if event_type is None else presence.upper()}|{change.previous}|{lag if here else 0}|"
            key = self._key(event_day if here else change.day, credit.journey)
            self._unit.add(key, name + (event_type or ""), change.delta)

    def _lag(self, credit: Credit) -> int:
        """Days from the touch to the event; none if there was no touch."""
        touched = credit.touch.time if credit.touch else credit.event_time
        return day_number(self.day_of(credit.event_time)) - day_number(self.day_of(touched))

    def _key(self, day: str, journey: str | None) -> Key:
        return self._keys.tally(self._bucket, day, journey)

    def _add_event(self, key: Key, event_type: str, value: Value | None, lag: int | None, count: int) -> None:
        # The currency is percent-encoded, the type is not and comes last: both may hold any character.
        cell = f"{quote(value.currency if value else NO_CURRENCY)}|{'' if lag is None else lag}|{event_type}"
        self._unit.add(key, f"{EVENTS}|{cell}", count)
        if value:
            self._unit.add(key, f"{VALUES}|{cell}", EXACT.multiply(value.amount, count))
