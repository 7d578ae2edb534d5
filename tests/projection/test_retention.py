"""Facts and views expire a time after what they are of, where a retention is set; what expires changes no figure."""

from __future__ import annotations

import copy

from chalicelib import functions, wiring
from chalicelib.keys import Key
from chalicelib.settings.model import DEFAULT_WINDOW, Settings
from chalicelib.tables import Item, from_wire
from local.lambda_events import windowed
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.records import email_click, event, send
from tests.reference.shorthand import APP
from tests.support.clock import SetClock
from tests.support.system import System, moment

T = 1_774_656_000_000
RETENTION = 400


def kept(clock: SetClock, system: System) -> Scene:
    clock.time = T + DAY
    scene = Scene(system, clock, Settings(retention_days=RETENTION))
    scene.tell(
        send(APP, "e1", "j1", T, user_name="jane"),
        email_click(APP, "e1", "j1", T + 1000),
        event(APP, "purchase", T + 2000, price=10, user_name="jane"),
        event(APP, "purchase", T + 3000, price=10, user_name="jane", attributes={"campaign": "j1"}),
    )
    return scene


def items(table: str, application: str) -> list[Item]:
    pages = wiring.dynamodb().get_paginator("scan").paginate(TableName=table)
    found = [from_wire(item) for page in pages for item in page["Items"]]
    return [item for item in found if application.replace(" ", "%20") in item["pk"]]


def expiry(time: int) -> int:
    return (time + RETENTION * DAY) // 1000


def test_a_fact_expires_its_retention_after_its_own_time(system: System, clock: SetClock) -> None:
    # Catches: a TTL from the clock, which would differ from delivery to delivery; a copy that never expires.
    scene = kept(clock, system)
    found = items(wiring.facts().name, scene.application)
    assert {(Key(one["pk"], one["sk"]).sk.split("#")[0], int(one["ttl"])) for one in found} == {
        ("l", expiry(T)),
        ("i", expiry(T + 1000)),
        ("e", expiry(T + 2000)),
        ("e", expiry(T + 3000)),
    }
    assert len([one for one in found if one["sk"].startswith("i#")]) == 2  # the endpoint's and jane's


def test_a_view_expires_after_the_last_time_it_is_of_use(system: System, clock: SetClock) -> None:
    # A touch decides events until its window ends, so it is kept from there on.
    scene = kept(clock, system)
    until = T + 1000 + DEFAULT_WINDOW.length
    views = items(wiring.views().name, scene.application)
    expiries = {(one["sk"].split("#")[0], int(one.get("ttl", 0))) for one in views}
    assert {
        ("touch", expiry(until)),
        ("campaign", expiry(until)),
        ("credit", expiry(T + 2000)),
        ("credit", expiry(T + 3000)),
        ("part", expiry(T + 3000)),
    } <= expiries


def test_tallies_and_what_an_alias_is_never_expire(system: System, clock: SetClock) -> None:
    scene = kept(clock, system)
    unlimited = {one["sk"].split("#")[0] for one in items(wiring.views().name, scene.application) if "ttl" not in one}
    assert {"20260328", "links", "settings", "journey", "label"} <= unlimited


def test_without_a_retention_nothing_expires(scene: Scene) -> None:
    scene.tell(email_click(APP, "e1", "j1", T), event(APP, "purchase", T + 1, client_id="e1"))
    found = items(wiring.facts().name, scene.application) + items(wiring.views().name, scene.application)
    assert found
    assert all("ttl" not in one for one in found)


def test_what_expires_changes_nothing(system: System, clock: SetClock) -> None:
    """DynamoDB's own deletions come down the change stream as REMOVE records, with ``userIdentity``."""
    scene = kept(clock, system)
    before = (scene.report().total.by_type(), scene.journeys(), scene.report().journeys)
    gone = []
    for number, item in enumerate(items(wiring.facts().name, scene.application)):
        wire = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
        gone.append(
            {
                "eventID": str(number),
                "eventName": "REMOVE",
                "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
                "dynamodb": {
                    "Keys": wire,
                    "OldImage": {**wire, "fact": {"S": item["fact"]}},
                    "SequenceNumber": f"9{number:029d}",
                },
            }
        )
    event_of_removals = windowed(copy.deepcopy(gone), f"ttl{scene.suffix}", system.stack.facts_stream_arn, moment(), 60)
    assert functions.project(event_of_removals)["batchItemFailures"] == []
    assert (scene.report().total.by_type(), scene.journeys(), scene.report().journeys) == before
