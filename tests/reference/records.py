"""Builders of raw records in the shapes that Pinpoint documents, one function per kind.

Times are milliseconds UTC. `at` is the clock that R8 goes by: the arrival of an e-mail's open or click, the
`event_timestamp` of all others. The record's other clock, `sent` or `arrival`, has an ordinary default. Every builder
returns a fresh JSON-ready dict, so a test may break it as it likes.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack

from .facts import Step

Json = dict[str, object]

RUN, ACTIVITY = "edc9a0b577164d1daf72ebd15example", "0yKexample"
BROWSER = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko)"


def iso(time: int) -> str:
    """A time in ms UTC as ISO-8601 with milliseconds and Z."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(record: Mapping[str, object] | bytes) -> bytes:
    """The bytes of one Kinesis record: one JSON object in UTF-8. What is bytes already stays what it is."""
    if isinstance(record, bytes):
        return record
    return json.dumps(record, ensure_ascii=False).encode()


def endpoint(
    *,
    user_name: str | None = None,
    user_id: str | None = None,
    channel: str | None = "EMAIL",
    username_attribute: str = "username",
) -> Json:
    """An endpoint as `_journey.send`, the journey step and SDK events carry it."""
    user: Json = {}
    if user_id is not None:
        user["UserId"] = user_id
    if user_name is not None:
        user["UserAttributes"] = {username_attribute: [user_name]}
    body: Json = {} if channel is None else {"ChannelType": channel}
    return body | {"EndpointStatus": "ACTIVE", "OptOut": "NONE", "Attributes": {}, "User": user}


def envelope(
    app: str,
    event_type: str,
    event_timestamp: int,
    arrival: int | None,
    *,
    client_id: str | None,
    attributes: Mapping[str, object],
) -> Json:
    """What all records of the stream have in common."""
    record: Json = {
        "event_type": event_type,
        "event_timestamp": event_timestamp,
        "arrival_timestamp": arrival,
        "event_version": "3.1",
        "application": {"app_id": app, "sdk": {}},
        "client": {} if client_id is None else {"client_id": client_id},
        "device": {"platform": {}},
        "session": {},
        "attributes": dict(attributes),
        "awsAccountId": "123456789012",
    }
    if arrival is None:
        del record["arrival_timestamp"]
    return record


def journey_attributes(journey: str | None, run: str | None, activity: str | None, **others: str | None) -> Json:
    named = {"journey_run_id": run, "journey_id": journey, "journey_activity_id": activity} | others
    return {name: value for name, value in named.items() if value is not None}


def send(
    app: str,
    endpoint_id: str,
    journey: str | None,
    at: int,
    *,
    user_name: str | None = None,
    user_id: str | None = None,
    status: str | None = "SUCCESS",
    arrival: int | None = None,
    run: str | None = RUN,
    activity: str | None = ACTIVITY,
    channel: str = "EMAIL",
    username_attribute: str = "username",
) -> Json:
    """`_journey.send`. Its endpoint is a JSON string; status None leaves `journey_send_status` out."""
    named = journey_attributes(
        journey,
        run,
        activity,
        journey_send_status=status,
        journey_activity_type="EMAIL",
        journey_send_status_code="200",
    )
    record = envelope(
        app, "_journey.send", at, at if arrival is None else arrival, client_id=endpoint_id, attributes=named
    )
    body = endpoint(user_name=user_name, user_id=user_id, channel=channel, username_attribute=username_attribute)
    record["client_context"] = {"custom": {"endpoint": json.dumps(body)}}
    return record


class Message(TypedDict, total=False):
    """The fields of an e-mail record that its builders take by name.

    `sent` is the record's `event_timestamp`, a minute before `at` by default; with `arrives=False` the record has no
    arrival and `at` is its only timestamp.
    """

    sent: int
    arrives: bool
    message: str
    run: str | None
    activity: str | None


class Reported(TypedDict, total=False):
    """The fields of a record from an SDK or PutEvents that its builders take by name; `arrival=None` leaves it out."""

    user_name: str | None
    user_id: str | None
    arrival: int | None
    session: str | None
    username_attribute: str


class Origin(Reported, total=False):
    """The same, with the client where it has no place of its own."""

    client_id: str | None


def email(
    app: str,
    action: str,
    client_id: str | None,
    journey: str | None,
    at: int,
    *,
    details: Mapping[str, object],
    feedback: str,
    **message: Unpack[Message],
) -> Json:
    """`_email.<action>` of a journey, which happened `at` its arrival."""
    arrives = message.get("arrives", True)
    sent = message.get("sent", at - 60_000) if arrives else at
    run, activity = message.get("run", RUN), message.get("activity", ACTIVITY)
    named = journey_attributes(journey, run, activity, feedback=feedback)
    record = envelope(app, f"_email.{action}", sent, at if arrives else None, client_id=client_id, attributes=named)
    mail = {
        "message_id": message.get("message", "m-1"),
        "message_send_timestamp": sent,
        "from_address": "sender@example.com",
        "destination": ["recipient@example.com"],
        "headers_truncated": False,
        "headers": [{"name": "Subject", "value": "Amazon Pinpoint Test"}],
        "common_headers": {"from": "sender@example.com", "to": ["recipient@example.com"], "subject": "Test"},
    }
    record["facets"] = {"email_channel": {"mail_event": {"mail": mail, action: dict(details)}}}
    record["client_context"] = {"custom": {"legacy_identifier": app}}
    return record


def email_open(
    app: str,
    client_id: str | None,
    journey: str | None,
    at: int,
    *,
    user_agent: str = BROWSER,
    **message: Unpack[Message],
) -> Json:
    """`_email.open`."""
    details = {"ip_address": "72.21.198.67", "user_agent": user_agent}
    return email(app, "open", client_id, journey, at, details=details, feedback="opened", **message)


def email_click(
    app: str,
    client_id: str | None,
    journey: str | None,
    at: int,
    *,
    link: str = "https://example.com/",
    user_agent: str = BROWSER,
    **message: Unpack[Message],
) -> Json:
    """`_email.click`."""
    details = {"ip_address": "72.21.198.67", "user_agent": user_agent, "link": link}
    return email(app, "click", client_id, journey, at, details=details, feedback=link, **message)


def event(
    app: str,
    event_type: str,
    at: int,
    *,
    price: object = None,
    attributes: Mapping[str, object] | None = None,
    metrics: Mapping[str, object] | None = None,
    **origin: Unpack[Origin],
) -> Json:
    """A custom event, with an endpoint object if it names a user; `price` is short for `metrics={"price": ...}`."""
    record = envelope(
        app,
        event_type,
        at,
        origin.get("arrival", at + 880),
        client_id=origin.get("client_id"),
        attributes=attributes or {},
    )
    sdk = {"name": "aws-sdk-android", "version": "2.15.2"}
    record["application"] = {"app_id": app, "package_name": "com.example.shop", "sdk": sdk}
    record["device"] = {"make": "Google", "model": "Pixel", "platform": {"name": "android", "version": "9"}}
    session = origin.get("session", "00000000-00000000")
    record["session"] = {} if session is None else {"session_id": session, "start_timestamp": 0}
    user_name, user_id = origin.get("user_name"), origin.get("user_id")
    if user_name is not None or user_id is not None:
        attribute = origin.get("username_attribute", "username")
        record["endpoint"] = endpoint(user_name=user_name, user_id=user_id, channel="GCM", username_attribute=attribute)
    numbers = {**(metrics or {}), **({} if price is None else {"price": price})}
    if numbers:
        record["metrics"] = numbers
    return record


def purchase(
    app: str,
    at: int,
    *,
    item_price: object = None,
    quantity: object = None,
    currency: str | None = None,
    attributes: Mapping[str, object] | None = None,
    **origin: Unpack[Origin],
) -> Json:
    """`_monetization.purchase`."""
    named = {**(attributes or {}), **({} if currency is None else {"_currency": currency})}
    numbers = {"_item_price": item_price, "_quantity": quantity}
    metrics = {name: number for name, number in numbers.items() if number is not None}
    return event(app, "_monetization.purchase", at, attributes=named, metrics=metrics, **origin)


def push_opened(
    app: str,
    client_id: str | None,
    journey: str | None,
    at: int,
    *,
    run: str | None = RUN,
    activity: str | None = ACTIVITY,
    **origin: Unpack[Reported],
) -> Json:
    """`_journey.opened_notification`."""
    named = journey_attributes(journey, run, activity)
    return event(app, "_journey.opened_notification", at, attributes=named, client_id=client_id, **origin)


def step(
    app: str,
    journey: str | None,
    endpoints: Mapping[str, Mapping[str, object]],
    *,
    at: int | None = None,
    scheduled: str | None = None,
    invoked_at: int | None = None,
) -> Step:
    """One call of the journey step, scheduled `at` (or as `scheduled` says, word for word) and made a second later."""
    due = iso(at) if at is not None and scheduled is None else scheduled
    payload: Json = {
        "Message": {},
        "Data": "tag",
        "ApplicationId": app,
        "ActivityId": ACTIVITY,
        "Endpoints": dict(endpoints),
    }
    if due is not None:
        payload["ScheduledTime"] = due
    if journey is not None:
        payload["JourneyId"] = journey
    if invoked_at is None:
        if at is None:
            raise ValueError("a step needs the time it is scheduled for or the time it is called at")
        invoked_at = at + 1_000
    return Step(payload, invoked_at)


def of_no_use(app: str, event_type: str, at: int, *, client_id: str = "e1", journey: str = "j1") -> Json:
    """A record that is skipped: delivered, sent, bounced, session, SMS. It names a journey all the same."""
    return envelope(app, event_type, at, at, client_id=client_id, attributes=journey_attributes(journey, RUN, ACTIVITY))


def stream_test() -> Json:
    """What Pinpoint sends when a stream is connected; nothing but its type is documented."""
    return {"event_type": "_test.event_stream"}


OF_NO_USE: Sequence[str] = (
    "_email.send",
    "_email.delivered",
    "_email.hardbounce",
    "_email.complaint",
    "_SMS.SUCCESS",
    "_SMS.BUFFERED",
    "_session.start",
    "_journey.received_background",
    "_campaign.opened_notification",
)
