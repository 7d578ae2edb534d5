"""``python -m infra.costs``: the bill of a load, as a table."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.costs import COGNITO_UPDATES_PER_SECOND, SECONDS, Load, bill

DEFAULT = Load()

app = typer.Typer(pretty_exceptions_show_locals=False)


@app.command()
def costs(
    events_per_second: Annotated[float, typer.Option(min=0.001, help="Events a second, on average.")] = 100,
    credited: Annotated[float, typer.Option(min=0, max=1, help="Share of events that a journey is credited with.")] = (
        DEFAULT.credited
    ),
    touches: Annotated[float, typer.Option(min=0, help="Touches for each event.")] = DEFAULT.touches,
    sends: Annotated[float, typer.Option(min=0, help="Sends of journeys for each event.")] = DEFAULT.sends,
    others: Annotated[float, typer.Option(min=0, help="Skipped records for each event.")] = DEFAULT.others,
    malformed: Annotated[float, typer.Option(min=0, max=1, help="Share of records quarantined.")] = DEFAULT.malformed,
    record_bytes: Annotated[int, typer.Option(min=1, help="Size of a record.")] = DEFAULT.record_bytes,
    peak: Annotated[float, typer.Option(min=1, help="Busiest hour against the average.")] = DEFAULT.peak,
    retention_days: Annotated[int, typer.Option(min=0, help="Days that facts are kept.")] = DEFAULT.retention_days,
    requests_per_day: Annotated[int, typer.Option(min=0, help="Requests to the API.")] = DEFAULT.requests_per_day,
    active_users: Annotated[int, typer.Option(min=0, help="Active customers in Cognito.")] = DEFAULT.active_users,
    stream_on_demand: Annotated[bool, typer.Option(help="An existing event stream, on demand.")] = False,
) -> None:
    """What a month costs in US dollars, us-east-1, before free tiers. Check the prices against AWS's own pages."""
    load = Load(
        events_per_second=events_per_second,
        credited=credited,
        touches=touches,
        sends=sends,
        others=others,
        malformed=malformed,
        record_bytes=record_bytes,
        peak=peak,
        retention_days=retention_days,
        requests_per_day=requests_per_day,
        active_users=active_users,
        stream_on_demand=stream_on_demand,
    )
    console = Console()
    console.print(table_of(load))
    if load.campaigns_per_second > COGNITO_UPDATES_PER_SECOND:
        console.print(
            f"Up to {load.campaigns_per_second:,.0f} campaigns a second change, and Cognito takes "
            f"{COGNITO_UPDATES_PER_SECOND}: its attribute may fall behind. Reports do not."
        )


def table_of(load: Load) -> Table:
    """The bill's lines, their sum, and what a million events cost."""
    lines = bill(load)
    total = sum((line.usd for line in lines), Decimal(0))
    table = Table(title=f"{load.events_per_second:,g} events a second", show_footer=True)
    table.add_column("Service", "Total")
    table.add_column("Quantity a month", justify="right")
    table.add_column("Unit", f"{total / Decimal(load.events_per_second * SECONDS) * 1_000_000:,.2f} a million events")
    table.add_column("Price")
    table.add_column("USD a month", f"{total:,.2f}", justify="right")
    for line in lines:
        table.add_row(line.component, f"{line.quantity:,.0f}", line.price.unit, line.price.grade, f"{line.usd:,.2f}")
    return table


def main() -> None:
    app(prog_name="python -m infra.costs")
