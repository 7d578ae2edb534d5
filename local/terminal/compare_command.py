"""`python -m local compare`: attribution models side by side."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from local.rest_client import Api, Refused, RestFailed, path_of
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
from local.terminal.screen import NONE, Screen, moment, screen_of, table_of

if TYPE_CHECKING:
    from rich.table import Table

    from chalicelib.reports.comparison import Comparison, Share

TOO_MANY = 422
LONGEST_HALF_LIFE = 36_500


def days_of(text: str) -> Decimal:
    """A number of days above 0, exact. Raises BadParameter."""
    try:
        days = Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter(f"{text!r} is not a number of days") from error
    if not days.is_finite() or not 0 < days <= LONGEST_HALF_LIFE:
        raise typer.BadParameter(f"{text!r} is not a number of days above 0 and at most {LONGEST_HALF_LIFE:,}")
    return days


def compare_command(
    application: ApplicationArgument,
    start: FromOption = None,
    end: ToOption = None,
    event_type: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    models: Annotated[
        str | None, typer.Option(help="Some of the models, separated by commas: last_touch,linear. Default: all.")
    ] = None,
    half_life: Annotated[
        Decimal | None,
        typer.Option("--half-life-days", metavar="DAYS", parser=days_of, help="Of time decay. Default: 7."),
    ] = None,
    as_job: Annotated[
        bool, typer.Option("--job", help="As a job, and wait for it: for long periods; needs a marketer's token.")
    ] = False,
    as_json: JsonOption = False,
    api: ApiOption = None,
    no_color: NoColorOption = False,
) -> None:
    """Show how attribution models share out the same credited events among the journeys."""
    from chalicelib.reports.comparison import Comparison

    screen, source = screen_of(no_color=no_color), api_of(api)
    days = None if half_life is None else f"{half_life:f}"
    query = given(from_=start, to=end, event_type=event_type, models=models, half_life_days=days)
    with ending_well():
        body = (_by_job if as_job else _at_once)(source, application, query)
        if as_json:
            pass_through(body)
            return
        try:
            found = msgspec.json.decode(body, type=Comparison)
        except msgspec.DecodeError as error:
            raise RestFailed(f"the answer is not as expected: {error}") from error
        print_comparison(screen, application, found)


def print_comparison(screen: Screen, application: str, found: Comparison) -> None:
    """A table of events and one of each currency, a column a model; then what the models mean."""
    of = f" of type {found.event_type}" if found.event_type else ""
    screen.say(f"Attribution models of {application}: {found.events:,} credited events{of}", "bold")
    if period := _period(found):
        screen.say(period, "dim")
    currencies = sorted({one for total in found.totals.values() for one in total.revenue})
    screen.console.print(_table(screen, found, None))
    for currency in currencies:
        screen.console.print()
        screen.console.print(_table(screen, found, currency))
    screen.console.print()
    for name in (*found.totals, "same_events"):
        screen.say(f"{_heading(name)}: {found.definitions.get(name, '')}", "dim")


def _period(found: Comparison) -> str:
    """The bounds that were given; the answer has the first and the last moment that there are for others."""
    first = [] if found.from_.startswith("1970-01-01T00:00:00") else [f"from {moment(found.from_)} UTC"]
    last = [] if found.to.startswith("9999-12-31") else [f"up to {moment(found.to)} UTC, not included"]
    return " ".join(first + last)


def _table(screen: Screen, found: Comparison, currency: str | None) -> Table:
    table = table_of(2, footer=True)
    table.add_column(screen.text(currency or "Events"), "Total", min_width=10, overflow="fold")
    models = list(found.totals)
    totals = [one.events if currency is None else one.revenue.get(currency) for one in found.totals.values()]
    newest = models[0] if models else ""
    journeys = sorted(found.journeys, key=lambda one: (-_worth(one.models.get(newest), currency), one.name))
    rows = [[_share(one.models, model, currency) for model in models] for one in journeys]
    places = max((_places(text) for row in [*rows, totals] for text in row), default=0)
    for model, total in zip(models, totals, strict=True):
        table.add_column(_heading(model), _figure(total, places), justify="right", overflow="fold")
    for one, row in zip(journeys, rows, strict=True):
        table.add_row(screen.text(one.name), *(_figure(figure, places) for figure in row))
    return table


def _share(shares: Mapping[str, Share], model: str, currency: str | None) -> str | None:
    share = shares.get(model)
    if share is None:
        return None
    return share.events if currency is None else share.revenue.get(currency)


def _worth(share: Share | None, currency: str | None) -> Decimal:
    if share is None:
        return Decimal(0)
    return Decimal(share.events if currency is None else share.revenue.get(currency, "0"))


def _figure(text: str | None, places: int) -> str:
    """With all the digits that the API says: rounded further, the columns would not add up."""
    return NONE if text is None or not Decimal(text) else f"{Decimal(text):,.{places}f}"


def _places(text: str | None) -> int:
    return len((text or "").partition(".")[2])


def _heading(model: str) -> str:
    return model.replace("_", " ").capitalize()


def _at_once(source: Api, application: str, query: Mapping[str, str]) -> bytes:
    try:
        return source.send("GET", path_of(application, "compare"), query).body
    except Refused as refusal:
        if refusal.status == TOO_MANY:
            detail = (
                f"{refusal.detail.partition('Make a job')[0].strip()} The same command with --job makes a job of it."
            )
            raise Refused("compare", refusal.status, detail, refusal.request_id) from refusal
        raise


def _by_job(source: Api, application: str, query: Mapping[str, str]) -> bytes:
    from local.terminal.jobs import asked, waited

    params: dict[str, object] = dict(query)
    if "models" in params:
        params["models"] = [one.strip() for one in query["models"].split(",")]
    if "half_life_days" in params:
        params["half_life_days"] = Decimal(query["half_life_days"])
    job = waited(source, application, asked(source, application, "compare", params))
    if job.result is None:
        raise RestFailed(f"job {job.job_id} is {job.state}: {job.error or 'it has no result'}")
    return msgspec.json.encode(job.result)
