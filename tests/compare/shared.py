"""The models computed once more, from the reference model's outcome: plain floats and fractions, no code shared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from hypothesis import settings

from tests.reference.facts import Touch
from tests.reference.model import Outcome

FEWER = max(1, settings.default.max_examples // 5) if settings.default else 12
"""Histories that are told to real tables."""

MODELS = ("last_touch", "first_touch", "linear", "position_based", "time_decay")


@dataclass
class Expected:
    """What a model gives a journey; ``gross`` are its shares of the values, all taken as positive."""

    events: Fraction = Fraction(0)
    revenue: dict[str, Fraction] = field(default_factory=dict)
    gross: Fraction = Fraction(0)

    def add(self, share: Fraction, value: Decimal | None, currency: str | None) -> None:
        self.events += share
        if value is not None and currency is not None:
            self.revenue[currency] = self.revenue.get(currency, Fraction(0)) + share * Fraction(value)
            self.gross += share * abs(Fraction(value))


def shares(model: str, path: Sequence[Touch], half_life: int) -> list[Fraction]:
    count = len(path)
    if model == "last_touch":
        return [Fraction(int(at == count - 1)) for at in range(count)]
    if model == "first_touch":
        return [Fraction(int(at == 0)) for at in range(count)]
    if model == "linear":
        return [Fraction(1, count)] * count
    if model == "position_based":
        if count <= 2:
            return [Fraction(1, count)] * count
        return [Fraction(2, 5) if at in (0, count - 1) else Fraction(1, 5) / (count - 2) for at in range(count)]
    weights = [Fraction(2.0 ** ((touch.time - path[-1].time) / half_life)) for touch in path]
    return [one / sum(weights) for one in weights]


def expected(
    outcome: Outcome, start: int, end: int, half_life: int, event_type: str | None = None
) -> dict[str, dict[str, Expected]]:
    """By model and journey, for events with ``start <= time < end``."""
    found: dict[str, dict[str, Expected]] = {model: defaultdict(Expected) for model in MODELS}
    for event in outcome.credits.values():
        if event.journey_id is None or not start <= event.time < end or event_type not in (None, event.event_type):
            continue
        if event.basis == "stamp":
            for model in MODELS:
                found[model][event.journey_id].add(Fraction(1), event.value, event.currency)
            continue
        before = [one for one in outcome.touches if one.user == event.user and one.time <= event.time]
        path = sorted((one for one in before if event.time < one.time + one.window), key=Touch.order)
        assert path[-1].journey_id == event.journey_id
        for model in MODELS:
            for touch, share in zip(path, shares(model, path, half_life), strict=True):
                if share:
                    found[model][touch.journey_id].add(share, event.value, event.currency)
    return found
