"""Change records that cannot be projected are set aside, so that their shard goes on (R14).

What a table will never take, or what makes the code fail, does not go away by being tried again. Such a record is noted
in the views in the transaction that passes it, is told to the failure queue, and is counted as such: events that are
set aside are missing from totals, and reports say how many are. Once the cause is mended, a mark in the record's
partition of facts (``Retry``) makes the projection take it in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.facts.items import to_item
from chalicelib.facts.model import PlacedFact, Retry
from chalicelib.keys import Key, parse_fact_key, set_aside_key, set_aside_range, set_aside_total_key
from chalicelib.settings.model import Settings
from chalicelib.tables import Item, Table, to_wire

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from chalicelib.projection.unit import Unit

RETRY = "retry-"
"""Begins the digests of marks that bring back a record."""

LONGEST_REASON = 500
LARGEST_MESSAGE = 200_000
"""Bytes; a queue's message may have 256 KB. The fact of a larger one is in its table all the same."""


class SetAside(NamedTuple):
    """A record that is set aside.

    Attributes
    ----------
    key
        Of its item.
    fact
        Key of the fact that it tells of.
    new
        Whether the fact's partition did not have it before: then it is yet to be counted.
    counts
        Whether it is an event that totals lack.
    """

    key: Key
    fact: Key
    new: bool
    counts: bool
    reason: str

    @property
    def application(self) -> str:
        return parse_fact_key(self.fact)[0]


def reason_of(error: BaseException) -> str:
    """Why a record was set aside, for operators: the kind of the failure, and what it says."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}"[:LONGEST_REASON]


def set_aside(unit: Unit, shard: str, record: Mapping[str, Any], reason: str) -> None:
    """Note a change record in a unit of work that passes it."""
    change = record["dynamodb"]
    fact = Key(change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"])
    key = set_aside_key(shard, int(change["SequenceNumber"]))
    new = "OldImage" not in change
    unit.count("RecordsSetAside")
    if is_retry(fact):
        # What it was to bring back is still set aside.
        return
    counts = new and fact.sk.startswith("e#") and "~" not in fact.sk
    item: Item = {"pk": key.pk, "sk": key.sk, "fact_pk": fact.pk, "fact_sk": fact.sk, "new": new, "reason": reason}
    unit.put({**item, "counts": counts})
    total = set_aside_total_key(parse_fact_key(fact)[0])
    unit.add(total, "records", 1)
    unit.add(total, "events", int(counts))


def message_of(shard: str, record: Mapping[str, Any], reason: str) -> str:
    """What the failure queue is told of a record that is set aside: all of it, if that is not too large."""
    said = {"shardId": shard, "reason": reason, "keys": record["dynamodb"]["Keys"]}
    whole = json.dumps({**said, "record": record["dynamodb"]}, default=str)
    return whole if len(whole.encode()) <= LARGEST_MESSAGE else json.dumps(said)


def from_stored(item: Item) -> SetAside:
    """A record that is set aside, from its item."""
    fact = Key(item["fact_pk"], item["fact_sk"])
    return SetAside(Key(item["pk"], item["sk"]), fact, bool(item["new"]), bool(item["counts"]), item["reason"])


def take_back(unit: Unit, stored: SetAside) -> None:
    """A record is no longer set aside."""
    unit.delete(stored.key)
    total = set_aside_total_key(stored.application)
    unit.add(total, "records", -1)
    unit.add(total, "events", -int(stored.counts))


class FailureQueue:
    """Where operators hear of records that are set aside."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, message: str) -> None:
        """Tell of one.

        Raises
        ------
        ClientError, BotoCoreError
            The queue does not take it now.
        """
        self._sqs.send_message(QueueUrl=self._url, MessageBody=message)


class SetAsideRecords:
    """What is set aside, and how it is brought back; for operators."""

    def __init__(self, facts: Table, views: Table) -> None:
        self._facts = facts
        self._views = views

    def all(self) -> Iterator[SetAside]:
        """All records that are set aside, in order of shard and sequence number."""
        return map(from_stored, self._views.query(*set_aside_range()))

    def retry(self, stored: SetAside, attempt: str) -> None:
        """Make the projection try a record again; ``attempt`` differs from try to try, so that each is noticed."""
        application, identity, digest, _ = parse_fact_key(stored.fact)
        mark = PlacedFact(application, identity, RETRY + digest, Retry(stored.key.sk, attempt))
        self._facts.client.put_item(TableName=self._facts.name, Item=to_wire(to_item(mark, Settings())))


def is_retry(fact: Key) -> bool:
    """Whether a fact's key is that of a mark which brings back a record."""
    return fact.sk.startswith("b#") and f"#{RETRY}" in fact.sk


def events_set_aside(item: Item | None) -> int:
    """How many events an application's totals lack."""
    return int(item["events"]) if item else 0
