"""R13: every event ends in exactly one bucket, at every moment; the sums are exact, and by currency (R12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import pytest

from chalicelib.reports.report import Events
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record, Step
from tests.reference.records import email_click, event, purchase, send
from tests.reference.shorthand import APP, T, bought, click, opened, tagged
from tests.support.clock import SetClock
from tests.support.system import System


def sold(
    at: int, price: object, currency: str = "USD", event_type: str = "purchase", endpoint_id: str = "e1"
) -> Record:
    return event(APP, event_type, at, client_id=endpoint_id, price=price, attributes={"currency": currency})


DAYS = ["20260328", "20260329", "20260330", "20260331", "20260401", "20260402"]
"""The days from T on."""


class Figures(NamedTuple):
    """Numbers of events by type, and money by currency."""

    events: dict[str, int]
    revenue: dict[str, Decimal]


def of(events: dict[str, int], **revenue: str) -> Figures:
    return Figures(events, {currency: Decimal(amount) for currency, amount in revenue.items()})


def figures(events: Events) -> Figures:
    return Figures(events.by_type(), events.revenue())


def test_a_report_adds_up_by_type_and_currency(scene: Scene) -> None:
    scene.tell(
        send(APP, "e1", "j1", T - 9),
        send(APP, "e1", "j1", T - 9, status="DAILY_CAP"),  # a message that was not sent
        click("j1", T),
        opened("j1", T - 5),
        sold(T + 1, 19.99),
        sold(T + 2, 0.01),
        sold(T + 3, 5, "eur"),
        sold(T + 4, 4.5, event_type="refund"),
        purchase(APP, T + 5, item_price=2.5, quantity=3, client_id="e1"),
        bought(T + 6),
        event(APP, "sign_up", T + 7, client_id="e1"),
        sold(T - 6, 7),  # before the touch
        sold(T + 1, 11, endpoint_id="e2"),
        sold(T + 1, 3, "GBP", endpoint_id="e3"),
    )
    report = scene.report()
    (j1,) = report.journeys
    assert (j1.journey, j1.sends, dict(j1.touches), j1.reached, j1.converters) == (
        "j1", 1, {"email.click": 1, "email.open": 1}, 1, 1,
    )  # fmt: skip
    # 19.99 + 0.01 - 4.50 + 3 * 2.50; the euros apart.
    credited = {"_monetization.purchase": 1, "purchase": 4, "refund": 1, "sign_up": 1}
    assert figures(j1.events) == of(credited, EUR="5", USD="23.00")
    assert figures(report.unattributed) == of({"purchase": 3}, GBP="3", USD="18")
    assert figures(report.total) == of(credited | {"purchase": 7}, EUR="5", GBP="3", USD="41.00")


def test_days_are_utc_days_of_the_event(scene: Scene) -> None:
    # Catches: the day of arrival, of the touch, or the machine's; a day that counts at both its ends.
    scene.tell(click("j1", T - 1), sold(T - 1, 1), sold(T, 2), sold(T + DAY - 1, 4), sold(T + DAY, 8))
    expected = {
        ("20260327", "20260328"): 1,
        ("20260328", "20260329"): 6,
        ("20260329", "20260330"): 8,
        ("20260327", "20260330"): 15,
    }
    for (first, end), dollars in expected.items():
        assert scene.report(first, end).journeys[0].events.revenue() == {"USD": dollars}
    assert scene.report("20260330", None).journeys == []
    assert scene.report(None, "20260327").journeys == []


def test_reached_and_converters_are_distinct_users_of_any_range_of_days(scene: Scene) -> None:
    def days(endpoint_id: str, *numbers: int) -> list[Record]:
        return [
            record
            for day in numbers
            for record in (click("j1", T + day * DAY, endpoint_id), sold(T + day * DAY + 1, 1, endpoint_id=endpoint_id))
        ]

    scene.tell(*days("e1", 0, 1, 3), *days("e2", 1), *days("e3", 3, 4), *days("e3", 3))
    # Catches: the days' counts added up, which count a user once a day.
    expected = {(0, 1): 1, (1, 2): 2, (0, 2): 2, (2, 3): 0, (3, 4): 2, (1, 4): 3, (0, 5): 3, (4, 5): 1, (2, 5): 2}
    for (first, end), distinct in expected.items():
        found = scene.report(DAYS[first], DAYS[end])
        counts = [(one.reached, one.converters) for one in found.journeys]
        assert counts == ([(distinct, distinct)] if distinct else []), (first, end)


def test_sums_keep_every_digit() -> None:
    # Catches: the 28 digits of Python's own decimals. Fifteen before the point and eighteen after are 33.
    large, small = Decimal("123456789012345"), Decimal("0.000000000000000001")
    total = Events()
    total.counts.update({("USD", "a"): 1, ("USD", "b"): 1})
    total.values.update({("USD", "a"): large, ("USD", "b"): small})
    assert total.revenue() == {"USD": Decimal("123456789012345.000000000000000001")}
    credited = Events()
    credited.counts["USD", "a"] = 0
    credited.values["USD", "a"] = small
    assert total.minus([credited]).values["USD", "a"] == Decimal("123456789012344.999999999999999999")


def test_which_order_things_came_in_does_not_show(system: System, clock: SetClock) -> None:
    # R5. Catches: journeys left in the report with nothing but zeros, because they once had a credit.
    records = [click("j1", T - DAY), click("j2", T - 5), sold(T, 5)]
    reports = []
    for told in (records, records[::-1], [records[0], records[2], records[1]]):
        scene = Scene(system, clock)
        scene.tell_one_by_one(told)
        reports.append([one.journey for one in scene.report("20260328", "20260329").journeys])
    assert reports == [["j2"]] * 3


def recounted(scene: Scene) -> dict[str, Counter[str]]:
    """The events of each journey by type, counted from the credited events one by one."""
    counts: dict[str, Counter[str]] = {}
    for credit in scene.credited():
        counts.setdefault(credit.journey, Counter())[credit.event_type] += 1
    return counts


def revalued(scene: Scene) -> dict[str, dict[str, Decimal]]:
    """The money of each journey by currency, added up from the credited events one by one."""
    money: dict[str, dict[str, Decimal]] = {}
    for credit in scene.credited():
        mine = money.setdefault(credit.journey, {})
        if credit.value is not None and credit.currency is not None:
            mine[credit.currency] = mine.get(credit.currency, Decimal(0)) + credit.value
    return money


EVENTFUL: list[Record] = [
    sold(T + 1, 5),
    sold(T + 5, 7.5, "eur"),
    click("j1", T),
    send(APP, "e1", "j1", T - 9, user_name="jane"),  # all of e1's becomes jane's
    sold(T + 6, 2, event_type="refund"),
    click("j2", T + 4),
    event(APP, "purchase", T + 7, user_name="jane", price=3),
    send(APP, "e1", "j1", T + 5, user_name="joan"),  # and from here on joan's
    tagged("j3", T + 2),
    event(APP, "purchase", T + 8, user_name="joan", price=0),
    email_click(APP, "e2", "j2", T),
    sold(T + 1, 11, endpoint_id="e2"),
    send(APP, "e2", "j2", T - 1, user_name="joan"),
    send(APP, "e1", "j1", T - 9, user_name="zoe"),  # greater than jane, at one millisecond
    bought(T + 3),
    bought(T + 3, None),
    click("j1", T + 3),
]
"""A history in which nearly every record moves credits that came before it."""


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "from the end"])
def test_the_sums_are_right_after_every_single_projected_record(
    backwards: bool, system: System, clock: SetClock
) -> None:
    # I2. Catches: an event in two journeys, or in none, while a link or a late touch moves it from one to the other.
    scene = Scene(system, clock)
    told = 0
    for record in reversed(EVENTFUL) if backwards else EVENTFUL:
        scene.hear(record)
        told += is_event(record)
        for _ in each_projected(system):
            report = scene.report()
            journeys = [one for one in report.journeys if one.events.by_type()]
            assert sum(report.total.by_type().values()) == told
            assert {one.journey: Counter(one.events.by_type()) for one in journeys} == recounted(scene)
            assert {one.journey: one.events.revenue() for one in journeys} == revalued(scene)
            assert all(number >= 0 for number in report.unattributed.counts.values())
    assert scene.report().total.by_type() == {"purchase": 7, "refund": 1}


def is_event(record: Record) -> bool:
    return not isinstance(record, Step | bytes) and record["event_type"] in ("purchase", "refund")


def each_projected(system: System) -> Iterator[None]:
    """Project what waits, and what comes of it, record by record; yields after each."""
    system.collect()
    while ready := system.ready():
        system.project_some(ready[0], 1)
        system.collect()
        yield
