"""What reports answer. Money and ratios are decimals as text, so that no reader makes floats of them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from chalicelib.api.schemas.events import JourneyId
from chalicelib.api.schemas.values import Day, Instant

JOURNEYS_PER_PAGE = 1_000


class ReportQuery(msgspec.Struct, frozen=True):
    """A period of whole days, of the application's time zone: ``from`` is included, ``to`` is not.

    With ``journey_id`` that journey alone is listed; all that is not of one journey stays.
    """

    from_: Instant | None = msgspec.field(default=None, name="from")
    to: Instant | None = None
    date: Literal["event", "touch"] = "event"
    by: Literal["whole", "day", "week"] = "whole"
    journey_id: JourneyId | None = None


class JourneysQuery(msgspec.Struct, frozen=True):
    """Which page of the journeys."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=JOURNEYS_PER_PAGE)] = JOURNEYS_PER_PAGE
    cursor: str | None = None


class Amount(msgspec.Struct, frozen=True):
    """Money."""

    amount: str
    currency: str


class EventFigures(msgspec.Struct, frozen=True):
    """Events by type, and their value by currency, refunds taken off."""

    events: dict[str, int]
    revenue: dict[str, str]


class TimeToConversion(msgspec.Struct, frozen=True):
    """Seconds from touch to event, within about three percent; refunds included."""

    median_seconds: float
    p90_seconds: float


class StampFigures(msgspec.Struct, frozen=True):
    """Stamps on events that a touch decided: that name the journey as it is called now, or something else."""

    agreeing: int
    disagreeing: int


class GoalProgress(msgspec.Struct, frozen=True):
    """How far a journey is to its goal; ``progress`` 1.0000 is all of it, the lesser of count and revenue."""

    event_type: str
    events: int
    target_count: int | None
    target_revenue: Amount | None
    revenue: Amount | None
    progress: str | None


class Share(msgspec.Struct, frozen=True):
    """How much of the application's sum a journey is: 0.2500 is a quarter. Null where the sum is not positive."""

    events: str | None
    revenue: dict[str, str | None]


class JourneyReport(msgspec.Struct, frozen=True):
    """What a journey did in the period; its cost is all of it, whatever the period.

    Attributes
    ----------
    people
        Whether ``reached`` and ``converters`` are exact: they are for up to 92 days, from a month's first day on, and
        without ``from``. Else they are lower bounds.
    """

    journey_id: str
    name: str
    sends: int
    touches: dict[str, int]
    reached: int
    converters: int
    people: Literal["exact", "at_least"]
    events: dict[str, int]
    revenue: dict[str, str]
    conversion_rate: str | None
    time_to_conversion: TimeToConversion | None
    stamps: StampFigures | None
    cost: Amount | None
    cost_per_conversion: str | None
    roi: str | None
    roas: str | None
    roi_reason: str | None
    goal: GoalProgress | None
    starts: Instant | None
    ends: Instant | None
    share: Share


class ApplicationReport(msgspec.Struct, frozen=True):
    """All journeys together; ratios are of the sums over the journeys that have a cost.

    A user may be reached by several journeys, so reached users and converters are told by journey only.

    Attributes
    ----------
    touches_of_unnamed_journeys
        Touches that count for no journey yet: an application may have 200 journeys that no send, no step and no
        marketer has named; touches of further ones wait until theirs is named.
    """

    sends: int
    touches: dict[str, int]
    touches_of_unnamed_journeys: int
    events: dict[str, int]
    revenue: dict[str, str]
    cost: Amount | None
    cost_per_conversion: str | None
    roi: str | None
    roas: str | None
    roi_reason: str | None


class PeriodReport(msgspec.Struct, frozen=True):
    """A day, or a week from Monday on, as far as it lies in the whole period."""

    from_: Day = msgspec.field(name="from")
    to: Day
    journeys: list[JourneyReport]
    application: ApplicationReport
    unattributed: EventFigures | None
    total: EventFigures | None


class ReportAnswer(msgspec.Struct, frozen=True):
    """A report.

    Attributes
    ----------
    date
        Whether events count on their own day or on that of their touch. By the touch there is no total: what no journey
        has credit for has no touch.
    events_set_aside
        Events, of all times, that are in no figure because they could not be projected; operators bring them back.
    """

    from_: Day | None = msgspec.field(name="from")
    to: Day | None
    date: Literal["event", "touch"]
    by: Literal["whole", "day", "week"]
    time_zone: str
    journeys: list[JourneyReport]
    application: ApplicationReport
    unattributed: EventFigures | None
    total: EventFigures | None
    events_set_aside: int
    periods: list[PeriodReport] | None


class JourneysAnswer(ReportAnswer, frozen=True, kw_only=True):
    """A page of journeys in order of id, and the sums of all; ``next_cursor`` is null on the last page."""

    next_cursor: str | None = None
