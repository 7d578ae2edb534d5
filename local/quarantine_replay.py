"""Replaying the quarantine: records go back to where they came from, and then to `replayed/`.

A record of the stream goes into the stream again, the payload of a journey step to the function again. Facts are
idempotent, so replaying twice changes nothing, and what is still wrong is set aside anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chalicelib.quarantine import NOT_RECEIVED, STEP_SOURCE, kinds_of
from local.kinesis_writer import MAX_DATA_BYTES, Entry, StreamWriter, batches
from local.quarantine_store import Batch, Line, Store, explained
from local.replay import partition_key

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient

WRITTEN_MEANWHILE = "was set aside again meanwhile, so it stays"
STILL_WRONG = "the function set it aside again: it is still wrong"


@dataclass(slots=True)
class Outcome:
    """How many records went into the stream and to the function, and which stay, with the reason."""

    streamed: int = 0
    invoked: int = 0
    left: list[tuple[Line, str]] = field(default_factory=list)

    @property
    def replayed(self) -> int:
        return self.streamed + self.invoked


class StepFunction:
    """The function that takes journey steps, invoked as Pinpoint does."""

    def __init__(self, client: LambdaClient, name: str) -> None:
        self._client = client
        self._name = name

    def invoke(self, payload: bytes) -> str | None:
        """Why the function failed, or None where it answered. Raises QuarantineError where it cannot be invoked."""
        with explained(f"function {self._name}"):
            try:
                answer = self._client.invoke(FunctionName=self._name, Payload=payload)
            except (
                self._client.exceptions.InvalidRequestContentException,
                self._client.exceptions.RequestTooLargeException,
            ) as error:
                return f"Lambda does not take it: {error}"
        if not answer.get("FunctionError"):
            return None
        return f"the function failed: {_message(answer['Payload'].read())}"


def _message(answer: bytes) -> str:
    try:
        told = json.loads(answer)
    except ValueError:
        return "without a message"
    return str(told.get("errorMessage", told)) if isinstance(told, dict) else str(told)


class Replayer:
    """Replays records object by object. Without a `function` the payloads of journey steps stay where they are."""

    def __init__(self, store: Store, writer: StreamWriter, function: StepFunction | None = None) -> None:
        self._store = store
        self._writer = writer
        self._function = function
        self.outcome = Outcome()

    def replay(self, batch: Batch, chosen: Sequence[Line]) -> None:
        """Replay the `chosen` records of an object, and move those that are acknowledged.

        Raises StreamError, QuarantineError; what was not acknowledged by then is where it was.
        """
        going = self._possible(chosen)
        steps = [line for line in going if line.record.source == STEP_SOURCE]
        streamed = [line for line in going if line.record.source != STEP_SOURCE]
        self._stream(streamed)
        accepted = [line for line in steps if self._invoke(line)]
        done = [*streamed, *accepted]
        if not done:
            return
        if self._store.move(batch, done):
            self.outcome.streamed += len(streamed)
            self.outcome.invoked += len(accepted)
            return
        for line in done:
            # The function gives a payload's object the same name each time.
            self.outcome.left.append((line, STILL_WRONG if line.record.source == STEP_SOURCE else WRITTEN_MEANWHILE))

    def foresee(self, chosen: Sequence[Line]) -> None:
        """Only count the `chosen` records of an object, as if they were replayed."""
        going = self._possible(chosen)
        steps = sum(line.record.source == STEP_SOURCE for line in going)
        self.outcome.invoked += steps
        self.outcome.streamed += len(going) - steps

    def _possible(self, chosen: Sequence[Line]) -> list[Line]:
        obstacles = [(line, obstacle(line, has_function=self._function is not None)) for line in chosen]
        self.outcome.left += [(line, why) for line, why in obstacles if why]
        return [line for line, why in obstacles if not why]

    def _stream(self, lines: Iterable[Line]) -> None:
        received = (line.record.received for line in lines)
        for some in batches(Entry(data, partition_key(data)) for data in received):
            self._writer.put(some)

    def _invoke(self, line: Line) -> bool:
        why = self._function.invoke(line.record.received) if self._function else None
        if why:
            self.outcome.left.append((line, why))
        return why is None


def obstacle(line: Line, *, has_function: bool) -> str | None:
    """Why a record cannot be replayed, or None where it can."""
    record = line.record
    if record.source == STEP_SOURCE:
        return None if has_function else "a journey step's payload: name the function that takes it (--function)"
    if any(kind in NOT_RECEIVED for kind in kinds_of(record.reason)):
        return "came as broken base64: there are no bytes to put into the stream"
    if len(record.received) > MAX_DATA_BYTES:
        return f"has {len(record.received):,} bytes; a record of the stream may have {MAX_DATA_BYTES:,}"
    return None
