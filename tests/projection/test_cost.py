"""What events cost, in calls and capacity units (issue 2, "Limits"; I6): counted, not timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.facts.items import to_item
from chalicelib.facts.model import Event, Identity, PlacedFact
from chalicelib.keys import Key
from chalicelib.projection.views import Credit, campaign_from, credit_item
from chalicelib.settings.model import Settings
from local.lambda_events import windowed
from local.stack import LocalStack
from tests.projection.meter import Meter, metered
from tests.projection.scene import EVERYTHING, Scene
from tests.reference.facts import DAY, Record
from tests.reference.records import encode, event, send
from tests.reference.shorthand import APP, HOUR, WEEK, T, click
from tests.sources.reading import PAYLOADS
from tests.support.clock import SetClock
from tests.support.renaming import renamed
from tests.support.stacks import own_stack
from tests.support.system import Json, System, kinesis_event, moment


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """A MiniStack of these tests' own: tens of thousands of items would make every scan of other tests slow."""
    with own_stack() as made:
        yield made


BATCH = 1_000
RECORD = 1_500
"""Bytes."""

PURCHASE = json.loads((PAYLOADS / "constructed-custom-event-purchase.json").read_bytes())


def bought(at: int, user: str, *, stamp: str | None = None) -> Record:
    """A purchase as an app reports it: the documented payload, about somebody else, and padded to 1.5 kB."""
    attributes = {"currency": "USD", "item": "sku-1"} | ({} if stamp is None else {"campaign": stamp})
    record = {
        **PURCHASE,
        "event_timestamp": at,
        "arrival_timestamp": at + 880,
        "application": {**PURCHASE["application"], "app_id": APP},
        "client": {"client_id": f"endpoint-of-{user}"},
        "attributes": attributes,
        "endpoint": {"User": {"UserId": f"id-of-{user}", "UserAttributes": {"username": [user]}}},
    }
    return {**record, "padding": "x" * (RECORD - len(encode(record)) - 15)}


def users(count: int = BATCH) -> list[str]:
    return [f"customer-{number:06d}@example.com" for number in range(count)]


def spent_on_ingesting(scene: Scene, records: Sequence[Record]) -> Meter:
    raw = [encode(renamed(record, scene.suffix)) for record in records]  # type: ignore[arg-type]
    with metered() as meter:
        assert scene.system.ingest(raw) == {"batchItemFailures": []}
    return meter


def spent_on_projecting(scene: Scene) -> Meter:
    """Projects what waits, as one batch of one shard."""
    records = waiting(scene)
    with metered() as meter:
        assert scene.system.deliver(f"shard of{scene.suffix}", records)["batchItemFailures"] == []
    return meter


# --- the meter itself ---


def item(name: str, bytes_in_all: int = 0, **more: str) -> dict[str, str]:
    """An item of so many bytes: 2 + 2 of the keys' names, their values, and padding."""
    base = {"pk": "cost", "sk": name, **more}
    used = sum(len(key) + len(value) for key, value in base.items())
    return base | ({"x": "y" * (bytes_in_all - used - 1)} if bytes_in_all else {})


CHARGES = {
    # what is written: its write units, by DynamoDB's price list
    "a small item": (item("a"), 1, 2),
    "a KB": (item("b", 1_024), 1, 2),
    "a KB and a byte": (item("c", 1_025), 2, 4),
    "an item in the index": (item("d", gpk="i", gsk="1"), 2, 3),
    "a large one in the index": (item("e", 1_500, gpk="i", gsk="1"), 4, 6),
}


@pytest.mark.parametrize(("written", "plain", "in_transaction"), CHARGES.values(), ids=CHARGES)
def test_the_meter_charges_what_dynamodb_does(
    written: dict[str, str], plain: int, in_transaction: int, system: System
) -> None:
    views = wiring.views()
    with metered() as meter:
        views.put_many([written])
    assert (meter.write_units, meter.calls) == (plain, {"BatchWriteItem": 1})
    views.client.delete_item(TableName=views.name, Key={"pk": {"S": "cost"}, "sk": {"S": written["sk"]}})
    with metered() as meter:
        views.transact([views.put_operation(written)])
    assert (meter.write_units, meter.calls) == (in_transaction, {"TransactWriteItems": 1})
    with metered() as meter:
        assert views.get(Key("cost", written["sk"])) == written
    assert (meter.read_units, meter.write_units) == (1, 0)


# --- per 1,000 records ---


def test_the_records_are_as_large_as_the_limits_say() -> None:
    assert {len(encode(bought(T + number, user))) for number, user in enumerate(users())} == {RECORD}  # type: ignore[arg-type]


def test_events_of_users_without_touches(scene: Scene, clock: SetClock) -> None:
    ingesting = spent_on_ingesting(scene, [bought(T + number, user) for number, user in enumerate(users())])
    assert ingesting.calls.total() <= 45
    projecting = spent_on_projecting(scene)
    assert ingesting.calls.total() + projecting.calls.total() <= 80
    assert (ingesting.write_units + projecting.write_units) / BATCH <= 1.1
    assert scene.report().total.by_type() == {"purchase": BATCH}


def test_events_of_endpoints_that_nobody_is_known_of(scene: Scene, clock: SetClock) -> None:
    # An alias is looked up twice: whose it is, and whether it has a touch.
    told = [event(APP, "purchase", T + number, client_id=f"endpoint-{number:04d}") for number in range(BATCH)]
    ingesting, projecting = spent_on_ingesting(scene, told), spent_on_projecting(scene)
    assert ingesting.calls.total() + projecting.calls.total() <= 80
    assert (ingesting.write_units + projecting.write_units) / BATCH <= 1.1


@pytest.mark.parametrize("journeys", [1, 10])
def test_credited_events(journeys: int, scene: Scene, clock: SetClock) -> None:
    clock.time = T + HOUR
    scene.tell(*(send(APP, f"e{number}", "j0", T - 1, user_name=user) for number, user in enumerate(users())))
    scene.tell(*(click(f"j{number % journeys}", T, f"e{number}") for number in range(BATCH)))
    ingesting = spent_on_ingesting(scene, [bought(T + number, user) for number, user in enumerate(users())])
    projecting = spent_on_projecting(scene)
    assert sum(one.events.by_type()["purchase"] for one in scene.report().journeys) == BATCH
    assert ingesting.calls.total() <= 45
    assert (ingesting.write_units + projecting.write_units) / BATCH <= 7


def test_an_alias_and_a_stamp_cost_what_is_kept_because_of_them(scene: Scene, clock: SetClock) -> None:
    """Beyond the limits, which are for events that name their user: two units more for the item that finds them."""
    scene.tell(*(send(APP, f"e{number}", "j0", T - 1, user_name=user) for number, user in enumerate(users(200))))

    def spent(told: Sequence[Record]) -> float:
        spent_here = spent_on_ingesting(scene, told).write_units + spent_on_projecting(scene).write_units
        return (spent_here + spent_on_projecting(scene).write_units) / len(told)

    def by_endpoint(at: int) -> list[Record]:
        return [event(APP, "purchase", at + number, client_id=f"e{number}") for number in range(200)]

    assert spent(by_endpoint(T - HOUR)) <= 3.2  # the copy in the partition of the endpoint's user
    assert spent([bought(T + number, f"of no touch {number}", stamp="Spring sale") for number in range(200)]) <= 3.2
    scene.tell(*(click("j0", T, f"e{number}") for number in range(200)))
    assert spent(by_endpoint(T + HOUR)) <= 9


def test_second_purchases_cost_what_the_first_ones_do(scene: Scene, clock: SetClock) -> None:
    # One user buys ten times. Catches: an item for each user that is written once for each event of a batch.
    scene.tell(send(APP, "e0", "j0", T - 1, user_name="jane"), click("j0", T, "e0"))
    told = [bought(T + number, "jane") for number in range(100)]
    spent = spent_on_ingesting(scene, told).write_units + spent_on_projecting(scene).write_units
    assert spent / 100 <= 7


# --- nothing grows ---


def with_history(scene: Scene, user: str, events: int, days: int) -> None:
    """A user with so many events on so many days, all credited to one journey.

    One event a day is told and projected; the others' facts and credits are put in place, as projecting them would.
    """
    starts = [T + day * DAY for day in range(days)]
    identity, endpoint_id = Identity("n", user), f"endpoint {user}"
    scene.tell(send(APP, endpoint_id, "j1", T - 2, user_name=user), event(APP, "purchase", T, user_name=user))
    scene.tell(*(click("j1", start - 1, endpoint_id) for start in starts[:: WEEK // DAY - 1]))
    scene.tell(*(event(APP, "purchase", start, user_name=user) for start in starts))
    campaign = campaign_from(scene.campaign_item(user, "n") or {})
    facts, credits = [], []
    for number in range(events - days):
        at, digest = starts[number % days] + 1 + number // days, f"{number:032x}"
        facts.append(to_item(PlacedFact(scene.application, identity, digest, Event(at, "purchase")), Settings()))
        credits.append(credit_item(scene.keys, identity, Credit("j1", at, "purchase", digest, None, campaign.touch)))
    wiring.facts().put_many(facts)
    wiring.views().put_many(credits)
    waiting(scene)


def waiting(scene: Scene) -> list[Json]:
    """The change records that wait, in order; they wait no longer."""
    scene.system.collect()
    records = [record for shard in scene.system.waiting.values() for record in shard]
    for shard in scene.system.waiting.values():
        shard.clear()
    return sorted(records, key=lambda record: int(record["dynamodb"]["SequenceNumber"]))


def spent_on_one(scene: Scene, user: str, at: int) -> dict[str, object]:
    ingesting = spent_on_ingesting(scene, [bought(at, user)])
    projecting = spent_on_projecting(scene)
    return {
        "calls": ingesting.calls + projecting.calls,
        "write units": ingesting.write_units + projecting.write_units,
        "read units": ingesting.read_units + projecting.read_units,
    }


@pytest.mark.timeout(300)
def test_a_user_with_ten_thousand_facts_costs_what_one_with_ten_does(scene: Scene, clock: SetClock) -> None:
    now = T + 10 * DAY
    scene.tell(bought(T, "the first"))  # what events count under is kept once
    with_history(scene, "few", 10, days=10)
    with_history(scene, "many", 10_000, days=10)
    few, many = spent_on_one(scene, "few", now), spent_on_one(scene, "many", now)
    assert {row.journey for row in scene.page(EVERYTHING._replace(start=now)).rows} == {"j1"}
    assert many == few
    # And a late one, in the midst of the history.
    few, many = spent_on_one(scene, "few", T + 5 * DAY + 3), spent_on_one(scene, "many", T + 5 * DAY + 3)
    assert many == few


@pytest.mark.timeout(300)
def test_a_user_of_a_year_costs_what_one_of_two_days_does(scene: Scene, clock: SetClock) -> None:
    # Catches: a list of a user's days that is written anew with each event, and grows by the day.
    now = T + 365 * DAY
    scene.tell(bought(T, "the first"))
    with_history(scene, "two days", 365, days=2)
    with_history(scene, "a year", 365, days=365)
    # Both were active the day before: who comes back after more than a month costs up to four units more.
    scene.tell(click("j1", now - DAY - 1, "endpoint two days"), bought(now - DAY, "two days"))
    scene.tell(click("j1", now - 1, "endpoint two days"), click("j1", now - 1, "endpoint a year"))
    assert spent_on_one(scene, "a year", now) == spent_on_one(scene, "two days", now)


def test_a_journey_of_many_events_costs_what_one_of_few_does(scene: Scene, clock: SetClock) -> None:
    scene.tell(bought(T, "the first"))

    def spent(user: str) -> dict[str, object]:
        scene.tell(send(APP, f"of {user}", "j1", T - 2, user_name=user), click("j1", T - 1, f"of {user}"))
        return spent_on_one(scene, user, T)

    first = spent("first")
    with_history(scene, "many", 1_000, days=1)
    assert spent("later") == first


# --- memory ---

HANDLER = """
import json, re, sys
from chalicelib import functions
event = json.load(open(sys.argv[2]))
answer = getattr(functions, sys.argv[1])(event)
assert answer["batchItemFailures"] == [], answer
# Not getrusage: a child's ru_maxrss begins with its parent's.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024)
"""


def megabytes(function: str, batch: dict[str, Any], folder: Path) -> int:
    """The most memory that a process of its own took to handle a batch, as Lambda would measure it."""
    path = folder / f"{function}.json"
    path.write_text(json.dumps(batch))
    told = subprocess.run(
        [sys.executable, "-c", HANDLER, function, str(path)], capture_output=True, check=True, text=True, env=os.environ
    )
    return int(told.stdout.splitlines()[-1])


def test_a_full_batch_is_handled_in_256_megabytes(scene: Scene, clock: SetClock, tmp_path: Path) -> None:
    scene.tell(*(send(APP, f"e{number}", "j0", T - 1, user_name=user) for number, user in enumerate(users())))
    scene.tell(*(click("j0", T, f"e{number}") for number in range(BATCH)))
    raw = [encode(renamed(bought(T + number, user), scene.suffix)) for number, user in enumerate(users())]  # type: ignore[arg-type]
    assert megabytes("ingest", kinesis_event(raw), tmp_path) < 256
    records = waiting(scene)
    assert len(records) == BATCH
    batch = windowed(records, f"shard of{scene.suffix}", scene.system.stack.facts_stream_arn, moment(), 60)
    assert megabytes("project", batch, tmp_path) < 256
    assert scene.report().journeys[0].events.by_type() == {"purchase": BATCH}


def test_a_report_reads_tallies_only(scene: Scene, clock: SetClock) -> None:
    def reading() -> tuple[dict[str, int], float]:
        with metered() as meter:
            scene.report()
        return dict(meter.calls), meter.read_units

    scene.tell(click("j1", T - 1, "e0"), event(APP, "purchase", T, client_id="e0"))
    of_one = reading()
    scene.tell(*(click("j1", T - 1, f"e{number}") for number in range(500)))
    scene.tell(*(event(APP, "purchase", T + number, client_id=f"e{number}") for number in range(500)))
    assert scene.report().journeys[0].events.by_type() == {"purchase": 500}
    assert reading() == of_one
