"""Reports: tallies added up.

A report reads tallies only, so it costs the same for a thousand events and a hundred million. It tells figures by the
day of the event, or by the day of the touch that has its credit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from threading import Lock
from typing import Any, Literal, NamedTuple

from chalicelib.attribution.participation import NEAR_DAYS, ActiveDay
from chalicelib.attribution.value import EXACT
from chalicelib.journeys.details import JourneyDetails
from chalicelib.journeys.registry import Registry
from chalicelib.keys import LAST, TALLY_BUCKETS, ViewKeys, parse_tally_journey, set_aside_total_key
from chalicelib.projection.codes import NO_CURRENCY, Cell, cells_in, hash_of_stamp, stamp_codes_in
from chalicelib.projection.set_aside import events_set_aside
from chalicelib.projection.tallies import (
    CONVERTED,
    CONVERTED_BY_TOUCH,
    DELAYS,
    EVENTS,
    EVENTS_BY_TOUCH,
    REACHED,
    SENDS,
    STAMPS,
    TOUCHES,
    VALUES,
    VALUES_BY_TOUCH,
    WAITING,
    parse_tally,
)
from chalicelib.tables import Table, Wire
from chalicelib.times import day_number

DateBasis = Literal["event", "touch"]
"""Whether an event counts on its own day or on that of its touch (an event credited by its stamp: on its own)."""


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
    converters
        Distinct users with a credited event.
    exact
        Whether ``reached`` and ``converters`` are exact, not lower bounds (`attribution.participation`).
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
    exact: bool = True
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

    Attributes
    ----------
    touches_waiting
        Touches of journeys that nobody has named, beyond those that an application may have.
    events_set_aside
        Events of all times that totals lack, as they could not be projected.
    """

    first: str | None
    end: str | None
    basis: DateBasis
    journeys: list[JourneyFigures]
    names: dict[str, str]
    total: Events
    touches_waiting: int
    events_set_aside: int

    @property
    def unattributed(self) -> Events:
        """What no journey has credit for; by the day of the event."""
        return self.total.minus([one.events for one in self.journeys])


class Part(NamedTuple):
    """Tallies of a day and a journey by the names of the numbers.

    Attributes
    ----------
    before
        Distinct users by when they were active before; the counts include them.
    """

    counts: dict[str, int]
    before: dict[str, int]
    amounts: dict[str, Decimal]

    def add(self, other: Part) -> None:
        """Add the numbers of the same day and journey in another bucket."""
        for mine, others in ((self.counts, other.counts), (self.before, other.before)):
            for name, number in others.items():
                mine[name] = mine.get(name, 0) + number
        for name, amount in other.amounts.items():
            self.amounts[name] = EXACT.add(self.amounts.get(name, Decimal()), amount)


class Legend(NamedTuple):
    """What the codes in names of numbers stand for, and how many events are not among the numbers."""

    cells: Mapping[int, Cell]
    stamps: Mapping[str, int]
    set_aside: int


class Days:
    """An application's tallies of some days, from which reports of any periods within them are made.

    ``parts`` by journey (None: the application) and day; ``details`` of all journeys that are
    known.
    """

    def __init__(
        self,
        parts: Mapping[str | None, Mapping[str, Part]],
        legend: Legend,
        basis: DateBasis,
        details: Mapping[str, JourneyDetails],
    ) -> None:
        self.details = details
        self._parts = parts
        self._legend = legend
        self._basis = basis
        self._names = {journey: one.name for journey, one in details.items()}
        self._days = sorted(set(chain.from_iterable(parts.values())))

    def days(self) -> list[str]:
        """The days that have figures, in order."""
        return self._days

    def report(self, first: str | None, end: str | None) -> Report:
        """The report of ``first <= day < end``."""
        low = bisect_left(self._days, first or FIRST_DAY)
        high = bisect_left(self._days, end or LAST)
        period = {day: _InPeriod(day, first) for day in self._days[low:high]}
        total = self._figures(None, period).events
        of_application = self._parts.get(None, {})
        waiting = sum(of_application[day].counts.get(WAITING, 0) for day in period if day in of_application)
        figures = [self._figures(one, period) for one in sorted(one for one in self._parts if one is not None)]
        left = [one for one in figures if not one.nothing_left]
        return Report(first, end, self._basis, left, self._names, total, waiting, self._legend.set_aside)

    def _figures(self, journey: str | None, period: Mapping[str, _InPeriod]) -> JourneyFigures:
        """The sums of a period's numbers."""
        parts = self._parts.get(journey, {})
        sums: dict[str, int] = defaultdict(int)
        amounts: dict[str, Decimal] = defaultdict(Decimal)
        exact = True
        for day, held in period.items():
            if (part := parts.get(day)) is None:
                continue
            for name, number in part.counts.items():
                sums[name] += number
            for name, number in part.before.items():
                if held[name]:
                    sums[name[0]] -= number
            exact = exact and not any(part.before.get(name) for name in held.uncertain)
            for name, amount in part.amounts.items():
                amounts[name] = EXACT.add(amounts[name], amount)
        by: dict[str, dict[Any, int]] = defaultdict(dict)
        for name, number in sums.items():
            letter, key = parse_tally(name)
            by[letter][key] = number
        by_event = self._basis == "event"
        cells = self._legend.cells
        money: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        money |= {cells[int(parse_tally(name).key)]: amount for name, amount in amounts.items()}
        counts = by[EVENTS if by_event else EVENTS_BY_TOUCH]
        name = self._names.get(journey, journey) if journey else ""
        agreeing = by[STAMPS].get(self._legend.stamps.get(hash_of_stamp(name)), 0)
        return JourneyFigures(
            journey or "",
            sends=by[SENDS].get(0, 0),
            touches=Counter(by[TOUCHES]),
            reached=by[REACHED].get(0, 0),
            converters=by[CONVERTED if by_event else CONVERTED_BY_TOUCH].get(0, 0),
            exact=exact,
            events=Events(defaultdict(int, {cells[code]: number for code, number in counts.items()}), money),
            delays=Counter(by[DELAYS]),
            stamps_agreeing=agreeing,
            stamps_disagreeing=sum(by[STAMPS].values()) - agreeing,
        )


class _InPeriod(dict[str, bool]):
    """Of a day's users who were active before: whether they were so in the period, by the names of
    their numbers, which are the same for all journeys.

    Attributes
    ----------
    uncertain
        Names of those that may lie before the period as well as in it.
    """

    def __init__(self, day: str, first: str | None) -> None:
        super().__init__()
        self._active = ActiveDay(day, first)
        self.uncertain: set[str] = set()

    def __missing__(self, name: str) -> bool:
        gap = int(parse_tally(name).key)
        self[name] = held = self._active.holds(gap)
        if self._active.is_uncertain(gap):
            self.uncertain.add(name)
        return held


def _part(numbers: Wire, basis: DateBasis) -> Part:
    """The numbers of an item that a report needs. A report takes longest here: each number is looked
    at once, in the order in which they lie in memory.
    """
    plain, amount, users = PLAIN[basis], AMOUNTS[basis], USERS[basis]
    counts: dict[str, int] = {}
    before: dict[str, int] = {}
    amounts: dict[str, Decimal] = {}
    for name, value in numbers.items():
        letter = name[0]
        if letter in plain:
            counts[name] = int(value["N"])
        elif letter in users:
            (counts if name == letter else before)[name] = int(value["N"])
        elif letter == amount:
            amounts[name] = Decimal(value["N"])
    return Part(counts, before, amounts)


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
        # All at once: what a report takes is the time of its calls.
        keys = ViewKeys(application, generation)
        ranges = [keys.tally_range(bucket, first or FIRST_DAY, end or LAST) for bucket in range(TALLY_BUCKETS)]
        if first is None or end is None or day_number(end) - day_number(first) > NEAR_DAYS:
            ranges += [keys.far_tally_range(bucket, first or FIRST_DAY, end or LAST) for bucket in range(TALLY_BUCKETS)]
        parts: dict[str | None, dict[str, Part]] = defaultdict(dict)
        adding = Lock()

        def read(pk: str, low: str, high: str) -> None:
            """Add a bucket to the others while it is read, so that only a page of each is kept."""
            for item in self._views.query_wire(pk, low, high):
                day, journey = parse_tally_journey(item.pop("sk")["S"])
                del item["pk"]
                if journey is None and basis == "touch":
                    continue
                part = _part(item, basis)
                with adding:
                    if (known := parts[journey].setdefault(day, part)) is not part:
                        known.add(part)

        asked = [self._pool.submit(read, *one) for one in ranges]
        details = self._registry.details(application)
        for one in asked:
            one.result()
        # Last: a number may be under a code that was given a moment ago.
        return Days(parts, self._legend(keys), basis, details)

    def _legend(self, keys: ViewKeys) -> Legend:
        events, stamps, set_aside = keys.codes("events"), keys.codes("stamps"), set_aside_total_key(keys.application)
        found = self._views.get_many([events, stamps, set_aside])
        return Legend(
            cells_in(found.get(events)), stamp_codes_in(found.get(stamps)), events_set_aside(found.get(set_aside))
        )


FIRST_DAY = "0"
"""Before all days."""
PLAIN = {
    "event": frozenset({EVENTS, DELAYS, STAMPS, TOUCHES, SENDS, WAITING}),
    "touch": frozenset({EVENTS_BY_TOUCH, TOUCHES, SENDS}),
}
AMOUNTS = {"event": VALUES, "touch": VALUES_BY_TOUCH}
USERS = {"event": frozenset({REACHED, CONVERTED}), "touch": frozenset({REACHED, CONVERTED_BY_TOUCH})}
"""Letters of the numbers that a report needs."""
