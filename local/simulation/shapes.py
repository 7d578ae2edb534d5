"""How the documents of a Pinpoint stream look: one function per kind of event, in the documented shapes.

The examples are in tests/payloads, and tests compare every event type made here with its example, key by key. What
matters most:

- E-mail and SMS events carry no endpoint, only `client.client_id`. The `event_timestamp` of an open or a click is when
  the message was sent; the interaction itself is at `arrival_timestamp`.
- `_journey.send` carries the endpoint as a JSON string in `client_context.custom.endpoint`.
- What an app reports carries its device's endpoint as an object, or none.

All times are ms UTC.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from local.simulation.chance import DAY, HOUR, digest, uuid_like
from local.simulation.world import ACCOUNT, Application, Device, Journey, Person

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
Event = dict[str, Json]

EVENT_VERSION = "3.1"
SMS_PRICE = 645.0
"""Thousandths of a US cent, the price in the documented sample."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one endpoint, sent by a step of a journey, or by no journey (`journey` None): a receipt, say."""

    application: Application
    journey: Journey | None
    activity_id: str
    endpoint_id: str
    person: Person
    message_id: str
    sent: int


def compact(document: Json) -> str:
    """JSON as Pinpoint writes it: without blanks, and UTF-8 instead of escapes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def iso(time: int) -> str:
    """`time` as Pinpoint writes times inside an endpoint."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_event_stream() -> Event:
    """The record that switching a stream on sends. Nothing but its type is documented."""
    return {"event_type": "_test.event_stream"}


def user_of(person: Person, known_by: str) -> Event:
    """The `User` of an endpoint; `known_by` is `username`, `user_id` or `nothing`."""
    if known_by == "nothing":
        return {}
    user: Event = {"UserId": person.user_id}
    if known_by == "username" and person.username is not None:
        user["UserAttributes"] = {"username": [person.username]}
    return user


def server_event(kind: str, application: Application, client_id: str, event: int, arrival: int) -> Event:
    """The envelope of events that Pinpoint itself makes: no device, no session."""
    return {
        "event_type": kind,
        "event_timestamp": event,
        "arrival_timestamp": arrival,
        "event_version": EVENT_VERSION,
        "application": {"app_id": application.app_id, "sdk": {}},
        "client": {"client_id": client_id},
        "device": {"platform": {}},
        "session": {},
    }


def journey_attributes(message: Message) -> dict[str, Json]:
    """Which journey, run and step a message is of; empty if it is of none."""
    if message.journey is None:
        return {}
    return {
        "journey_run_id": message.journey.run_id,
        "journey_id": message.journey.journey_id,
        "journey_activity_id": message.activity_id,
    }


def journey_send(message: Message, channel_type: str, known_by: str, status: str) -> Event:
    """`_journey.send`. `channel_type` is the endpoint's, as in `GCM` for a push message.

    Raises ValueError for a message of no journey.
    """
    if message.journey is None:
        raise ValueError("only a journey's message has a _journey.send")
    endpoint: Event = {
        "ChannelType": channel_type,
        "EndpointStatus": "ACTIVE",
        "OptOut": "NONE",
        "Demographic": {"Timezone": message.person.timezone},
        "User": user_of(message.person, known_by),
    }
    event = server_event("_journey.send", message.application, message.endpoint_id, message.sent, message.sent)
    code = "200" if status == "SUCCESS" else "500"
    event["attributes"] = {
        **journey_attributes(message),
        "journey_send_status": status,
        "journey_activity_type": message.journey.channel,
        "journey_send_status_message": code if status == "SUCCESS" else f"Message not sent: {status}",
        "journey_send_status_code": code,
    }
    event["client_context"] = {"custom": {"endpoint": compact(endpoint)}}
    event["awsAccountId"] = ACCOUNT
    return event


def email_event(kind: str, message: Message, arrival: int, feedback: str, detail_name: str, detail: Event) -> Event:
    """`_email.*`: `event_timestamp` is the send time whatever happened, `arrival` when it happened.

    `detail` is what `facets.email_channel.mail_event` says under `detail_name`: `send`, `delivery`, `open`, `click` or
    `bounce`.
    """
    event = server_event(kind, message.application, message.endpoint_id, message.sent, arrival)
    event["attributes"] = {**journey_attributes(message), "feedback": feedback}
    event["awsAccountId"] = ACCOUNT
    event["facets"] = {"email_channel": {"mail_event": {"mail": mail(message, detail_name), detail_name: detail}}}
    if message.journey is not None:
        event["client_context"] = {"custom": {"legacy_identifier": message.application.app_id}}
    return event


def mail(message: Message, detail_name: str) -> Event:
    """The e-mail itself, as every e-mail event repeats it."""
    sender, recipient = message.application.sender, message.person.email
    subject = message.journey.name if message.journey is not None else "Your receipt"
    headers = [
        {"name": "From", "value": sender},
        {"name": "To", "value": recipient},
        {"name": "Subject", "value": subject},
        {"name": "MIME-Version", "value": "1.0"},
        {"name": "Content-Type", "value": 'multipart/alternative;  boundary="----=_Part_314159_271828"'},
    ]
    if detail_name in {"open", "click"}:  # The samples of these two, and only these, have it, and it is the word null.
        headers.append({"name": "Message-ID", "value": "null"})
    return {
        "message_id": message.message_id,
        "message_send_timestamp": message.sent,
        "from_address": sender,
        "destination": [recipient],
        "headers_truncated": False,
        "headers": headers,
        "common_headers": {"from": sender, "to": [recipient], "subject": subject},
    }


def sms_event(kind: str, message: Message, event: int, arrival: int, status: str) -> Event:
    """`_SMS.*` of a journey. `status` is the carrier's."""
    document = server_event(kind, message.application, message.endpoint_id, event, arrival)
    document["attributes"] = {
        "sender_request_id": uuid_like(digest(message.message_id, "request")),
        "origination_phone_number": "+12065550142",
        "destination_phone_number": message.person.phone,
        "record_status": status,
        "iso_country_code": "US",
        "number_of_message_parts": "1",
        "message_id": message.message_id,
        "message_type": "Promotional",
        **journey_attributes(message),
    }
    document["metrics"] = {"price_in_millicents_usd": SMS_PRICE}
    document["awsAccountId"] = ACCOUNT
    return document


@dataclass(frozen=True, slots=True)
class Installation:
    """An app on a device; `known_by` is what its endpoint tells of its user, or `no endpoint` if it sends none."""

    application: Application
    person: Person
    client_id: str
    known_by: str


def app_event(
    kind: str,
    where: Installation,
    time: int,
    arrival: int,
    attributes: Mapping[str, Json],
    metrics: Mapping[str, Json] | None = None,
) -> Event:
    """What an app reports: its own events, sessions, and push messages received and opened."""
    application, person, device = where.application, where.person, where.person.device
    language, country = person.locale.split("_")
    session: Event = {
        "session_id": digest(where.client_id, time // HOUR, size=8),
        "start_timestamp": time // HOUR * HOUR,
    }
    if kind == "_session.stop":
        session["stop_timestamp"] = time
    document: Event = {
        "event_type": kind,
        "event_timestamp": time,
        "arrival_timestamp": arrival,
        "event_version": EVENT_VERSION,
        "application": {
            "app_id": application.app_id,
            "cognito_identity_pool_id": f"us-east-1:{uuid_like(digest(application.app_id, 'pool'))}",
            "package_name": application.package,
            "sdk": {"name": device.sdk, "version": device.sdk_version},
            "title": application.title,
            "version_name": "1.0",
            "version_code": "1",
        },
        "client": {"client_id": where.client_id, "cognito_id": f"us-east-1:{uuid_like(digest(where.client_id, 'id'))}"},
        "device": {
            "locale": {"code": person.locale, "country": country, "language": language},
            "make": device.make,
            "model": device.model,
            "platform": {"name": device.platform, "version": device.version},
        },
        "session": session,
        "attributes": attributes,
    }
    if where.known_by != "no endpoint":
        document["endpoint"] = device_endpoint(where, device, time)
    document["awsAccountId"] = ACCOUNT
    if metrics is not None:
        document["metrics"] = metrics
    return document


def device_endpoint(where: Installation, device: Device, time: int) -> Event:
    """The device's endpoint, whole, as an app's events carry it."""
    person = where.person
    return {
        "ChannelType": device.channel,
        "Address": digest(where.client_id, "address", size=32),
        "EndpointStatus": "ACTIVE",
        "OptOut": "NONE",
        "RequestId": uuid_like(digest(where.client_id, time)),
        "Location": {"PostalCode": "", "City": "", "Region": "", "Country": person.country},
        "Demographic": {
            "Make": device.make,
            "Model": device.model,
            "Timezone": person.timezone,
            "Locale": person.locale,
            "AppVersion": "1.0",
            "Platform": device.platform,
            "PlatformVersion": device.version,
        },
        "EffectiveDate": iso(time),
        "Attributes": {},
        "Metrics": {},
        "ApplicationId": where.application.app_id,
        "Id": where.client_id,
        "CohortId": str(person.number % 100),
        "CreationDate": iso(time // DAY * DAY - 30 * DAY),
        "User": user_of(person, where.known_by),
    }


def from_a_server(
    kind: str, application: Application, client_id: str, time: int, attributes: Mapping[str, Json]
) -> Event:
    """A custom event that a backend put for an endpoint with PutEvents: no SDK, no device, no endpoint object."""
    event = server_event(kind, application, client_id, time, time)
    event["attributes"] = attributes
    event["metrics"] = {}
    event["awsAccountId"] = ACCOUNT
    return event
