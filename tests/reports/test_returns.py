"""ROI, ROAS and cost per conversion: worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.attribution.value import Value
from chalicelib.reports.returns import Returns, ratio, returns_of

NO_COST: list[str] = []
CASES = {
    # costs, revenue, conversions: cost, per conversion, ROI, ROAS
    "earned three times its cost": (["100 USD"], "300 USD", 4, ("100 USD", "25.0000", "2.0000", "3.0000")),
    "a loss": (["80 EUR"], "20 EUR", 3, ("80 EUR", "26.6667", "-0.7500", "0.2500")),
    "earned nothing": (["80 EUR"], "", 0, ("80 EUR", None, "-1.0000", "0.0000")),
    "refunds beyond sales": (["10 USD"], "-5 USD", 1, ("10 USD", "10.0000", "-1.5000", "-0.5000")),
    # 3 + 1 earned on 2 + 2, not the mean of 50% and -50%.
    "several: sums, not a mean of ratios": (["2 USD", "2 USD"], "4 USD", 2, ("4 USD", "2.0000", "0.0000", "1.0000")),
    "half to even": (["32 USD"], "0.0080 USD", 1, ("32 USD", "32.0000", "-0.9998", "0.0002")),
}
UNTOLD = {
    "no cost": (NO_COST, "300 USD", None, "No cost is set."),
    "no cost at all": (["0 USD"], "300 USD", "0 USD", "The cost is zero."),
    "costs apart": (["1 USD", "2 EUR"], "3 USD", None, "Costs are in EUR and USD; amounts are never converted."),
    "another currency": (
        ["1 USD"], "3 EUR", "1 USD", "Revenue is in EUR, the cost in USD; amounts are never converted.",
    ),
    "other currencies too": (
        ["1 USD"], "3 EUR 2 USD 1 GBP", "1 USD",
        "Revenue is in EUR, GBP and USD, the cost in USD; amounts are never converted.",
    ),
}  # fmt: skip


def money(text: str) -> Value:
    amount, currency = text.split()
    return Value(Decimal(amount), currency)


def revenue(text: str) -> dict[str, Decimal]:
    words = text.split()
    return {currency: Decimal(amount) for amount, currency in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize(("costs", "earned", "conversions", "expected"), CASES.values(), ids=CASES)
def test_returns(costs: list[str], earned: str, conversions: int, expected: tuple[str, str | None, str, str]) -> None:
    cost, per_conversion, roi, roas = expected
    found = returns_of([money(one) for one in costs], revenue(earned), conversions)
    assert found == Returns(
        money(cost), None if per_conversion is None else Decimal(per_conversion), Decimal(roi), Decimal(roas), None
    )
    assert str(found.roi) == roi


@pytest.mark.parametrize(("costs", "earned", "cost", "reason"), UNTOLD.values(), ids=UNTOLD)
def test_what_cannot_be_told_is_said_why(costs: list[str], earned: str, cost: str | None, reason: str) -> None:
    found = returns_of([money(one) for one in costs], revenue(earned), 1)
    assert (found.roi, found.roas, found.reason) == (None, None, reason)
    assert found.cost == (money(cost) if cost else None)


def test_a_ratio_of_great_amounts_is_exact() -> None:
    # Catches: the 28 digits of Python's own decimals.
    assert ratio(Decimal("999999999999999.000000000000000001"), Decimal("0.000001")) == Decimal(
        "999999999999999000000.0000"
    )
