"""The application's real handlers on real tables (MiniStack's), driven step by step by a test.

The test decides what is delivered when, to which shard and how often; nothing runs in the background. The facts'
change stream, which has one shard here, is dealt out to several pretended shards by partition key, as DynamoDB
would: a user's records stay in order.
"""

from __future__ import annotations

import base64
import itertools
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import boto3

from chalicelib import functions, wiring
from local.lambda_events import change_record, windowed
from local.stack import LocalStack

Json = dict[str, Any]

SHARD = "shardId-000000000000"
"""Of the Kinesis stream."""

_sequence = itertools.count(1)


def next_number() -> str:
    """The sequence number of the next record of the stream."""
    return f"{next(_sequence):056d}"


def kinesis_event(records: Sequence[bytes], shard: str = SHARD) -> Json:
    """The event that Lambda makes of Kinesis records."""
    made = []
    for data in records:
        number = next_number()
        made.append(
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "1",
                    "sequenceNumber": number,
                    "data": base64.b64encode(data).decode(),
                    "approximateArrivalTimestamp": 1_600_000_000.0,
                },
                "eventID": f"{shard}:{number}",
                "eventSource": "aws:kinesis",
                "eventName": "aws:kinesis:record",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/events",
            }
        )
    return {"Records": made}


LONGEST_WAY_BACK = 8
"""Records from a reader's checkpoint to where it reads."""


class Follower:
    """Reads a table's change stream from where it stands, in Lambda's form."""

    def __init__(self, endpoint: str, arn: str) -> None:
        self._client = boto3.client("dynamodbstreams", endpoint_url=endpoint, region_name="us-east-1")
        self._arn = arn
        shards = self._client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self.shard = shards[0]["ShardId"] if shards else ""
        self._iterator = self._first_iterator("LATEST") if shards else None
        self._read: deque[str] = deque(maxlen=LONGEST_WAY_BACK)
        self._expired = False

    def _first_iterator(self, kind: str) -> str:
        return self._client.get_shard_iterator(
            StreamArn=self._arn, ShardId=self.shard, ShardIteratorType=cast(Any, kind)
        )["ShardIterator"]

    def expire(self) -> None:
        """The next read is refused: the iterator is five minutes old."""
        self._expired = True

    def _get_records(self) -> Json:
        if self._expired:
            self._expired = False
            expired: Any = {"Error": {"Code": "ExpiredIteratorException", "Message": "too old"}}
            raise self._client.exceptions.ExpiredIteratorException(expired, "GetRecords")
        return cast(Json, self._client.get_records(ShardIterator=str(self._iterator), Limit=1000))

    def _begin_again(self) -> None:
        """From the last checkpoint, which lies a few records back, so that these are read again."""
        if self._read:
            self._iterator = self._client.get_shard_iterator(
                StreamArn=self._arn,
                ShardId=self.shard,
                ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                SequenceNumber=self._read[0],
            )["ShardIterator"]

    def read(self) -> list[Json]:
        """What came since the last read; after an expired iterator also some of what was read before it."""
        if self._iterator is None:
            self.shard = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"][0]["ShardId"]
            self._iterator = self._first_iterator("TRIM_HORIZON")
        found: list[Json] = []
        while True:
            try:
                answer = self._get_records()
            except self._client.exceptions.ExpiredIteratorException:
                self._begin_again()
                continue
            self._iterator = answer["NextShardIterator"]
            if not answer["Records"]:
                return found
            self._read.extend(one["dynamodb"]["SequenceNumber"] for one in answer["Records"])
            found += [change_record(cast(Json, one), self._arn) for one in answer["Records"]]


class System:
    """Handlers, tables and change streams, under the test's control."""

    def __init__(self, stack: LocalStack, shards: int = 3) -> None:
        self.stack = stack
        self.facts_stream = Follower(stack.endpoint, stack.facts_stream_arn)
        self.views_stream = Follower(stack.endpoint, stack.views_stream_arn)
        self.closed: set[str] = set()
        self.waiting: dict[str, list[Json]] = {f"pretended-{number}-of-{shards}": [] for number in range(shards)}

    # --- deliveries ---

    def ingest(self, records: Iterable[bytes]) -> Json:
        """One delivery of raw records to ``ingest_events``."""
        return functions.ingest(kinesis_event(list(records)))

    def tag(self, payload: Mapping[str, Any]) -> Json:
        """One call of the journey step."""
        return functions.tag(payload, "test")

    def collect(self) -> None:
        """Deal new change records out to the pretended shards."""
        records = self.facts_stream.read()
        if records:
            # Who reads from an older place again has forgotten what it read from there on, and reads all of it.
            for name, waiting in self.waiting.items():
                self.waiting[name] = [one for one in waiting if number_of(one) < number_of(records[0])]
        for record in records:
            # Without the application, whose name differs from run to run of one example.
            partition = record["dynamodb"]["Keys"]["pk"]["S"].partition("#")[2].encode()
            self.waiting.setdefault(self._shard_of(zlib.crc32(partition)), []).append(record)

    def _shard_of(self, number: int) -> str:
        roots = sorted(name for name in self.waiting if "." not in name)
        name, rest = roots[number % len(roots)], number // len(roots)
        while name in self.closed:
            name, rest = f"{name}.{rest % 2}", rest // 2
        return name

    def split(self, shard: str) -> None:
        """Close a shard: from now on its partitions' records go to two new ones, read once it is read to its end."""
        self.closed.add(shard)

    def join(self) -> None:
        """Nothing waits; go back to the shards of the beginning."""
        assert not self.ready()
        self.closed.clear()
        self.waiting = {name: [] for name in self.waiting if "." not in name}

    def ready(self) -> list[str]:
        """Shards with records that wait, and no older shard of their line still has some."""
        waiting = [name for name, records in self.waiting.items() if records]
        return sorted(one for one in waiting if not any(one.startswith(f"{older}.") for older in waiting))

    def project_some(self, shard: str, count: int) -> Json:
        """One delivery of the next ``count`` change records of a shard to ``project_facts``."""
        return self.deliver(shard, self.take(shard, count))

    def take(self, shard: str, count: int) -> list[Json]:
        """The next change records of a shard; they wait no longer."""
        batch, self.waiting[shard] = self.waiting[shard][:count], self.waiting[shard][count:]
        return batch

    def deliver(self, shard: str, batch: Sequence[Json]) -> Json:
        """A delivery of change records, whatever was delivered before."""
        return functions.project(windowed(batch, shard, self.stack.facts_stream_arn, moment(), 60))

    def project_all(
        self,
        choose: Callable[[Sequence[str]], str] = min,
        count: int = 1000,
        after_each: Callable[[], None] = lambda: None,
    ) -> None:
        """Project until nothing is left, shard after shard as ``choose`` says."""
        while True:
            self.collect()
            ready = self.ready()
            if not ready:
                return
            answer = self.project_some(choose(ready), count)
            assert answer["batchItemFailures"] == []
            after_each()

    def sync(self) -> Json:
        """Deliver what changed in the views to ``sync_campaigns``."""
        records = self.views_stream.read()
        return functions.sync({"Records": records}) if records else {"batchItemFailures": []}


def number_of(record: Json) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def moment() -> datetime:
    return datetime.now(UTC)


def clear_wiring() -> None:
    """Forget parts made for another environment."""
    for name in dir(wiring):
        part = getattr(wiring, name)
        if callable(getattr(part, "cache_clear", None)):
            part.cache_clear()
