"""What journeys returned on what they cost: ROI, ROAS, cost per conversion.

Pure. Ratios are made of sums, never of ratios, and never across currencies: where one cannot be told, a sentence says
why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from chalicelib.attribution.value import EXACT, Value

PLACES = Decimal("0.0001")
_RATIO = Context(prec=60, rounding=ROUND_HALF_EVEN)


class Returns(NamedTuple):
    """Of one journey, or of several by their sums.

    Attributes
    ----------
    cost
        None where there is none, or where costs are in several currencies.
    roi
        (revenue - cost) / cost.
    roas
        revenue / cost.
    reason
        Why ``roi`` and ``roas`` cannot be told; None where they can.
    """

    cost: Value | None
    cost_per_conversion: Decimal | None
    roi: Decimal | None
    roas: Decimal | None
    reason: str | None


def returns_of(costs: Iterable[Value], revenue: Mapping[str, Decimal], conversions: int) -> Returns:
    """The returns of one journey or several: ``revenue`` by currency and ``conversions`` are theirs in all."""
    by_currency: dict[str, Decimal] = defaultdict(Decimal)
    for cost in costs:
        by_currency[cost.currency] = EXACT.add(by_currency[cost.currency], cost.amount)
    if not by_currency:
        return Returns(None, None, None, None, "No cost is set.")
    if len(by_currency) > 1:
        reason = f"Costs are in {_listed(by_currency)}; amounts are never converted."
        return Returns(None, None, None, None, reason)
    ((currency, amount),) = by_currency.items()
    per_conversion = ratio(amount, Decimal(conversions)) if conversions > 0 else None
    cost = Value(amount, currency)
    if amount == 0:
        return Returns(cost, per_conversion, None, None, "The cost is zero.")
    if foreign := [one for one in revenue if one != currency]:
        reason = f"Revenue is in {_listed([*foreign, *(one for one in revenue if one == currency)])}, the cost in "
        return Returns(cost, per_conversion, None, None, f"{reason}{currency}; amounts are never converted.")
    earned = revenue.get(currency, Decimal(0))
    roas = ratio(earned, amount)
    return Returns(cost, per_conversion, ratio(EXACT.subtract(earned, amount), amount), roas, None)


def ratio(part: Decimal, whole: Decimal) -> Decimal:
    """A quotient to four places, half to even."""
    return _RATIO.quantize(_RATIO.divide(part, whole), PLACES)


def _listed(currencies: Iterable[str]) -> str:
    names = sorted(currencies)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
