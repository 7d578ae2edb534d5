"""Does it add up? What was sent, counted from the raw records alone, against what the application says.

Nothing of the application is used here: the records are read once more, in plain Python, so that an error of the
application's cannot hide in its own check.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from local.rest_client import Event, Report

PURCHASE = "_monetization.purchase"
DEFAULT_CURRENCY = "USD"
REFUND = "refund"
NOTHING = Decimal(0)


class Finding(NamedTuple):
    """The outcome of a check: what it says, the numbers, and what differs (nothing, if it holds)."""

    claim: str
    numbers: str
    differences: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        return not self.differences


@dataclass
class Figures:
    """Events by type and their value by currency."""

    events: Counter[str] = field(default_factory=Counter)
    revenue: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, event_type: str, value: Decimal | None, currency: str | None) -> None:
        """One more event; refunds have a negative value."""
        self.events[event_type] += 1
        if value is not None and currency is not None:
            self.revenue[currency] += value


class Sent:
    """Counts the records that are sent: the distinct events of each application, and those that cannot be read.

    Two records tell of one event if they are the same but for ``arrival_timestamp``.
    """

    def __init__(self) -> None:
        self.records = 0
        self.event_records = 0
        self.unreadable = 0
        self.by_application: defaultdict[str, Figures] = defaultdict(Figures)
        self._seen: set[bytes] = set()

    @property
    def events(self) -> int:
        """Distinct events."""
        return len(self._seen)

    def add(self, data: bytes) -> None:
        """One more record, as it goes into the stream."""
        self.records += 1
        record = _readable(data)
        if record is None:
            self.unreadable += 1
            return
        event_type = str(record["event_type"])
        if event_type.startswith("_") and event_type != PURCHASE:
            return
        self.event_records += 1
        content = {name: part for name, part in record.items() if name != "arrival_timestamp"}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
        if digest not in self._seen:
            self._seen.add(digest)
            self.by_application[_part(record, "application")["app_id"]].add(event_type, *_value(event_type, record))


def _readable(data: bytes) -> dict[str, object] | None:
    try:
        record = json.loads(data.decode(), parse_float=Decimal)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("event_type"), str):
        return None
    if record["event_type"] == "_test.event_stream":
        return record
    documented = isinstance(record.get("event_timestamp"), int) and isinstance(record.get("attributes"), dict)
    return record if documented else None


def _part(record: Mapping[str, object], name: str) -> dict[str, str]:
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _value(event_type: str, record: Mapping[str, object]) -> tuple[Decimal | None, str | None]:
    """A purchase's price times its quantity, another event's price; what is refunded is taken off."""
    metrics, attributes = _part(record, "metrics"), _part(record, "attributes")
    price, currency = ("_item_price", "_currency") if event_type == PURCHASE else ("price", "currency")
    if price not in metrics:
        return None, None
    value = Decimal(metrics[price])
    if event_type == PURCHASE:
        value *= Decimal(metrics.get("_quantity", 1))
    return -value if event_type == REFUND else value, attributes.get(currency, DEFAULT_CURRENCY)


class Listed:
    """Adds up the credited events that the API lists, by journey id."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.by_journey: defaultdict[str, Figures] = defaultdict(Figures)
        self.count = 0
        for event in events:
            self.count += 1
            self.by_journey[event.journey_id or ""].add(event.event_type, event.value, event.currency)


# --- the checks ---


def parts_make_the_whole(title: str, report: Report) -> Finding:
    """Journeys and unattributed make the total, for each type of event and each currency."""
    parts = [*report.journeys, report.unattributed]
    events = added(part.events for part in parts)
    revenue = added(part.revenue for part in parts)
    negative = [f"{kind}: {count} unattributed" for kind, count in report.unattributed.events.items() if count < 0]
    credited = sum(journey.count for journey in report.journeys)
    numbers = [f"{title}: {credited:,} + {report.unattributed.count:,} = {report.total.count:,} events"]
    for currency in sorted(report.total.revenue):
        rest = report.unattributed.revenue.get(currency, NOTHING)
        total = report.total.revenue[currency]
        numbers.append(f"{total - rest:,.2f} + {rest:,.2f} = {total:,.2f} {currency}")
    return Finding(
        "journeys + unattributed = total",
        "\n".join(numbers),
        [
            *_different("sum of parts", events, "total", report.total.events),
            *_different("sum of parts", revenue, "total", report.total.revenue),
            *negative,
        ],
    )


def all_that_was_sent(sent: Sent, reports: Mapping[str, Report]) -> Finding:
    """The totals are the distinct events in the raw records, for each type, and their value in each currency."""
    differences = []
    for application in sorted(reports.keys() | sent.by_application.keys()):
        figures, report = sent.by_application[application], reports.get(application)
        reported = report.total if report else None
        label = f"sent of {application}"
        differences += _different(label, figures.events, "reported", reported.events if reported else {})
        differences += _different(label, figures.revenue, "reported", reported.revenue if reported else {})
    reported_events = sum(report.total.count for report in reports.values())
    copies = sent.event_records - sent.events
    return Finding(
        "total = distinct events sent",
        f"{reported_events:,} reported = {sent.events:,} in the raw records ({copies:,} copies)",
        differences,
    )


def all_credits_are_listed(reports: Mapping[str, Report], listed: Mapping[str, Listed]) -> Finding:
    """The events that the API lists are those that the report counts, journey by journey, and so is their value."""
    differences = []
    for application, report in reports.items():
        by_journey = listed[application].by_journey
        names = {journey.journey_id: journey.name for journey in report.journeys}
        counted = {journey.journey_id: journey for journey in report.journeys}
        for journey_id in sorted(counted.keys() | by_journey.keys()):
            figures, line = by_journey[journey_id], counted.get(journey_id)
            label = f"listed of {names.get(journey_id, journey_id)}"
            differences += _different(label, figures.events, "reported", line.events if line else {})
            differences += _different(label, figures.revenue, "reported", line.revenue if line else {})
    credited = sum(journey.count for report in reports.values() for journey in report.journeys)
    revenue = added(figures.revenue for one in listed.values() for figures in one.by_journey.values())
    money = " · ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(revenue.items()))
    return Finding(
        "events listed = events credited",
        f"{sum(one.count for one in listed.values()):,} listed = {credited:,} credited\n{money or 'of no value'}",
        differences,
    )


def bad_records_are_set_aside(malformed: int, unreadable: int, quarantined: int) -> Finding:
    """``malformed``: as the generator made them; ``unreadable``: as they were counted on the way out."""
    differences = []
    if quarantined != malformed:
        differences.append(f"{malformed:,} malformed records sent, {quarantined:,} quarantined")
    if unreadable != malformed:
        differences.append(f"{malformed:,} malformed records sent, {unreadable:,} of the raw records cannot be read")
    return Finding("quarantined = malformed records sent", f"{quarantined:,} in S3 = {malformed:,} sent", differences)


def nothing_changed(again: int, before: Mapping[str, Report], after: Mapping[str, Report]) -> Finding:
    """A second delivery of ``again`` records left every figure as it was."""
    figures = sum(_size(report) for report in before.values())
    differences = []
    for application, report in before.items():
        differences += _different("total before", report.total.events, "after", after[application].total.events)
        lines = {journey.journey_id: journey for journey in after[application].journeys}
        differences += [
            f"{journey.name}: {journey} before, {lines.get(journey.journey_id)} after"
            for journey in report.journeys
            if journey != lines.get(journey.journey_id)
        ]
        if report != after[application] and not differences:
            differences.append(f"{application}: {report} before, {after[application]} after")
    return Finding(
        "delivered again = nothing changed",
        f"{again:,} records a second time; all {figures:,} figures as before",
        differences,
    )


def campaigns_are_in_cognito(expected: Mapping[str, str], actual: Mapping[str, str]) -> Finding:
    """The attribute of each user asked for is the name of the campaign that the API tells; empty without one."""
    differences = [
        f"{user}: campaign {name or 'none'}, in Cognito {actual.get(user) or 'none'}"
        for user, name in expected.items()
        if actual.get(user) != name
    ]
    named = sum(1 for name in expected.values() if name)
    return Finding(
        "Cognito attribute = campaign now",
        f"{len(expected):,} users asked for: {named:,} in a campaign, {len(expected) - named:,} in none",
        differences,
    )


Amounts = Mapping[str, int] | Mapping[str, Decimal]


def added(parts: Iterable[Amounts]) -> dict[str, Decimal]:
    """Sums by name."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        for name, amount in part.items():
            sums[name] += amount
    return dict(sums)


def _different(one: str, ones: Amounts, other: str, others: Amounts) -> list[str]:
    return [
        f"{name}: {one} {ones.get(name, 0):,}, {other} {others.get(name, 0):,}"
        for name in sorted(ones.keys() | others.keys())
        if ones.get(name, 0) != others.get(name, 0)
    ]


def _size(report: Report) -> int:
    lines = [report.unattributed, report.total, *report.journeys]
    return sum(len(line.events) + len(line.revenue) for line in lines) + sum(
        3 + len(journey.touches) for journey in report.journeys
    )
