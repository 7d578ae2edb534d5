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
    DECIMALS,
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
    """The numbers of one item of tallies: of a day and a journey, as DynamoDB's JSON has them."""

    day: str
    numbers: Wire


class Legend(NamedTuple):
    """What the codes in names of numbers stand for, and how many events are not among the numbers."""

    cells: Mapping[int, Cell]
    stamps: Mapping[str, int]
    set_aside: int


class Days:
    """An application's tallies of some days, from which reports of any periods within them are made.

    ``parts`` by journey (None: the application); ``details`` of all journeys that are known.
    """

    def __init__(
        self,
        parts: Mapping[str | None, list[Part]],
        legend: Legend,
        basis: DateBasis,
        details: Mapping[str, JourneyDetails],
    ) -> None:
        self.details = details
        self._parts = parts
        self._legend = legend
        self._basis = basis
        self._names = {journey: one.name for journey, one in details.items()}

    def days(self) -> list[str]:
        """The days that have figures, in order."""
        return sorted({part.day for parts in self._parts.values() for part in parts})

    def report(self, first: str | None, end: str | None) -> Report:
        """The report of ``first <= day < end``."""
        chosen = {
            journey: some
            for journey, parts in self._parts.items()
            if (some := [one for one in parts if (first or "") <= one.day and (end is None or one.day < end)])
        }
        whole = chosen.pop(None, [])
        total = self._figures("", whole, first).events
        waiting = sum(int(one.numbers[WAITING]["N"]) for one in whole if WAITING in one.numbers)
        figures = [self._figures(one, chosen[one], first) for one in sorted(one for one in chosen if one)]
        left = [one for one in figures if not one.nothing_left]
        return Report(first, end, self._basis, left, self._names, total, waiting, self._legend.set_aside)

    def _figures(self, journey: str, parts: Iterable[Part], first: str | None) -> JourneyFigures:
        """The sums of a period's numbers: the longest work of a report, so each number is looked at once."""
        sums, values, exact = _added_up(parts, first)
        by: dict[str, dict[Any, int]] = defaultdict(dict)
        for name, number in sums.items():
            letter, key = parse_tally(name)
            by[letter][key] = number
        by_event = self._basis == "event"
        counts, amounts = (EVENTS, VALUES) if by_event else (EVENTS_BY_TOUCH, VALUES_BY_TOUCH)
        cells = self._legend.cells
        money: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for name, amount in values.items():
            letter, key = parse_tally(name)
            if letter == amounts:
                money[cells[int(key)]] = amount
        stamps = by[STAMPS] if by_event else {}
        name_of_it = hash_of_stamp(self._names.get(journey, journey))
        agreeing = stamps.get(self._legend.stamps.get(name_of_it), 0)
        return JourneyFigures(
            journey,
            sends=by[SENDS].get(0, 0),
            touches=Counter(by[TOUCHES]),
            reached=by[REACHED].get(0, 0),
            converters=by[CONVERTED if by_event else CONVERTED_BY_TOUCH].get(0, 0),
            exact=exact,
            events=Events(defaultdict(int, {cells[code]: number for code, number in by[counts].items()}), money),
            delays=Counter(by[DELAYS] if by_event else {}),
            stamps_agreeing=agreeing,
            stamps_disagreeing=sum(stamps.values()) - agreeing,
        )


def _added_up(parts: Iterable[Part], first: str | None) -> tuple[dict[str, int], dict[str, Decimal], bool]:
    """Sums by the names of numbers: whole ones, decimals, and whether those of users are exact. Users who were active
    before in the period are taken off, under the name of all (`attribution.participation`).
    """
    sums: dict[str, int] = defaultdict(int)
    values: dict[str, Decimal] = defaultdict(Decimal)
    exact = True
    for day, numbers in parts:
        active = ActiveDay(day, first)
        for name, wire in numbers.items():
            letter = name[0]
            if letter in DECIMALS:
                values[name] = EXACT.add(values[name], Decimal(wire["N"]))
            elif letter in USERS and len(name) > 1:
                gap = int(name[2:])
                if active.holds(gap):
                    sums[letter] -= int(wire["N"])
                    exact = exact and not (active.is_uncertain(gap) and wire["N"] != "0")
            else:
                sums[name] += int(wire["N"])
    return sums, values, exact


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
        asked = [self._pool.submit(lambda one: list(self._views.query_wire(*one)), one) for one in ranges]
        details = self._registry.details(application)
        legend = self._legend(keys)
        parts: dict[str | None, list[Part]] = defaultdict(list)
        for wire in chain.from_iterable(one.result() for one in asked):
            day, journey = parse_tally_journey(wire.pop("sk")["S"])
            del wire["pk"]
            if basis == "event" or journey is not None:
                parts[journey].append(Part(day, wire))
        return Days(parts, legend, basis, details)

    def _legend(self, keys: ViewKeys) -> Legend:
        events, stamps, set_aside = keys.codes("events"), keys.codes("stamps"), set_aside_total_key(keys.application)
        found = self._views.get_many([events, stamps, set_aside])
        return Legend(
            cells_in(found.get(events)), stamp_codes_in(found.get(stamps)), events_set_aside(found.get(set_aside))
        )


FIRST_DAY = "0"
"""Before all days."""
USERS = (REACHED, CONVERTED, CONVERTED_BY_TOUCH)
