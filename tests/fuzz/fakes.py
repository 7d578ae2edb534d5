"""AWS in memory, as far as ingestion uses it, with DynamoDB's limits: what they forbid, AWS would refuse for ever."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from chalicelib.settings.model import CustomInteraction, InteractionSetting, Policy, Settings, UsernameAttribute
from chalicelib.tables import to_wire

Json = dict[str, Any]

KB = 1024
LARGEST_ITEM = 400 * KB
LARGEST_NUMBER = Decimal("9.9999999999999999999999999999999999999E+125")
SMALLEST_NUMBER = Decimal("1E-130")
NESTED = 32

POLICIES = (
    Policy(
        interactions={"email.open": InteractionSetting(days=Decimal(1)), "journey.step": InteractionSetting(False)},
        custom_interactions=(CustomInteraction("purchase"), CustomInteraction("custom", "campaign", "sms", Decimal(1))),
        ignore_machine_opens=True,
        excluded_events=frozenset({"refund"}),
    ),
)
VARIANTS = (
    Settings(),
    Settings(username_attributes=(UsernameAttribute("login"),)),
    Settings(retention_days=30),
    Settings(policies=POLICIES),
)


class LimitExceeded(AssertionError):
    """DynamoDB or S3 would refuse this."""


def settings_of(pk: str) -> Settings:
    """The settings of the application whose partition in the views this is: one of a few, by its name."""
    return VARIANTS[zlib.crc32(pk.encode()) % len(VARIANTS)]


def check_item(wire: Mapping[str, Any]) -> None:
    """Raise LimitExceeded if no table takes an item."""
    for name, most in (("pk", 2048), ("sk", 1024), ("gpk", 2048), ("gsk", 1024)):
        if name in ("pk", "sk") or name in wire:
            size = len(wire[name]["S"].encode())
            if not 1 <= size <= most:
                raise LimitExceeded(f"{name} of {size} bytes")
    size = sum(len(name.encode()) + size_of(value) for name, value in wire.items())
    if size > LARGEST_ITEM:
        raise LimitExceeded(f"an item of {size} bytes")


def size_of(value: Mapping[str, Any], depth: int = 1) -> int:
    """Bytes of an attribute's value, about as DynamoDB reckons. Raises LimitExceeded, UnicodeEncodeError."""
    if depth > NESTED:
        raise LimitExceeded("nested too deep")
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode())
    if kind == "B":
        return len(held)
    if kind == "M":
        return 3 + sum(len(name.encode()) + size_of(one, depth + 1) + 1 for name, one in held.items())
    if kind == "N":
        number = Decimal(held)
        digits = len(str(number.as_tuple().digits)) if not number.is_finite() else len(number.as_tuple().digits)
        magnitude = number.copy_abs()
        if not number.is_finite() or digits > 38 or magnitude > LARGEST_NUMBER or 0 < magnitude < SMALLEST_NUMBER:
            raise LimitExceeded(f"the number {held}")
        return digits + 1
    if kind in ("BOOL", "NULL"):
        return 1
    raise LimitExceeded(f"an attribute of type {kind}, which no fact has")


class FactsClient:
    """The facts table. An item written again must be the same: otherwise arrival order would decide what is true."""

    def __init__(self) -> None:
        self.new: list[Json] = []
        """Items that were put since this was last emptied."""
        self._contents: dict[tuple[str, str], bytes] = {}

    def batch_write_item(self, RequestItems: Mapping[str, list[Json]]) -> Json:  # noqa: N803 - boto3's own name
        ((_, requests),) = RequestItems.items()
        items = [one["PutRequest"]["Item"] for one in requests]
        if not 1 <= len(items) <= 25 or len({key_of(item) for item in items}) != len(items):
            raise LimitExceeded(f"{len(items)} requests, or one key twice")
        for item in items:
            check_item(item)
            content = hashlib.blake2b(_content(item), digest_size=8).digest()
            if self._contents.setdefault(key_of(item), content) != content:
                raise AssertionError(f"one key, two contents: {item}")
        self.new += items
        return {"UnprocessedItems": {}}


class ViewsClient:
    """The views table, in which only settings are looked for."""

    def get_item(self, TableName: str, Key: Json, ConsistentRead: bool) -> Json:  # noqa: N803
        return {"Item": item} if (item := _settings_item(Key)) else {}

    def batch_get_item(self, RequestItems: Mapping[str, Json]) -> Json:  # noqa: N803
        ((table, request),) = RequestItems.items()
        keys = request["Keys"]
        if not 1 <= len(keys) <= 100 or len({key_of(key) for key in keys}) != len(keys):
            raise LimitExceeded(f"{len(keys)} keys, or one twice")
        return {"Responses": {table: [item for key in keys if (item := _settings_item(key))]}, "UnprocessedKeys": {}}

    def put_item(self, TableName: str, Item: Json, ConditionExpression: str) -> Json:  # noqa: N803
        check_item(Item)
        if Item["sk"]["S"] != "seen":
            raise AssertionError(f"ingestion wrote {Item} into the views")
        return {}


def _settings_item(key: Json) -> Json | None:
    check_item(key)
    settings = settings_of(key["pk"]["S"])
    if settings == Settings():
        return None
    document = msgspec.json.encode(settings).decode()
    return {**key, **to_wire({"document": document, "version": 1})}


def _content(item: Json) -> bytes:
    """What decides whether two items are the same."""
    return json.dumps({**item, "fact": json.loads(item["fact"]["S"])}, sort_keys=True).encode()


def key_of(wire: Json) -> tuple[str, str]:
    return (wire["pk"]["S"], wire["sk"]["S"])


class Bucket:
    """The quarantine's bucket."""

    def __init__(self) -> None:
        self.new: dict[str, bytes] = {}
        """Objects that were put since this was last emptied."""

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> Json:  # noqa: N803
        if not 1 <= len(Key.encode()) <= 1024:
            raise LimitExceeded(f"an object's name of {len(Key.encode())} bytes")
        self.new[Key] = Body
        return {}


def total(counts: Mapping[str, int], names: Iterable[str]) -> int:
    return sum(counts[name] for name in names)
