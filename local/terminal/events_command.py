"""`python -m local events` and `users`: credited events, and why a user's events have their credit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from local.rest_client import path_of
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
from local.terminal.screen import NONE, Screen, amount, moment, screen_of, table_of

if TYPE_CHECKING:
    from chalicelib.api.schemas.events import EventAnswer
    from chalicelib.api.schemas.users import UserAnswer

SHOWN = 50
WHOLE = 1_000
COLUMNS = (
    ("Time", WHOLE),
    ("Event", 20),
    ("User", 16),
    ("Value", WHOLE),
    ("Journey", 20),
    ("Credited by", 11),
    ("Touch", WHOLE),
)
"""Of events, each with the columns that a longer text is folded to at most."""


def events_command(
    application: ApplicationArgument,
    journey: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this journey; unattributed: of none, which needs --user.")
    ] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Of this type.")] = None,
    user: Annotated[str | None, typer.Option(help="Of this user: a user name, else a UserId or endpoint id.")] = None,
    start: FromOption = None,
    end: ToOption = None,
    limit: Annotated[
        int | None, typer.Option(help=f"How many. Default: {SHOWN} in a table, all in a file.", min=1)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All there are, page by page.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The API's CSV, to standard output.")] = False,
    as_ndjson: Annotated[bool, typer.Option("--ndjson", help="The API's newline-delimited JSON.")] = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """Show an application's credited events, newest first."""
    from local.terminal.event_pages import CSV, NDJSON, Shortened, files, pages

    if as_csv and as_ndjson:
        raise typer.BadParameter("give either --csv or --ndjson")
    if everything and limit is not None:
        raise typer.BadParameter("give either --limit or --all")
    screen, source, shortened = screen_of(no_color=no_color), api_of(api), Shortened()
    query = given(journey_id=journey, event_type=event_type, user=user, from_=start, to=end)
    with ending_well():
        if as_csv or as_ndjson:
            for body in files(source, application, query, CSV if as_csv else NDJSON, limit, shortened):
                pass_through(body)
            if shortened.more:
                print(f"There are more than these {limit:,}.", file=sys.stderr)
            return
        most = None if everything else limit or SHOWN
        shown = 0
        for page in pages(source, application, query, most, shortened):
            print_events(screen, page)
            shown += len(page)
        more = "; there are more: --limit N, or --all" if shortened.more else ""
        screen.say(f"{shown:,} event{'' if shown == 1 else 's'}{more}. Times are in UTC.", "dim")


def users_command(
    application: ApplicationArgument,
    user: Annotated[str, typer.Argument(help="A user name, else a UserId or an endpoint id.")],
    as_json: JsonOption = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """Show a user's touches and events, and why each event has its credit."""
    from chalicelib.api.schemas.users import UserAnswer
    from chalicelib.api.schemas.values import parse

    screen, source = screen_of(no_color=no_color), api_of(api)
    with ending_well():
        answer = source.send("GET", path_of(application, "users", user))
        if as_json:
            pass_through(answer.body)
            return
        print_user(screen, answer.decoded(UserAnswer, parse))


def print_events(screen: Screen, events: Sequence[EventAnswer]) -> None:
    """A table of events; on a narrow terminal without the touch's own time."""
    wide = _events_table(screen, events, touch_times=True)
    screen.console.print(wide if screen.fits(wide) else _events_table(screen, events, touch_times=False))


def print_user(screen: Screen, found: UserAnswer) -> None:
    """Who it is, the campaign, the touches, and each event with the reason of its credit."""
    screen.say(f"{found.user} ({found.identity.replace('_', ' ')})", "bold")
    campaign = found.campaign
    screen.say(
        "No campaign: no touch's window is open."
        if campaign is None
        else f"Campaign: {campaign.name}, until {moment(campaign.until.spelled())} UTC"
    )
    touches = table_of()
    for heading in ("Touch", "Kind", "Channel", "Journey", "Window until"):
        touches.add_column(heading, overflow="fold", no_wrap=heading in ("Touch", "Window until"))
    for touch in found.touches:
        touches.add_row(
            moment(touch.time.spelled()),
            *map(screen.text, (touch.kind, touch.channel, touch.journey_name)),
            moment(touch.window_until.spelled()),
        )
    events = table_of()
    for heading in ("Event", "Type", "Value", "Why"):
        events.add_column(
            heading, overflow="fold", no_wrap=heading in ("Event", "Value"),
            justify="right" if heading == "Value" else "left",
        )  # fmt: skip
    for event in found.events:
        value = amount(event.value, event.currency)
        events.add_row(
            moment(event.time.spelled()), screen.text(event.event_type), screen.text(value), screen.text(event.why)
        )
    for what, table in ((found.touches, touches), (found.events, events)):
        screen.console.print()
        screen.console.print(table if what else Text("No touches." if table is touches else "No events.", style="dim"))
    screen.say("The newest, in UTC.", "dim")


def _events_table(screen: Screen, events: Sequence[EventAnswer], *, touch_times: bool) -> Table:
    rows = [
        (
            moment(event.time.spelled()),
            event.event_type,
            event.user or NONE,
            amount(event.value, event.currency),
            event.journey_name or NONE,
            event.touch.kind if event.touch else event.basis or NONE,
            moment(event.touch.time.spelled()) if event.touch else "",
        )
        for event in events
    ]
    shown = len(COLUMNS) if touch_times else -1
    table = table_of(2 if touch_times else 1)
    for at, (heading, narrowest) in enumerate(COLUMNS[:shown]):
        # No narrower than what is in it, unless that is very long.
        longest = max((cell_len(row[at]) for row in rows), default=0)
        table.add_column(
            heading,
            overflow="fold",
            min_width=min(longest, narrowest),
            no_wrap=narrowest == WHOLE,
            justify="right" if heading == "Value" else "left",
        )
    for row in rows:
        table.add_row(*map(screen.text, row[:shown]))
    return table
