"""When two records are one fact (R5): what happened, to whom, when, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from chalicelib.keys import fact_key
from tests.reference.records import (
    BROWSER,
    Json,
    email_click,
    email_open,
    encode,
    event,
    purchase,
    push_opened,
    send,
)
from tests.reference.shorthand import APP, T
from tests.sources.reading import fact


def bought(user_name: str = "jane", user_id: str = "u1") -> Json:
    attributes = {"currency": "EUR", "sku": "1"}
    return event(
        APP, "purchase", T, user_name=user_name, user_id=user_id, client_id="e1", price=5, attributes=attributes
    )


def attributed(record: Json, **changed: str) -> Json:
    """The record with other attributes."""
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    return record | {"attributes": attributes | changed}


BOUGHT = bought()
OPENED = email_open(APP, "e1", "j1", T)
CLICKED = email_click(APP, "e1", "j1", T)
PUSHED = push_opened(APP, "e1", "j1", T, user_name="jane")
SENT = send(APP, "e1", "j1", T, user_name="jane", user_id="u1")


def reversed_keys(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: reversed_keys(value[name]) for name in reversed(list(value))}
    return value


SAME_EVENT: dict[str, Json] = {
    "other arrival": BOUGHT | {"arrival_timestamp": T + 7_000},
    "no arrival": {name: value for name, value in BOUGHT.items() if name != "arrival_timestamp"},
    "other SDK": BOUGHT | {"application": {"app_id": APP, "sdk": {"name": "aws-sdk-ios", "version": "9"}}},
    "other device": BOUGHT | {"device": {"make": "Apple"}},
    "other account": BOUGHT | {"awsAccountId": "999999999999"},
    "other envelope": BOUGHT | {"event_version": "3.2", "unheard_of": [1]},
    "1.0 for 1": BOUGHT | {"metrics": {"price": 5.0}},
    "a start of the session": BOUGHT | {"session": {"session_id": "00000000-00000000", "start_timestamp": T}},
    "a null attribute": BOUGHT | {"attributes": {"currency": "EUR", "sku": "1", "x": None}},
}


@pytest.mark.parametrize("told", SAME_EVENT.values(), ids=SAME_EVENT)
def test_what_the_delivery_adds_does_not_make_another_event(told: Json) -> None:
    # Catches: a digest of the bytes; each of these is how one event arrives twice.
    assert fact_key(fact(told)) == fact_key(fact(BOUGHT))
    assert fact(told) == fact(BOUGHT)


@pytest.mark.parametrize("record", [BOUGHT, OPENED, CLICKED, PUSHED, SENT])
@pytest.mark.parametrize(
    "written",
    [
        lambda record: json.dumps(record, indent=3).encode(),
        lambda record: json.dumps(record, sort_keys=True).encode(),
        lambda record: json.dumps(reversed_keys(record)).encode(),
        lambda record: json.dumps(record, ensure_ascii=True).encode(),
        lambda record: b"\n" + encode(record) + b"\n",
    ],
    ids=["indented", "sorted", "reversed", "escaped", "line breaks around"],
)
def test_how_a_record_is_written_does_not_make_another_fact(record: Json, written: Callable[[Json], bytes]) -> None:
    assert fact(written(record)) == fact(record)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "1e0"), ("100", "1E+2"), ("0", "-0.0"), ("0", "0.00"), ("0.5", "0.50"), ("-5", "-5.000")],
)
def test_equal_numbers_are_one_however_they_are_written(one: str, other: str) -> None:
    # Catches: Decimal("1") and Decimal("1.0") in the digest as they print.
    told = '{"event_type":"a","event_timestamp":1,"application":{"app_id":"b"},"metrics":{"price":%s}}'
    assert fact((told % one).encode()) == fact((told % other).encode())


OTHER_EVENTS: dict[str, Json] = {
    "type": BOUGHT | {"event_type": "purchase2"},
    "time": BOUGHT | {"event_timestamp": T + 1},
    "application": BOUGHT | {"application": {"app_id": "app-2"}},
    "client": BOUGHT | {"client": {"client_id": "e2"}},
    "no client": BOUGHT | {"client": {}},
    "user name": bought(user_name="joan"),
    "UserId": bought(user_id="u2"),
    "session": BOUGHT | {"session": {"session_id": "2"}},
    "an attribute": BOUGHT | {"attributes": {"currency": "EUR", "sku": "2"}},
    "an attribute less": BOUGHT | {"attributes": {"currency": "EUR"}},
    # Catches: parts joined instead of encoded.
    "an attribute's border": BOUGHT | {"attributes": {"currency": "EURs", "ku": "1"}},
    "attributes swapped": BOUGHT | {"attributes": {"currency": "1", "sku": "EUR"}},
    "a metric": BOUGHT | {"metrics": {"price": 6}},
    "a metric more": BOUGHT | {"metrics": {"price": 5, "quantity": 1}},
    # Catches: metrics and attributes thrown together.
    "a metric as an attribute": BOUGHT | {"metrics": {}, "attributes": {"currency": "EUR", "sku": "1", "price": "5"}},
}


@pytest.mark.parametrize("other", OTHER_EVENTS.values(), ids=OTHER_EVENTS)
def test_what_happened_to_whom_and_when_makes_another_event(other: Json) -> None:
    assert fact(other).digest != fact(BOUGHT).digest


def test_all_those_events_differ_from_each_other() -> None:
    digests = [fact(one).digest for one in [BOUGHT, *OTHER_EVENTS.values()]]
    assert len(set(digests)) == len(digests)


def test_a_purchase_of_the_sdk_is_not_a_custom_one() -> None:
    assert (
        fact(purchase(APP, T, item_price=5)).digest
        != fact(event(APP, "purchase", T, metrics={"_item_price": 5})).digest
    )


SAME_INTERACTIONS: dict[str, tuple[Json, Json]] = {
    # R8: the arrival is the time of an e-mail interaction, and the time of sending is nothing to it.
    "other time of sending": (OPENED, email_open(APP, "e1", "j1", T, sent=T - 5)),
    "other arrival of a push": (PUSHED, push_opened(APP, "e1", "j1", T, user_name="jane", arrival=T + 9)),
    "other arrival of a send": (SENT, SENT | {"arrival_timestamp": T + 9}),
    "other browser of a click": (CLICKED, email_click(APP, "e1", "j1", T, user_agent="curl/8")),
    "other feedback of a click": (CLICKED, attributed(CLICKED, feedback="x")),
    # AWS added it to its guide later.
    "other status code of a send": (SENT, attributed(SENT, journey_send_status_code="202")),
    "other channel of a send": (SENT, send(APP, "e1", "j1", T, user_name="jane", user_id="u1", channel="SMS")),
}


@pytest.mark.parametrize(("one", "other"), SAME_INTERACTIONS.values(), ids=SAME_INTERACTIONS)
def test_one_interaction_told_twice_is_one_fact(one: Json, other: Json) -> None:
    assert fact_key(fact(one)) == fact_key(fact(other))


OTHER_INTERACTIONS: dict[str, tuple[Json, Json]] = {
    "opened and clicked": (OPENED, CLICKED),
    "opened twice": (OPENED, email_open(APP, "e1", "j1", T + 1)),
    "endpoint": (OPENED, email_open(APP, "e2", "j1", T)),
    "journey": (OPENED, email_open(APP, "e1", "j2", T)),
    "run": (OPENED, email_open(APP, "e1", "j1", T, run="r")),
    "activity": (OPENED, email_open(APP, "e1", "j1", T, activity="a")),
    "run and activity swapped": (
        email_open(APP, "e1", "j1", T, run="a", activity="b"),
        email_open(APP, "e1", "j1", T, run="b", activity="a"),
    ),
    "message": (OPENED, email_open(APP, "e1", "j1", T, message="m-2")),
    "application": (OPENED, email_open("app-2", "e1", "j1", T)),
    # Catches: two clicks of one message at one millisecond counted once.
    "link": (CLICKED, email_click(APP, "e1", "j1", T, link="https://b.example")),
    "user of a push": (PUSHED, push_opened(APP, "e1", "j1", T, user_name="joan")),
    "status of a send": (SENT, send(APP, "e1", "j1", T, user_name="jane", user_id="u1", status="DAILY_CAP")),
    # Catches: a send that links the endpoint to somebody else lost as a repetition.
    "user of a send": (SENT, send(APP, "e1", "j1", T, user_name="joan", user_id="u1")),
    "UserId of a send": (SENT, send(APP, "e1", "j1", T, user_name="jane", user_id="u2")),
}


@pytest.mark.parametrize(("one", "other"), OTHER_INTERACTIONS.values(), ids=OTHER_INTERACTIONS)
def test_different_interactions_are_different_facts(one: Json, other: Json) -> None:
    assert fact(one).digest != fact(other).digest


def test_the_browser_of_an_open_is_kept_and_makes_another_open() -> None:
    # R9 may ignore opens by machines. Catches: two opens under one key, of which the last to come stays (R5).
    assert fact(email_open(APP, "e1", "j1", T, user_agent="x")).digest != fact(OPENED).digest
    assert BROWSER in str(fact(OPENED).fact)
