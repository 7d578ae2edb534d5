"""A comparison of attribution models as it is shown: exact sums rounded so that they still add up.

Events have six decimal places. Revenue has two, or as many as the values of the events have if those are more. What
rounding would leave over goes to the largest remainders, so each column adds up to its total, and the totals of all
models are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import reduce

import msgspec

from chalicelib.attribution.models import LONGEST_PATH, Model, rounded
from chalicelib.attribution.value import EXACT, money
from chalicelib.reports.shares import JourneySums, Sum
from chalicelib.times import to_iso

EVENT_PLACES = 6
FURTHER_PLACES = 6
"""In which the rounding of a figure is told, beyond its own."""


class Share(msgspec.Struct, frozen=True):
    """Events, as a decimal number of up to six places, and revenue by currency."""

    events: str
    revenue: dict[str, str]


class JourneyShares(msgspec.Struct, frozen=True):
    """What each model gives one journey."""

    journey_id: str
    name: str
    models: dict[str, Share]


class ComparisonTotal(msgspec.Struct, frozen=True):
    """The sum over all journeys, the same in all models.

    Attributes
    ----------
    largest_rounding
        The most by which a journey's figure above differs from its exact value.
    """

    events: str
    revenue: dict[str, str]
    largest_rounding: Share


class Comparison(msgspec.Struct, frozen=True):
    """Attribution models side by side, over the credited events of a period (``from`` included, ``to`` not)."""

    from_: str = msgspec.field(name="from")
    to: str
    event_type: str | None
    half_life_days: str
    events: int
    journeys: list[JourneyShares]
    totals: dict[str, ComparisonTotal]
    definitions: dict[str, str]


PATH = (
    "The path of an event are the touches of its user at or before it whose own window still covers it, ordered by "
    "time; touches of one millisecond as last touch orders them. Touches of one journey after one another are each a "
    f"position of their own. Of a path with more than {LONGEST_PATH} touches the newest {LONGEST_PATH} count, and "
    "of all touches before an event the newest 2,000 are read."
)
SAME_EVENTS = (
    "All models share out the same events: those that last touch, the system's own model, credits to a journey. "
    "An event that was credited by its stamp has no touches and goes to the stamped journey in every model."
)
ROUNDING = (
    "Shares are exact fractions, in time decay exact to a trillionth of an event, and are rounded here only, "
    "by largest remainder, so that each column adds up to its total."
)


def definitions(models: Sequence[Model], half_life_days: Decimal) -> dict[str, str]:
    """What the figures mean, in sentences."""
    sentences: dict[Model, str] = {
        "last_touch": "The newest touch has the whole event; this is the credit that reports show.",
        "first_touch": "The first touch of the path has the whole event.",
        "linear": "All touches of the path share alike.",
        "position_based": "40 % for the first and the last touch of the path, 20 % shared alike by those between; "
        "two touches have half each.",
        "time_decay": f"A touch has half the weight for each half-life that it is older; the half-life is "
        f"{plain(half_life_days)} days.",
    }
    return {
        **{model: sentences[model] for model in models},
        "path": PATH,
        "same_events": SAME_EVENTS,
        "rounding": ROUNDING,
    }


def comparison_of(
    sums: JourneySums,
    names: Mapping[str, str],
    *,
    models: Sequence[Model],
    start: int,
    end: int,
    event_type: str | None,
    half_life_days: Decimal,
    events: int,
    places: Mapping[str, int],
) -> Comparison:
    """The comparison that these sums are.

    Parameters
    ----------
    start, end
        In ms UTC.
    places
        Decimal places in which each currency is shown.
    """
    journeys = sorted(sums)
    places = {currency: places[currency] for currency in sorted(places)}
    columns = {model: _column([sums[one].get(model, Sum()) for one in journeys], places) for model in models}
    return Comparison(
        from_=to_iso(start),
        to=to_iso(end),
        event_type=event_type,
        half_life_days=plain(half_life_days),
        events=events,
        journeys=[
            JourneyShares(journey, names.get(journey, journey), {model: columns[model][0][at] for model in models})
            for at, journey in enumerate(journeys)
        ],
        totals={model: columns[model][1] for model in models},
        definitions=definitions(models, half_life_days),
    )


def _column(sums: Sequence[Sum], places: Mapping[str, int]) -> tuple[list[Share], ComparisonTotal]:
    """One model's figures, journey by journey, and their total."""
    exact_events = [one.events for one in sums]
    shown_events = rounded(exact_events, EVENT_PLACES)
    exact = {currency: [one.revenue.get(currency, Fraction(0)) for one in sums] for currency in places}
    shown = {currency: rounded(exact[currency], places[currency]) for currency in places}
    rows = [
        Share(
            plain(shown_events[at]),
            {currency: money(shown[currency][at]) for currency in places if currency in one.revenue},
        )
        for at, one in enumerate(sums)
    ]
    rounding = Share(
        plain(_largest_difference(exact_events, shown_events, EVENT_PLACES)),
        {one: plain(_largest_difference(exact[one], shown[one], places[one])) for one in places},
    )
    total = ComparisonTotal(
        plain(_added(shown_events)),
        {currency: money(_added(shown[currency])) for currency in places},
        rounding,
    )
    return rows, total


def plain(number: Decimal) -> str:
    """A decimal without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def places_of(amount: Decimal) -> int:
    """Decimal places that an amount needs, two at least."""
    exponent = amount.normalize(EXACT).as_tuple().exponent
    return max(2, -exponent) if isinstance(exponent, int) else 2


def _added(amounts: Sequence[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0))


def _largest_difference(exact: Sequence[Fraction], shown: Sequence[Decimal], places: int) -> Decimal:
    differences = [abs(Fraction(one) - amount) for one, amount in zip(shown, exact, strict=True)]
    return rounded([max(differences, default=Fraction(0))], places + FURTHER_PLACES)[0]
