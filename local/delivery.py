"""How Lambda delivers one shard's records to a function: in order, part by part, with retries and an end to them.

No I/O and no threads: `ShardDelivery` is stepped by a pump, and told what to call.

What Lambda's documentation says is done as it says: an error fails the whole batch; a response may name the records
that failed, and the lowest of them is where the next try starts; a batch that failed whole is split in two, which does
not count as a retry; what failed for good goes to the failure destination, as a range of sequence numbers, and the
shard goes on. Where it is silent: a try that got further than the one before starts the count of retries again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

logger = logging.getLogger(__name__)

Record = TypeVar("Record")
Response = object
"""What a handler returned: anything."""

Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]

BACKOFF_FACTOR = 2.0
MOST_DOUBLINGS = 20


class MalformedResponse(Exception):
    """A response whose batchItemFailures cannot be read, or name a record that was not sent."""


class Policy(NamedTuple):
    """The settings of an event source mapping that decide about failures."""

    maximum_retry_attempts: int | None = None
    """None retries for as long as the stream keeps the record."""
    maximum_record_age_s: float | None = None
    """A failing record older than this is given up; None never does."""
    bisect_on_error: bool = True
    report_item_failures: bool = True
    """Whether the function's response is looked at; otherwise it succeeds by not raising."""
    expect_state: bool = False
    """With a tumbling window a response without a state is a failure."""
    first_backoff_s: float = 0.2
    longest_backoff_s: float = 10.0


class Failure(NamedTuple, Generic[Record]):
    """Records that were given up."""

    records: Sequence[Record]
    condition: Condition
    invoke_count: int
    error: BaseException | None
    """What the function raised last; None if it returned their failure."""


@dataclass
class _Part(Generic[Record]):
    """A run of records that is delivered in one invocation."""

    records: Sequence[Record]
    retries: int = 0
    invoke_count: int = 0
    failure: Failure[Record] | None = None
    """Set once it is given up, until the failure destination has taken it."""


class ShardDelivery(Generic[Record]):
    """The delivery of one shard's records; one batch at a time.

    Parameters
    ----------
    invoke
        Calls the function; whatever it raises is a function error.
    sequence_number
        Of a record, as the function names it in batchItemFailures.
    arrived_at
        When the stream took a record, in seconds since 1970.
    give_up
        Sends a failure to its destination. If that fails it is tried again, and the shard waits.
    clock, now
        Seconds: monotonic, and since 1970.
    """

    def __init__(
        self,
        invoke: Callable[[Sequence[Record]], Response],
        sequence_number: Callable[[Record], str],
        arrived_at: Callable[[Record], float],
        policy: Policy,
        give_up: Callable[[Failure[Record]], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._invoke = invoke
        self._sequence_number = sequence_number
        self._arrived_at = arrived_at
        self._policy = policy
        self._give_up = give_up
        self._clock = clock
        self._now = now
        self._parts: deque[_Part[Record]] = deque()
        self._failures_in_a_row = 0
        self.not_before = 0.0
        """When the next step may be taken, by the clock."""
        self.delivered_up_to: str | None = None
        """Sequence number of the last record that succeeded or was given up; none before it is open."""
        self.delivered = 0
        self.given_up = 0
        self.last_error: str | None = None

    @property
    def pending(self) -> int:
        """Records accepted and not yet delivered."""
        return sum(len(part.records) for part in self._parts)

    def accept(self, records: Sequence[Record]) -> None:
        """Take the next batch. Raises ValueError while the one before is pending."""
        if self._parts:
            raise ValueError("the batch before is still pending")
        if records:
            self._parts.append(_Part(records))

    def step(self) -> bool:
        """Take one step, if it is time: one invocation, or one try to send a failure. Says whether it did."""
        if not self._parts or self._clock() < self.not_before:
            return False
        part = self._parts[0]
        if part.failure is None:
            failed, error = self._try(part)
            if failed is None:
                self._succeeded(part, len(part.records))
            elif failed > 0:
                self._succeeded(part, failed)
                self._back_off()
            else:
                self._failed_whole(part, error)
        if part.failure is not None:
            self._send(part, part.failure)
        return True

    def _try(self, part: _Part[Record]) -> tuple[int | None, BaseException | None]:
        """Invoke; the position of the first failed record, and the error if it was one."""
        part.invoke_count += 1
        try:
            response = self._invoke(part.records)
            failed = self._first_failure(response, part.records)
        except MalformedResponse as error:
            self._note(part, f"malformed response: {error}")
            return 0, None
        except Exception as error:
            # Whatever a function raises is a function error to Lambda.
            logger.warning("function error", exc_info=True)
            self._note(part, f"function error: {error!r}")
            return 0, error
        if failed is not None:
            self._note(part, f"failed from {self._sequence_number(part.records[failed])} on")
        return failed, None

    def _first_failure(self, response: Response, records: Sequence[Record]) -> int | None:
        if self._policy.expect_state and not (isinstance(response, Mapping) and "state" in response):
            raise MalformedResponse("no state, which a mapping with a tumbling window needs")
        if not self._policy.report_item_failures:
            return None
        return first_failure(response, [self._sequence_number(record) for record in records])

    def _note(self, part: _Part[Record], problem: str) -> None:
        self.last_error = f"{problem} (batch of {len(part.records)}, invocation {part.invoke_count})"
        logger.info("%s", self.last_error)

    def _succeeded(self, part: _Part[Record], count: int) -> None:
        """The first ``count`` records of a part are done."""
        self._done(part.records[:count])
        self.delivered += count
        self._failures_in_a_row = 0
        if count < len(part.records):
            self._parts.appendleft(_Part(part.records[count:]))

    def _failed_whole(self, part: _Part[Record], error: BaseException | None) -> None:
        if self._policy.bisect_on_error and len(part.records) > 1:
            middle = len(part.records) // 2
            self._parts.popleft()
            self._parts.extendleft(
                (
                    _Part(part.records[middle:], part.retries),
                    _Part(part.records[:middle], part.retries),
                )
            )
        elif condition := self._end_of_retries(part):
            part.failure = Failure(part.records, condition, part.invoke_count, error)
            return
        else:
            part.retries += 1
        self._back_off()

    def _end_of_retries(self, part: _Part[Record]) -> Condition | None:
        most, oldest = self._policy.maximum_retry_attempts, self._policy.maximum_record_age_s
        if most is not None and part.retries >= most:
            return "RetryAttemptsExhausted"
        if oldest is not None and self._now() - self._arrived_at(part.records[0]) > oldest:
            return "RecordAgeExceeded"
        return None

    def _send(self, part: _Part[Record], failure: Failure[Record]) -> None:
        try:
            self._give_up(failure)
        except Exception as error:
            logger.exception("the failure destination did not take %d records", len(part.records))
            self.last_error = f"failure destination: {error!r}"
            self._back_off()
            return
        logger.error("gave up %d records, from %s on", len(part.records), self._sequence_number(part.records[0]))
        self.given_up += len(part.records)
        self._failures_in_a_row = 0
        self._done(part.records)

    def _done(self, records: Sequence[Record]) -> None:
        self.delivered_up_to = self._sequence_number(records[-1])
        self._parts.popleft()

    def _back_off(self) -> None:
        wait = self._policy.first_backoff_s * BACKOFF_FACTOR ** min(self._failures_in_a_row, MOST_DOUBLINGS)
        self._failures_in_a_row += 1
        self.not_before = self._clock() + min(wait, self._policy.longest_backoff_s)


def first_failure(response: Response, sequence_numbers: Sequence[str]) -> int | None:
    """The position of the lowest failed record by a function's response, or None if all succeeded.

    No response, an empty one and an empty or null list of failures are success.

    Raises
    ------
    MalformedResponse
        To Lambda the whole batch has failed.
    """
    if response is None:
        return None
    if not isinstance(response, Mapping):
        raise MalformedResponse(f"{type(response).__name__} is no object")
    failures = response.get("batchItemFailures")
    if failures is None:
        return None
    if not isinstance(failures, list):
        raise MalformedResponse(f"batchItemFailures is {type(failures).__name__}, not a list")
    position_of = {number: position for position, number in enumerate(sequence_numbers)}
    positions = []
    for one in failures:
        identifier = one.get("itemIdentifier") if isinstance(one, Mapping) else None
        if not isinstance(identifier, str) or identifier not in position_of:
            raise MalformedResponse(f"{one!r} names no record of the batch")
        positions.append(position_of[identifier])
    return min(positions, default=None)
