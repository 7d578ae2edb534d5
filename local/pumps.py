"""Pumps: the threads that stand in for Lambda's event source mappings and for its schedule.

One pump serves one function and one stream, with all of its shards, in one thread: as in Lambda, one shard is delivered
in order and a shard that waits for a retry does not hold up the others.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.delivery import Failure, Policy
from local.lambda_context import LambdaContext, function_arn
from local.lambda_events import JsonObject, failure_message, scheduled_event
from local.shard_reader import Batching, ShardReader
from local.streams import Shard, Stream

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

Handler = Callable[[JsonObject, LambdaContext], object]

POLL_EVERY_S = 0.15
QUIET_AFTER_S = 5.0
POLL_QUIET_EVERY_S = 0.5
"""MiniStack looks through all that a stream keeps for each poll: what is polled often is slow for who asks it."""
LIST_SHARDS_EVERY_S = 5.0
AFTER_ERROR_S = 1.0
STOPPED_WITHIN_S = 30.0


class Function:
    """A function of the application, called as Lambda calls it."""

    def __init__(self, name: str, handler: Handler, region: str, timeout_s: float = 300.0) -> None:
        self.name = name
        self.arn = function_arn(name, region)
        self._handler = handler
        self._timeout_s = timeout_s

    def within(self, timeout_s: float) -> Function:
        """The function with less time for a call."""
        return Function(self.name, self._handler, self.arn.split(":")[3], min(timeout_s, self._timeout_s))

    def __call__(self, event: JsonObject) -> object:
        return self._handler(event, LambdaContext(self.name, self.arn, timeout_s=self._timeout_s))


class Pump(ABC):
    """A thread that calls a function until it is stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopping = threading.Event()
        # Daemon: a handler that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"pump-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish the invocation in hand and end."""
        self.stopping.set()
        if self._thread.ident is None:
            return
        self._thread.join(STOPPED_WITHIN_S)
        if self._thread.is_alive():
            logger.error("%s is still busy after %.0f s and is left", self.name, STOPPED_WITHIN_S)

    @abstractmethod
    def _run(self) -> None: ...


class StreamPump(Pump):
    """An event source mapping: a stream's records into a function.

    Parameters
    ----------
    queue_url
        The failure destination.
    wanted
        The mapping's filter.
    positions
        Sequence number of the last record delivered by an earlier run, by shard; others start at the oldest record.
    """

    def __init__(
        self,
        stream: Stream,
        function: Function,
        sqs: SQSClient,
        queue_url: str,
        policy: Policy,
        batching: Batching | None = None,
        wanted: Callable[[JsonObject], bool] = lambda _: True,
        positions: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(function.name)
        self.stream = stream
        self._function = function
        self._sqs = sqs
        self._queue_url = queue_url
        self._policy = policy
        self._batching = batching or Batching()
        self._wanted = wanted
        self._start = dict(positions or {})
        self._readers: dict[str, ShardReader] = {}
        self._listed_at = float("-inf")
        self._awake_at = time.monotonic()
        self._error: str | None = None
        self._rounds = threading.Condition()
        self._idle_rounds = 0

    @property
    def delivered(self) -> int:
        """Records that the function took."""
        return sum(reader.delivery.delivered for reader in self._all())

    @property
    def given_up(self) -> int:
        """Records that went to the failure destination."""
        return sum(reader.delivery.given_up for reader in self._all())

    @property
    def pending(self) -> int:
        """Records read and not yet done with."""
        return sum(reader.pending for reader in self._all())

    @property
    def last_error(self) -> str | None:
        errors = [self._error, *(reader.delivery.last_error for reader in self._all())]
        return next((error for error in errors if error), None)

    @property
    def positions(self) -> dict[str, str]:
        """Where each shard is: everything up to that sequence number is done with."""
        return self._start | {reader.shard: reader.position for reader in self._all() if reader.position}

    def idle(self) -> bool:
        """Whether the last round over all shards found nothing and nothing is pending."""
        return self._idle_rounds > 0

    def wait_for_idle_rounds(self, count: int, deadline: float) -> bool:
        """Wait until ``count`` idle rounds have begun and ended since now; False if ``deadline`` (monotonic) passes."""
        self._awake_at = time.monotonic()
        with self._rounds:
            # The round in hand may have looked before now.
            self._idle_rounds = -1
            return (
                self._rounds.wait_for(
                    lambda: self._idle_rounds >= count or self.stopping.is_set(), deadline - time.monotonic()
                )
                and not self.stopping.is_set()
            )

    def _all(self) -> list[ShardReader]:
        return list(self._readers.values())

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                moved, idle = self._round()
                self._error = None
                if moved or not idle:
                    self._awake_at = time.monotonic()
                quiet = time.monotonic() - self._awake_at >= QUIET_AFTER_S
                wait = 0.0 if moved else POLL_QUIET_EVERY_S if quiet else POLL_EVERY_S
            except Exception as error:
                # A pump that ended would hold up its stream in silence.
                self._error = repr(error)
                logger.exception("%s cannot read its stream", self.name)
                idle, wait = False, AFTER_ERROR_S
            with self._rounds:
                self._idle_rounds = self._idle_rounds + 1 if idle else min(self._idle_rounds, 0)
                self._rounds.notify_all()
            self.stopping.wait(wait)
        with self._rounds:
            self._rounds.notify_all()

    def _round(self) -> tuple[bool, bool]:
        """One turn of every shard; whether anything was done, and whether there was nothing to do."""
        if time.monotonic() - self._listed_at >= LIST_SHARDS_EVERY_S:
            self._list_shards()
        moved, idle = False, bool(self._readers)
        for reader in self._all():
            if self.stopping.is_set():
                return moved, False
            was_exhausted = reader.exhausted
            reader_moved, reader_idle = reader.turn()
            moved |= reader_moved
            idle &= reader_idle
            if reader.exhausted and not was_exhausted:
                self._list_shards()
                idle = False
        return moved, idle

    def _list_shards(self) -> None:
        """Begin with new shards; a child shard begins when its parent is exhausted, so that order is kept."""
        shards = self.stream.shards()
        present = {shard.id for shard in shards}
        for shard in shards:
            if shard.id not in self._readers and self._may_begin(shard, present):
                self._readers[shard.id] = self._reader(shard.id)
        self._listed_at = time.monotonic()

    def _may_begin(self, shard: Shard, present: set[str]) -> bool:
        if shard.parent is None:
            return True
        parent = self._readers.get(shard.parent)
        return parent.exhausted if parent is not None else shard.parent not in present

    def _reader(self, shard: str) -> ShardReader:
        logger.info("%s reads %s from %s", self.name, shard, self._start.get(shard, "its beginning"))
        return ShardReader(
            self.stream,
            shard,
            self._start.get(shard),
            lambda records: self._function(self.stream.event(shard, records)),
            lambda failure: self._give_up(shard, failure),
            self._policy,
            self._batching,
            self._wanted,
        )

    def _give_up(self, shard: str, failure: Failure[JsonObject]) -> None:
        message = failure_message(
            self.stream.batch_info,
            failure.records,
            shard=shard,
            stream_arn=self.stream.arn,
            function_arn=self._function.arn,
            condition=failure.condition,
            invoke_count=failure.invoke_count,
            raised=failure.error is not None,
            now=datetime.now(UTC),
        )
        self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(message))


class TimerPump(Pump):
    """A schedule: calls a function every so many seconds with EventBridge's event."""

    def __init__(self, function: Function, every_s: float, region: str) -> None:
        super().__init__(function.name)
        self.calls = 0
        self._function = function
        self._every_s = every_s
        self._rule_arn = f"arn:aws:events:{region}:{function.arn.split(':')[4]}:rule/{function.name}"

    def _run(self) -> None:
        while not self.stopping.wait(self._every_s):
            try:
                self._function(scheduled_event(self._rule_arn, datetime.now(UTC)))
            except Exception:
                # A schedule goes on whatever one run of its function does.
                logger.exception("%s failed; its next run is in %.0f s", self.name, self._every_s)
            self.calls += 1


def wait_until_idle(pumps: Sequence[StreamPump], timeout_s: float, rounds: int = 2) -> None:
    """Wait until everything that is in the first stream has passed all of them.

    ``pumps`` in the order in which records flow: each one is waited for after the one before it was idle, and the pass
    counts only if none of them moved a record in the meantime.

    Raises
    ------
    TimeoutError
        Saying which pump is behind, and with what error.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        before = [pump.delivered + pump.given_up for pump in pumps]
        for pump in pumps:
            if not pump.wait_for_idle_rounds(rounds, deadline):
                state = ", ".join(f"{one.name}: {one.delivered} delivered, {one.pending} pending" for one in pumps)
                raise TimeoutError(
                    f"{pump.name} is not idle after {timeout_s:.0f} s ({state}; last error: {pump.last_error})"
                )
        if [pump.delivered + pump.given_up for pump in pumps] == before:
            return
