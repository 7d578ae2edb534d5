"""What journeys did, by whole UTC days, and what no journey has credit for."""

from __future__ import annotations

import msgspec

from chalicelib import wiring
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Call, operation
from chalicelib.api.schemas.values import Instant
from chalicelib.attribution.value import money
from chalicelib.reports import Events, JourneyFigures
from chalicelib.times import DAY_MS, LAST_MS, day_of


class PeriodQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A period of whole days: ``from`` is included, ``to`` is not."""

    from_: Instant | None = msgspec.field(name="from", default=None)
    to: Instant | None = None

    def __post_init__(self) -> None:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("to must be later than from; from is included, to is not")


class EventSums(msgspec.Struct, frozen=True):
    """Events by type, and their value by currency, as decimal text."""

    events: dict[str, int]
    revenue: dict[str, str]


class JourneySums(msgspec.Struct, frozen=True):
    """What a journey did."""

    journey_id: str
    name: str
    sends: int
    touches: dict[str, int]
    reached: int
    converters: int
    events: dict[str, int]
    revenue: dict[str, str]


class PlainReport(msgspec.Struct, frozen=True):
    """All journeys, what no journey has credit for, and the sum."""

    journeys: list[JourneySums]
    unattributed: EventSums
    total: EventSums


@operation(
    routes,
    "GET",
    "/applications/{application}/journeys",
    access="viewer",
    summary="All journeys with their figures so far",
    tags=("journeys",),
    answer=PlainReport,
)
def get_journeys(call: Call[None, None]) -> PlainReport:
    return _report(call.application, None, None)


@operation(
    routes,
    "GET",
    "/applications/{application}/report",
    access="viewer",
    summary="Figures of all journeys in a period, and what no journey has credit for",
    description="Whole UTC days; a time within a day takes the whole day in.",
    tags=("reports",),
    query=PeriodQuery,
    answer=PlainReport,
)
def get_report(call: Call[PeriodQuery, None]) -> PlainReport:
    start, end = call.query.from_, call.query.to
    last = None if end is None else end + DAY_MS - 1
    return _report(
        call.application,
        None if start is None else day_of(start),
        # After the last day that can be named there is no end.
        None if last is None or last > LAST_MS else day_of(last),
    )


def _report(application: str, first: str | None, end: str | None) -> PlainReport:
    generation = wiring.settings().get(application).generation
    report = wiring.reports().report(application, generation, first, end)
    return PlainReport(
        journeys=[_journey(one, report.names) for one in report.journeys],
        unattributed=_sums(report.unattributed),
        total=_sums(report.total),
    )


def _journey(figures: JourneyFigures, names: dict[str, str]) -> JourneySums:
    sums = _sums(figures.events)
    return JourneySums(
        journey_id=figures.journey,
        name=names.get(figures.journey, figures.journey),
        sends=figures.sends,
        touches=dict(sorted(figures.touches.items())),
        reached=figures.reached,
        converters=figures.converters,
        events=sums.events,
        revenue=sums.revenue,
    )


def _sums(events: Events) -> EventSums:
    return EventSums(events.by_type(), {currency: money(amount) for currency, amount in events.revenue().items()})
