"""What the application's calls cost: their number, and DynamoDB's capacity units, counted at the client.

Write units are those that the table says it consumed (MiniStack reckons as DynamoDB does: a unit for each started KB,
two in a transaction, and one more for each entry of an index that is written or taken out). Read units are counted
here, from the items that were answered: a strongly consistent one for each started 4 KB.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chalicelib import wiring

Json = dict[str, Any]
WRITES = ("BatchWriteItem", "TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem")
KB = 1_024


class Meter:
    """Counts since it was made."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.write_units = 0.0
        self.read_units = 0.0

    def sent(self, request: object, event_name: str, **_: object) -> None:
        self.calls[event_name.rsplit(".", 1)[-1]] += 1

    def asked(self, params: Json, model: Any, **_: object) -> Json:
        if model.name in WRITES:
            params["ReturnConsumedCapacity"] = "TOTAL"
        return params

    def answered(self, parsed: Json, model: Any, **_: object) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        for one in [consumed] if isinstance(consumed, Mapping) else consumed:
            self.write_units += one["CapacityUnits"]
        if model.name == "GetItem":
            self.read_units += units(size(parsed.get("Item", {})))
        elif model.name == "BatchGetItem":
            self.read_units += sum(units(size(item)) for items in parsed["Responses"].values() for item in items)
        elif model.name == "Query":
            self.read_units += units(sum(size(item) for item in parsed["Items"]))


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter on the application's clients of DynamoDB and S3 for the time of the block."""
    meter = Meter()
    quarantine: Any = wiring.ingestion()._quarantine
    clients = [wiring.dynamodb(), quarantine._s3]
    for client in clients:
        client.meta.events.register("before-send", meter.sent)
        client.meta.events.register("provide-client-params.dynamodb", meter.asked)
        client.meta.events.register("after-call.dynamodb", meter.answered)
    try:
        yield meter
    finally:
        for client in clients:
            client.meta.events.unregister("before-send", meter.sent)
            client.meta.events.unregister("provide-client-params.dynamodb", meter.asked)
            client.meta.events.unregister("after-call.dynamodb", meter.answered)


def units(bytes_read: int) -> int:
    """Strongly consistent read units; what is not there costs one too."""
    return max(1, -(-bytes_read // (4 * KB)))


def size(item: Json) -> int:
    """Bytes of an item as DynamoDB counts them: names and values."""
    return sum(len(name.encode()) + _size_of(value) for name, value in item.items())


def _size_of(value: Json) -> int:
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return len(held) // 2 + 1
        case "B":
            return len(held)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _size_of(one) for name, one in held.items())
        case "L":
            return 3 + sum(1 + _size_of(one) for one in held)
        case _:
            return 1
