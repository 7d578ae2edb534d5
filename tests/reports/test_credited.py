"""Credited events of many journeys: the same as of few, with few queries, several at a time."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.api.queries import Filters
from chalicelib.keys import ViewKeys, padded
from chalicelib.reports import credited
from chalicelib.reports.credited import AT_ONCE, CreditedEvents, stretches
from chalicelib.reports.report import Events, JourneyFigures, Report
from chalicelib.settings.model import DayZone, Settings
from chalicelib.tables import Item
from chalicelib.times import DAY_MS, LAST_MS, day_of
from tests.projection.scene import Scene
from tests.reference.records import event
from tests.reference.shorthand import APP, HOUR, T, click
from tests.support.clock import SetClock
from tests.support.system import System

APPLICATION = "shop"
CALL_S = 0.005

times = st.integers(0, LAST_MS + 1)


class TestStretches:
    """Times in the order of reading."""

    @given(times, times, times, st.booleans())
    @example(0, LAST_MS + 1, T, True)
    @example(0, LAST_MS + 1, T, False)
    def test_they_are_the_whole_time_without_gaps_and_few(
        self, start: int, end: int, now: int, descending: bool
    ) -> None:
        found = list(stretches(start, end, now, descending=descending))
        if start >= end:
            assert found == []
            return
        ordered = found[::-1] if descending else found
        assert (ordered[0][0], ordered[-1][1]) == (start, end)
        assert all(first < last for first, last in found)
        assert all(one[1] == other[0] for one, other in pairwise(ordered))
        assert len(found) <= 6

    def test_the_newest_is_the_day_before_now_and_each_is_four_times_as_long(self) -> None:
        found = list(stretches(0, LAST_MS + 1, T, descending=True))
        assert found[0] == (T - DAY_MS, LAST_MS + 1)
        assert [(last - first) // DAY_MS for first, last in found[1:-1]] == [4, 16, 64, 256]
        assert found[-1][0] == 0

    def test_the_oldest_is_a_day_and_each_is_four_times_as_long(self) -> None:
        found = list(stretches(T, LAST_MS + 1, T + 1_000 * DAY_MS, descending=False))
        assert [(last - first) // DAY_MS for first, last in found[:-1]] == [1, 4, 16, 64, 256]
        assert found[-1][1] == LAST_MS + 1


class Fake:
    """An application in memory: its table, registry and reports, each of whose calls takes 5 ms."""

    def __init__(self, journeys: int, call_s: float = CALL_S) -> None:
        self.names = [f"j{at:04d}" for at in range(journeys)]
        self.events: dict[str, list[str]] = defaultdict(list)
        self.calls = 0
        self.most_at_once = 0
        self.items = 0
        self.reported: list[tuple[str | None, str | None]] = []
        self._call_s = call_s
        self._running = 0
        self._lock = threading.Lock()
        fake = cast(Any, self)
        self.credited = CreditedEvents(fake, fake, fake, SetClock(T))

    def add(self, journey: str, *moments: int) -> None:
        partition = ViewKeys(APPLICATION, 0).journey_credits(journey)
        self.events[partition] = sorted([*self.events[partition], *(f"{padded(one)}#{journey}" for one in moments)])

    def query(self, pk: str, first: str, last: str, *, index: str, descending: bool, page: int) -> Iterator[Item]:
        found = self.events[pk]
        found = found[bisect_left(found, first) : bisect_right(found, last)]
        found = found[::-1] if descending else found
        for start in range(0, max(1, len(found)), page):
            self._call(len(found[start : start + page]))
            yield from ({"gsk": one} for one in found[start : start + page])

    def names_of(self) -> dict[str, str]:
        return dict.fromkeys(self.names, "")

    def report(self, application: str, generation: int, first: str | None, end: str | None) -> Report:
        self.reported.append((first, end))
        figures = []
        for name in self.names:
            events = Events()
            for one in self.events[ViewKeys(application, generation).journey_credits(name)]:
                if (first or "") <= day_of(int(one[:15])) < (end or "9"):
                    events.counts["USD", "purchase"] += 1
            # Each has a touch, so that it has figures.
            figures.append(JourneyFigures(name, touches=Counter({"email.open": 1}), events=events))
        return Report(first, end, "event", figures, {}, Events(), touches_waiting=0, events_set_aside=0)

    def _call(self, items: int) -> None:
        with self._lock:
            self.calls += 1
            self.items += items
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        time.sleep(self._call_s)
        with self._lock:
            self._running -= 1

    def page(self, wanted: int = 100, low: str = padded(0), high: str = padded(LAST_MS + 1)) -> list[str]:
        found = self.credited.by_time(APPLICATION, 0, low, high, descending=True, wanted=wanted)
        return [one["gsk"] for one in islice(found, wanted)]

    def all(self) -> list[str]:
        return sorted((one for found in self.events.values() for one in found), reverse=True)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """500 journeys, 20 of which have events: in 20 of the last 40 days, two each."""
    fake = Fake(500)
    monkeypatch.setattr(fake.credited, "_registry", type("Names", (), {"names": lambda *_: fake.names_of()})())
    for at in range(20):
        for day in range(at % 2, 40, 2):
            fake.add(f"j{at * 25:04d}", T - day * DAY_MS - at - 1, T - day * DAY_MS - at - 1 - HOUR)
    return fake


class TestManyJourneys:
    """What a page of 500 journeys takes."""

    def test_only_journeys_that_the_tallies_name_are_queried(self, many: Fake) -> None:
        # Two stretches: of the last day come 10 x 2 events, of the four days before it 2 x 20 x 2.
        assert many.page() == many.all()[:100]
        assert len(many.reported) == 2
        assert many.calls <= 2 * 20
        # Days are told in the application's time zone, so there is a day more on both sides.
        assert many.reported[0] == (day_of(T - 2 * DAY_MS), None)
        assert many.reported[1] == (day_of(T - 6 * DAY_MS), day_of(T))

    def test_a_page_goes_on_where_the_last_one_ended(self, many: Fake) -> None:
        first = many.page()
        many.reported.clear()
        following = [one for one in many.page(101, high=first[-1]) if one < first[-1]]
        assert first + following[:100] == many.all()[:200]

    def test_queries_run_side_by_side_up_to_a_bound(self, many: Fake) -> None:
        for name in many.names:
            many.add(name, T - 1)
        began = time.monotonic()
        assert many.page() == many.all()[:100]
        took = time.monotonic() - began
        # Each journey once. One after the other they would take 2.5 s.
        assert many.calls == 500
        assert many.most_at_once == AT_ONCE
        assert took < 500 * CALL_S / 2

    def test_what_is_read_is_bounded_by_what_is_wanted(self, many: Fake) -> None:
        for name in many.names:
            many.add(name, *(T - HOUR - at for at in range(200)))
        many.page()
        # Five events of each journey, and a few pages more of those that the page is made of.
        assert many.items <= 500 * 5 + 100

    def test_one_journey_with_nearly_all_events_takes_few_queries(self, many: Fake) -> None:
        many.add("j0000", *(T - 1 - at for at in range(1_000)))
        assert many.page(1_000) == many.all()[:1_000]
        assert many.calls <= 20 + 1_000 // (2 * 1_000 // 20)

    def test_journey_by_journey_with_the_next_ones_read_ahead(self, many: Fake) -> None:
        ranges = [(name, padded(0), padded(LAST_MS + 1)) for name in many.names]
        found = [one["gsk"] for one in many.credited.by_journey(APPLICATION, 0, ranges)]
        keys = ViewKeys(APPLICATION, 0)
        assert found == [one for name in many.names for one in many.events[keys.journey_credits(name)]]
        assert many.most_at_once == AT_ONCE
        assert many.credited.journeys(APPLICATION, 0, 0, LAST_MS + 1) == many.names[:500:25]

    def test_a_failed_query_fails_the_page(self, many: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: int) -> None:
            raise RuntimeError("throttled")

        monkeypatch.setattr(many, "_call", fail)
        with pytest.raises(RuntimeError, match="throttled"):
            many.page()


ZONES = ("Pacific/Kiritimati", "Pacific/Niue", "UTC")


@pytest.fixture(scope="module", params=ZONES)
def shop(request: pytest.FixtureRequest, system: System, clock: SetClock) -> Scene:
    """Six journeys with events from a day ahead of now to a year before it, in a time zone far from UTC."""
    scene = Scene(system, clock, Settings(zones=(DayZone(request.param, 0),)))
    moments = [DAY_MS - 1, 1, 0, -1, -HOUR, *(-day * DAY_MS + extra for day in range(1, 9) for extra in (-1, 0))]
    moments += [-30 * DAY_MS, -100 * DAY_MS, -400 * DAY_MS]
    # Pages end between two events of one millisecond.
    moments += moments[:8]
    for at, moment in enumerate(moments):
        user, journey = f"e{at}", f"j{at % 6}"
        scene.hear(click(journey, T + moment - 1, user), event(APP, "purchase", T + moment, client_id=user, price=at))
    scene.hear(click("j9", T, "nobody"))
    scene.system.project_all()
    clock.time = T
    return scene


QUERIES = {
    "all": Filters(None, None, None, None, None),
    "a journey": Filters("j3", None, None, None, None),
    "from": Filters(None, None, None, T - 3 * DAY_MS, None),
    "to": Filters(None, None, None, None, T - 3 * DAY_MS),
    "a day": Filters(None, None, None, T - DAY_MS, T),
    "a millisecond": Filters(None, None, None, T - 2 * DAY_MS, T - 2 * DAY_MS + 1),
    "a year ago": Filters(None, None, None, 0, T - 300 * DAY_MS),
    "a type": Filters(None, "sign_up", None, None, None),
}


@pytest.mark.parametrize("limit", [1, 4, 1_000])
@pytest.mark.parametrize("filters", QUERIES.values(), ids=QUERIES)
def test_pages_are_the_same_as_without_a_look_at_the_tallies(
    filters: Filters, limit: int, shop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pages() -> list[tuple[list[str], str | None]]:
        found = [shop.page(filters, limit)]
        while found[-1].next_position:
            found.append(shop.page(filters, limit, found[-1].next_position))
        return [([one.position for one in page.rows], page.next_position) for page in found]

    expected = pages()
    monkeypatch.setattr(credited, "QUERIED_ANYWAY", 0)
    assert pages() == expected


def test_a_journey_whose_events_all_went_elsewhere_is_not_queried(shop: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credited, "QUERIED_ANYWAY", 0)
    found = wiring.credited_events().journeys(shop.application, 0, 0, LAST_MS + 1)
    assert found == [f"j{at}" for at in range(6)]
