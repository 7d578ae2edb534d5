"""Credited events by time: the indexes of an application's journeys, queried side by side.

Each journey has an index of its own, so events of all journeys take a query for each. Three
bounds keep that small. The tallies name the journeys that have credited events on given days: of
many journeys only these are queried. Times are read stretch by stretch, so that the tallies of a
few days are enough for a page. And the first query of each journey runs beside those of others,
with a page so short that all pages together hold a few times the wanted events.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

from chalicelib.journeys.registry import Registry
from chalicelib.keys import ViewKeys, padded
from chalicelib.reports.report import Reports
from chalicelib.tables import Item, Table
from chalicelib.times import DAY_MS, LAST_MS, Clock, day_number, day_of, numbered_day

AT_ONCE = 10
"""Queries at a time: as many as botocore keeps connections."""

QUERIED_ANYWAY = 16
"""Journeys that are queried without a look at the tallies: reading those would take as long."""

SMALLEST_PAGE = 5
LARGEST_PAGE = 1_000
"""Events that one query of a journey reads."""

GROWTH = 4
"""How much longer each stretch is than the one before: few stretches, and at most four times the
days that were needed."""

LONGEST_STRETCH_MS = 256 * DAY_MS
"""The stretch after one of these is all the rest."""


class CreditedEvents:
    """Reads the credited events of applications, as the views hold them.

    The indexes follow the table a moment later, the tallies do not: they name each journey that
    has an event in an index.
    """

    def __init__(self, views: Table, registry: Registry, reports: Reports, clock: Clock) -> None:
        self._views = views
        self._registry = registry
        self._reports = reports
        self._clock = clock
        # Kept for the function's lifetime: to start threads takes longer than a small query.
        self._pool = ThreadPoolExecutor(AT_ONCE, "credited")

    def journeys(self, application: str, generation: int, start: int, end: int) -> list[str]:
        """The journeys that may have credited events with ``start <= time < end`` (ms UTC), in
        order of id."""
        known = sorted(self._registry.names(application))
        return known if len(known) <= QUERIED_ANYWAY else self._tallied(application, generation, start, end)

    def by_time(
        self,
        application: str,
        generation: int,
        low: str,
        high: str,
        *,
        descending: bool = False,
        wanted: int,
        journey: str | None = None,
    ) -> Iterator[Item]:
        """Credited events of all journeys, or of one, in order of their positions (``gsk``).

        Parameters
        ----------
        low, high
            The first and last position: a padded time (ms UTC), or the position of an event.
        wanted
            How many the caller will probably take; more are read as they are taken.
        """
        keys = ViewKeys(application, generation)
        known = [journey] if journey else sorted(self._registry.names(application))
        if len(known) <= QUERIED_ANYWAY:
            yield from self._merged(keys, known, low, high, wanted, descending=descending)
            return
        start, end = _time_in(low), _time_in(high) + (len(high) > len(padded(0)))
        for first, last in stretches(start, end, self._clock.now(), descending=descending):
            journeys = self._tallied(application, generation, first, last)
            bounds = max(low, padded(first)), min(high, padded(last))
            yield from self._merged(keys, journeys, *bounds, wanted, descending=descending)

    def by_journey(self, application: str, generation: int, ranges: Iterable[tuple[str, str, str]]) -> Iterator[Item]:
        """Credited events journey by journey; ``ranges`` are (journey, first, last position).

        While one journey's events are taken, the first queries of the next journeys run.
        """
        keys = ViewKeys(application, generation)
        ahead: deque[tuple[Future[Item | None], Iterator[Item]]] = deque()
        for journey, low, high in ranges:
            items = self._query(keys, journey, low, high, LARGEST_PAGE // 2, descending=False)
            ahead.append((self._pool.submit(next, items, None), items))
            if len(ahead) > AT_ONCE:
                yield from _begun(*ahead.popleft())
        for begun in ahead:
            yield from _begun(*begun)

    def _tallied(self, application: str, generation: int, start: int, end: int) -> list[str]:
        """The journeys that the tallies of these times have events of.

        Days are told in the application's time zone, so a day more is read on both sides.
        """
        first = numbered_day(day_number(day_of(start)) - 1)
        after = numbered_day(day_number(day_of(end - 1)) + 2) if end + 2 * DAY_MS <= LAST_MS else None
        report = self._reports.report(application, generation, first, after)
        return [one.journey for one in report.journeys if any(one.events.counts.values())]

    def _merged(
        self, keys: ViewKeys, journeys: Sequence[str], low: str, high: str, wanted: int, *, descending: bool
    ) -> Iterator[Item]:
        share = 2 * wanted // max(1, len(journeys)) + 1
        page = min(max(share, SMALLEST_PAGE), wanted + 1, LARGEST_PAGE)
        queries = [self._query(keys, one, low, high, page, descending=descending) for one in journeys]
        begun = [(self._pool.submit(next, items, None), items) for items in queries]
        merging = [_begun(*one) for one in begun]
        return heapq.merge(*merging, key=lambda item: str(item["gsk"]), reverse=descending)

    def _query(
        self, keys: ViewKeys, journey: str, low: str, high: str, page: int, *, descending: bool
    ) -> Iterator[Item]:
        partition = keys.journey_credits(journey)
        return self._views.query(partition, low, high, index="by_time", descending=descending, page=page)


def stretches(start: int, end: int, now: int, *, descending: bool) -> Iterator[tuple[int, int]]:
    """Stretches of ``start <= time < end`` (ms UTC) in the order of reading, each longer than the last.

    The first one is a day. Times after ``now``, which only a wrong clock names, are no stretch of
    their own.
    """
    length = DAY_MS
    while start < end:
        is_rest = length > LONGEST_STRETCH_MS
        if descending:
            border = start if is_rest else max(start, min(end, now) - length)
            yield border, end
            end = border
        else:
            border = end if is_rest or start + length >= now else min(end, start + length)
            yield start, border
            start = border
        length *= GROWTH


def _begun(first: Future[Item | None], rest: Iterator[Item]) -> Iterator[Item]:
    """A query whose first event was asked for in another thread."""
    item = first.result()
    return iter(()) if item is None else chain((item,), rest)


def _time_in(position: str) -> int:
    return int(position[: len(padded(0))])
