"""Shares of events added up, exactly."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

from chalicelib.attribution.models import Model, Weights
from chalicelib.attribution.value import EXACT, Value


class Sum(msgspec.Struct, array_like=True):
    """What a model gives a journey: events, and revenue by currency, exactly."""

    events: Fraction = Fraction(0)
    revenue: dict[str, Fraction] = {}


JourneySums = dict[str, dict[Model, Sum]]
"""By journey and model."""


class Shares:
    """Shares of events added up by the units they are told in, so that adding needs no common denominator."""

    def __init__(self) -> None:
        self._units: Counter[tuple[Model, int, str]] = Counter()
        self._values: dict[tuple[Model, int, str, str], Decimal] = defaultdict(Decimal)

    def add(self, model: Model, weights: Weights, journeys: Sequence[str], value: Value | None) -> None:
        """One event, whose touches were of ``journeys``."""
        parts: Counter[str] = Counter()
        for journey, part in zip(journeys, weights.parts, strict=True):
            parts[journey] += part
        for journey, part in parts.items():
            if part:
                self._units[model, weights.whole, journey] += part
                if value:
                    at = (model, weights.whole, journey, value.currency)
                    self._values[at] = EXACT.add(self._values[at], EXACT.multiply(value.amount, part))

    def add_to(self, sums: JourneySums) -> None:
        """Put them to exact sums."""
        for (model, whole, journey), units in self._units.items():
            _sum_in(sums, journey, model).events += Fraction(units, whole)
        for (model, whole, journey, currency), value in self._values.items():
            revenue = _sum_in(sums, journey, model).revenue
            revenue[currency] = revenue.get(currency, Fraction(0)) + Fraction(value) / whole


def _sum_in(sums: JourneySums, journey: str, model: Model) -> Sum:
    return sums.setdefault(journey, {}).setdefault(model, Sum())
