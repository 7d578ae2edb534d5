"""Credited events: what may be asked of them, and how they are shown. Money is decimal text, with all its digits."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec

from chalicelib.api.schemas.values import Instant, Spelled
from chalicelib.sources.records import Rejected, checked_id

MOST_PER_PAGE = 1_000
PER_PAGE = 100

Basis = Literal["touch", "stamp"]


class JourneyId(Spelled, str):
    """The id of a journey, in a parameter ``journey_id``."""

    RULE = "the id of a journey"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "maxLength": 256, "examples": ["9f0c1d7e"]}

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str):
            raise ValueError(f"must be {cls.RULE}")
        try:
            return cls(checked_id(given, "journey_id"))
        except Rejected as reason:
            raise ValueError(str(reason)) from reason

    def spelled(self) -> str:
        return str(self)


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: of a journey, type, user; ``from`` is included, ``to`` is not."""

    journey_id: JourneyId | None = None
    event_type: str | None = None
    user: str | None = None
    from_: Instant | None = msgspec.field(name="from", default=None)
    to: Instant | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_PER_PAGE)] = PER_PAGE
    cursor: str | None = None

    def __post_init__(self) -> None:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("to must be later than from; from is included, to is not")


class EventTouch(msgspec.Struct, frozen=True):
    """The touch that an event is credited to."""

    time: Instant
    kind: str
    channel: str


class EventAnswer(msgspec.Struct, frozen=True):
    """An event and its credit.

    Attributes
    ----------
    user
        Null where the event names no one.
    basis
        Why the journey has the credit: a touch, or the campaign that is stamped on the event. Null without credit.
    """

    event_type: str
    time: Instant
    user: str | None
    value: str | None
    currency: str | None
    journey_id: str | None
    journey_name: str | None
    touch: EventTouch | None
    basis: Basis | None


class EventsPage(msgspec.Struct, frozen=True):
    """Events, newest first, and where the next page begins (null: there are no more)."""

    items: list[EventAnswer]
    next_cursor: str | None
