"""A report held to the model: every count and value by type and currency, users, delays, stamps, by both dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from chalicelib import wiring
from chalicelib.reports.report import Events, JourneyFigures
from tests.reference import model
from tests.reference.facts import EXACT
from tests.support.outcome import report

Cells = tuple[dict[tuple[str, str], int], dict[tuple[str, str], Decimal]]
"""Counts and values by event type and currency (empty: without value)."""


def check_report(application: str, outcome: model.Outcome, first: str, last: str) -> None:
    """The report of days, both included, by the day of the event."""
    found = report(application, first.replace("-", ""), day_after(last))
    in_range = {key: tally for key, tally in outcome.tallies.items() if first <= key[0] <= last}
    journeys = {journey for _, journey in in_range}
    assert {one.journey for one in found.journeys if one.sends or one.touches or one.events.by_type()} == journeys
    for figures in found.journeys:
        mine = [tally for (_, journey), tally in in_range.items() if journey == figures.journey]
        assert figures.sends == sum(tally.sends for tally in mine)
        assert Counter(figures.touches) == sum((tally.touches for tally in mine), Counter())
        assert cells(figures.events) == summed(mine)
        assert figures.stamps_agreeing == sum(tally.stamps_agreeing for tally in mine)
        assert figures.stamps_disagreeing == sum(tally.stamps_disagreeing for tally in mine)
        assert figures.reached == len(outcome.reached(figures.journey, first, last))
        events = outcome.credited(figures.journey, first, last)
        check_users(figures, events)
        check_delays(figures.delays, [one.time - one.touch.time for one in events if one.touch])
    for shown, by_day in ((found.unattributed, outcome.unattributed), (found.total, outcome.totals)):
        assert cells(shown) == summed(tally for day, tally in by_day.items() if first <= day <= last)


def check_report_by_touch(application: str, outcome: model.Outcome, first: str, last: str) -> None:
    """The report of days, both included, by the day of the touch."""
    generation = wiring.settings().get(application).generation
    found = wiring.reports().report(application, generation, first.replace("-", ""), day_after(last), "touch")
    in_range = {key: tally for key, tally in outcome.touch_tallies.items() if first <= key[0] <= last}
    assert {one.journey for one in found.journeys if one.events.by_type()} == {journey for _, journey in in_range}
    for figures in found.journeys:
        mine = [tally for (_, journey), tally in in_range.items() if journey == figures.journey]
        assert cells(figures.events) == summed(mine)
        assert figures.reached == len(outcome.reached(figures.journey, first, last))
        check_users(figures, outcome.credited(figures.journey, first, last, by_touch=True))


def check_users(figures: JourneyFigures, events: Iterable[model.Credit]) -> None:
    """The distinct users who have these events."""
    assert figures.converters == len({event.user for event in events})


def check_delays(classes: Counter[int], delays: Iterable[int]) -> None:
    """Each delay (ms) is in a class that begins at most a second and a sixteenth below it."""
    told = sorted(least for least, number in classes.items() for _ in range(number))
    true = sorted(delay // 1_000 for delay in delays)
    assert len(told) == len(true)
    assert all(least <= seconds <= least + least / 16 for least, seconds in zip(told, true, strict=True))


def cells(events: Events) -> Cells:
    """Counts that are not zero; every currency among them has a value, if only zero: there are events in it."""
    counts = {(kind, currency): number for (currency, kind), number in events.counts.items() if number}
    return counts, {
        (kind, currency): events.values.get((currency, kind), Decimal(0)) for kind, currency in counts if currency
    }


def summed(tallies: Iterable[model.Tally]) -> Cells:
    """The same of the model's tallies."""
    counts: Counter[tuple[str, str]] = Counter()
    values: dict[tuple[str, str], Decimal] = {}
    for tally in tallies:
        counts.update({(kind, currency or ""): number for (kind, currency), number in tally.counts.items()})
        for cell, value in tally.values.items():
            values[cell] = EXACT.add(values.get(cell, Decimal(0)), value)
    return dict(counts), values


def day_after(day: str) -> str | None:
    """The end of a range of days; after the last day that there is, there is none."""
    last = date.fromisoformat(day)
    return None if last == date.max else f"{last + timedelta(days=1):%Y%m%d}".zfill(8)
