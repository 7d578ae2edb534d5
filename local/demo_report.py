"""What the demo prints: a table for each application, one credit explained, the checks and the times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from local.reconcile import Finding
from local.rest_client import Event, Events, History, Journey, Report, Touch

TOUCHES = {
    "email.open": "Opens",
    "email.click": "Clicks",
    "push.opened_notification": "Push",
    "journey.step": "Steps",
}
"""Headings, in this order; a kind of touch that is not named here comes after them under its own name."""
NONE = "-"
UNBOUNDED = 10_000
"""Columns; rich measures nothing as wider than the terminal otherwise."""
MOST_TOUCHES_SHOWN = 6
MOST_DIFFERENCES_SHOWN = 8


class Example(NamedTuple):
    """A credited event in the history of its user."""

    event: Event
    history: History

    @property
    def touches(self) -> list[Touch]:
        """The user's touches up to the event, oldest first."""
        return [touch for touch in reversed(self.history.touches) if touch.time <= self.event.time]


# --- the report ---


def print_application(console: Console, title: str, application: str, report: Report) -> None:
    """An application's journeys, what no journey has credit for, and the total."""
    console.print(Text.assemble((title, "bold"), (f"  application {application}", "dim")))
    console.print(_fitting(console, report))
    by_type = sorted(report.total.events.items(), key=lambda one: (-one[1], one[0]))
    told = " · ".join(f"{count:,} {kind}" for kind, count in by_type)
    console.print(Text(f"Events by type: {told or 'none'}", style="dim"), end="\n\n")


def _fitting(console: Console, report: Report) -> Table:
    """The roomiest table that fits: figures apart, or closer together, or touches and currencies in a column each."""
    unbounded = console.options.update(max_width=UNBOUNDED)
    roomy, close = _table(report, gap=2), _table(report, gap=1)
    if Measurement.get(console, unbounded, roomy).maximum <= console.width:
        return roomy
    if Measurement.get(console, unbounded, close).minimum <= console.width:
        return close
    return _table(report, gap=1, compact=True)


def _table(report: Report, *, gap: int, compact: bool = False) -> Table:
    """The table with ``gap`` blanks between its columns; a ``compact`` one adds touches up and lists currencies."""
    currencies = None if compact else sorted(report.total.revenue)
    kinds = None if compact else _touch_kinds(report.journeys)
    headings = ["Touches"] if kinds is None else [TOUCHES.get(kind, kind) for kind in kinds]
    headings = ["Sends", *headings, "Reached", "Converters", "Rate"]
    rest, total = report.unattributed, report.total
    table = Table(
        box=box.SIMPLE,
        show_edge=False,
        show_footer=True,
        footer_style="bold",
        padding=(0, gap - 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("Journey", "Total", min_width=12, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Events", _count(total.count), justify="right", no_wrap=True)
    for heading, amount in zip(currencies or ["Revenue"], _revenue(total, currencies), strict=False):
        table.add_column(heading, amount, justify="right", no_wrap=True)
    for journey in sorted(report.journeys, key=lambda one: (-one.converters, -one.reached, one.name)):
        table.add_row(
            Text(journey.name),
            _count(journey.sends),
            *_touched(journey, kinds),
            _count(journey.reached),
            _count(journey.converters),
            f"{journey.converters / journey.reached:.1%}" if journey.reached else NONE,
            _count(journey.count),
            *_revenue(journey, currencies),
        )
    table.add_row("Unattributed", *[""] * len(headings), _count(rest.count), *_revenue(rest, currencies), style="dim")
    return table


def _touch_kinds(journeys: Iterable[Journey]) -> list[str]:
    present = {kind for journey in journeys for kind, count in journey.touches.items() if count}
    return [kind for kind in TOUCHES if kind in present] + sorted(present - TOUCHES.keys())


def _touched(journey: Journey, kinds: Sequence[str] | None) -> list[str]:
    if kinds is None:
        return [_count(sum(journey.touches.values()))]
    return [_count(journey.touches.get(kind, 0)) for kind in kinds]


def _count(number: int) -> str:
    return f"{number:,}" if number else NONE


def _revenue(events: Events, currencies: Sequence[str] | None) -> list[str]:
    if currencies is None:
        return ["\n".join(_worth(amount, currency) for currency, amount in sorted(events.revenue.items())) or NONE]
    return [f"{events.revenue[one]:,.2f}" if one in events.revenue else NONE for one in currencies]


def _worth(amount: Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"


# --- one credit ---


def print_example(console: Console, example: Example) -> None:
    """Why one event is credited to its journey: the user's touches up to it, and what the API says."""
    event, touches = example.event, example.touches
    worth = f" of {_worth(event.value, event.currency)}" if event.value is not None and event.currency else ""
    question = f"is the {event.event_type}{worth} by {event.user} credited to {event.journey_name}?"
    console.print(Text.assemble(("Why ", "bold"), question))
    timeline = Table.grid(padding=(0, 2))
    for touch in touches[-MOST_TOUCHES_SHOWN:]:
        newest = touch is touches[-1]
        note = "the newest touch before the event" if newest else ""
        timeline.add_row(_moment(touch.time), touch.kind, Text(touch.journey_name), note, style="" if newest else "dim")
    timeline.add_row(_moment(event.time), event.event_type, style="bold")
    console.print(Padding(timeline, (0, 0, 0, 2)))
    console.print(Padding(Text(f"API: {event.why}", style="italic"), (0, 0, 1, 2)))


def _moment(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%d %b %H:%M:%S}"


# --- the checks ---


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """The checks, each with its numbers; where one does not hold, what differs."""
    console.print(Text("Does it add up?", style="bold"))
    checks = Table.grid(padding=(0, 2))
    checks.add_column(no_wrap=True)
    checks.add_column(min_width=20)
    checks.add_column(ratio=1)
    for finding in findings:
        style = "green" if finding.holds else "red"
        checks.add_row(Text("✔" if finding.holds else "✘", style=f"bold {style}"), finding.claim, finding.numbers)
        shown = list(finding.differences[:MOST_DIFFERENCES_SHOWN])
        if hidden := len(finding.differences) - len(shown):
            shown.append(f"and {hidden:,} more")
        for difference in shown:
            checks.add_row("", "", Text(difference, style=style))
    console.print(Padding(checks, (0, 0, 0, 2)))
    failed = sum(not finding.holds for finding in findings)
    if failed:
        console.print(Text(f"{failed} of {len(findings)} checks do not hold.", style="bold red"), end="\n\n")
    else:
        console.print(Text(f"All {len(findings)} checks hold.", style="bold green"), end="\n\n")


def print_times(console: Console, phases: Sequence[tuple[str, float]]) -> None:
    """How long each phase took."""
    told = " · ".join(f"{name} {seconds:.1f} s" for name, seconds in phases)
    total = sum(seconds for _, seconds in phases)
    console.print(Text(f"Times: {told} · in all {total:.1f} s", style="dim"))
