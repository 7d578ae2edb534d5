"""R14: what makes a record wrong, and what does not."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from chalicelib.facts.model import Event, Identity, Interaction
from chalicelib.projection.project import FULL
from chalicelib.sources.records import LARGEST_FACT, Skipped
from tests.reference.records import email_open, encode, event, push_opened, send
from tests.reference.shorthand import APP, T
from tests.sources.reading import fact, purchase, read, reason

MIB = 1_048_576
LARGEST_TRANSACTION = 4 * MIB
"""Bytes that TransactWriteItems takes; beyond what a table takes, a fact makes its whole batch fail for ever."""

NO_OBJECT = {
    "nothing": b"",
    "spaces": b"   ",
    "text": b"hello",
    "gzip": b"\x1f\x8b\x08\x00",
    "cut off": purchase()[:-1],
    "two records": purchase() + purchase(),
    "list": b"[" + purchase() + b"]",
    "string": json.dumps(purchase().decode()).encode(),
    "number": b"5",
    "null": b"null",
    "UTF-16": purchase().decode().encode("utf-16"),
    "UTF-16 without mark": purchase().decode().encode("utf-16-le"),
    "UTF-8 with mark": b"\xef\xbb\xbf" + purchase(),
    "Latin-1": b'{"event_type":"caf\xe9"}',
    "single quotes": b"{'event_type': 'purchase'}",
    "NaN": purchase(',"metrics":{"price":NaN}'),
    # Nobody's JSON; catches: a RecursionError that ends the whole batch.
    "deep lists": purchase(',"more":' + "[" * 100_000 + "]" * 100_000),
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep where nothing is read": purchase(',"attributes":{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
}


@pytest.mark.parametrize("data", NO_OBJECT.values(), ids=NO_OBJECT)
def test_what_is_no_json_object_in_utf_8_is_rejected(data: bytes) -> None:
    assert reason(data)


@pytest.mark.parametrize("told", ["", '"event_type":null', '"event_type":5', '"event_type":["a"]', '"event_type":" "'])
def test_a_record_without_an_event_type_is_rejected(told: str) -> None:
    assert reason(f"{{{told}}}".encode()) == "no event_type"


WRONG_TIMES = [
    "1774656000000.0",
    "1.5",
    "1e12",
    '"1774656000000"',
    "true",
    "null",
    "[]",
    "{}",
    '"2026-03-28"',
    "1" * 5000,
]


@pytest.mark.parametrize("time", WRONG_TIMES, ids=lambda time: time[:20])
@pytest.mark.parametrize("clock", ["event_timestamp", "arrival_timestamp"])
def test_a_time_that_is_no_integer_is_rejected(clock: str, time: str) -> None:
    other = "arrival_timestamp" if clock == "event_timestamp" else "event_timestamp"
    told = f'{{"event_type":"purchase","{other}":{T},"application":{{"app_id":"app"}},"{clock}":{time}}}'
    assert reason(told.encode())


@pytest.mark.parametrize(
    ("time", "taken"),
    [
        (0, True),
        (-1, False),  # catches: a key that sorts before all others
        (253_402_300_799_999, True),  # 9999-12-31T23:59:59.999Z
        (253_402_300_800_000, False),  # catches: an answer that cannot be written as ISO-8601
        (10**26, False),  # catches: a key with more than fifteen digits
    ],
)
def test_a_time_must_lie_in_the_years_1970_to_9999(time: int, taken: bool) -> None:
    assert (reason(event(APP, "purchase", time, arrival=None)) is None) == taken


def test_a_record_without_a_time_is_rejected() -> None:
    assert reason(b'{"event_type":"purchase","application":{"app_id":"app"}}')


WRONG_SHAPES = {
    "attributes are a list": '"attributes":[]',
    "attributes are text": '"attributes":"a=b"',
    "an attribute is an object": '"attributes":{"a":{"b":"c"}}',
    "an attribute is a list": '"attributes":{"a":["b"]}',
    "metrics are a list": '"metrics":[]',
    "a metric is text": '"metrics":{"price":"cheap"}',
    # Catches: decimals read from text too, so that "1_000" and "١٢" are prices.
    "a metric is a number in text": '"metrics":{"price":"12.50"}',
    "a metric is true": '"metrics":{"price":true}',
    "a metric is an object": '"metrics":{"price":{}}',
    "a metric is a list": '"metrics":{"price":[1]}',
    "a metric with a huge exponent": '"metrics":{"price":1e400}',
    "a metric with a tiny exponent": '"metrics":{"price":1e-400}',
    # Catches: an exponent that no decimal takes, which raises something else than ValueError.
    "a metric with an endless exponent": '"metrics":{"price":1e999999999999999999999}',
    "a metric of 50 digits": f'"metrics":{{"price":{"1" * 50}}}',
    "a metric of 5,000 digits": f'"metrics":{{"price":{"1" * 5000}}}',
    "the client is text": '"client":"e1"',
    "the client's id is a number": '"client":{"client_id":5}',
    "the application is text": '"application":"app"',
    "the application's id is a number": '"application":{"app_id":5}',
    "the application has no id": '"application":{}',
    "the application is null": '"application":null',
    "the endpoint is text": '"endpoint":"{}"',
    "the user is text": '"endpoint":{"User":"jane"}',
    "the UserId is a number": '"endpoint":{"User":{"UserId":5}}',
    "the user attributes are a list": '"endpoint":{"User":{"UserAttributes":[]}}',
    "the user name is a number": '"endpoint":{"User":{"UserAttributes":{"username":5}}}',
    "the user name is a list of numbers": '"endpoint":{"User":{"UserAttributes":{"username":[5]}}}',
    # A surrogate alone is no character: it cannot be stored. Catches: a UnicodeEncodeError when it is.
    "a surrogate alone": '"attributes":{"a":"\\ud800"}',
    "a surrogate alone in the user's name": '"endpoint":{"User":{"UserId":"\\udfff"}}',
    "a surrogate alone, raw": '"attributes":{"a":"\ud800"}',
}


@pytest.mark.parametrize("wrong", WRONG_SHAPES.values(), ids=WRONG_SHAPES)
def test_fields_of_the_wrong_type_are_rejected(wrong: str) -> None:
    assert reason(purchase("," + wrong))


WRONG_IDS = {
    "empty": "",
    "blank": "  ",
    "too long": "x" * 257,
    "too long in bytes": "é" * 129,
    # Catches: a journey id that runs into the parts of a key, which are parted by a control character.
    "unit separator": "a\x1fb",
    "null character": "a\x00",
    "line break": "a\nb",
    "C1 control": "a\x85b",
}


@pytest.mark.parametrize("given", WRONG_IDS.values(), ids=WRONG_IDS)
def test_ids_that_keys_are_made_of_are_checked(given: str) -> None:
    assert reason(event(given, "purchase", T, client_id="e1"))
    assert reason(event(APP, given, T, client_id="e1"))
    if given.strip():  # without a journey it is a campaign's, and skipped
        assert reason(email_open(APP, "e1", given, T))
        assert reason(send(APP, "e1", given, T))


@pytest.mark.parametrize("given", ["a b", "#", "a#b|c~d", "é", "日本", "x" * 256, "%23", "@0", "-"])
def test_any_other_id_is_taken_as_it_is(given: str) -> None:
    placed = fact(push_opened(given, "e1", given, T))
    assert isinstance(placed.fact, Interaction)
    assert (placed.application, placed.fact.journey) == (given, given)
    assert isinstance(told := fact(event(APP, given, T)).fact, Event)
    assert told.type == given


def test_of_a_record_of_no_use_only_the_type_is_looked_at() -> None:
    # Catches: shapes of events that nobody asked for checked, and quarantined when AWS changes them.
    assert read(b'{"event_type":"_session.start","event_timestamp":"soon","application":7}') == Skipped(
        "_session.start"
    )


@pytest.mark.parametrize("kind", ["_" + "x" * 100, "_a\x1b[2J", "_\u202e"])
def test_a_kind_of_no_use_that_no_log_should_show_is_counted_as_other(kind: str) -> None:
    assert read(json.dumps({"event_type": kind}).encode()) == Skipped("other")


HARMLESS = {
    "nothing more": "",
    "no client": ',"client":null',
    "an endpoint of null": ',"endpoint":null',
    "a user of null": ',"endpoint":{"User":null}',
    "a session of null": ',"session":null',
    "unknown fields of any shape": ',"device":5,"x":[{"y":null}],"event_version":7',
    "attributes of null": ',"attributes":null,"metrics":null',
}


@pytest.mark.parametrize("rest", HARMLESS.values(), ids=HARMLESS)
def test_absent_and_unknown_fields_are_harmless(rest: str) -> None:
    assert isinstance(fact(purchase(rest)).fact, Event)


def test_attributes_of_simple_types_are_text_and_null_ones_are_absent() -> None:
    told = fact(purchase(',"attributes":{"a":"x","b":5,"c":1.5,"d":true,"e":false,"f":null}')).fact
    assert isinstance(told, Event)
    assert told.attributes == {"a": "x", "b": "5", "c": "1.5", "d": "true", "e": "false"}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("19.99", "19.99"),  # catches: a float, which would be 19.989999999999998436805981327779591083526611328125
        ("0.1", "0.1"),
        ("1.0", "1"),
        ("-0.0", "0"),
        ("1E2", "100"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),  # catches: doubles
        ("1e308", "1E+308"),
        ("1e-308", "1E-308"),
        ("0e5", "0"),
    ],
)
def test_metrics_are_decimals_digit_by_digit(number: str, expected: str) -> None:
    told = fact(purchase(f',"metrics":{{"price":{number}}}')).fact
    assert isinstance(told, Event)
    assert told.metrics == {"price": Decimal(expected)}


def test_a_metric_of_null_is_absent() -> None:
    told = fact(purchase(',"metrics":{"price":null,"n":1}')).fact
    assert isinstance(told, Event)
    assert told.metrics == {"n": Decimal(1)}


def padded(size: int) -> bytes:
    """A purchase of so many bytes, most of them where nobody reads."""
    data = purchase(',"more":""')
    return data[:-2] + b"x" * (size - len(data)) + data[-2:]


def test_a_record_of_more_than_a_mebibyte_is_rejected() -> None:
    assert reason(padded(MIB)) is None
    assert reason(padded(MIB + 1)) == "1048577 bytes, more than 1048576"


LARGE = {
    "an attribute": {"attributes": {"a": "x" * 500_000}},
    "many attributes": {"attributes": {f"a{number}": "x" * 100 for number in range(5_000)}},
    "an attribute's name": {"attributes": {"x" * 500_000: "a"}},
    # Catches: bytes counted before they are written as JSON, where a quote takes two and a control character six.
    "quotes": {"attributes": {"a": '"' * 41_000}},
    "control characters": {"attributes": {"a": "\x01" * 41_000}},
    # Catches: a flat estimate for a metric.
    "a metric's name": {"metrics": {"x" * 500_000: 1}},
    "many metrics": {"metrics": {f"metric-{number}": 1.5 for number in range(30_000)}},
}


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE)
def test_an_event_that_no_item_holds_is_rejected(content: dict[str, dict[str, object]]) -> None:
    data = encode(event(APP, "purchase", T, client_id="e1", **content))  # type: ignore[arg-type]
    assert len(data) <= MIB
    assert reason(data)


def test_so_are_interactions_and_sends() -> None:
    # Catches: only events measured. A browser may call itself whatever it likes.
    assert reason(email_open(APP, "e1", "j1", T, user_agent="x" * 500_000))
    assert reason(send(APP, "e1", "j1", T, status="x" * 500_000))


def test_all_that_put_events_takes_is_taken() -> None:
    # 40 attributes and metrics, of names of 50 and values of 200 characters, and those of four bytes each.
    attributes = {f"{number:02d}" + "\U0001f600" * 48: "\U0001f600" * 200 for number in range(40)}
    assert reason(event(APP, "purchase", T, client_id="e1", attributes=attributes)) is None


def test_a_transaction_holds_as_many_of_the_largest_events_as_it_may_move_at_once() -> None:
    # Catches: a limit that only minds an item's 400 KB. Copies and the views that they change share a transaction.
    assert FULL * LARGEST_FACT < LARGEST_TRANSACTION * 0.85


def test_an_interaction_that_names_nobody_is_rejected() -> None:
    # Catches: a touch of an empty endpoint, which all such records would share.
    assert reason(email_open(APP, None, "j1", T)) == "names no endpoint and no user"
    assert reason(email_open(APP, " ", "j1", T)) == "names no endpoint and no user"
    assert reason(send(APP, " ", "j1", T)) == "names no endpoint"


ENDPOINT_STRINGS = {
    "no string": {"ChannelType": "EMAIL"},
    "no JSON": "EMAIL",
    "a list": "[]",
    "a wrong user": '{"User": 5}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("told", ENDPOINT_STRINGS.values(), ids=ENDPOINT_STRINGS)
def test_a_send_whose_endpoint_is_not_a_string_of_json_is_rejected(told: object) -> None:
    record = send(APP, "e1", "j1", T) | {"client_context": {"custom": {"endpoint": told}}}
    assert reason(record)


def test_a_send_without_an_endpoint_string_is_a_send_without_a_link() -> None:
    record = {
        name: value for name, value in send(APP, "e1", "j1", T, user_name="jane").items() if name != "client_context"
    }
    assert fact(record).identity == Identity("p", "e1")


@pytest.mark.parametrize("journey", [None, ""])
def test_what_names_no_journey_is_a_campaign_s_and_skipped(journey: str | None) -> None:
    assert read(push_opened(APP, "e1", journey, T)) == Skipped("_journey.opened_notification without journey")
    assert read(send(APP, "e1", journey, T)) == Skipped("_journey.send without journey")
    assert read(email_open(APP, "e1", journey, T)) == Skipped("_email.open without journey")
