"""One shard on its way into a function: fetched, gathered into batches, delivered, and its position kept."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from local.delivery import Failure, Policy, Response, ShardDelivery
from local.lambda_events import JsonObject, arrived_at, sequence_number
from local.streams import Fetched, IteratorExpired, ShardGone, Stream

logger = logging.getLogger(__name__)

# Lambda's limit for the payload of an invocation.
LARGEST_BATCH_BYTES = 6_000_000


class Batching(NamedTuple):
    """How records are gathered: at most ``size`` of them, and none waits longer than ``window_s`` for others."""

    size: int = 1000
    window_s: float = 0.1


class ShardReader:
    """Reads one shard and delivers it; not thread-safe, its pump owns it.

    Parameters
    ----------
    after
        Sequence number of the last record that an earlier run delivered; None starts at the oldest one.
    wanted
        The mapping's filter: records it refuses are passed over.
    """

    def __init__(
        self,
        stream: Stream,
        shard: str,
        after: str | None,
        invoke: Callable[[Sequence[JsonObject]], Response],
        give_up: Callable[[Failure[JsonObject]], None],
        policy: Policy,
        batching: Batching,
        wanted: Callable[[JsonObject], bool] = lambda _: True,
    ) -> None:
        self.shard = shard
        self.exhausted = False
        """The shard is closed or gone, and all of it that was read is delivered."""
        self.delivery: ShardDelivery[JsonObject] = ShardDelivery(invoke, sequence_number, arrived_at, policy, give_up)
        self._stream = stream
        self._batching = batching
        self._wanted = wanted
        self._start = after
        self._fetched_up_to = after
        self._iterator: str | None = None
        self._closed = False
        self._buffer: list[JsonObject] = []
        self._waiting_since = 0.0

    @property
    def position(self) -> str | None:
        """Sequence number of the last record that is done with, also in an earlier run."""
        return self.delivery.delivered_up_to or self._start

    @property
    def pending(self) -> int:
        """Records fetched and not yet done with."""
        return len(self._buffer) + self.delivery.pending

    def turn(self) -> tuple[bool, bool]:
        """Fetch what there is and take one step of the delivery.

        Returns
        -------
        Whether something was done, and whether nothing is left to do: the stream had nothing, and nothing is pending.

        Raises what boto3 raises.
        """
        fetched = 0
        if not self._closed and len(self._buffer) < self._batching.size:
            fetched = self._fetch()
        if not self.delivery.pending and self._batch_is_due():
            self.delivery.accept(self._take_batch())
        stepped = self.delivery.step()
        idle = fetched == 0 and self.pending == 0
        self.exhausted = self._closed and idle
        return fetched > 0 or stepped, idle

    def _fetch(self) -> int:
        try:
            fetched = self._next()
        except ShardGone:
            logger.warning("%s is gone; %d records of it are still to be delivered", self.shard, self.pending)
            fetched = Fetched([], None)
        self._iterator = fetched.next_iterator
        self._closed = fetched.next_iterator is None
        if fetched.records:
            if not self._buffer:
                self._waiting_since = time.monotonic()
            self._buffer += filter(self._wanted, fetched.records)
            self._fetched_up_to = sequence_number(fetched.records[-1])
        return len(fetched.records)

    def _next(self) -> Fetched:
        if self._iterator is not None:
            try:
                return self._stream.fetch(self.shard, self._iterator, self._batching.size)
            except IteratorExpired:
                logger.debug("the iterator of %s expired", self.shard)
        fresh = self._stream.iterator(self.shard, self._fetched_up_to)
        return self._stream.fetch(self.shard, fresh, self._batching.size)

    def _batch_is_due(self) -> bool:
        if not self._buffer:
            return False
        waited = time.monotonic() - self._waiting_since
        return self._closed or len(self._buffer) >= self._batching.size or waited >= self._batching.window_s

    def _take_batch(self) -> list[JsonObject]:
        count, size = 0, 0
        for record in self._buffer[: self._batching.size]:
            size += _size(record)
            if count and size > LARGEST_BATCH_BYTES:
                break
            count += 1
        batch, self._buffer = self._buffer[:count], self._buffer[count:]
        return batch


def _size(record: JsonObject) -> int:
    """Bytes of a record in the event's JSON."""
    return len(json.dumps(record))
