"""R12: what an event is worth."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

from chalicelib.attribution.value import Value, money, value_of
from chalicelib.facts.model import Event
from chalicelib.settings.model import ValueSettings

USUAL = ValueSettings()
OWN = ValueSettings("cost", "n", "cur", "EUR", frozenset({"return", "_monetization.purchase"}))


def event(event_type: str = "purchase", currency: str | None = None, **metrics: str) -> Event:
    attributes = {} if currency is None else {"currency": currency, "cur": currency, "_currency": currency}
    return Event(0, event_type, attributes, {name: Decimal(number) for name, number in metrics.items()})


def worth(amount: str, currency: str = "USD") -> Value:
    return Value(Decimal(amount), currency)


OUT_OF_THE_BOX = [
    (event(price="19.99"), worth("19.99")),
    (event(price="0"), worth("0")),  # catches: zero taken for absent
    (event(price="-5"), worth("-5")),
    (event(), None),
    (event(currency="EUR"), None),  # catches: a currency without a value
    (event(price="5", quantity="3"), worth("5")),  # catches: a quantity that no setting names
    (event("refund", price="5"), worth("-5")),
    (event("refund", price="-5"), worth("-5")),  # catches: a refund told as a negative that adds
    (event("refund", price="0"), worth("0")),
    (event("Refund", price="5"), worth("5")),
    (event(currency="eur", price="5"), worth("5", "EUR")),
    (event(currency=" Eur\n", price="5"), worth("5", "EUR")),  # catches: two euros in a report
    (event(currency="  ", price="5"), worth("5", "USD")),
    (event(currency="", price="5"), worth("5", "USD")),
    (event(price="0.000000000000001"), worth("0.000000000000001")),  # fifteen decimals are kept
    (event(price="2.5e-15"), worth("2e-15")),  # rounded half to even; catches: half up, which drifts
    (event(price="3.5e-15"), worth("4e-15")),
    (event(price="1e-308"), worth("0")),
    (event(price="999999999999.99"), worth("999999999999.99")),
    (event(price="1e12"), None),  # no price is that high, and sums of such would not fit DynamoDB's 38 digits
    (event(price="-1e12"), None),
    (event(price="1e308"), None),
    # Catches: the 28 digits that Python's decimals have unless told otherwise.
    (event(price="123456789012.123456789012345678"), worth("123456789012.123456789012346")),
    (event("refund", price="123456789012.123456789012345"), worth("-123456789012.123456789012345")),
    (event(price="999999999999.999999999999999"), worth("999999999999.999999999999999")),
    (event(price="5", currency="XBT"), worth("5", "other")),  # catches: a currency that a client makes up
    (event(price="5", currency="points of our own shop"), worth("5", "other")),
    # The SDK's own purchase carries its value in fields of its own, and always a quantity.
    (event("_monetization.purchase", _item_price="2.5", _quantity="2"), worth("5")),
    (event("_monetization.purchase", _item_price="2.5"), worth("2.5")),
    (event("_monetization.purchase", _item_price="2.5", _quantity="0"), worth("0")),
    (event("_monetization.purchase", "gbp", _item_price="2.5"), worth("2.5", "GBP")),
    (event("_monetization.purchase", price="5"), None),
]

BY_SETTINGS = [
    (event(cost="1.1", n="3"), worth("3.3", "EUR")),  # catches: floats, which make it 3.3000000000000003
    (event(cost="1.1"), worth("1.1", "EUR")),  # catches: an absent quantity taken for 0
    (event(cost="1.1", n="0"), worth("0", "EUR")),  # catches: a quantity of 0 taken for absent
    (event(cost="1.1", n="-2"), worth("-2.2", "EUR")),
    (event("return", cost="1.1", n="-2"), worth("-2.2", "EUR")),
    (event("refund", cost="1"), worth("1", "EUR")),  # catches: refund types written in the code
    (event(currency="gbp", cost="1"), worth("1", "GBP")),
    (event(price="5"), None),
    (event(cost="1e300", n="1e-300"), worth("1", "EUR")),  # catches: the price measured before the product
    (event(cost="1e308", n="1e308"), None),
    (event(cost="1e-308", n="1e-308"), worth("0", "EUR")),
    (event("_monetization.purchase", _item_price="2", _quantity="2"), worth("-4", "EUR")),
]


@pytest.mark.parametrize(("told", "expected"), OUT_OF_THE_BOX)
def test_out_of_the_box_it_is_the_price_in_us_dollars(told: Event, expected: Value | None) -> None:
    assert value_of(told, USUAL) == expected


@pytest.mark.parametrize(("told", "expected"), BY_SETTINGS)
def test_settings_say_where_it_stands(told: Event, expected: Value | None) -> None:
    assert value_of(told, OWN) == expected


def test_no_value_is_a_negative_zero() -> None:
    # Catches: "-0.00" in a report.
    for told in (event(price="-0.0"), event("refund", price="0"), event("refund", price="1e-30")):
        found = value_of(told, USUAL)
        assert found is not None
        assert not found.amount.is_signed()


def test_a_value_does_not_depend_on_the_thread_s_decimal_context() -> None:
    with localcontext() as context:
        context.prec = 3
        assert value_of(event("refund", price="1234.5678"), USUAL) == worth("-1234.5678")
        assert money(Decimal("1234.5678")) == "1234.5678"


SHOWN = [
    ("0", "0.00"),
    ("5", "5.00"),
    ("12.5", "12.50"),
    ("12.50", "12.50"),
    ("12.500", "12.50"),
    ("12.505", "12.505"),  # catches: a price per litre rounded
    ("-3.1", "-3.10"),
    ("1E+3", "1000.00"),  # catches: exponents
    ("1E-18", "0.000000000000000001"),
    ("0E-18", "0.00"),
    ("12345678901234567890.12", "12345678901234567890.12"),
    ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"),
]


@pytest.mark.parametrize(("amount", "text"), SHOWN)
def test_money_is_shown_with_all_its_digits_and_at_least_two_decimals(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text
