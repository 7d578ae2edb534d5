"""`python -m local report` and `journeys`: what each journey did, and whether it paid."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from local.rest_client import RestFailed, path_of
from local.terminal.connection import (
    ApiOption,
    ApplicationArgument,
    FromOption,
    JsonOption,
    NoColorOption,
    ToOption,
    api_of,
    ending_well,
    given,
    pass_through,
)
from local.terminal.screen import NONE, Screen, amount, count, moment, percent, screen_of, table_of

if TYPE_CHECKING:
    from rich.table import Table

    from chalicelib.api.schemas.reports import JourneyReport


class By(StrEnum):
    """What a report is cut into."""

    WHOLE = "whole"
    DAY = "day"
    WEEK = "week"


class Date(StrEnum):
    """Whose day events count on."""

    EVENT = "event"
    TOUCH = "touch"


def report_command(
    application: ApplicationArgument,
    start: FromOption = None,
    end: ToOption = None,
    by: Annotated[By, typer.Option(help="Also day by day or week by week, with a plot.")] = By.WHOLE,
    date: Annotated[Date, typer.Option(help="Events count on their own day, or on that of their touch.")] = Date.EVENT,
    journey: Annotated[
        list[str] | None, typer.Option(metavar="ID_OR_NAME", help="Only this journey; more than once: only these.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="With --by: conversions (default), conversions:TYPE or revenue:CURRENCY."),
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The API's own CSV, to standard output.")] = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """Show what each journey of an application did in a period, and whether it paid."""
    # Imported here, as in the other commands: the API's schemas take a while, and serve does without the terminal.
    from chalicelib.api.schemas.reports import ReportAnswer
    from chalicelib.api.schemas.values import parse
    from local.terminal.report_lines import NoSuchJourney, lines_of
    from local.terminal.report_plot import measure_of, print_plot
    from local.terminal.report_table import print_report, title_of

    if (as_json or as_csv) and (journey or plot or (as_json and as_csv)):
        raise typer.BadParameter("--json and --csv pass one answer of the API through: without --journey and --plot")
    if plot is not None:
        if by == By.WHOLE:
            raise typer.BadParameter("--plot needs --by day or --by week")
        try:
            measure_of(plot)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    screen, source, wanted = screen_of(no_color=no_color), api_of(api), journey or []
    query = given(from_=start, to=end, by=by.value, date=date.value)
    with ending_well():
        accept = {"Accept": "text/csv" if as_csv else "application/json"}
        answer = source.send("GET", path_of(application, "report"), query, headers=accept)
        if as_json or as_csv:
            pass_through(answer.body)
            return
        report = answer.decoded(ReportAnswer, parse)
        try:
            lines = lines_of(report, wanted)
        except NoSuchJourney as error:
            raise RestFailed(str(error)) from error
        screen.say(f"Report of {application}: {title_of(report)}", "bold")
        print_report(screen, report, lines, wanted)
        if by != By.WHOLE:
            print_plot(screen, report, plot or "conversions", wanted)


def journeys_command(
    application: ApplicationArgument,
    as_json: JsonOption = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """List an application's journeys: ids, dates, costs, goals, and what came of them so far."""
    from chalicelib.api.schemas.reports import ReportAnswer
    from chalicelib.api.schemas.values import parse

    screen, source = screen_of(no_color=no_color), api_of(api)
    with ending_well():
        answer = source.send("GET", path_of(application, "journeys"))
        if as_json:
            pass_through(answer.body)
            return
        print_journeys(screen, application, answer.decoded(ReportAnswer, parse).journeys)


def print_journeys(screen: Screen, application: str, journeys: Sequence[JourneyReport]) -> None:
    """A line a journey, by name; on a narrow terminal in two or three tables."""
    screen.say(f"Journeys of {application}", "bold")
    ordered = sorted(journeys, key=lambda one: (one.name, one.journey_id))
    about, came = ["Id", "Starts", "Ends"], ["Converters", "Events", "Cost", "Each", "ROI"]
    goal = ["Goal"] if any(one.goal for one in journeys) else []
    layouts = [[[*about, *came, *goal]], [about, [*came, *goal]], [about, came, goal]]
    candidates = [[_journeys_table(screen, ordered, one) for one in layout if one] for layout in layouts]
    tables = next((one for one in candidates if screen.fits(*one)), candidates[-1])
    for at, table in enumerate(tables):
        if at:
            screen.console.print()
        screen.console.print(table)
    if any(one.cost_per_conversion for one in journeys):
        screen.say("Each: the cost of a conversion, in the currency of the cost.", "dim")


def _journeys_table(screen: Screen, journeys: Sequence[JourneyReport], headings: Sequence[str]) -> Table:
    table = table_of(1 if "Goal" in headings else 2)
    table.add_column("Journey", min_width=12, overflow="fold")
    for heading in headings:
        words = heading in ("Id", "Goal", "Starts", "Ends")
        table.add_column(
            heading,
            justify="left" if words else "right",
            no_wrap=heading != "Goal",
            overflow="fold",
            min_width=24 if heading == "Goal" else None,
        )
    for one in journeys:
        cells = _cells(one)
        table.add_row(screen.text(one.name), *(screen.text(cells[heading]) for heading in headings))
    return table


def _cells(one: JourneyReport) -> dict[str, str]:
    from local.terminal.report_table import goal_told

    progress = f" ({percent(one.goal.progress)})" if one.goal and one.goal.progress is not None else ""
    return {
        "Id": one.journey_id,
        "Starts": NONE if one.starts is None else moment(one.starts.spelled())[:10],
        "Ends": NONE if one.ends is None else moment(one.ends.spelled())[:10],
        "Converters": count(one.converters),
        "Events": count(sum(one.events.values())),
        "Cost": amount(one.cost.amount, one.cost.currency) if one.cost else NONE,
        "Each": NONE if one.cost_per_conversion is None else f"{Decimal(one.cost_per_conversion):,.2f}",
        "ROI": percent(one.roi, signed=True),
        "Goal": NONE if one.goal is None else goal_told(one.goal) + progress,
    }
