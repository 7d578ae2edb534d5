"""What reports tell beyond sums: by the day of the touch, converters by type, delays, stamps that disagree (R11)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from chalicelib import wiring
from chalicelib.reports.report import JourneyFigures, Report
from chalicelib.settings.model import DayZone, Settings
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record
from tests.reference.records import event, send
from tests.reference.shorthand import APP, HOUR, T, click
from tests.support.clock import SetClock
from tests.support.system import System

DAYS = ["20260328", "20260329", "20260330", "20260331", "20260401"]
"""The days from T on."""


def did(at: int, event_type: str, endpoint_id: str = "e1", *, price: object = None, stamp: str | None = None) -> Record:
    attributes = {} if stamp is None else {"campaign": stamp}
    return event(APP, event_type, at, client_id=endpoint_id, price=price, attributes=attributes)


def by_touch(scene: Scene, first: str | None = None, end: str | None = None) -> Report:
    return wiring.reports().report(scene.application, 0, first, end, "touch")


def only(report: Report) -> JourneyFigures:
    (figures,) = report.journeys
    return figures


def test_events_count_on_the_day_of_their_touch(scene: Scene) -> None:
    scene.tell(
        click("j1", T + HOUR),
        did(T + 2 * HOUR, "purchase", price=10),
        did(T + DAY, "purchase", price=1),
        did(T + 3 * DAY, "purchase", price=5),
        click("j1", T + 3 * DAY + HOUR),
        did(T + 3 * DAY + 2 * HOUR, "purchase", price=100),
        did(T - 1, "purchase", price=1000),
    )
    for first, end, dollars in [(0, 1, 16), (1, 3, None), (3, 4, 100), (0, 4, 116)]:
        found = by_touch(scene, DAYS[first], DAYS[end])
        revenue = [one.events.revenue() for one in found.journeys]
        assert revenue == ([{"USD": Decimal(dollars)}] if dollars else [])
    assert [only(scene.report(DAYS[day], DAYS[day + 1])).events.revenue() for day in (0, 1, 3)] == [
        {"USD": Decimal(10)}, {"USD": Decimal(1)}, {"USD": Decimal(105)},
    ]  # fmt: skip


def test_an_event_that_moves_to_an_older_touch_moves_to_its_day(scene: Scene) -> None:
    # R5: the touch of the first day comes after the event; then the newer one of the second day.
    scene.tell(did(T + 2 * DAY, "purchase", price=10))
    scene.tell(click("j1", T))
    assert only(by_touch(scene, DAYS[0], DAYS[1])).events.by_type() == {"purchase": 1}
    scene.tell(click("j1", T + DAY))
    assert by_touch(scene, DAYS[0], DAYS[1]).journeys[0].events.by_type() == {}
    found = only(by_touch(scene, DAYS[1], DAYS[2]))
    assert (found.events.by_type(), found.converters, found.reached) == ({"purchase": 1}, 1, 1)


def test_days_begin_at_midnight_of_the_time_zone_also_when_clocks_change(clock: SetClock, system: System) -> None:
    # On 29 March 2026 Zurich's clocks go from 2:00 to 3:00: its day begins at 23:00 UTC and the next one at 22:00.
    scene = Scene(system, clock, Settings(zones=(DayZone("Europe/Zurich", 0),)))
    sunday = T + DAY
    scene.tell(
        click("j1", T),
        *(did(at, "purchase", price=price) for at, price in [
            (sunday - HOUR - 1, 1), (sunday - HOUR, 2), (sunday + 22 * HOUR - 1, 4), (sunday + 22 * HOUR, 8),
        ]),
    )  # fmt: skip
    found = [only(scene.report(DAYS[day], DAYS[day + 1])).events.revenue() for day in (0, 1, 2)]
    assert found == [{"USD": Decimal(1)}, {"USD": Decimal(6)}, {"USD": Decimal(8)}]
    assert only(by_touch(scene, DAYS[0], DAYS[1])).events.revenue() == {"USD": Decimal(15)}


def test_converters_are_distinct_users_by_type(scene: Scene) -> None:
    scene.tell(
        *(click("j1", T, endpoint) for endpoint in ("e1", "e2", "e3")),
        did(T + 1, "purchase"), did(T + DAY, "purchase"), did(T + DAY, "sign_up"),
        did(T + 2 * DAY, "sign_up", "e2"),
    )  # fmt: skip
    figures = only(scene.report())
    assert figures.converters == 2
    figures = only(scene.report(DAYS[1], DAYS[3]))
    assert figures.converters == 2
    figures = only(scene.report(DAYS[1], DAYS[2]))
    assert figures.converters == 1
    figures = only(by_touch(scene, DAYS[0], DAYS[1]))
    assert figures.converters == 2


def test_who_converted_is_counted_anew_when_a_touch_comes_late(scene: Scene) -> None:
    scene.tell(click("j1", T), did(T + DAY, "purchase"), did(T + DAY, "sign_up"), did(T + 2 * DAY, "purchase"))
    scene.tell(click("j2", T + DAY + 1))
    j1, j2 = scene.report().journeys
    assert j1.converters == 1
    assert j2.converters == 1
    j1, j2 = by_touch(scene).journeys
    assert j1.converters == 1
    assert j2.converters == 1


def test_converters_by_the_day_of_the_touch_whatever_came_first(scene: Scene) -> None:
    # The later touch's event comes first: what the user was "before" changes on the later day when the earlier comes.
    scene.tell(click("j1", T), click("j1", T + 3 * DAY), did(T + 4 * DAY, "purchase"))
    expected = {(0, 1): 0, (0, 3): 0, (3, 4): 1, (0, 4): 1}
    assert {days: converters(by_touch(scene, DAYS[days[0]], DAYS[days[1]])) for days in expected} == expected
    scene.tell(did(T + 2 * DAY, "purchase"))
    expected = {(0, 1): 1, (0, 3): 1, (3, 4): 1, (0, 4): 1, (1, 4): 1}
    assert {days: converters(by_touch(scene, DAYS[days[0]], DAYS[days[1]])) for days in expected} == expected


def converters(report: Report) -> int:
    return sum(one.converters for one in report.journeys)


def test_delays_follow_the_touch_that_decides(scene: Scene) -> None:
    scene.tell(click("j1", T), did(T + 10_000, "purchase"), did(T + 20_000, "purchase"))
    assert only(scene.report()).delays == {10: 1, 20: 1}
    scene.tell(click("j1", T + 15_000))
    assert +only(scene.report()).delays == Counter({10: 1, 5: 1})


def test_stamps_that_name_another_journey_than_the_touch_are_counted(scene: Scene) -> None:
    # R11. A stamp never beats a touch. What the stamp says is compared with the journey's name as it is when asked.
    scene.tell(
        send(APP, "e9", "j2", T - 9),
        did(T - 1, "purchase", stamp="j2"),  # no touch: it decides, nothing to disagree with
        click("j1", T),
        did(T + 1, "purchase", stamp="j1"),
        did(T + 1, "sign_up", stamp="j1"),
        did(T + 2, "purchase", stamp="j2"),
        did(T + 3, "purchase", stamp="Spring"),
        did(T + 4, "purchase", stamp=" "),
        did(T + 5, "purchase"),
    )
    j1, j2 = scene.report().journeys
    assert (j1.stamps_agreeing, j1.stamps_disagreeing) == (2, 2)
    assert (j2.stamps_agreeing, j2.stamps_disagreeing) == (0, 0)
    wiring.registry().set_name(scene.application, "j1", "Spring")
    scene.system.project_all()
    assert (scene.report().journeys[0].stamps_agreeing, scene.report().journeys[0].stamps_disagreeing) == (1, 3)
    scene.tell(did(T + 6, "purchase", stamp="Spring"))
    assert (scene.report().journeys[0].stamps_agreeing, scene.report().journeys[0].stamps_disagreeing) == (2, 3)
    scene.tell(click("j2", T + 3))  # the events from here on are another journey's
    j1, j2 = scene.report().journeys
    assert (j1.stamps_agreeing, j1.stamps_disagreeing) == (0, 3)
    assert (j2.stamps_agreeing, j2.stamps_disagreeing) == (0, 2)
