"""The stamp that a client put on an event: the campaign it read from Cognito (R11)."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.facts.model import Event

STAMP_ATTRIBUTE = "campaign"


def stamp_of(event: Event) -> str | None:
    """The event's stamp, or None where it has none. The attribute's case does not matter;
    of several the greatest name decides.
    """
    stamps = [(key, value) for key, value in event.attributes.items() if key.lower() == STAMP_ATTRIBUTE and value]
    return max(stamps)[1] if stamps else None


def stamped_journey(stamp: str, names: Mapping[str, str]) -> str | None:
    """The journey whose name the stamp is (``names``: id to name); of several of one name the greatest id."""
    return max((journey for journey, name in names.items() if name == stamp), default=None)
