"""A report as the lines of a table that add up: journeys, the others, what no journey has, and the total.

Pure. By the day of the touch there is no unattributed line: what no journey has credit for has no touch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from chalicelib.api.schemas.reports import Amount, EventFigures, JourneyReport, ReportAnswer


class NoSuchJourney(Exception):
    """The report has no journey of that id or name."""


class Line(NamedTuple):
    """A line of the table; None where a figure cannot be told, such as reached users of several journeys."""

    name: str
    sends: int | None = None
    touches: Mapping[str, int] | None = None
    reached: int | None = None
    converters: int | None = None
    rate: str | None = None
    events: int = 0
    revenue: Mapping[str, Decimal] = {}
    cost: Amount | None = None
    roi: str | None = None
    roas: str | None = None
    share: Decimal | None = None


class Lines(NamedTuple):
    """All lines; ``others`` are the journeys that were not asked for, in one."""

    journeys: list[Line]
    others: Line | None
    unattributed: Line | None
    total: Line

    @property
    def above_total(self) -> list[Line]:
        return [*self.journeys, *(one for one in (self.others, self.unattributed) if one is not None)]


def chosen(journeys: Sequence[JourneyReport], wanted: Sequence[str]) -> list[JourneyReport]:
    """The journeys with these ids or names, all if none are named. Raises `NoSuchJourney`."""
    for one in wanted:
        if not any(one in (journey.journey_id, journey.name) for journey in journeys):
            known = ", ".join(sorted(journey.name for journey in journeys)) or "none"
            raise NoSuchJourney(f"The report has no journey {one}; it has: {known}.")
    return [one for one in journeys if not wanted or one.journey_id in wanted or one.name in wanted]


def lines_of(report: ReportAnswer, wanted: Sequence[str] = ()) -> Lines:
    """The lines, best journeys first. Raises `NoSuchJourney`."""
    shown = chosen(report.journeys, wanted)
    hidden = [one for one in report.journeys if one not in shown]
    everything = report.total or report.application
    whole = sum(everything.events.values())
    rest = report.unattributed
    return Lines(
        journeys=[
            _journey(one, whole) for one in sorted(shown, key=lambda one: (-one.converters, -one.reached, one.name))
        ],
        others=_others(hidden, whole) if hidden else None,
        unattributed=None if rest is None else _rest(rest, whole),
        total=Line(
            "Total",
            sends=report.application.sends,
            touches=report.application.touches,
            events=whole,
            revenue=money_of(everything.revenue),
            cost=report.application.cost,
            roi=report.application.roi,
            roas=report.application.roas,
            share=_share(whole, whole),
        ),
    )


def money_of(revenue: Mapping[str, str]) -> dict[str, Decimal]:
    return {currency: Decimal(amount) for currency, amount in revenue.items()}


def _journey(one: JourneyReport, whole: int) -> Line:
    events = sum(one.events.values())
    return Line(
        one.name,
        one.sends,
        one.touches,
        one.reached,
        one.converters,
        one.conversion_rate,
        events,
        money_of(one.revenue),
        one.cost,
        one.roi,
        one.roas,
        _share(events, whole),
    )


def _rest(rest: EventFigures, whole: int) -> Line:
    events = sum(rest.events.values())
    return Line("Unattributed", events=events, revenue=money_of(rest.revenue), share=_share(events, whole))


def _others(hidden: Iterable[JourneyReport], whole: int) -> Line:
    touches, revenue = Counter[str](), dict[str, Decimal]()
    sends = events = 0
    for one in hidden:
        sends += one.sends
        touches.update(one.touches)
        events += sum(one.events.values())
        for currency, amount in money_of(one.revenue).items():
            revenue[currency] = revenue.get(currency, Decimal(0)) + amount
    return Line(
        "Other journeys", sends, touches, events=events, revenue=revenue, share=_share(events, whole)
    )  # fmt: skip


def _share(events: int, whole: int) -> Decimal | None:
    return Decimal(events) / whole if whole else None
