"""Reports: tallies added up.

A report reads tallies only, so it costs the same for a thousand events and a hundred million.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from chalicelib.attribution.participation import NEVER
from chalicelib.attribution.value import EXACT
from chalicelib.journeys import Registry
from chalicelib.keys import LAST, TALLY_BUCKETS, ViewKeys, parse_tally_journey
from chalicelib.projection.tallies import NO_CURRENCY, SENDS, as_count, parse_tally
from chalicelib.tables import Item, Table


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
    """What a journey did in a period of whole UTC days."""

    journey: str
    sends: int = 0
    touches: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reached: int = 0
    converters: int = 0
    events: Events = field(default_factory=Events)

    @property
    def nothing_left(self) -> bool:
        """Whether all that was counted here was credited elsewhere since: that it once was shows nowhere (R5)."""
        return not (self.sends or any(self.touches.values()) or any(self.events.counts.values()))


@dataclass
class Report:
    """All journeys of an application in a period, and what no journey has credit for."""

    journeys: list[JourneyFigures]
    names: dict[str, str]
    total: Events

    @property
    def unattributed(self) -> Events:
        return self.total.minus([one.events for one in self.journeys])


class Reports:
    """Adds tallies up."""

    def __init__(self, views: Table, registry: Registry) -> None:
        self._views = views
        self._registry = registry

    def report(self, application: str, generation: int, first_day: str | None, end_day: str | None) -> Report:
        """The report of ``first_day <= day < end_day`` (``YYYYMMDD``; None: without bound)."""
        keys = ViewKeys(application, generation)
        total = Events()
        journeys: dict[str, JourneyFigures] = {}
        for item in self._tallies(keys, first_day or "0", end_day or LAST):
            _, journey = parse_tally_journey(item["sk"])
            if journey is None:
                _add_events(total, item)
            else:
                _add_figures(journeys.setdefault(journey, JourneyFigures(journey)), item, first_day)
        figures = [journeys[one] for one in sorted(journeys) if not journeys[one].nothing_left]
        return Report(figures, self._registry.names(application), total)

    def _tallies(self, keys: ViewKeys, first: str, end: str) -> list[Item]:
        def of_bucket(bucket: int) -> list[Item]:
            return list(self._views.query(*keys.tally_range(bucket, first, end)))

        with ThreadPoolExecutor(TALLY_BUCKETS) as pool:
            return [item for items in pool.map(of_bucket, range(TALLY_BUCKETS)) for item in items]


def _add_events(events: Events, item: dict[str, Any]) -> None:
    for name, number in item.items():
        letter, currency, event_type = parse_tally(name)
        if letter == "n":
            events.counts[currency, event_type] += as_count(number)
        elif letter == "v":
            events.values[currency, event_type] = EXACT.add(events.values[currency, event_type], number)


def _add_figures(figures: JourneyFigures, item: dict[str, Any], first_day: str | None) -> None:
    _add_events(figures.events, item)
    for name, number in item.items():
        letter, label, _ = parse_tally(name)
        if name == SENDS:
            figures.sends += as_count(number)
        elif letter == "t":
            figures.touches[label] += as_count(number)
        elif letter in ("r", "c") and (label == NEVER or (first_day is not None and label < first_day)):
            # A user counts on the first active day of the period: the one whose previous active day lies before it.
            if letter == "r":
                figures.reached += as_count(number)
            else:
                figures.converters += as_count(number)
