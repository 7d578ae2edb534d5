"""Reports as the API answers them: figures, and what is worked out of them with a journey's cost and goal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from chalicelib.api.schemas.reports import (
    Amount,
    ApplicationReport,
    EventFigures,
    GoalProgress,
    JourneyReport,
    Share,
    StampFigures,
    TimeToConversion,
)
from chalicelib.api.schemas.values import Instant
from chalicelib.attribution.delays import percentile
from chalicelib.attribution.value import EXACT, Value, money
from chalicelib.journeys.details import Goal, JourneyDetails
from chalicelib.reports.report import Events, JourneyFigures, Report
from chalicelib.reports.returns import Returns, ratio, returns_of

Choice = Callable[[Sequence[str]], Sequence[str]]
"""Which journeys are listed, of the ids of all in order."""


class Figures(NamedTuple):
    """A report's parts as answers."""

    journeys: list[JourneyReport]
    application: ApplicationReport
    unattributed: EventFigures | None
    total: EventFigures | None


class Whole(NamedTuple):
    """What a journey's share is of: a report's events, and their revenue by currency."""

    events: int
    revenue: Mapping[str, Decimal]


def figures(
    report: Report,
    details: Mapping[str, JourneyDetails],
    refund_types: frozenset[str],
    choose: Choice,
) -> Figures:
    """A report with what the journeys' costs and goals make of it.

    Parameters
    ----------
    refund_types
        Are no conversions where a journey's goal does not name the conversion.
    choose
        Selects the ids that are listed, of all in order. What is not of one journey is of all.
    """
    by_event = report.basis == "event"
    whole = report.total if by_event else _sum(report.journeys)
    known = {one.journey: one for one in report.journeys}
    # What a journey cost counts, and its goal is missed, also when nothing came of it.
    known |= {
        name: JourneyFigures(name) for name, one in details.items() if name not in known and (one.cost or one.goal)
    }
    ordered = sorted(known)
    journeys = [known[name] for name in ordered]
    all_of_it = Whole(sum(whole.counts.values()), whole.revenue())
    return Figures(
        journeys=[
            _journey(known[name], report, all_of_it, details.get(name), refund_types) for name in choose(ordered)
        ],
        application=_application(journeys, report.touches_waiting, details, refund_types),
        unattributed=event_figures(report.unattributed) if by_event else None,
        total=event_figures(report.total) if by_event else None,
    )


def event_figures(events: Events) -> EventFigures:
    return EventFigures(events.by_type(), _amounts(events.revenue()))


def _journey(
    one: JourneyFigures, report: Report, whole: Whole, details: JourneyDetails | None, refund_types: frozenset[str]
) -> JourneyReport:
    by_type = one.events.by_type()
    revenue = one.events.revenue()
    goal = details.goal if details else None
    costs = [details.cost] if details and details.cost else []
    returns = returns_of(costs, revenue, _conversions(by_type, goal, refund_types))
    by_event = report.basis == "event"
    return JourneyReport(
        journey_id=one.journey,
        name=report.names.get(one.journey, one.journey),
        sends=one.sends,
        touches=dict(sorted(one.touches.items())),
        reached=one.reached,
        converters=one.converters,
        people="exact" if one.exact else "at_least",
        events=by_type,
        revenue=_amounts(revenue),
        conversion_rate=_text(ratio(Decimal(one.converters), Decimal(one.reached))) if one.reached else None,
        time_to_conversion=_delays(one.delays) if by_event else None,
        stamps=StampFigures(one.stamps_agreeing, one.stamps_disagreeing) if by_event else None,
        cost=_amount(returns.cost),
        cost_per_conversion=_text(returns.cost_per_conversion),
        roi=_text(returns.roi),
        roas=_text(returns.roas),
        roi_reason=returns.reason,
        goal=_goal(goal, one) if goal else None,
        starts=Instant(details.starts) if details and details.starts is not None else None,
        ends=Instant(details.ends) if details and details.ends is not None else None,
        share=_share(sum(one.events.counts.values()), revenue, whole),
    )


def _application(
    journeys: Iterable[JourneyFigures],
    waiting: int,
    details: Mapping[str, JourneyDetails],
    refund_types: frozenset[str],
) -> ApplicationReport:
    all_of_them = list(journeys)
    everything = _sum(all_of_them)
    touches = sum((one.touches for one in all_of_them), Counter[str]())
    returns = _summed_returns(all_of_them, details, refund_types)
    return ApplicationReport(
        sends=sum(one.sends for one in all_of_them),
        touches=dict(sorted(touches.items())),
        touches_of_unnamed_journeys=waiting,
        events=everything.by_type(),
        revenue=_amounts(everything.revenue()),
        cost=_amount(returns.cost),
        cost_per_conversion=_text(returns.cost_per_conversion),
        roi=_text(returns.roi),
        roas=_text(returns.roas),
        roi_reason=returns.reason,
    )


def _summed_returns(
    journeys: Iterable[JourneyFigures], details: Mapping[str, JourneyDetails], refund_types: frozenset[str]
) -> Returns:
    """ROI and ROAS of the sums over the journeys that have a cost."""
    costs: list[Value] = []
    earning: list[JourneyFigures] = []
    conversions = 0
    for one in journeys:
        known = details.get(one.journey)
        if known and known.cost:
            costs.append(known.cost)
            earning.append(one)
            conversions += _conversions(one.events.by_type(), known.goal, refund_types)
    return returns_of(costs, _sum(earning).revenue(), conversions)


def _conversions(by_type: Mapping[str, int], goal: Goal | None, refund_types: frozenset[str]) -> int:
    """Events that count as conversions: those of the goal, or without one all but refunds."""
    if goal:
        return by_type.get(goal.event_type, 0)
    return sum(number for kind, number in by_type.items() if kind not in refund_types)


def _goal(goal: Goal, one: JourneyFigures) -> GoalProgress:
    events = sum(number for (_, kind), number in one.events.counts.items() if kind == goal.event_type)
    parts: list[Decimal] = []
    revenue: Value | None = None
    if goal.target_count:
        parts.append(ratio(Decimal(events), Decimal(goal.target_count)))
    if goal.target_revenue:
        currency = goal.target_revenue.currency
        revenue = Value(one.events.values.get((currency, goal.event_type), Decimal(0)), currency)
        if goal.target_revenue.amount:
            parts.append(ratio(revenue.amount, goal.target_revenue.amount))
    return GoalProgress(
        event_type=goal.event_type,
        events=events,
        target_count=goal.target_count,
        target_revenue=_amount(goal.target_revenue),
        revenue=_amount(revenue),
        progress=_text(min(parts)) if parts else None,
    )


def _share(events: int, revenue: Mapping[str, Decimal], whole: Whole) -> Share:
    return Share(
        events=_text(ratio(Decimal(events), Decimal(whole.events))) if whole.events else None,
        revenue={
            currency: _text(ratio(amount, whole.revenue[currency])) if whole.revenue.get(currency, 0) > 0 else None
            for currency, amount in revenue.items()
        },
    )


def _sum(journeys: Iterable[JourneyFigures]) -> Events:
    total = Events()
    for one in journeys:
        for key, number in one.events.counts.items():
            total.counts[key] += number
        for key, value in one.events.values.items():
            total.values[key] = EXACT.add(total.values[key], value)
    return total


def _delays(classes: Mapping[int, int]) -> TimeToConversion | None:
    median, p90 = percentile(classes, 50), percentile(classes, 90)
    return TimeToConversion(median, p90) if median is not None and p90 is not None else None


def _amounts(revenue: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: money(amount) for currency, amount in revenue.items()}


def _amount(given: Value | None) -> Amount | None:
    return Amount(money(given.amount), given.currency) if given else None


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
