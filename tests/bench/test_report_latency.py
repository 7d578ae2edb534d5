"""How long a report of 28 days takes on a running ``serve``, after 1,000 and after 100,000 credited events."""

from __future__ import annotations

import http.client
import random
import statistics
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.support import DAY, HOUR, SHARD_HASHES, Served, now, serving
from tests.reference.records import email_click, email_open, event, send

SIZES = [1_000, 100_000]
ASKED = 41
AT_ONCE = 400
TYPES = ["purchase", "purchase", "purchase", "sign_up", "add_to_cart", "refund"]


def stream(application: str, events: int, start: int) -> Iterator[Mapping[str, object]]:
    """So many events of 28 days, nearly all credited: a touch a week for each customer, of seven journeys."""
    dice = random.Random(events)
    customers = max(30, events // 33)
    for number in range(customers):
        yield send(application, f"e{number}", "j0", start - DAY, user_name=f"customer {number}")
    for week in range(4):
        for number in range(customers):
            made = dice.choice([email_open, email_click])
            yield made(
                application, f"e{number}", f"j{dice.randrange(7)}", start + week * 7 * DAY + dice.randrange(12 * HOUR)
            )
    for number in range(events):
        at = start + 12 * HOUR + dice.randrange(27 * DAY)
        currency = {"currency": dice.choice(["USD", "EUR"])}
        price = dice.randint(1, 9_999) / 100
        yield event(
            application, dice.choice(TYPES), at, client_id=None, user_name=f"customer {number % customers}",
            price=price, attributes=currency,
        )  # fmt: skip


@pytest.mark.bench
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("events", SIZES)
def test_a_report_of_28_days(events: int, tmp_path: Path) -> None:
    with serving(tmp_path / "stderr.log") as served:
        start = (now() - 40 * DAY) // DAY * DAY
        application = f"bench {events}"
        records = stream(application, events, start)
        for at in range(10**6):
            some = list(islice(records, AT_ONCE))
            if not some:
                break
            served.put(some, at % len(SHARD_HASHES))
        target = f"/applications/{application.replace(' ', '%20')}/report"
        served.settle(within_s=1_800)
        report = served.get(target).body
        assert sum(report["total"]["events"].values()) == events
        credited = sum(sum(one["events"].values()) for one in report["journeys"])
        period = f"{target}?from={day(start)}&to={day(start + 28 * DAY)}"
        told = [f"{name} {median(served, period + query):.0f} ms" for name, query in QUERIES.items()]
        print(f"\nreport of 28 days, {credited:,} credited of {events:,} events: {', '.join(told)} (median of {ASKED})")
        assert credited > events * 0.8


QUERIES = {"whole": "", "by day": "&by=day", "by touch date": "&date=touch"}


def day(time_ms: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time_ms / 1000))


def median(served: Served, target: str) -> float:
    """Milliseconds, warm, over one connection."""
    connection = http.client.HTTPConnection(urlsplit(served.ready["api"]).netloc, timeout=30)
    headers = {"Authorization": f"Bearer {served.ready['tokens']['viewer']}"}
    took = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        answer.read()
        took.append((time.perf_counter() - begun) * 1000)
        assert answer.status == 200
    connection.close()
    return statistics.median(took)
