"""What a client with no rights but to send events does to a running ``serve``: nothing stops, slows or spoils it (I7).

Each attack ends alike. Another application's events, sent before and after it, are all counted soon; the attacker's own
are counted, capped or set aside, and their numbers add up.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.support import DAY, HOUR, MINUTE, Served, eventually, now
from tests.reference.records import Json, email_click, event, push_opened, send

WITHIN_S = 30.0
PUT_AT_ONCE = 500

Records = list[Json]


def bought(app: str, kind: str, at: int, endpoint: str = "e1", **attributes: str) -> Json:
    return event(app, kind, at, price=2, client_id=endpoint, attributes=attributes)


def made_up_types(app: str, at: int) -> Records:
    """600 events, each of a type and a currency of its own, after a touch."""
    told = [bought(app, f"type {number}", at + number, currency=f"X{number}") for number in range(600)]
    return [email_click(app, "e1", "j1", at - 1), *told]


def one_user_of_many_types(app: str, at: int) -> Records:
    """781 events of one user with 781 types over 30 days, all credited."""
    start = at - 25 * DAY
    clicks = [email_click(app, "e1", "j1", start + day * DAY) for day in range(25)]
    return clicks + [bought(app, f"type {number}", start + number * 25 * DAY // 781 + 1) for number in range(781)]


def touches_before_events(app: str, at: int) -> Records:
    """400 touches of one user, each newer than the one before, and then 400 events later than all of them."""
    clicks = [email_click(app, "e1", f"j{number % 5}", at + number) for number in range(400)]
    return clicks + [bought(app, "purchase", at + 1_000 + number) for number in range(400)]


def touches_after_events(app: str, at: int) -> Records:
    """600 events, and then touches that come late, each newer than the one before."""
    events = [bought(app, "purchase", at + 1_000 + number) for number in range(600)]
    return events + [email_click(app, "e1", f"j{number % 5}", at + number) for number in range(100)]


def made_up_journeys(app: str, at: int) -> Records:
    """1,000 opened push notifications with journey ids that nobody knows, and an event after each."""
    opened = [push_opened(app, f"e{number}", f"made up {number}", at + number) for number in range(1_000)]
    return opened + [bought(app, "purchase", at + 5_000 + number, f"e{number}") for number in range(0, 1_000, 10)]


def one_endpoint_s_first_link(app: str, at: int) -> Records:
    """2,000 events of an endpoint, and then the first record that tells whose it is."""
    told = [bought(app, "purchase", at + number) for number in range(2_000)]
    return [email_click(app, "e1", "j1", at - 1), *told, send(app, "e1", "j1", at - 2, user_name="mallory")]


def one_endpoint_of_many_users(app: str, at: int) -> Records:
    """An endpoint with 200 events that is linked to 150 users in turn."""
    told = [bought(app, "purchase", at + number * 10) for number in range(200)]
    links = [send(app, "e1", "j1", at + number * 13, user_name=f"user {number}") for number in range(150)]
    return [*told, *links[::-1]]


def unheard_of_amounts(app: str, at: int) -> Records:
    """Amounts beyond all prices, of more digits than a number may have when they are added up."""
    amounts = [1e300, -1e300, 9.9e11, 999_999_999_999.999, 1e-300, 1e15, 1e12, 123_456_789.123_456_789] * 40
    return [
        email_click(app, "e1", "j1", at - 1),
        *(event(app, "purchase", at + number, price=price, client_id="e1") for number, price in enumerate(amounts)),
    ]


def long_past_and_far_ahead(app: str, at: int) -> Records:
    """Touches and events on hundreds of days, years apart from each other."""
    days = [number * 97 * DAY for number in range(200)]
    told = [[email_click(app, "e1", "j1", day), bought(app, "purchase", day + 1)] for day in days]
    return list(itertools.chain.from_iterable(told))


def stamps_of_all_kinds(app: str, at: int) -> Records:
    """700 events with stamps that name nothing, of one hash or another."""
    told = [bought(app, "purchase", at + number, campaign=f"stamp {number}" * 20) for number in range(700)]
    return [*told[:350], email_click(app, "e1", "j1", at + 350), *told[350:]]


ATTACKS = (
    made_up_types,
    one_user_of_many_types,
    touches_before_events,
    touches_after_events,
    made_up_journeys,
    one_endpoint_s_first_link,
    one_endpoint_of_many_users,
    unheard_of_amounts,
    long_past_and_far_ahead,
    stamps_of_all_kinds,
)


def put_all(served: Served, records: Sequence[Mapping[str, object]]) -> None:
    rest = iter(records)
    while some := list(itertools.islice(rest, PUT_AT_ONCE)):
        served.put(some)


def innocent(app: str, at: int) -> Iterator[Json]:
    yield send(app, "phone", "welcome", at - HOUR, user_name="jane")
    yield email_click(app, "phone", "welcome", at)
    yield event(app, "purchase", at + MINUTE, price=10, user_name="jane")


def total(report: Mapping[str, Any]) -> int:
    return int(sum(report["total"]["events"].values()) + report["events_set_aside"])


def check_sums(report: Mapping[str, Any]) -> None:
    """R13 by type and by currency: what is credited and what is not are the total."""
    parts = [*report["journeys"], report["unattributed"]]
    for name in report["total"]["events"]:
        assert sum(one["events"].get(name, 0) for one in parts) == report["total"]["events"][name]
    for name, amount in report["total"]["revenue"].items():
        assert sum(Decimal(one["revenue"].get(name, "0")) for one in parts) == Decimal(amount)
    assert all(number >= 0 for one in parts for number in one["events"].values())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_harms_nobody_else(attack: Any, served: Served) -> None:
    attacked, app = f"attacked-{attack.__name__}", f"innocent-{attack.__name__}"
    at = now() - 2 * DAY
    records = attack(attacked, at)
    put_all(served, list(innocent(app, at)))
    put_all(served, records)
    begun = time.monotonic()
    served.put([event(app, "sign_up", at + HOUR, user_name="jane")])
    eventually(lambda: served.report(app)["total"]["events"], {"purchase": 1, "sign_up": 1}, WITHIN_S)
    eventually(lambda: served.report(app)["unattributed"]["events"], {}, WITHIN_S)
    print(f"{attack.__name__}: the innocent waited {time.monotonic() - begun:.1f} s")

    events = sum(not str(one["event_type"]).startswith("_") for one in records)
    eventually(lambda: total(served.report(attacked)), events, 60.0)
    print(f"{attack.__name__}: all counted after {time.monotonic() - begun:.1f} s")
    check_sums(served.report(attacked))
    # What was left to later turns ends, too.
    eventually(lambda: is_settled(served, attacked), True, 120.0)
    print(f"{attack.__name__}: settled after {time.monotonic() - begun:.1f} s")
    report = served.report(attacked)
    check_sums(report)
    listed = len(list(all_events(served, attacked)))
    assert listed == sum(sum(one["events"].values()) for one in report["journeys"])


def is_settled(served: Served, app: str) -> bool:
    """Whether nothing changes any more."""
    before = served.report(app)
    served.settle(60.0)
    return bool(served.report(app) == before)


def all_events(served: Served, app: str) -> Iterator[Any]:
    cursor = None
    while True:
        query = {"limit": 500} | ({"cursor": cursor} if cursor else {})
        answer = served.get(f"/applications/{app}/events", query)
        assert answer.status == 200, answer
        yield from answer.body["items"]
        cursor = answer.body.get("next_cursor")
        if not cursor:
            return
