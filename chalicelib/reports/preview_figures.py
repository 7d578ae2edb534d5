"""A preview's sums under one of two settings, and both beside each other as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from chalicelib.attribution.value import EXACT, Value, money
from chalicelib.projection.codes import NO_CURRENCY
from chalicelib.reports.report import Events
from chalicelib.times import day_to_iso


class Cell(msgspec.Struct, array_like=True):
    """Events of one type and currency, and their value."""

    events: int = 0
    value: Decimal = Decimal(0)


class Figures(msgspec.Struct, array_like=True):
    """Events by currency (empty: without value) and type, and the distinct users who have them."""

    converters: int = 0
    cells: dict[str, dict[str, Cell]] = {}

    def add(self, event_type: str, value: Value | None) -> None:
        types = self.cells.setdefault(value.currency if value else NO_CURRENCY, {})
        cell = types.setdefault(event_type, Cell())
        cell.events += 1
        if value:
            cell.value = EXACT.add(cell.value, value.amount)

    def as_events(self) -> Events:
        """As reports hold them."""
        found = Events()
        for currency, types in self.cells.items():
            for event_type, cell in types.items():
                found.counts[currency, event_type] = cell.events
                if currency != NO_CURRENCY:
                    found.values[currency, event_type] = cell.value
        return found


class Side(msgspec.Struct, array_like=True):
    """The sums under one of the two settings."""

    total: Figures = msgspec.field(default_factory=Figures)
    journeys: dict[str, Figures] = {}


class Amounts(msgspec.Struct, frozen=True):
    """Events by type, and revenue by currency, refunds taken off."""

    events: dict[str, int]
    revenue: dict[str, str]


class JourneyAmounts(msgspec.Struct, frozen=True):
    """A journey's events, and the distinct users who have them."""

    converters: int
    events: dict[str, int]
    revenue: dict[str, str]


class JourneyPreview(msgspec.Struct, frozen=True):
    """A journey under both settings."""

    journey_id: str
    name: str
    present: JourneyAmounts
    changed: JourneyAmounts


class AmountsPreview(msgspec.Struct, frozen=True):
    """Events under both settings."""

    present: Amounts
    changed: Amounts


class Preview(msgspec.Struct, frozen=True):
    """The report as it is and as it would be had the changed settings been in force from the beginning.

    ``from`` and ``to`` are days, ``to`` not included; null: without bound. ``left_out`` are users whose facts have more
    than 50 MB: their events are in the total, and have no journey.
    """

    from_: str | None = msgspec.field(name="from")
    to: str | None
    journeys: list[JourneyPreview]
    unattributed: AmountsPreview
    total: AmountsPreview
    left_out: int


def preview_of(
    present: Side, changed: Side, names: Mapping[str, str], first: str | None, end: str | None, left_out: int
) -> Preview:
    """Both sides beside each other, for ``first <= day < end``."""
    return Preview(
        from_=None if first is None else day_to_iso(first),
        to=None if end is None else day_to_iso(end),
        journeys=[
            JourneyPreview(
                journey,
                names.get(journey, journey),
                _journey_amounts(present.journeys.get(journey, Figures())),
                _journey_amounts(changed.journeys.get(journey, Figures())),
            )
            for journey in sorted({*present.journeys, *changed.journeys})
        ],
        unattributed=AmountsPreview(_amounts(_rest(present)), _amounts(_rest(changed))),
        total=AmountsPreview(_amounts(present.total.as_events()), _amounts(changed.total.as_events())),
        left_out=left_out,
    )


def _rest(side: Side) -> Events:
    return side.total.as_events().minus([one.as_events() for one in side.journeys.values()])


def _amounts(events: Events) -> Amounts:
    return Amounts(events.by_type(), {currency: money(amount) for currency, amount in events.revenue().items()})


def _journey_amounts(figures: Figures) -> JourneyAmounts:
    amounts = _amounts(figures.as_events())
    return JourneyAmounts(figures.converters, amounts.events, amounts.revenue)
