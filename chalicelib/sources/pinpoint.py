"""The Pinpoint event stream: one record, one JSON object, at most one fact.

What the formats do that a reader would not expect (AWS's developer guide, and streams seen in public):

* ``_email.open`` and ``_email.click`` carry the time the message was *sent* as ``event_timestamp``;
  ``arrival_timestamp`` is when it was opened (R8).
* E-mail and SMS events carry no endpoint object, only its id as ``client.client_id``.
* ``_journey.send`` carries the endpoint as a JSON *string* in ``client_context.custom.endpoint``.
* There is no event id, so a digest of the content stands for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation

import msgspec

from chalicelib.facts.model import PURCHASE, Event, Identity, Interaction, PlacedFact, Send, digest_of
from chalicelib.settings.model import Settings
from chalicelib.sources.endpoints import NOBODY, Endpoint, names_of
from chalicelib.sources.records import (
    Outcome,
    Rejected,
    Skipped,
    checked_id,
    checked_size,
    checked_time,
    interaction_time,
    named_at,
)
from chalicelib.sources.shapes import Head, Record

LARGEST_RECORD = 1_048_576

LONGEST_KIND = 64
LONGEST_NUMBER = 40
LARGEST_EXPONENT = 308
"""Metrics are double precision in Pinpoint's API."""

INTERACTIONS = {
    "_email.open": ("email.open", "email"),
    "_email.click": ("email.click", "email"),
    "_journey.opened_notification": ("push.opened_notification", "push"),
}
SEND = "_journey.send"
TEST = "_test.event_stream"


_head = msgspec.json.Decoder(Head)
_record = msgspec.json.Decoder(Record, float_hook=Decimal)
_endpoint = msgspec.json.Decoder(Endpoint)


def record_of(data: bytes) -> Record | Skipped:
    """The record in the bytes of a stream record, or what kind of no use it is.

    Raises
    ------
    Rejected
        It is wrong; nothing of it may be used.
    """
    if len(data) > LARGEST_RECORD:
        raise Rejected(f"{len(data)} bytes, more than {LARGEST_RECORD}")
    with _reasons():
        event_type = _head.decode(data).event_type
        if not isinstance(event_type, str) or not event_type.strip():
            raise Rejected("no event_type")
        if is_useful(event_type):
            return _record.decode(data)
        return Skipped(event_type if event_type.isprintable() and len(event_type) <= LONGEST_KIND else "other")


def fact_of(record: Record, settings: Settings) -> Outcome:
    """The fact that a record tells.

    Parameters
    ----------
    settings
        Of the record's application, which say which user attribute of an endpoint holds the Cognito user name.

    Raises
    ------
    Rejected
        It is wrong; nothing of it may be used.
    """
    application = checked_id(record.application.app_id, "application.app_id")
    username_attribute = settings.username_attribute_at(named_at(record.event_timestamp, record.arrival))
    with _reasons():
        if record.event_type == SEND:
            outcome = _send(record, application, username_attribute)
        elif record.event_type in INTERACTIONS:
            outcome = _interaction(record, application, username_attribute)
        else:
            outcome = _event(record, application, username_attribute)
    return outcome if isinstance(outcome, Skipped) else checked_size(outcome)


@contextmanager
def _reasons() -> Iterator[None]:
    """Say what a decoder found wrong in words that operators read."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise Rejected(f"not of the documented shape: {error}") from error
    except msgspec.DecodeError as error:
        raise Rejected(f"not JSON: {error}") from error
    except InvalidOperation as error:
        raise Rejected("a number that no decimal takes") from error
    except (UnicodeError, RecursionError) as error:
        raise Rejected(f"not JSON in UTF-8: {error}") from error


def is_useful(event_type: str) -> bool:
    """Whether attribution can use events of a type (R9, R10)."""
    return not event_type.startswith("_") or event_type in INTERACTIONS or event_type in (SEND, PURCHASE)


def _event(record: Record, application: str, username_attribute: str) -> PlacedFact:
    names = names_of(record.endpoint, username_attribute)
    attributes = {key: _text(value) for key, value in (record.attributes or {}).items() if value is not None}
    metrics = {key: _number(value, key) for key, value in (record.metrics or {}).items() if value is not None}
    event = Event(
        time=checked_time(interaction_time(record.event_timestamp, record.arrival)),
        type=checked_id(record.event_type, "event_type"),
        attributes=attributes,
        metrics=metrics,
    )
    endpoint = record.endpoint_id
    digest = digest_of(
        [
            application,
            event.type,
            event.time,
            endpoint,
            *names,
            _session(record),
            attributes,
            {key: str(value) for key, value in metrics.items()},
        ]
    )
    identity = names.strongest or endpoint or Identity("x", digest)
    return PlacedFact(application, identity, digest, event)


def _interaction(record: Record, application: str, username_attribute: str) -> Outcome:
    kind, channel = INTERACTIONS[record.event_type]
    if not record.attribute("journey_id"):
        return Skipped(f"{record.event_type} without journey")
    journey = checked_id(record.attribute("journey_id"), "attributes.journey_id")
    names = names_of(record.endpoint, username_attribute) if channel == "push" else NOBODY
    endpoint = record.endpoint_id
    identity = names.strongest or endpoint
    if identity is None:
        raise Rejected("names no endpoint and no user")
    mail = record.facets.email_channel.mail_event if record.facets and record.facets.email_channel else None
    engagement = (mail.click if kind == "email.click" else mail.open) if mail else None
    if channel == "email":
        if record.arrival is None:
            raise Rejected("no arrival_timestamp, which is the time of an e-mail interaction")
        time = record.arrival
    else:
        time = interaction_time(record.event_timestamp, record.arrival)
    interaction = Interaction(
        time=checked_time(time),
        kind=kind,
        channel=channel,
        journey=journey,
        user_agent=engagement.user_agent if engagement and kind == "email.open" else None,
    )
    message = mail.mail.message_id if mail and mail.mail else None
    link = engagement.link if engagement else None
    run = [record.attribute("journey_run_id"), record.attribute("journey_activity_id")]
    seen = [message, link, interaction.user_agent]
    digest = digest_of([application, kind, interaction.time, endpoint, *names, journey, *run, *seen])
    return PlacedFact(application, identity, digest, interaction)


def _send(record: Record, application: str, username_attribute: str) -> Outcome:
    if not record.attribute("journey_id"):
        return Skipped(f"{SEND} without journey")
    journey = checked_id(record.attribute("journey_id"), "attributes.journey_id")
    endpoint = record.endpoint_id
    if endpoint is None:
        raise Rejected("names no endpoint")
    names = names_of(_sent_endpoint(record), username_attribute)
    status = record.attribute("journey_send_status") or None
    time = checked_time(interaction_time(record.event_timestamp, record.arrival))
    send = Send(time=time, journey=journey, status=status, owner=names.strongest, user_id=names.linked_user_id)
    run = [record.attribute("journey_run_id"), record.attribute("journey_activity_id")]
    digest = digest_of([application, SEND, time, endpoint, *names, journey, *run, status])
    return PlacedFact(application, endpoint, digest, send)


def _sent_endpoint(record: Record) -> Endpoint | None:
    custom = record.client_context.custom if record.client_context else None
    text = (custom or {}).get("endpoint")
    if text is None:
        return record.endpoint
    if not isinstance(text, str):
        raise Rejected("client_context.custom.endpoint is not a string of JSON")
    return _endpoint.decode(text)


def _session(record: Record) -> str:
    return str(record.session.session_id) if record.session else ""


def _text(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(given: object, name: str) -> Decimal:
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise Rejected(f"metric {name} is no number")
    value = Decimal(given)
    if len(value.as_tuple().digits) > LONGEST_NUMBER or abs(value.adjusted()) > LARGEST_EXPONENT:
        raise Rejected(f"metric {name} is no number of double precision")
    return _plain(value)


def _plain(value: Decimal) -> Decimal:
    """One form for equal numbers: 1.0, 1 and 1e0 are the same metric, and give the same digest."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or not any(digits):
        return Decimal(0)
    kept = list(digits)
    while kept[-1] == 0:
        kept.pop()
        exponent += 1
    while kept[0] == 0:
        kept.pop(0)
    return Decimal((sign, tuple(kept), exponent))
