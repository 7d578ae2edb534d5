"""Stand-ins of AWS clients that refuse what a test says, and remember what they were asked."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from chalicelib import wiring
from chalicelib.facts.items import from_item
from chalicelib.facts.model import PlacedFact
from chalicelib.ingestion import Ingestion
from chalicelib.quarantine import Quarantine, Quarantined
from chalicelib.tables import Table, from_wire
from chalicelib.times import Clock

Json = dict[str, Any]


class BusyTable:
    """A DynamoDB client whose table leaves what a test says unprocessed, as often as it says."""

    def __init__(self, client: Any, refused: Callable[[Json], bool], times: int) -> None:
        self._client = client
        self._refused = refused
        self._left = times
        self.calls: list[int] = []

    def batch_write_item(self, RequestItems: Mapping[str, list[Json]]) -> Json:  # noqa: N803 - boto3's own name
        ((table, requests),) = RequestItems.items()
        self.calls.append(len(requests))
        refused = [one for one in requests if self._refused(one["PutRequest"]["Item"])] if self._left > 0 else []
        self._left -= 1
        taken = [one for one in requests if one not in refused]
        if taken:
            self._client.batch_write_item(RequestItems={table: taken})
        return {"UnprocessedItems": {table: refused} if refused else {}}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class Shelf:
    """An S3 client that keeps objects in memory; like S3, the last one put under a name is the one there."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts = 0

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> Json:  # noqa: N803 - boto3's own names
        self.objects[Key] = Body
        self.puts += 1
        return {}

    def lines(self) -> list[Quarantined]:
        """All quarantined records."""
        decode = msgspec.json.Decoder(Quarantined).decode
        return [decode(line) for body in self.objects.values() for line in body.splitlines()]

    def data(self) -> list[bytes]:
        """Their bytes as they were received."""
        return [base64.b64decode(line.data) for line in self.lines()]


class Parts(NamedTuple):
    """An ``Ingestion`` with its surroundings in the test's hands. ``pauses`` are the seconds it would have waited."""

    ingestion: Ingestion
    shelf: Shelf
    client: BusyTable
    pauses: list[float]


def never(item: Json) -> bool:
    return False


def ingestion(clock: Clock, refused: Callable[[Json], bool] = never, times: int = 0, attempts: int = 4) -> Parts:
    """Ingestion into the real facts table, through a client that refuses some writes."""
    client = BusyTable(wiring.dynamodb(), refused, times)
    pauses: list[float] = []
    table = Table(client, wiring.facts().name, attempts=attempts, sleep=pauses.append)  # type: ignore[arg-type]
    shelf = Shelf()
    quarantine = Quarantine(shelf, "bucket")  # type: ignore[arg-type]
    return Parts(Ingestion(table, wiring.settings(), quarantine, clock), shelf, client, pauses)


def stored(application: str) -> Iterator[PlacedFact]:
    """The facts of an application, as they stand in the table."""
    facts = wiring.facts()
    for page in facts.client.get_paginator("scan").paginate(TableName=facts.name, ConsistentRead=True):
        for wire in page["Items"]:
            placed = from_item(from_wire(wire))
            if placed.application == application:
                yield placed


def times(facts: Iterable[PlacedFact]) -> list[int]:
    return sorted(placed.fact.time for placed in facts)
