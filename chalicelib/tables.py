"""The DynamoDB tables: typed calls, unprocessed items retried, transactions whose failure says why.

Items are plain dictionaries of str, int, Decimal, bool, bytes and dict; boto3's own serializer turns them into
attribute values.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError, ParamValidationError

from chalicelib.keys import Key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type_serializer = TypeSerializer()
type_deserializer = TypeDeserializer()

Scalar = str | int | Decimal | bool
Item = dict[str, Any]
Wire = dict[str, Any]
"""An item in DynamoDB's own JSON."""

BATCH_GET = 100
BATCH_WRITE = 25
TRANSACTION = 100


class Conflict(Exception):
    """A transaction lost a race for an item: nothing was written, and what it read must be read again.

    Attributes
    ----------
    met
        Another transaction had one of the items at that moment.
    """

    def __init__(self, reasons: Iterable[str] = ()) -> None:
        super().__init__(", ".join(sorted(reasons)))
        self.met = "TransactionConflict" in reasons


class Starved(Exception):
    """The table went on refusing part of a batch; ``keys`` were not written."""

    def __init__(self, keys: set[Key]) -> None:
        super().__init__(f"{len(keys)} items were not written after all retries")
        self.keys = keys


def is_for_good(error: Exception) -> bool:
    """Whether a call to AWS that failed would fail as well however often it is made: what it asks for is wrong."""
    if not isinstance(error, ClientError):
        return isinstance(error, ParamValidationError)
    code = str(error.response.get("Error", {}).get("Code"))
    reasons = {str(one.get("Code")) for one in error.response.get("CancellationReasons", ())}
    return code in REFUSALS or (code == "TransactionCanceledException" and not reasons.isdisjoint(REFUSALS))


REFUSALS = frozenset(
    {
        "ValidationException",
        "ValidationError",
        "ItemCollectionSizeLimitExceeded",
        "ItemCollectionSizeLimitExceededException",
    }
)


class Operation(NamedTuple):
    """One write of a transaction, as TransactWriteItems takes it."""

    kind: str
    request: Mapping[str, Any]


def to_wire(item: Mapping[str, Any]) -> Wire:
    return {name: type_serializer.serialize(value) for name, value in item.items()}


def from_wire(wire: Mapping[str, Any]) -> Item:
    """An item from DynamoDB's JSON; whole numbers come back as ``Decimal``, like all numbers."""
    # Most values are numbers and texts, which need not go through boto3's deserializer.
    return {
        name: Decimal(value["N"])
        if "N" in value
        else value["S"]
        if "S" in value
        else type_deserializer.deserialize(value)
        for name, value in wire.items()
    }


def key_to_wire(key: Key) -> Wire:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def key_of(item: Mapping[str, Any]) -> Key:
    return Key(item["pk"], item["sk"])


def size_of(item: Mapping[str, Any]) -> int:
    """Bytes of an item about as DynamoDB counts them: names and values, numbers at half their digits."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return 3 + sum(1 + len(str(name).encode()) + _value_size(one) for name, one in value.items())
    if isinstance(value, list):
        return 3 + sum(1 + _value_size(one) for one in value)
    return len(str(value)) // 2 + 2


def version_in(item: Item | None) -> int:
    """Of an item that several write: how often it was written; 0 where there is none yet."""
    return int(item["version"]) if item else 0


def unchanged(item: Item | None) -> dict[str, Any]:
    """The condition that an item with a version still is what was read."""
    if item is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "#v = :v",
        "ExpressionAttributeNames": {"#v": "version"},
        "ExpressionAttributeValues": {":v": {"N": str(version_in(item))}},
    }


def _backoff(attempt: int, sleep: Callable[[float], None]) -> None:
    sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - jitter, not a secret


class Table:
    """One table, through a client that is shared.

    Parameters
    ----------
    attempts
        How often a batch with unprocessed items is sent before it is given up.
    """

    def __init__(
        self, client: DynamoDBClient, name: str, *, attempts: int = 8, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.client = client
        self.name = name
        self._attempts = attempts
        self._sleep = sleep

    def get(self, key: Key) -> Item | None:
        """The item under a key, strongly consistent."""
        found = self.client.get_item(TableName=self.name, Key=key_to_wire(key), ConsistentRead=True).get("Item")
        return from_wire(found) if found else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """The items that exist under these keys, strongly consistent.

        Raises
        ------
        Starved
            The table left keys unprocessed time after time.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, Item] = {}
        for start in range(0, len(wanted), BATCH_GET):
            missing: list[Wire] = [key_to_wire(key) for key in wanted[start : start + BATCH_GET]]
            attempt = 0
            while missing:
                if attempt == self._attempts:
                    raise Starved({Key(one["pk"]["S"], one["sk"]["S"]) for one in missing})
                if attempt:
                    _backoff(attempt, self._sleep)
                answer = self.client.batch_get_item(RequestItems={self.name: {"Keys": missing, "ConsistentRead": True}})
                for wire in answer["Responses"].get(self.name, ()):
                    item = from_wire(wire)
                    found[key_of(item)] = item
                left = answer.get("UnprocessedKeys", {}).get(self.name)
                missing = [dict(one) for one in left["Keys"]] if left else []
                attempt += 1
        return found

    def put_many(self, items: Sequence[Item]) -> None:
        """Write items unconditionally, several a call; no two may have one key.

        Raises
        ------
        Starved
            With the keys that were not written; the others were.
        """
        self._write_many([{"PutRequest": {"Item": to_wire(one)}} for one in items])

    def delete_many(self, keys: Iterable[Key]) -> None:
        """Delete items, several a call; those that are not there are no trouble. No key may come twice.

        Raises
        ------
        Starved
            With the keys that were not deleted; the others were.
        """
        self._write_many([{"DeleteRequest": {"Key": key_to_wire(one)}} for one in keys])

    def _write_many(self, writes: Sequence[Any]) -> None:
        starved: set[Key] = set()
        for start in range(0, len(writes), BATCH_WRITE):
            requests = list(writes[start : start + BATCH_WRITE])
            for attempt in range(self._attempts):
                if attempt:
                    _backoff(attempt, self._sleep)
                answer = self.client.batch_write_item(RequestItems={self.name: requests})
                requests = list(answer.get("UnprocessedItems", {}).get(self.name, ()))
                if not requests:
                    break
            for one in requests:
                key = one["PutRequest"]["Item"] if "PutRequest" in one else one["DeleteRequest"]["Key"]
                starved.add(Key(key["pk"]["S"], key["sk"]["S"]))
        if starved:
            raise Starved(starved)

    def query(
        self,
        pk: str,
        first: str = "",
        last: str | None = None,
        *,
        index: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        page: int | None = None,
    ) -> Iterator[Item]:
        """Items of a partition with ``first <= sort key <= last`` in order, page by page as they are asked for.

        Strongly consistent on the table, eventually on an index. ``limit`` bounds the items, ``page`` only what
        one call reads.
        """
        return map(from_wire, self.query_wire(pk, first, last, index, descending, limit, page))

    def query_wire(
        self,
        pk: str,
        first: str = "",
        last: str | None = None,
        index: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        page: int | None = None,
    ) -> Iterator[Wire]:
        """The same in DynamoDB's own JSON, for whoever takes few values of many for what they are."""
        partition, sort = ("pk", "sk") if index is None else ("gpk", "gsk")
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "#p = :p",
            "ExpressionAttributeNames": {"#p": partition},
            "ExpressionAttributeValues": {":p": {"S": pk}},
            "ScanIndexForward": not descending,
        }
        if first or last is not None:
            request["KeyConditionExpression"] += " AND #s BETWEEN :first AND :last"
            request["ExpressionAttributeNames"]["#s"] = sort
            request["ExpressionAttributeValues"] |= {
                ":first": {"S": first or " "},
                ":last": {"S": last if last is not None else "\U0010ffff"},
            }
        if index is None:
            request["ConsistentRead"] = True
        else:
            request["IndexName"] = index
        left = limit
        while True:
            if sizes := [one for one in (left, page) if one is not None]:
                request["Limit"] = min(sizes)
            answer = self.client.query(**request)
            yield from answer["Items"]
            if left is not None:
                left -= len(answer["Items"])
            if "LastEvaluatedKey" not in answer or left == 0:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def scan_keys(self, prefix: str) -> Iterator[Key]:
        """Keys of all items whose partition key begins with ``prefix``, partition by partition, of the whole table."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "ProjectionExpression": "pk, sk",
            "FilterExpression": "begins_with(pk, :prefix)",
            "ExpressionAttributeValues": {":prefix": {"S": prefix}},
            "ConsistentRead": True,
        }
        while True:
            page = self.client.scan(**request)
            for wire in page["Items"]:
                yield key_of(from_wire(wire))
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def put_operation(self, item: Item, condition: Mapping[str, Any] | None = None) -> Operation:
        return Operation("Put", {"TableName": self.name, "Item": to_wire(item), **(condition or {})})

    def check_operation(self, key: Key, condition: Mapping[str, Any]) -> Operation:
        return Operation("ConditionCheck", {"TableName": self.name, "Key": key_to_wire(key), **condition})

    def delete_operation(self, key: Key) -> Operation:
        return Operation("Delete", {"TableName": self.name, "Key": key_to_wire(key)})

    def add_operation(self, key: Key, deltas: Mapping[str, int | Decimal]) -> Operation:
        """Add to numeric attributes, which start from nothing."""
        names = {f"#{at}": name for at, name in enumerate(deltas)}
        values = {f":{at}": type_serializer.serialize(delta) for at, delta in enumerate(deltas.values())}
        return Operation(
            "Update",
            {
                "TableName": self.name,
                "Key": key_to_wire(key),
                "UpdateExpression": "ADD " + ", ".join(f"#{at} :{at}" for at in range(len(deltas))),
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            },
        )

    def transact(self, operations: Sequence[Operation]) -> None:
        """Write all or nothing.

        Raises
        ------
        Conflict
            A condition did not hold, or another transaction had one of the items: read again and try again.
        ClientError
            Anything else. After a time-out it is unknown whether the write happened; only reading tells.
        """
        try:
            self.client.transact_write_items(TransactItems=[{one.kind: one.request} for one in operations])  # type: ignore[misc]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            reasons = {str(one.get("Code")) for one in error.response.get("CancellationReasons", ())} - {"None"}
            lost_race = {"ConditionalCheckFailed", "TransactionConflict"}
            if code == "TransactionInProgressException" or (
                code == "TransactionCanceledException" and reasons and reasons <= lost_race
            ):
                raise Conflict(reasons) from error
            raise
