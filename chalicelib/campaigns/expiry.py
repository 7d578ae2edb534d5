"""``expire_campaigns``: campaigns end with their windows (R7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.keys import DUE_BUCKETS, Key, due_partition, padded
from chalicelib.tables import Table, key_of, key_to_wire
from chalicelib.times import Clock


class Expired(NamedTuple):
    """Windows that a run closed, and by how many milliseconds the oldest of them was late; 0 if none was due."""

    closed: int
    late: int


class Expiry:
    """``expire_campaigns``: closes windows whose end has come."""

    def __init__(self, views: Table, clock: Clock) -> None:
        self._views = views
        self._clock = clock

    def expire(self) -> Expired:
        """Close all due windows.

        Due ones are found by their end in the index, never by a scan.
        """
        now = self._clock.now()
        closed, late = 0, 0
        for key, due in self._due(now):
            if self._close(key, due):
                closed += 1
                late = max(late, now - int(due))
        return Expired(closed, late)

    def _due(self, now: int) -> Iterator[tuple[Key, str]]:
        for bucket in range(DUE_BUCKETS):
            items: Iterable[dict[str, Any]] = self._views.query(
                due_partition(bucket), "0", padded(now), index="by_time"
            )
            for item in items:
                yield key_of(item), item["gsk"]

    def _close(self, key: Key, due: str) -> bool:
        """Close a window, if it is still the one that was due: a newer touch may have opened another meanwhile."""
        try:
            self._views.client.update_item(
                TableName=self._views.name,
                Key=key_to_wire(key),
                UpdateExpression="SET #open = :closed REMOVE gpk, gsk",
                ConditionExpression="gsk = :due",
                ExpressionAttributeNames={"#open": "open"},
                ExpressionAttributeValues={":closed": {"BOOL": False}, ":due": {"S": due}},
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                return False
            raise
        return True
