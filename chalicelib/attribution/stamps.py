"""The stamp that a client put on an event: the campaign it read from Cognito (R11)."""

from __future__ import annotations

from chalicelib.facts.model import Event

STAMP_ATTRIBUTE = "campaign"

LONGEST_STAMP = 900
"""Bytes; a longer one names no journey. It stands in sort keys, which take 1,024."""


def stamp_of(event: Event) -> str | None:
    """The event's stamp, or None where it has none.

    The attribute's case does not matter; of several the first by name counts.
    """
    stamps = {key: value for key, value in event.attributes.items() if key.lower() == STAMP_ATTRIBUTE and value.strip()}
    stamp = stamps[min(stamps)] if stamps else None
    return stamp if stamp is not None and len(stamp.encode()) <= LONGEST_STAMP else None
