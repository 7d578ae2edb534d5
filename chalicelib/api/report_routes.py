"""Reports, and the list of journeys."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from msgspec.structs import asdict

from chalicelib import wiring
from chalicelib.api import report_answers
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Answer, Call, Problem, TooLarge, operation
from chalicelib.api.csv_text import CONTENT_TYPE, attachment, report_csv
from chalicelib.api.cursors import BadCursor
from chalicelib.api.negotiation import preferred
from chalicelib.api.report_answers import Choice
from chalicelib.api.report_rows import rows
from chalicelib.api.schemas.reports import (
    JourneysAnswer,
    JourneysQuery,
    PeriodReport,
    ReportAnswer,
    ReportQuery,
)
from chalicelib.api.schemas.values import Day
from chalicelib.reports.report import Days
from chalicelib.settings.model import Settings
from chalicelib.times import DAY_MS, LAST_MS, day_number, day_of, numbered_day

MOST_PERIODS = 400
MOST_ROWS = 5_000
"""Rows of a report, one for each journey and period: about 5 MB."""
MOST_CELLS = 500_000
"""Cells of a report's table, of which most may be empty."""
OFFERED = ("application/json", "text/csv")


class Period(NamedTuple):
    """Whole days of a time zone, ``first <= day < end`` as ``YYYYMMDD``; None is without bound."""

    first: str | None
    end: str | None


@operation(
    routes,
    "GET",
    "/applications/{application}/report",
    access="viewer",
    summary="Figures of all journeys in a period, and what no journey has credit for",
    description="Whole days of the application's time zone; a time within a day takes the whole day in. Without from "
    "and to, everything. date=touch tells events by the day of the touch that they are credited to. "
    "With journey_id that journey alone is listed, and the sums stay those of all. "
    "Accept: text/csv gives a line per journey and period.",
    tags=("reports",),
    query=ReportQuery,
    answer=ReportAnswer,
    media=("text/csv",),
    errors=(406,),
)
def get_report(call: Call[ReportQuery, None]) -> ReportAnswer | Answer:
    media = preferred(call.headers.get("Accept"), OFFERED)
    if media is None:
        raise Problem(406, f"A report comes as {' or '.join(OFFERED)}.")
    only = call.query.journey_id

    def choose(ids: Sequence[str]) -> Sequence[str]:
        return [one for one in ids if only in (None, one)]

    answer = _report(call.application, _settings(call.application), call.query, call.now, choose)
    if media == "text/csv":
        headers = {"Content-Disposition": attachment("report", call.application, suffix="csv")}
        return Answer(_table(answer), headers=headers, content_type=CONTENT_TYPE)
    return answer


@operation(
    routes,
    "GET",
    "/applications/{application}/journeys",
    access="viewer",
    summary="All journeys with their figures so far",
    description="The same as the report without from and to, in pages.",
    tags=("journeys",),
    query=JourneysQuery,
    answer=JourneysAnswer,
)
def get_journeys(call: Call[JourneysQuery, None]) -> JourneysAnswer:
    query = call.query
    bound = {"application": call.application, "of": "journeys"}
    try:
        after = wiring.cursors().decode(query.cursor, bound) if query.cursor else ""
    except BadCursor as reason:
        raise Problem(400, f"{reason}.") from reason

    def choose(ids: Sequence[str]) -> Sequence[str]:
        first = bisect_right(ids, after)
        # One more than the page has, to see whether there is a next one.
        return ids[first : first + query.limit + 1]

    report = _report(call.application, _settings(call.application), ReportQuery(), call.now, choose)
    page = report.journeys[: query.limit]
    more = len(report.journeys) > len(page)
    cursor = wiring.cursors().encode(page[-1].journey_id, bound) if more else None
    return JourneysAnswer(**{**asdict(report), "journeys": page, "next_cursor": cursor})


def _settings(application: str) -> Settings:
    stored = wiring.settings().get(application)
    return stored.in_generation(stored.generation)


def _table(report: ReportAnswer) -> str:
    """The report as CSV, with a column for each name that any row has."""
    table = list(rows(report))
    columns = list(dict.fromkeys(name for row in table for name in row))
    if len(table) * len(columns) > MOST_CELLS:
        raise TooLarge(f"The report's table would have more than {MOST_CELLS:,} cells.")
    return report_csv(table, columns)


def _report(application: str, settings: Settings, query: ReportQuery, now: int, choose: Choice) -> ReportAnswer:
    period = _period(query, settings.time_zone)
    days = wiring.reports().days(application, settings.generation, period.first, period.end, query.date)
    details = days.details
    refunds = settings.value_at(now).refund_types
    report = days.report(period.first, period.end)
    whole = report_answers.figures(report, details, refunds, choose)
    _check_rows(len(whole.journeys))
    parts: list[PeriodReport] | None = None
    if query.by != "whole":
        parts, number = [], 0
        for first, end in _parts(days, period, query.by):
            part = report_answers.figures(days.report(first, end), details, refunds, choose)
            number += len(part.journeys)
            _check_rows(number)
            parts.append(PeriodReport(Day(first), Day(end), *part))
    return ReportAnswer(
        from_=Day(period.first) if period.first else None,
        to=Day(period.end) if period.end else None,
        date=query.date,
        by=query.by,
        time_zone=settings.time_zone,
        journeys=whole.journeys,
        application=whole.application,
        unattributed=whole.unattributed,
        total=whole.total,
        events_set_aside=report.events_set_aside,
        periods=parts,
    )


def _check_rows(number: int) -> None:
    if number > MOST_ROWS:
        raise TooLarge(f"The report would have more than {MOST_ROWS:,} rows, one for each journey and period.")


def _period(query: ReportQuery, time_zone: str) -> Period:
    """Whole days: the one of ``from``, up to the one of the last millisecond before ``to``."""
    if query.from_ is not None and query.to is not None and query.from_ >= query.to:
        raise Problem(400, "to must be later than from; from is included, to is not.")
    first = None if query.from_ is None else day_of(query.from_, time_zone)
    if query.to is None:
        return Period(first, None)
    if query.to == 0:
        return Period(first, day_of(0, time_zone))
    # After the last day that can be named there is no end.
    last = day_of(query.to - 1, time_zone)
    return Period(first, numbered_day(day_number(last) + 1) if query.to + DAY_MS <= LAST_MS else None)


def _parts(days: Days, period: Period, by: Literal["day", "week"]) -> Iterator[tuple[str, str]]:
    """The days or weeks (from Monday on) of a period; without a bound, from the first and to the last with figures."""
    known = days.days()
    first = day_number(period.first or (known[0] if known else numbered_day(1)))
    end = day_number(period.end) if period.end else (day_number(known[-1]) + 1 if known else first)
    step = 1 if by == "day" else 7
    if (end - first) / step > MOST_PERIODS:
        raise Problem(400, f"A report tells at most {MOST_PERIODS} periods; give from and to, or by=week.")
    while first < end:
        # Day number 1 was a Monday.
        following = min(end, first + step - ((first - 1) % 7 if by == "week" else 0))
        yield numbered_day(first), numbered_day(following)
        first = following
