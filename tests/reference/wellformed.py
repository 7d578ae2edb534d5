"""R14 for the reference model: which bytes of the stream are a record at all, by the shapes that Pinpoint documents.

Only what can be told from one record alone; sizes and the ids that no database key can hold are not the model's matter.
"""

import json
from collections.abc import Mapping

from .facts import INTERACTIONS, client_of, dig, journey_of, parse_object, reader_of, text

EMAIL = ("_email.open", "_email.click")
SEND = "_journey.send"


def parsed(data: bytes) -> Mapping[str, object] | None:
    """The record in the bytes; None where it is malformed."""
    try:
        record = json.loads(data.decode())
        return record if isinstance(record, dict) and is_well_formed(record) else None
    except ValueError:
        return None


def is_well_formed(record: Mapping[str, object]) -> bool:
    event_type = text(record.get("event_type"))
    if event_type is None:
        return False
    if reader_of(event_type) is None:
        return True  # of no use, so nothing of it is looked at
    if not has_envelope(record):
        return False
    if event_type != SEND and event_type not in INTERACTIONS:
        return True
    if journey_of(record)[0] is None:
        return True  # of no journey, so of no use
    timed = event_type not in EMAIL or "arrival_timestamp" in record
    sent = event_type != SEND or isinstance(parse_object(dig(record, "client_context", "custom", "endpoint")), dict)
    return timed and sent and names_somebody(record)


def has_envelope(record: Mapping[str, object]) -> bool:
    """Whether the fields that every record has are what they should be."""
    times = [record[name] for name in ("event_timestamp", "arrival_timestamp") if name in record]
    metrics = record.get("metrics", {})
    attributes = record.get("attributes")
    return (
        "event_timestamp" in record
        and all(is_time(time) for time in times)
        and text(dig(record, "application", "app_id")) is not None
        and (attributes is None or (isinstance(attributes, dict) and all(map(is_plain, attributes.values()))))
        and isinstance(metrics, dict)
        and all(is_number(number) for number in metrics.values())
    )


def is_plain(value: object) -> bool:
    """Whether it is no list and no object."""
    return value is None or isinstance(value, str | int | float)


def is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    return is_time(value) or isinstance(value, float)


def names_somebody(record: Mapping[str, object]) -> bool:
    """Whether the endpoint is told, or, where the record has a place for it, the user."""
    is_push = record["event_type"] == "_journey.opened_notification"
    return bool(client_of(record) or (is_push and dig(record, "endpoint", "User")))
