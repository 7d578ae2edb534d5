"""What the deployed application costs a month, by its load.

    python -m infra.costs --events-per-second 100

An estimate: prices are those of ``infra.prices``, quantities are worked out of the load, of write units as
``tests/projection/test_cost.py`` counts them and of times measured on a development machine. docs/costs.md explains it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import NamedTuple

from infra import prices
from infra.prices import Price

HOURS = 730
"""Of a month, as AWS reckons."""
SECONDS = HOURS * 3_600
DAY_S = 86_400
GB = 1_000_000_000


class Kind(NamedTuple):
    """What one record of a kind costs, once it is projected, in batches of 1,000."""

    write_units: float
    read_units: float
    """At least one for each key that is asked for, found or not."""
    project_ms: float
    stored_bytes: int
    """In both tables and the index, DynamoDB's 100 bytes for an item included."""
    changes: int
    """Records that it makes in the change stream of facts."""


UNCREDITED = Kind(write_units=1.0, read_units=1, project_ms=0.1, stored_bytes=346, changes=1)
CREDITED = Kind(write_units=6.4, read_units=3, project_ms=1.3, stored_bytes=1_435, changes=1)
"""With five journeys in a batch."""
TOUCH = Kind(write_units=11.7, read_units=7, project_ms=2.7, stored_bytes=900, changes=2)
"""An e-mail's open or click, which names an endpoint only: its copy stands at the user. The sync reads one unit."""
SEND = Kind(write_units=1.0, read_units=1, project_ms=0.4, stored_bytes=301, changes=1)
"""To an endpoint that is known. The first one to an endpoint costs 5.1 write units, once."""

INGEST_MS = 0.3
"""For a record of any kind, in batches of 1,000."""
CALL_MS = 20
"""What a call takes besides: assumed."""
BATCH, SYNC_BATCH = 1_000, 100
AT_ONCE = 2
"""Batches of a shard of the event stream that are read at the same time."""
UNITS_OF_A_SHARD = 1_000
"""Write units a second that a partition of a table takes; each has a shard in the change stream."""
CHANGE_SHARDS = 4
"""Partitions that a new table on demand has."""
SYNC_WINDOW_S = 2
COGNITO_UPDATES_PER_SECOND = 20
EXPIRE_MS = 100
API_MS = 150
TOKEN_MS = 5
MEMORY_GB = {"ingest_events": 0.5, "project_facts": 0.5, "sync_campaigns": 0.25, "expire_campaigns": 0.25}
API_GB = 0.5
"""Of the API's function, and of the one that checks tokens."""

REQUEST_READ_UNITS = 150
"""A report of 28 days with ten journeys: the tallies of 28 days in 8 buckets. Assumed."""
POLLS_PER_SECOND = 5 / 20
"""Lambda looks into the jobs' queue with five long polls of 20 seconds."""
LOG_BYTES = 2_500
"""Of a call: Lambda's three lines, the application's metrics and counts."""
ALARM_METRICS, METRICS = 55, 41
QUARANTINE_DAYS = 90
FREE_ACTIVE_USERS = 10_000


@dataclass(frozen=True, kw_only=True)
class Load:
    """What comes in, on average over the month."""

    events_per_second: float = 100
    credited: float = 0.3
    """Share of events that are credited to a journey."""
    touches: float = 0.2
    """Touches for each event."""
    sends: float = 0.5
    """``_journey.send`` records for each event."""
    others: float = 1.0
    """Records for each event that are read and skipped: deliveries, sessions."""
    malformed: float = 0.001
    """Share of records that are quarantined."""
    record_bytes: int = 1_500
    peak: float = 2.0
    """The busiest hour against the average: the provisioned stream must take it."""
    retention_days: int = 365
    """How long facts and a user's views are kept. Out of the box for ever: then the months since the start."""
    requests_per_day: int = 2_000
    """Of the API."""
    active_users: int = 10_000
    """Users of the customers' pool who do something in a month, or whose campaign is written."""
    stream_on_demand: bool = False
    """Whether the event stream is an existing one on demand; the stack's own is provisioned."""

    @property
    def records_per_second(self) -> float:
        """Of the event stream."""
        return self.events_per_second * (1 + self.touches + self.sends + self.others)

    @property
    def shards(self) -> int:
        """Of the event stream: one takes 1,000 records or 1 MB a second; the template has at least two."""
        busiest = self.records_per_second * self.peak
        return max(2, ceil(busiest / 1_000), ceil(busiest * self.record_bytes / 1_000_000))

    def per_second(self) -> Iterator[tuple[Kind, float]]:
        """Records a second of each kind that is kept."""
        yield UNCREDITED, self.events_per_second * (1 - self.credited)
        yield CREDITED, self.events_per_second * self.credited
        yield TOUCH, self.events_per_second * self.touches
        yield SEND, self.events_per_second * self.sends

    @property
    def write_units_per_second(self) -> float:
        return sum(kind.write_units * number for kind, number in self.per_second())

    @property
    def campaigns_per_second(self) -> float:
        """Campaigns to be written to Cognito at most: each touch begins another one."""
        return self.events_per_second * self.touches


class Calls(NamedTuple):
    """Of a function: how many a second, and for how many milliseconds of each second it runs."""

    per_second: float
    ms: float


class Line(NamedTuple):
    """A line of the bill."""

    component: str
    quantity: float
    price: Price

    @property
    def usd(self) -> Decimal:
        return Decimal(self.quantity) * self.price.usd


def calls(load: Load) -> dict[str, Calls]:
    """Calls of the functions that streams and the clock feed. A batch waits for a second to fill (two, of the sync)."""
    records, shards = load.records_per_second, load.shards
    changes = sum(kind.changes * number for kind, number in load.per_second())
    projecting = sum(kind.project_ms * number for kind, number in load.per_second())
    change_shards = max(CHANGE_SHARDS, ceil(load.write_units_per_second / UNITS_OF_A_SHARD))
    ingests = max(records / BATCH, min(records, shards * AT_ONCE))
    projects = max(changes / BATCH, min(changes, change_shards))
    campaigns = load.campaigns_per_second
    # One instance, which keeps to Cognito's quota and is waited for.
    syncing_ms = 1_000 * min(1, campaigns / COGNITO_UPDATES_PER_SECOND)
    written = min(campaigns, COGNITO_UPDATES_PER_SECOND)
    syncs = max(written / SYNC_BATCH, min(written, 1 / SYNC_WINDOW_S))
    return {
        "ingest_events": Calls(ingests, records * INGEST_MS + ingests * CALL_MS),
        "project_facts": Calls(projects, projecting + projects * CALL_MS),
        "sync_campaigns": Calls(syncs, syncing_ms),
        "expire_campaigns": Calls(1 / 60, EXPIRE_MS / 60),
    }


def traces(calls_per_second: float) -> float:
    """Traces a second: of the calls the first in each second, and 5 % of the others."""
    first = min(calls_per_second, 1)
    return first + 0.05 * (calls_per_second - first)


def stream_lines(load: Load) -> Iterator[Line]:
    records = load.records_per_second * SECONDS
    if load.stream_on_demand:
        gb = records * ceil(load.record_bytes / 1_024) * 1_024 / GB
        yield Line("Kinesis", HOURS, prices.STREAM_HOUR)
        yield Line("Kinesis", gb, prices.GB_INTO_STREAM)
        yield Line("Kinesis", gb, prices.GB_OUT_OF_STREAM)
        # Six of the seven days, of what comes in a day.
        yield Line("Kinesis", gb / SECONDS * DAY_S * 6, prices.GB_KEPT_IN_STREAM)
        return
    yield Line("Kinesis", load.shards * HOURS, prices.SHARD_HOUR)
    yield Line("Kinesis", load.shards * HOURS, prices.SHARD_HOUR_OF_A_WEEK)
    yield Line("Kinesis", records * ceil(load.record_bytes / 25_600), prices.PUT_UNIT)


def function_lines(load: Load) -> Iterator[Line]:
    requests = load.requests_per_day * SECONDS / DAY_S
    running = calls(load)
    # Each request asks the authorizer too, at most: its answer is kept for a minute.
    number = sum(one.per_second for one in running.values()) * SECONDS + 2 * requests
    gb_ms = sum(MEMORY_GB[name] * one.ms for name, one in running.items()) * SECONDS
    yield Line("Lambda", number, prices.LAMBDA_CALL)
    yield Line("Lambda", (gb_ms + API_GB * (API_MS + TOKEN_MS) * requests) / 1_000, prices.LAMBDA_GB_SECOND)


def table_lines(load: Load) -> Iterator[Line]:
    """Lambda's reading of change streams and expiry cost nothing."""
    requests = load.requests_per_day * SECONDS / DAY_S
    reads = sum(kind.read_units * number for kind, number in load.per_second()) * SECONDS
    kept = sum(kind.stored_bytes * number for kind, number in load.per_second()) * DAY_S * load.retention_days / GB
    yield Line("DynamoDB", load.write_units_per_second * SECONDS, prices.WRITE_UNIT)
    yield Line("DynamoDB", reads + requests * REQUEST_READ_UNITS, prices.READ_UNIT)
    yield Line("DynamoDB", kept, prices.TABLE_GB_MONTH)
    yield Line("DynamoDB", kept, prices.RECOVERY_GB_MONTH)


def other_lines(load: Load) -> Iterator[Line]:
    requests = load.requests_per_day * SECONDS / DAY_S
    bad = load.records_per_second * load.malformed
    running = [one.per_second for one in calls(load).values()]
    # One object for a batch that has any.
    yield Line("S3", min(bad, running[0]) * SECONDS, prices.BUCKET_PUT)
    yield Line("S3", bad * load.record_bytes * DAY_S * QUARANTINE_DAYS / GB, prices.BUCKET_GB_MONTH)
    yield Line("SQS", POLLS_PER_SECOND * SECONDS, prices.QUEUE_REQUEST)
    yield Line("API Gateway", requests, prices.API_REQUEST)
    yield Line("Cognito", max(0, load.active_users - FREE_ACTIVE_USERS), prices.ACTIVE_USER)
    yield Line("CloudWatch", (sum(running) * SECONDS + 2 * requests) * LOG_BYTES / GB, prices.LOG_GB)
    yield Line("CloudWatch", ALARM_METRICS, prices.ALARM_METRIC)
    yield Line("CloudWatch", METRICS, prices.METRIC)
    yield Line("CloudWatch", 1, prices.DASHBOARD)
    yield Line(
        "X-Ray", sum(traces(one) for one in running) * SECONDS + traces(requests / SECONDS) * SECONDS, prices.TRACE
    )


def bill(load: Load) -> list[Line]:
    """The lines of a month's bill.

    Raises
    ------
    ValueError
        A rate is negative, or a share is not from 0 to 1.
    """
    if min(load.events_per_second, load.touches, load.sends, load.others, load.retention_days) < 0:
        raise ValueError("rates and days are not negative")
    if not (0 <= load.credited <= 1 and 0 <= load.malformed <= 1):
        raise ValueError("shares are from 0 to 1")
    return [*stream_lines(load), *function_lines(load), *table_lines(load), *other_lines(load)]


def by_component(lines: list[Line]) -> dict[str, Decimal]:
    """Dollars a month, by service, in the order of the bill."""
    sums: dict[str, Decimal] = {}
    for line in lines:
        sums[line.component] = sums.get(line.component, Decimal(0)) + line.usd
    return sums


if __name__ == "__main__":
    from infra.costs_cli import main

    main()
