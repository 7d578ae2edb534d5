"""Reading shards: Kinesis and DynamoDB Streams behind one face, records already in Lambda's form."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from botocore.exceptions import ClientError

from local.lambda_events import BatchInfo, JsonObject, change_record, kinesis_record, windowed

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_kinesis import KinesisClient

ROLE_ARN = "arn:aws:iam::000000000000:role/local"


class IteratorExpired(Exception):
    """The iterator is too old; another one, from the same position, goes on."""


class ShardGone(Exception):
    """The shard does not exist any more."""


class Shard(NamedTuple):
    id: str
    parent: str | None


class Fetched(NamedTuple):
    """Records in Lambda's form, and where the next ones come from; no iterator at the end of a closed shard."""

    records: list[JsonObject]
    next_iterator: str | None


class Stream(Protocol):
    """A stream of shards."""

    arn: str
    batch_info: BatchInfo

    def shards(self) -> list[Shard]: ...

    def iterator(self, shard: str, after: str | None) -> str:
        """Where the records after a sequence number begin; without one, or if it is forgotten, the oldest kept."""
        ...

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:
        """The next records. Raises `IteratorExpired` and `ShardGone`."""
        ...

    def event(self, shard: str, records: Sequence[JsonObject]) -> JsonObject:
        """The event that carries a batch to its function."""
        ...


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _translated(error: ClientError) -> Exception:
    code = _code(error)
    if code in ("ExpiredIteratorException", "TrimmedDataAccessException"):
        return IteratorExpired(str(error))
    if code == "ResourceNotFoundException":
        return ShardGone(str(error))
    return error


class KinesisStream:
    """A Kinesis stream, as an event source of Lambda."""

    batch_info: BatchInfo = "KinesisBatchInfo"

    def __init__(self, client: KinesisClient, arn: str) -> None:
        self.arn = arn
        self._client = client

    def shards(self) -> list[Shard]:
        pages = self._client.get_paginator("list_shards").paginate(StreamARN=self.arn)
        return [Shard(one["ShardId"], one.get("ParentShardId")) for page in pages for one in page["Shards"]]

    def iterator(self, shard: str, after: str | None) -> str:
        try:
            if after is None:
                answer = self._client.get_shard_iterator(
                    StreamARN=self.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
                )
            else:
                answer = self._client.get_shard_iterator(
                    StreamARN=self.arn,
                    ShardId=shard,
                    ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                    StartingSequenceNumber=after,
                )
        except ClientError as error:
            raise _translated(error) from error
        return answer["ShardIterator"]

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:
        try:
            answer = self._client.get_records(ShardIterator=iterator, Limit=limit)
        except ClientError as error:
            raise _translated(error) from error
        records = cast("list[dict[str, Any]]", answer["Records"])
        return Fetched(
            [kinesis_record(record, shard, self.arn, ROLE_ARN) for record in records], answer.get("NextShardIterator")
        )

    def event(self, shard: str, records: Sequence[JsonObject]) -> JsonObject:  # noqa: ARG002 - each record names it
        return {"Records": list(records)}


class ChangeStream:
    """The change stream of a DynamoDB table, as an event source of Lambda.

    Parameters
    ----------
    window_s
        Length of the mapping's tumbling window, 0 for none. What the window is for, a state handed from one invocation
        to the next and a last invocation at its end, is not emulated: the state is always empty.
    """

    batch_info: BatchInfo = "DDBStreamBatchInfo"

    def __init__(self, client: DynamoDBStreamsClient, arn: str, window_s: int = 0) -> None:
        self.arn = arn
        self._client = client
        self._window_s = window_s

    def shards(self) -> list[Shard]:
        found: list[Shard] = []
        last: str | None = None
        while True:
            description = (
                self._client.describe_stream(StreamArn=self.arn, ExclusiveStartShardId=last)
                if last
                else self._client.describe_stream(StreamArn=self.arn)
            )["StreamDescription"]
            found += [Shard(one["ShardId"], one.get("ParentShardId")) for one in description.get("Shards", [])]
            last = description.get("LastEvaluatedShardId")
            if not last:
                return found

    def iterator(self, shard: str, after: str | None) -> str:
        try:
            if after is not None:
                try:
                    return self._client.get_shard_iterator(
                        StreamArn=self.arn,
                        ShardId=shard,
                        ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                        SequenceNumber=after,
                    )["ShardIterator"]
                except ClientError as error:
                    if _code(error) != "TrimmedDataAccessException":
                        raise
            return self._client.get_shard_iterator(StreamArn=self.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
                "ShardIterator"
            ]
        except ClientError as error:
            raise _translated(error) from error

    def fetch(self, shard: str, iterator: str, limit: int) -> Fetched:  # noqa: ARG002 - the iterator knows its shard
        try:
            answer = self._client.get_records(ShardIterator=iterator, Limit=limit)
        except ClientError as error:
            raise _translated(error) from error
        records = cast("list[dict[str, Any]]", answer["Records"])
        return Fetched([change_record(record, self.arn) for record in records], answer.get("NextShardIterator"))

    def event(self, shard: str, records: Sequence[JsonObject]) -> JsonObject:
        if not self._window_s:
            return {"Records": list(records)}
        return windowed(records, shard, self.arn, datetime.now(UTC), self._window_s)
