"""What an event is worth (R12). Money is decimal, a currency is never added to another, refunds subtract."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import NamedTuple

from chalicelib.attribution.currencies import known_currency
from chalicelib.facts.model import PURCHASE, Event
from chalicelib.settings.model import ValueSettings

PURCHASE_VALUE = ValueSettings("_item_price", "_quantity", "_currency")

LARGEST = Decimal(10) ** 12
"""An amount below it counts; one beyond is no price of anything."""
PLACES = 15
"""Decimals of an amount.

Twelve digits before the point and fifteen after leave the 38 digits of a stored number room for a sum of 10^11 of the
largest amounts, more than a day has events.
"""

_QUANTUM = Decimal(1).scaleb(-PLACES)
EXACT = Context(prec=120, rounding=ROUND_HALF_EVEN)
"""For all arithmetic with money: Python's own context rounds to 28 digits."""


class Value(NamedTuple):
    """An amount in a currency; refunds are negative."""

    amount: Decimal
    currency: str


def value_of(event: Event, settings: ValueSettings) -> Value | None:
    """The value of an event, or None where it carries no price, or one out of range."""
    fields = _fields(event, settings)
    price = event.metrics.get(fields.price_metric)
    if price is None:
        return None
    quantity = event.metrics.get(fields.quantity_metric, Decimal(1)) if fields.quantity_metric else Decimal(1)
    try:
        amount = EXACT.multiply(price, quantity)
        if amount.copy_abs() >= LARGEST:
            return None
        if _exponent(amount) < -PLACES:
            amount = amount.quantize(_QUANTUM, context=EXACT)
    except InvalidOperation:
        return None
    if event.type in settings.refund_types:
        amount = amount.copy_abs().copy_negate()
    given = event.attributes.get(fields.currency_attribute, "").strip().upper()
    currency = known_currency(given or settings.default_currency, {settings.default_currency, *settings.currencies})
    # Plus makes a negative zero an ordinary one.
    return Value(EXACT.plus(amount), currency)


def is_out_of_range(event: Event, settings: ValueSettings) -> bool:
    """Whether an event carries a price that does not count, as it is beyond what amounts may be."""
    return _fields(event, settings).price_metric in event.metrics and value_of(event, settings) is None


def _fields(event: Event, settings: ValueSettings) -> ValueSettings:
    return PURCHASE_VALUE if event.type == PURCHASE else settings


def added(one: int | Decimal, other: int | Decimal) -> int | Decimal:
    """The exact sum of two numbers; of two whole ones a whole one."""
    return one + other if isinstance(one, int) and isinstance(other, int) else EXACT.add(one, other)


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def money(amount: Decimal) -> str:
    """A decimal as the API shows it: at least two places, all that there are, never an exponent."""
    if _exponent(amount) > -2:
        amount = amount.quantize(Decimal("0.01"), context=EXACT)
    elif _exponent(amount) < -2:
        text = f"{amount:f}".rstrip("0")
        places = len(text.partition(".")[2])
        return text if places >= 2 else f"{amount.quantize(Decimal('0.01'), context=EXACT):f}"
    return f"{amount:f}"
