"""What is known of a user."""

from __future__ import annotations

from typing import Literal

import msgspec

from chalicelib.api.schemas.events import Basis, EventTouch
from chalicelib.api.schemas.values import Instant

IdentityKind = Literal["user_name", "user_id", "endpoint_id", "anonymous"]


class CurrentCampaign(msgspec.Struct, frozen=True):
    """The journey of the newest touch, while its window is open."""

    journey_id: str
    name: str
    since: Instant
    until: Instant


class UserTouch(msgspec.Struct, frozen=True):
    """A touch, and the end of its window."""

    time: Instant
    kind: str
    channel: str
    journey_id: str
    journey_name: str
    window_until: Instant


class ExplainedEvent(msgspec.Struct, frozen=True):
    """An event, its credit, and why it has it or has none."""

    event_type: str
    time: Instant
    user: str | None
    value: str | None
    currency: str | None
    journey_id: str | None
    journey_name: str | None
    touch: EventTouch | None
    basis: Basis | None
    why: str


class ErasureAnswer(msgspec.Struct, frozen=True):
    """An erasure that is under way.

    Attributes
    ----------
    user
        As it was asked for.
    erased_until
        What is told of the person at this time or earlier is gone, and is not taken in again.
    aliases
        Endpoints and UserIds that were this person's; of those that others had too, only what was this person's goes.
    exports
        Folders of exports that may hold events of the person. They are left as they are, and expire by themselves.
    """

    user: str
    erased_until: Instant
    aliases: int
    exports: list[str]


class UserAnswer(msgspec.Struct, frozen=True):
    """A user's newest touches and events, newest first, and the campaign of now."""

    user: str
    identity: IdentityKind
    campaign: CurrentCampaign | None
    touches: list[UserTouch]
    events: list[ExplainedEvent]
