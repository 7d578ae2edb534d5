"""Figures by day or week, as bars: all journeys together with numbers, and each journey as a line of small bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from chalicelib.api.schemas.reports import JourneyReport, ReportAnswer
from local.terminal.report_lines import chosen
from local.terminal.screen import NONE, Screen, amount, count, table_of

NARROWEST_BAR = 8
NARROWEST_LINE = 20

Measure = Callable[[JourneyReport], Decimal]


def measure_of(name: str) -> tuple[str, Measure]:
    """What is plotted, in words, and how much of it a journey has.

    ``conversions`` is every credited event, ``conversions:TYPE`` those of a type, ``revenue:CURRENCY`` what they are
    worth. Raises ValueError.
    """
    kind, _, which = name.partition(":")
    if kind == "conversions" and not which:
        return "Conversions (credited events)", lambda one: Decimal(sum(one.events.values()))
    if kind == "conversions":
        return f"Conversions of type {which}", lambda one: Decimal(one.events.get(which, 0))
    if kind == "revenue" and which:
        return f"Revenue in {which.upper()}", lambda one: Decimal(one.revenue.get(which.upper(), "0"))
    raise ValueError("--plot takes conversions, conversions:EVENT_TYPE or revenue:CURRENCY")


def print_plot(screen: Screen, report: ReportAnswer, plot: str, wanted: Sequence[str] = ()) -> None:
    """The periods of a report. Journeys that are not wanted are left out of it."""
    what, measure = measure_of(plot)
    journeys = chosen(report.journeys, wanted)
    periods = report.periods or []
    ids = {one.journey_id for one in journeys}
    series = {one.journey_id: [Decimal(0)] * len(periods) for one in journeys}
    for at, period in enumerate(periods):
        for one in period.journeys:
            if one.journey_id in ids:
                series[one.journey_id][at] = measure(one)
    totals = [sum((values[at] for values in series.values()), Decimal(0)) for at in range(len(periods))]
    whose = "" if wanted else " of all journeys"
    screen.console.print()
    screen.say(f"{what}{whose} by {report.by}", "bold")
    if not periods:
        screen.say("There are no days with figures.", "dim")
        return
    told: Callable[[Decimal], str] = count if plot.startswith("conversions") else _worth
    labels = [_label(period.from_.spelled(), report.by) for period in periods]
    _print_bars(screen, labels, totals, told)
    if len(journeys) > 1 and len(periods) > 1:
        by_worth = sorted(journeys, key=lambda one: (-sum(series[one.journey_id]), one.name))
        _print_lines(screen, [(one.name, series[one.journey_id]) for one in by_worth], told)


def _print_bars(
    screen: Screen, labels: Sequence[str], values: Sequence[Decimal], told: Callable[[Decimal], str]
) -> None:
    most = max(map(abs, values))
    figures = [told(value) for value in values]
    room = screen.width - max(map(len, labels)) - max(map(len, figures)) - 5
    table = table_of()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="crop")
    for label, value, figure in zip(labels, values, figures, strict=True):
        bar = screen.bar(abs(value) / most if most else None, max(room, NARROWEST_BAR))
        table.add_row(label, figure, bar, style="red" if value < 0 else "")
    screen.console.print(table)


def _print_lines(screen: Screen, rows: Sequence[tuple[str, Sequence[Decimal]]], told: Callable[[Decimal], str]) -> None:
    """All on one scale, so that journeys can be compared; neighbouring periods are added up where there is no room."""
    longest = max(len(told(sum(values, Decimal(0)))) for _, values in rows)
    room = max(NARROWEST_LINE, min(screen.width // 2, screen.width - longest - 24))
    together = -(-len(rows[0][1]) // room)
    summed = [
        (name, [sum(values[at : at + together], Decimal(0)) for at in range(0, len(values), together)], sum(values))
        for name, values in rows
    ]
    most = max((value for _, values, _ in summed for value in values), default=Decimal(0))
    table = table_of()
    table.add_column("Journey", min_width=12, overflow="fold")
    table.add_column("Total", justify="right", no_wrap=True)
    table.add_column(f"Highest bar: {told(most)}", no_wrap=True)
    for name, values, total in summed:
        table.add_row(screen.text(name), told(Decimal(total)), screen.spark(values, max(most, Decimal(1))))
    screen.console.print()
    screen.console.print(table)
    if together > 1:
        screen.say(f"A bar is {together} neighbouring periods.", "dim")


def _worth(value: Decimal) -> str:
    return amount(str(value)) if value else NONE


def _label(day: str, by: str) -> str:
    return f"{date.fromisoformat(day):%a} {day}" if by == "day" else f"from {day}"
