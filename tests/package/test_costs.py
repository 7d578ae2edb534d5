"""The monthly bill: each component worked out by hand, and what it takes for granted held to what is deployed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra import costs, prices
from infra.costs import CREDITED, FREE_ACTIVE_USERS, MEMORY_GB, UNCREDITED, Load, bill, by_component, calls
from infra.costs_cli import app
from infra.merge import merged_parts

PROJECT = Path(__file__).parents[2]
CONFIG = json.loads((PROJECT / ".chalice/config.json").read_text(encoding="utf-8"))["lambda_functions"]
TEMPLATE = json.loads(merged_parts(PROJECT))
RESOURCES = TEMPLATE["Resources"]

PLAIN = Load(
    events_per_second=100, credited=0, touches=0, sends=0, others=0, malformed=0, requests_per_day=0, retention_days=0
)
"""100 events a second that nothing comes of: 262,800,000 in a month of 730 hours."""


def usd(load: Load, component: str, unit: str) -> Decimal:
    """Of the one line of a component whose unit begins so, in cents."""
    (found,) = (one for one in bill(load) if one.component == component and one.price.unit.startswith(unit))
    return found.usd.quantize(Decimal("0.01"))


# --- by hand ---


def test_kinesis_by_shards() -> None:
    # 2 shards, 730 hours, 0.015 and, kept for a week, 0.020; 262.8 million PUT units at 0.014.
    lines = [one.usd for one in bill(PLAIN) if one.component == "Kinesis"]
    assert [one.quantize(Decimal("0.01")) for one in lines] == [Decimal("21.90"), Decimal("29.20"), Decimal("3.68")]


def test_kinesis_on_demand() -> None:
    # A record of 1,500 bytes counts 2,048: 262.8 million are 538.2144 GB in a month; in six days of 30.42 (2,628,000 s)
    # 538.2144 x 518,400 / 2,628,000 = 106.1683 GB.
    lines = [one.usd for one in bill(replace(PLAIN, stream_on_demand=True)) if one.component == "Kinesis"]
    wanted = [Decimal("29.20"), Decimal("43.06"), Decimal("21.53"), Decimal("10.62")]
    assert [one.quantize(Decimal("0.01")) for one in lines] == wanted


def test_shards_are_for_the_peak_by_records_or_by_bytes() -> None:
    assert PLAIN.shards == 2
    # 2,000 events a second, 4,000 at the peak, of 200 bytes: records decide. Of 1,500 bytes 6 MB: bytes do.
    assert replace(PLAIN, events_per_second=2_000, record_bytes=200).shards == 4
    assert replace(PLAIN, events_per_second=2_000).shards == 6


def test_lambda() -> None:
    # 100 records a second in 4 batches (two of each of two shards), 100 changes in 4: 8 calls a second, one a minute.
    # In 2,628,000 seconds 21,067,800 calls at 0.20 a million.
    assert usd(PLAIN, "Lambda", "call") == Decimal("4.21")
    # Milliseconds a second: 100 x 0.3 + 4 x 20 = 110, 100 x 0.1 + 4 x 20 = 90, at half a GB; 100 / 60 at a quarter.
    # (200 x 0.5 + 0.41667) x 2,628 = 263,895 GB-seconds at 0.0000133334.
    assert usd(PLAIN, "Lambda", "GB-second") == Decimal("3.52")


def test_the_api_costs_requests_calls_and_time() -> None:
    load = replace(PLAIN, requests_per_day=100_000)
    # 100,000 a day in 30.41667 days: 3,041,667 at 3.50 a million; each two calls, and 155 ms at half a GB.
    assert usd(load, "API Gateway", "request") == Decimal("10.65")
    assert usd(load, "Lambda", "call") - usd(PLAIN, "Lambda", "call") == Decimal("1.22")
    assert usd(load, "Lambda", "GB-second") - usd(PLAIN, "Lambda", "GB-second") == Decimal("3.14")
    # 262.8 million units of events, and 150 of each request: 456.25 million, at 0.125 a million.
    assert usd(load, "DynamoDB", "read unit") == Decimal("89.88")


def test_writes() -> None:
    # 262.8 million units at 0.625 a million; credited ones 6.4 times as many.
    assert usd(PLAIN, "DynamoDB", "write unit") == Decimal("164.25")
    assert usd(replace(PLAIN, credited=1), "DynamoDB", "write unit") == Decimal("1051.20")
    # A touch for each event: 1 + 11.7 units.
    assert usd(replace(PLAIN, touches=1), "DynamoDB", "write unit") == Decimal("2085.98")


def test_storage_is_what_comes_in_the_retention() -> None:
    # 8,640,000 events a day of 346 bytes, for 100 days: 298.944 GB at 0.25, and 0.20 for recovery.
    load = replace(PLAIN, retention_days=100)
    assert usd(load, "DynamoDB", "GB-month, recovery") == Decimal("59.79")
    stored = next(one for one in bill(load) if one.price is prices.TABLE_GB_MONTH)
    assert stored.usd.quantize(Decimal("0.01")) == Decimal("74.74")


def test_quarantine() -> None:
    # One record in a hundred: one a second, each an object: 2,628,000 at 0.005 a thousand; 90 days of 1,500 bytes.
    load = replace(PLAIN, malformed=0.01)
    assert usd(load, "S3", "PUT") == Decimal("13.14")
    # 1,500 x 86,400 x 90 = 11.664 GB at 0.023.
    assert usd(load, "S3", "GB-month") == Decimal("0.27")
    # Never more objects than batches: 4 a second.
    assert usd(replace(load, malformed=1), "S3", "PUT") == Decimal("52.56")


def test_the_queue_is_looked_into_also_when_nothing_is_there() -> None:
    # Every 4 seconds: 657,000 at 0.40 a million.
    assert usd(PLAIN, "SQS", "request") == Decimal("0.26")


def test_active_customers_beyond_the_free_ones() -> None:
    assert usd(PLAIN, "Cognito", "active user") == 0
    assert usd(replace(PLAIN, active_users=FREE_ACTIVE_USERS + 1_000), "Cognito", "active user") == Decimal("15.00")


def test_watching() -> None:
    # 21,067,800 calls of 2,500 bytes: 52.67 GB at 0.50.
    assert usd(PLAIN, "CloudWatch", "GB of logs") == Decimal("26.33")
    assert usd(PLAIN, "CloudWatch", "metric of an alarm") == Decimal("5.50")
    assert usd(PLAIN, "CloudWatch", "metric of the application") == Decimal("12.30")
    assert usd(PLAIN, "CloudWatch", "dashboard") == 3
    # Two functions of 4 calls a second: 1 + 3 x 0.05 each; one of one a minute: 2.31667 traces a second, 5 a million.
    assert usd(PLAIN, "X-Ray", "trace") == Decimal("30.44")


# --- more is dearer ---


@pytest.mark.parametrize(
    "more",
    [
        {"events_per_second": 101},
        {"credited": 0.31},
        {"touches": 0.3},
        {"sends": 0.6},
        {"others": 1.1},
        {"malformed": 0.002},
        {"record_bytes": 40_000},
        {"peak": 20.0},
        {"retention_days": 366},
        {"requests_per_day": 2_001},
        {"active_users": 10_001},
    ],
    ids=lambda more: next(iter(more)),
)
def test_more_of_anything_costs_more(more: dict[str, float]) -> None:
    assert total(replace(Load(), **more)) > total(Load())  # type: ignore[arg-type]


def total(load: Load) -> Decimal:
    return sum(by_component(bill(load)).values(), Decimal(0))


def test_a_million_events_are_cheaper_the_more_there_are() -> None:
    each = [total(Load(events_per_second=rate)) / rate for rate in (1, 100, 10_000)]
    assert each == sorted(each, reverse=True)


def test_cognito_s_quota_is_one_instance_s_time() -> None:
    # At 20 a second the one instance is busy all the time, and cannot be busier.
    assert calls(Load(events_per_second=50, touches=0.2))["sync_campaigns"].ms == 500
    assert calls(Load(events_per_second=1_000, touches=0.2))["sync_campaigns"].ms == 1_000


@pytest.mark.parametrize("wrong", [{"events_per_second": -1}, {"credited": 1.1}, {"malformed": -0.1}, {"touches": -1}])
def test_what_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"not negative|from 0 to 1"):
        bill(replace(Load(), **wrong))  # type: ignore[arg-type]


# --- what it takes for granted ---


def test_write_units_are_those_of_the_documented_table() -> None:
    text = (PROJECT / "docs/architecture.md").read_text(encoding="utf-8")
    units = dict(re.findall(r"^\| (.+?) \| ([\d. /]+) \|", text[text.index("## Cost per event") :], re.MULTILINE))
    assert float(units["without credit"]) == UNCREDITED.write_units
    of_five_journeys = units["credited, 5 / 10 / 20 journeys in the batch"].split(" / ")[0]
    assert float(of_five_journeys) == CREDITED.write_units


def test_memory_and_batches_are_those_that_are_deployed() -> None:
    assert {name: CONFIG[name]["lambda_memory_size"] / 1_024 for name in MEMORY_GB} == MEMORY_GB
    assert CONFIG["api_handler"]["lambda_memory_size"] / 1_024 == costs.API_GB
    assert CONFIG["check_token"]["lambda_memory_size"] / 1_024 == costs.API_GB
    ingest = RESOURCES["IngestEvents"]["Properties"]["Events"]["IngestEventsKinesisEventSource"]["Properties"]
    assert ingest["ParallelizationFactor"] == costs.AT_ONCE
    rate = TEMPLATE["Parameters"]["CognitoUpdatesPerSecond"]["Default"]
    assert rate == costs.COGNITO_UPDATES_PER_SECOND
    # The stream's own line is for a week.
    assert RESOURCES["EventStream"]["Properties"]["RetentionPeriodHours"] == 7 * 24


def test_alarms_watch_no_more_metrics_than_the_bill_has() -> None:
    alarms = [one["Properties"] for one in RESOURCES.values() if one.get("Type") == "AWS::CloudWatch::Alarm"]
    metrics = sum(sum("MetricStat" in metric for metric in one.get("Metrics", [{"MetricStat": 1}])) for one in alarms)
    assert 0 < metrics <= costs.ALARM_METRICS


# --- the command ---


def test_the_command_prints_the_bill_and_says_what_cognito_cannot_keep_up_with() -> None:
    run = CliRunner().invoke(app, ["--events-per-second", "10000"], env={"COLUMNS": "160"})
    assert run.exit_code == 0
    assert f"{total(Load(events_per_second=10_000)):,.2f}" in run.output
    assert "2,000 campaigns a second" in run.output
    assert "campaigns a second" not in CliRunner().invoke(app, ["--events-per-second", "50"]).output


@pytest.mark.parametrize("rate", [1, 100, 10_000])
def test_the_documented_sums_are_those_of_the_formula(rate: int) -> None:
    text = (PROJECT / "docs/costs.md").read_text(encoding="utf-8")
    columns = {1: 1, 100: 2, 10_000: 3}
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    documented = {row[0]: row[columns[rate]] for row in rows if len(row) == 4}
    for component, amount in [*by_component(bill(Load(events_per_second=rate))).items(), ("total", None)]:
        wanted = total(Load(events_per_second=rate)) if amount is None else amount
        assert documented[component] == f"{wanted:,.0f}", component
