"""A report as rows of a table: one for each period and journey, with a column for each number."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from chalicelib.api.csv_text import Cell
from chalicelib.api.schemas.reports import JourneyReport, ReportAnswer
from chalicelib.api.schemas.values import Day

Row = dict[str, Cell]


def rows(report: ReportAnswer) -> Iterator[Row]:
    """Numbers are numbers here, amounts too: what is text would be defused as a formula if it is negative."""
    if report.periods is None:
        for journey in report.journeys:
            yield _row(report.date, report.from_, report.to, journey)
    for period in report.periods or ():
        for journey in period.journeys:
            yield _row(report.date, period.from_, period.to, journey)


def _row(date: str, first: Day | None, end: Day | None, one: JourneyReport) -> Row:
    row: Row = {
        "from": first.spelled() if first else None,
        "to": end.spelled() if end else None,
        "date": date,
        "journey_id": one.journey_id,
        "name": one.name,
        "sends": one.sends,
        "reached": one.reached,
        "converters": one.converters,
        "people": one.people,
        "conversion_rate": _number(one.conversion_rate),
        "cost": _number(one.cost.amount) if one.cost else None,
        "cost_currency": one.cost.currency if one.cost else None,
        "cost_per_conversion": _number(one.cost_per_conversion),
        "roi": _number(one.roi),
        "roas": _number(one.roas),
        "median_seconds_to_conversion": one.time_to_conversion.median_seconds if one.time_to_conversion else None,
        "p90_seconds_to_conversion": one.time_to_conversion.p90_seconds if one.time_to_conversion else None,
        "share_of_events": _number(one.share.events),
    }
    row |= {f"touches {kind}": number for kind, number in one.touches.items()}
    row |= {f"events {kind}": number for kind, number in one.events.items()}
    return row | {f"revenue {currency}": _number(amount) for currency, amount in one.revenue.items()}


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
