"""Reports: tallies added up.

A report reads tallies only, so it costs the same for a thousand events and a hundred million. It tells figures by the
day of the event, or by the day of the touch that has its credit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Any, Literal, NamedTuple

from chalicelib.attribution.value import EXACT
from chalicelib.journeys.details import JourneyDetails
from chalicelib.journeys.registry import Registry
from chalicelib.keys import LAST, TALLY_BUCKETS, ViewKeys, parse_tally_journey
from chalicelib.projection.tallies import (
    DELAYS,
    EVENTS,
    NO_CURRENCY,
    REACHED,
    SENDS,
    STAMPS,
    TOUCHES,
    VALUES,
    Tally,
    parse_tally,
)
from chalicelib.settings.model import LONGEST_WINDOW_DAYS
from chalicelib.tables import Table
from chalicelib.times import day_number, numbered_day

DateBasis = Literal["event", "touch"]
"""Whether an event counts on its own day or on that of its touch (an event credited by its stamp: on its own)."""

LONGEST_LAG = int(LONGEST_WINDOW_DAYS) + 1
"""Days that an event may be later than its touch."""


@dataclass
class Events:
    """Events by type and value by currency, of a journey, of the application, or of the rest.

    ``counts`` by (currency, event type), where the currency of events without value is empty.
    """

    counts: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    values: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def by_type(self) -> dict[str, int]:
        """How many events of each type there are."""
        totals: dict[str, int] = defaultdict(int)
        for (_, event_type), number in self.counts.items():
            totals[event_type] += number
        return {event_type: number for event_type, number in sorted(totals.items()) if number}

    def revenue(self) -> dict[str, Decimal]:
        """Value by currency, refunds taken off. A currency stands here as long as any event is in it."""
        present: dict[str, int] = defaultdict(int)
        for (currency, _), number in self.counts.items():
            present[currency] += number
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for (currency, _), value in self.values.items():
            totals[currency] = EXACT.add(totals[currency], value)
        return {one: totals[one] for one in sorted(present) if present[one] and one != NO_CURRENCY}

    def minus(self, others: list[Events]) -> Events:
        """These events without those of others."""
        rest = Events(defaultdict(int, self.counts), defaultdict(Decimal, self.values))
        for other in others:
            for key, number in other.counts.items():
                rest.counts[key] -= number
            for key, value in other.values.items():
                rest.values[key] = EXACT.subtract(rest.values[key], value)
        return rest


@dataclass
class JourneyFigures:
    """What a journey did in a period of whole days.

    Attributes
    ----------
    reached
        Distinct users with a touch.
    converters, converters_by_type
        Distinct users with a credited event, of any type and of each.
    delays
        Credited events by the class of their delay after the touch (`attribution.delays`), by the day of the event.
    stamps_agreeing, stamps_disagreeing
        Events that a touch decided and that bear a stamp: the journey's name as it is now, or something else (R11), by
        the day of the event.
    """

    journey: str
    sends: int = 0
    touches: Counter[str] = field(default_factory=Counter)
    reached: int = 0
    converters: int = 0
    converters_by_type: Counter[str] = field(default_factory=Counter)
    events: Events = field(default_factory=Events)
    delays: Counter[int] = field(default_factory=Counter)
    stamps_agreeing: int = 0
    stamps_disagreeing: int = 0

    @property
    def nothing_left(self) -> bool:
        """Whether all that was counted here was credited elsewhere since: that it once was shows nowhere (R5)."""
        return not (self.sends or any(self.touches.values()) or any(self.events.counts.values()))


@dataclass
class Report:
    """All journeys of an application in a period, ``first <= day < end`` (``YYYYMMDD``; None: without bound).

    By the day of the touch there is no ``total``: events without credit have no touch.
    """

    first: str | None
    end: str | None
    basis: DateBasis
    journeys: list[JourneyFigures]
    names: dict[str, str]
    total: Events

    @property
    def unattributed(self) -> Events:
        """What no journey has credit for; by the day of the event."""
        return self.total.minus([one.events for one in self.journeys])


class Numbers(NamedTuple):
    """What is counted, and beside it the number: of values a decimal, of all else a whole one.

    Two lists, because pairs are objects that Python's garbage collector looks through again and again.
    """

    tallies: list[Tally]
    numbers: list[int | Decimal]

    def add(self, others: Numbers) -> None:
        """Others that are counted too; a tally may stand there more than once."""
        self.tallies.extend(others.tallies)
        self.numbers.extend(others.numbers)


def _no_numbers() -> Numbers:
    return Numbers([], [])


class Days:
    """An application's tallies of some days, from which reports of any periods within them are made.

    ``numbers`` by day and journey (None: the application); ``details`` of all journeys that are known.
    """

    def __init__(
        self,
        numbers: Mapping[str, Mapping[str | None, Numbers]],
        basis: DateBasis,
        details: Mapping[str, JourneyDetails],
    ) -> None:
        self.details = details
        self._numbers = numbers
        self._basis = basis
        self._names = {journey: one.name for journey, one in details.items()}

    def days(self) -> list[str]:
        """The days that have figures, in order."""
        return sorted(self._numbers)

    def report(self, first: str | None, end: str | None) -> Report:
        """The report of ``first <= day < end``."""
        parts: dict[str | None, list[Numbers]] = defaultdict(list)
        for day, scopes in self._numbers.items():
            if (first or "") <= day and (end is None or day < end):
                for journey, numbers in scopes.items():
                    parts[journey].append(numbers)
        total = _figures("", parts.pop(None, []), first, "", self._basis).events
        journeys = sorted(one for one in parts if one)
        figures = [_figures(one, parts[one], first, self._names.get(one, one), self._basis) for one in journeys]
        left = [one for one in figures if not one.nothing_left]
        return Report(first, end, self._basis, left, self._names, total)


def _figures(journey: str, parts: Iterable[Numbers], first: str | None, name: str, basis: DateBasis) -> JourneyFigures:
    """The sums of a period's numbers: the longest work of a report, so no number is looked at twice."""
    # A user counts on the first active day of the period: the one whose previous one lies before it.
    period = first or FIRST_DAY
    sums: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    values: dict[Any, Decimal] = defaultdict(Decimal)
    for (letter, key, previous, _), number in chain.from_iterable(zip(*one, strict=True) for one in parts):
        if letter == VALUES:
            values[key] = EXACT.add(values[key], number)
        elif previous < period:
            sums[letter][key] += number  # type: ignore[assignment]
    of_any, of_each = ("c", "C") if basis == "event" else ("k", "K")
    return JourneyFigures(
        journey,
        sends=sum(sums[SENDS].values()),
        touches=Counter(sums[TOUCHES]),
        reached=sum(sums[REACHED].values()),
        converters=sum(sums[of_any].values()),
        converters_by_type=Counter(sums[of_each]),
        events=Events(sums[EVENTS], values),
        delays=Counter(sums[DELAYS]),
        stamps_agreeing=sums[STAMPS].pop(name, 0),
        stamps_disagreeing=sum(sums[STAMPS].values()),
    )


class Reports:
    """Adds tallies up."""

    def __init__(self, views: Table, registry: Registry) -> None:
        self._views = views
        self._registry = registry
        # Kept: threads take longer to start than a small report to read.
        self._pool = ThreadPoolExecutor(TALLY_BUCKETS)

    def report(
        self, application: str, generation: int, first: str | None, end: str | None, basis: DateBasis = "event"
    ) -> Report:
        """The report of ``first <= day < end`` (``YYYYMMDD``; None: without bound)."""
        return self.days(application, generation, first, end, basis).report(first, end)

    def days(
        self, application: str, generation: int, first: str | None, end: str | None, basis: DateBasis = "event"
    ) -> Days:
        """The tallies of these days."""
        # Events come up to a window after their touch.
        last = end if end is None or basis == "event" else numbered_day(day_number(end) + LONGEST_LAG)
        # All at once: what a report takes is the time of its calls.
        keys = ViewKeys(application, generation)
        ranges = [keys.tally_range(bucket, first or FIRST_DAY, last or LAST) for bucket in range(TALLY_BUCKETS)]
        asked = [self._pool.submit(lambda one: list(self._views.query_wire(*one)), one) for one in ranges]
        details = self._registry.details(application)
        days: dict[str, dict[str | None, Numbers]] = defaultdict(lambda: defaultdict(_no_numbers))
        for wire in chain.from_iterable(one.result() for one in asked):
            day, journey = parse_tally_journey(wire.pop("sk")["S"])
            del wire["pk"]
            numbers = Numbers(
                list(map(parse_tally, wire)),
                [Decimal(one["N"]) if name[0] == VALUES else int(one["N"]) for name, one in wire.items()],
            )
            if basis == "event":
                days[day][journey].add(numbers)
            elif journey is not None:
                for touch_day, some in _by_touch(day, numbers).items():
                    days[touch_day][journey].add(some)
        return Days(days, basis, details)


FIRST_DAY = "0"
"""Before all days, and after ``NEVER``."""
BY_EVENT_ONLY = ("c", "C", DELAYS, STAMPS)


def _by_touch(day: str, numbers: Numbers) -> dict[str, Numbers]:
    """The numbers of a day of events by the days of their touches."""
    by_lag: dict[int, Numbers] = defaultdict(_no_numbers)
    for tally, number in zip(*numbers, strict=True):
        if tally.letter not in BY_EVENT_ONLY:
            shifted = by_lag[tally.lag]
            shifted.tallies.append(tally)
            shifted.numbers.append(number)
    return {numbered_day(day_number(day) - lag) if lag else day: shifted for lag, shifted in by_lag.items()}
