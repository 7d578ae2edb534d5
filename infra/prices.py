"""AWS's prices that ``infra.costs`` reckons with: US dollars, region us-east-1, without free tiers and discounts.

Prices change and differ by region: check them against AWS's pages before you rely on a sum. ``grade`` says how well
each is known here: ``seen`` on a page that quotes AWS, or only from ``memory``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple


class Price(NamedTuple):
    """What one ``unit`` costs."""

    usd: Decimal
    unit: str
    grade: Literal["seen", "memory"]


MILLION = 1_000_000


def per_million(usd: str, unit: str, grade: Literal["seen", "memory"]) -> Price:
    return Price(Decimal(usd) / MILLION, unit, grade)


SHARD_HOUR = Price(Decimal("0.015"), "shard hour", "memory")
SHARD_HOUR_OF_A_WEEK = Price(Decimal("0.020"), "shard hour, kept 1 to 7 days", "memory")
PUT_UNIT = per_million("0.014", "PUT unit of 25 KB", "memory")
STREAM_HOUR = Price(Decimal("0.040"), "on-demand stream hour", "memory")
GB_INTO_STREAM = Price(Decimal("0.080"), "GB in, records rounded up to 1 KB", "memory")
GB_OUT_OF_STREAM = Price(Decimal("0.040"), "GB out", "memory")
GB_KEPT_IN_STREAM = Price(Decimal("0.100"), "GB-month, kept 1 to 7 days", "memory")

LAMBDA_CALL = per_million("0.20", "call", "seen")
LAMBDA_GB_SECOND = Price(Decimal("0.0000133334"), "GB-second, arm64", "seen")

WRITE_UNIT = per_million("0.625", "write unit, on demand", "seen")
READ_UNIT = per_million("0.125", "read unit, on demand", "seen")
TABLE_GB_MONTH = Price(Decimal("0.25"), "GB-month", "seen")
RECOVERY_GB_MONTH = Price(Decimal("0.20"), "GB-month, recovery to a point in time", "memory")

BUCKET_PUT = Price(Decimal("0.005") / 1_000, "PUT", "memory")
BUCKET_GB_MONTH = Price(Decimal("0.023"), "GB-month", "memory")
QUEUE_REQUEST = per_million("0.40", "request", "memory")

API_REQUEST = per_million("3.50", "request", "memory")
ACTIVE_USER = Price(Decimal("0.015"), "active user a month over 10,000, Essentials", "memory")

LOG_GB = Price(Decimal("0.50"), "GB of logs", "memory")
ALARM_METRIC = Price(Decimal("0.10"), "metric of an alarm", "memory")
METRIC = Price(Decimal("0.30"), "metric of the application", "memory")
DASHBOARD = Price(Decimal(3), "dashboard", "memory")
TRACE = per_million("5", "trace", "memory")
