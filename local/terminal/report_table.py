"""The table of a report, as roomy as the terminal is wide; and what is to be said below it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from rich.table import Table

from chalicelib.api.schemas.reports import GoalProgress, JourneyReport, ReportAnswer
from local.demo_report import TOUCHES
from local.terminal.report_lines import Line, Lines, chosen
from local.terminal.screen import NONE, Screen, amount, count, percent, table_of

WIDEST_BAR = 10


class Column(NamedTuple):
    """A heading, and what a line has below it."""

    heading: str
    cell: Callable[[Line], str]
    left: bool = False


def print_report(screen: Screen, report: ReportAnswer, lines: Lines, wanted: Sequence[str] = ()) -> None:
    """The table or, on a narrow terminal, two; then the goals, and why a ratio is missing."""
    for at, table in enumerate(_fitting(screen, lines)):
        if at:
            screen.console.print()
        screen.console.print(table)
    by_type = sorted((report.total or report.application).events.items(), key=lambda one: (-one[1], one[0]))
    screen.say(f"Events by type: {', '.join(f'{number:,} {kind}' for kind, number in by_type) or 'none'}", "dim")
    journeys = chosen(report.journeys, wanted)
    for note in _notes(report, journeys):
        screen.say(note, "dim")
    bounded = report.from_ is not None or report.to is not None
    reached = "Reached in the period" if bounded else "Reached so far"
    _print_goals(screen, reached, [(one.name, one.goal) for one in journeys if one.goal])


def title_of(report: ReportAnswer) -> str:
    """Which days the report is of, and by which day events count."""
    first = report.from_.spelled() if report.from_ else None
    end = report.to.spelled() if report.to else None
    period = "all days"
    if first or end:
        period = " ".join(([f"from {first}"] if first else []) + ([f"up to {end}, not included"] if end else []))
    own = "their own day" if report.date == "event" else "the day of their touch"
    return f"{period}, {report.time_zone}; events by {own}"


# --- tables ---


def _fitting(screen: Screen, lines: Lines) -> list[Table]:
    """All figures side by side, with the currencies in a column each or below one another, or in two tables."""
    currencies = sorted({one for line in [*lines.above_total, lines.total] for one in line.revenue})
    touches, together = _touch_columns(lines), [Column("Touches", _touches)]
    revenue, below = _revenue_columns(currencies), [Column("Revenue", _revenues)]
    people, returns = [REACHED, CONVERTERS, RATE], _return_columns(lines)
    share = [Column("Share of events", lambda line: _share(screen, line, WIDEST_BAR), left=True)]
    short = [Column("Share", lambda line: percent(line.share))]
    events = [Column("Events", lambda line: count(line.events))]
    roomy = [SENDS, *touches, *people, *events, *revenue, *returns, *share]
    candidates: list[tuple[int, list[list[Column]]]] = [
        (2, [roomy]),
        (1, [roomy]),
        (1, [[SENDS, *touches, *people, *events, *below, *returns, *short]]),
        (1, [[SENDS, *together, *people, *events, *below, *returns, *short]]),
        (2, [[SENDS, *touches, *people], [*events, *revenue, *returns, *share]]),
        (1, [[SENDS, *touches, *people], [*events, *below, *returns, *share]]),
    ]
    narrow = [[SENDS, *together, *people], [*events, *below, *short], *([returns] if returns else [])]
    tables: list[Table] = []
    for gap, parts in [*candidates, (1, narrow)]:
        tables = [_table(screen, lines, columns, gap) for columns in parts]
        if screen.fits(*tables):
            break
    return tables


def _table(screen: Screen, lines: Lines, columns: Iterable[Column], gap: int) -> Table:
    table = table_of(gap, footer=True)
    table.add_column("Journey", lines.total.name, min_width=12, overflow="fold")
    columns = list(columns)
    for one in columns:
        table.add_column(
            screen.text(one.heading),
            screen.text(one.cell(lines.total)),
            justify="left" if one.left else "right",
            no_wrap=True,
        )
    summed = (lines.others, lines.unattributed)
    for line in lines.above_total:
        cells = [one.cell(line) for one in columns]
        if any(cells):
            table.add_row(screen.text(line.name), *map(screen.text, cells), style="dim" if line in summed else "")
    return table


def _told(number: int | None) -> str:
    return "" if number is None else count(number)


SENDS = Column("Sends", lambda line: _told(line.sends))
REACHED = Column("Reached", lambda line: _told(line.reached))
CONVERTERS = Column("Converters", lambda line: _told(line.converters))
RATE = Column("Rate", lambda line: "" if line.reached is None else percent(line.rate))


def _touch_columns(lines: Lines) -> list[Column]:
    present = {kind for kind, number in (lines.total.touches or {}).items() if number}
    kinds = [kind for kind in TOUCHES if kind in present] + sorted(present - TOUCHES.keys())
    return [Column(TOUCHES.get(kind, kind), partial(_touches, kind=kind)) for kind in kinds]


def _touches(line: Line, kind: str | None = None) -> str:
    if line.touches is None:
        return ""
    return count(sum(line.touches.values()) if kind is None else line.touches.get(kind, 0))


def _revenue_columns(currencies: Iterable[str]) -> list[Column]:
    return [Column(one, partial(_earned, currency=one)) for one in currencies]


def _earned(line: Line, currency: str) -> str:
    return _money(line.revenue.get(currency))


def _revenues(line: Line) -> str:
    return "\n".join(f"{_money(value)} {currency}" for currency, value in sorted(line.revenue.items())) or NONE


def _return_columns(lines: Lines) -> list[Column]:
    """None where no journey has a cost."""
    if not any(line.cost for line in lines.journeys):
        return []
    return [
        Column("Cost", lambda line: amount(line.cost.amount, line.cost.currency) if line.cost else _unsaid(line)),
        Column("ROI", lambda line: _unsaid(line) if line.roi is None else percent(line.roi, signed=True)),
        Column("ROAS", lambda line: _unsaid(line) if line.roas is None else f"{Decimal(line.roas):,.2f}"),
    ]


def _unsaid(line: Line) -> str:
    """Nothing where the question makes no sense, as for what no journey has."""
    return NONE if line.reached is not None or line.name == "Total" else ""


def _money(value: Decimal | None) -> str:
    return NONE if value is None else amount(str(value))


def _share(screen: Screen, line: Line, width: int) -> str:
    return f"{percent(line.share):>6} {screen.bar(line.share, width)}".rstrip()


# --- below the table ---


def _notes(report: ReportAnswer, journeys: Iterable[JourneyReport]) -> list[str]:
    costly = [one for one in journeys if one.cost]
    if not costly:
        return []
    notes = ["Cost is all that a journey cost, whatever the period; the total's ROI is of the journeys with a cost."]
    notes += [f"No ROI of {one.name}: {one.roi_reason}" for one in costly if one.roi_reason]
    if report.application.roi_reason:
        notes.append(f"No ROI of all together: {report.application.roi_reason}")
    return notes


def _print_goals(screen: Screen, reached: str, goals: Sequence[tuple[str, GoalProgress]]) -> None:
    if not goals:
        return
    table = table_of()
    table.add_column("Goal", min_width=12, overflow="fold")
    table.add_column(reached, overflow="fold")
    table.add_column("", no_wrap=True)
    for name, goal in goals:
        share = None if goal.progress is None else Decimal(goal.progress)
        bar = "" if share is None else f"{percent(share):>6} {screen.bar(share, WIDEST_BAR)}".rstrip()
        table.add_row(screen.text(name), screen.text(goal_told(goal)), bar)
    screen.console.print()
    screen.console.print(table)


def goal_told(goal: GoalProgress) -> str:
    """How far it is, in words."""
    of = f" of {goal.target_count:,}" if goal.target_count else ""
    told = f"{goal.events:,}{of} {goal.event_type}"
    if goal.target_revenue and goal.revenue:
        target = amount(goal.target_revenue.amount, goal.target_revenue.currency)
        told += f", {amount(goal.revenue.amount)} of {target}"
    return told
