"""`python -m local report`: what each journey did, and whether it paid."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

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
from local.terminal.screen import screen_of


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
