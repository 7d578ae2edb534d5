"""`python -m local journeys`: a list of them, what is known of one, and a way to say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from local.rest_client import Api, Refused, path_of
from local.terminal.connection import (
    ApiOption,
    ApplicationArgument,
    JsonOption,
    NoColorOption,
    api_of,
    ending_well,
    pass_through,
)
from local.terminal.screen import NONE, Screen, amount, count, moment, percent, screen_of, table_of
from local.terminal.settings_layout import told

if TYPE_CHECKING:
    from rich.table import Table

    from chalicelib.api.schemas.reports import JourneyReport

UNKNOWN: dict[str, Any] = {"name": None, "cost": None, "goal": None, "starts": None, "ends": None}
"""A journey that nobody described and no event names."""


def journeys_command(
    application: ApplicationArgument,
    journey: Annotated[str | None, typer.Argument(metavar="JOURNEY", help="The id of one of them.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name, which stamps on events may bear.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="'AMOUNT CURRENCY'", help="All that it costs.")] = None,
    goal: Annotated[str | None, typer.Option(metavar="TYPE", help="Its goal: events of this type.")] = None,
    target_count: Annotated[int | None, typer.Option(min=1, help="Of the goal: so many events.")] = None,
    target_revenue: Annotated[
        str | None, typer.Option(metavar="'AMOUNT CURRENCY'", help="Of the goal: so much revenue.")
    ] = None,
    starts: Annotated[str | None, typer.Option(metavar="TIME", help="A day or an ISO-8601 time.")] = None,
    ends: Annotated[str | None, typer.Option(metavar="TIME", help="A day or an ISO-8601 time, later.")] = None,
    as_json: JsonOption = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """List an application's journeys with what came of them so far; or show one, or say its name, cost, goal, dates.

    What is given is changed, the rest stays; an empty text takes away: --cost ''. Who changed the journey meanwhile is
    not overwritten. With --goal, targets that are not given are none.
    """
    changes = _changes(name, cost, starts, ends) | _goal(goal, target_count, target_revenue)
    if changes and journey is None:
        raise typer.BadParameter("name the journey by its id: journeys APP JOURNEY")
    screen, source = screen_of(no_color=no_color), api_of(api)
    with ending_well():
        if journey is None:
            _list(screen, source, application, as_json=as_json)
            return
        path = path_of(application, "journeys", journey)
        before = _described(source, path) if changes else None
        if before is None:
            answer = source.send("GET", path)
        else:
            body = msgspec.json.encode({**before, **changes})
            answer = source.send("PUT", path, headers=_if_match(before), body=body)
        if as_json:
            pass_through(answer.body)
            return
        shown: dict[str, Any] = msgspec.json.decode(answer.body)
        _print_journey(screen, shown)
        if before is not None:
            screen.say(_outcome(before, shown))


def _list(screen: Screen, source: Api, application: str, *, as_json: bool) -> None:
    from chalicelib.api.schemas.reports import JourneysAnswer
    from chalicelib.api.schemas.values import parse

    journeys: list[JourneyReport] = []
    query: dict[str, str] = {}
    while True:
        answer = source.send("GET", path_of(application, "journeys"), query)
        page = answer.decoded(JourneysAnswer, parse)
        journeys += page.journeys
        if as_json:
            pass_through(answer.body)
        if page.next_cursor is None:
            break
        query = {"cursor": page.next_cursor}
    if not as_json:
        print_journeys(screen, application, journeys)


def _changes(name: str | None, cost: str | None, starts: str | None, ends: str | None) -> dict[str, Any]:
    given = {"name": name, "cost": cost, "starts": starts, "ends": ends}
    changes: dict[str, Any] = {field: text or None for field, text in given.items() if text is not None}
    if cost:
        changes["cost"] = _money("--cost", cost)
    return changes


def _goal(event_type: str | None, target_count: int | None, target_revenue: str | None) -> dict[str, Any]:
    if not event_type and (target_count is not None or target_revenue):
        raise typer.BadParameter("targets need --goal TYPE")
    if event_type is None:
        return {}
    revenue = _money("--target-revenue", target_revenue) if target_revenue else None
    goal = {"event_type": event_type, "target_count": target_count, "target_revenue": revenue}
    return {"goal": goal if event_type else None}


def _money(option: str, text: str) -> dict[str, str]:
    """The API says what is wrong with an amount or a currency. Raises BadParameter."""
    parts = text.split()
    if len(parts) != 2:
        raise typer.BadParameter(f"{option} is an amount and its currency, such as '1250.00 EUR'")
    return {"amount": parts[0], "currency": parts[1].upper()}


def _described(source: Api, path: str) -> dict[str, Any]:
    """A journey as the API tells it; one that it does not know is described for the first time."""
    try:
        described: dict[str, Any] = msgspec.json.decode(source.send("GET", path).body)
    except Refused as refusal:
        if refusal.status != HTTPStatus.NOT_FOUND:
            raise
        return dict(UNKNOWN)
    return described


def _if_match(before: Mapping[str, Any]) -> dict[str, str]:
    return {"If-Match": f'"{before["version"]}"'} if "version" in before else {}


def _outcome(before: Mapping[str, Any], saved: Mapping[str, Any]) -> str:
    if saved["version"] == before.get("version"):
        return f"That changes nothing: it is version {saved['version']} still."
    return f"Saved as version {saved['version']}."


def _print_journey(screen: Screen, one: Mapping[str, Any]) -> None:
    """A line a field, by the names that they have in the API."""
    screen.say(f"Journey {one['journey_id']}, version {one['version']}", "bold")
    table = table_of()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    goal, money = one["goal"] or {}, one["cost"]
    revenue = goal.get("target_revenue")
    fields = {
        "name": told(one["name"]),
        "cost": amount(money["amount"], money["currency"]) if money else NONE,
        "goal": told(goal.get("event_type")),
        "target_count": count(goal.get("target_count")),
        "target_revenue": amount(revenue["amount"], revenue["currency"]) if revenue else NONE,
        "starts": moment(one["starts"]) if one["starts"] else NONE,
        "ends": moment(one["ends"]) if one["ends"] else NONE,
    }
    for field, value in fields.items():
        table.add_row(screen.text(field), screen.text(value))
    screen.console.print(table)


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
