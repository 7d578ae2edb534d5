"""Faults at the boundary of every AWS call: what a process, a network and a busy table do to a function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from chalicelib import wiring
from chalicelib.tables import Table
from tests.support.system import clear_wiring

Json = dict[str, Any]
Call = Callable[..., Json]


class Killed(BaseException):
    """The process is gone. Nothing catches this but the test's stand-in for Lambda."""


def killed_before(call: Call, name: str, request: Json) -> Json:
    raise Killed(name)


def killed_after(call: Call, name: str, request: Json) -> Json:
    call(**request)
    raise Killed(name)


def throttled(call: Call, name: str, request: Json) -> Json:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, name)


def failing(call: Call, name: str, request: Json) -> Json:
    raise ClientError({"Error": {"Code": "InternalServerError", "Message": "sorry"}}, name)


def timed_out(call: Call, name: str, request: Json) -> Json:
    """No answer, and nothing happened."""
    raise ReadTimeoutError(endpoint_url="http://table")


def timed_out_after(call: Call, name: str, request: Json) -> Json:
    """No answer, but it happened."""
    call(**request)
    raise ReadTimeoutError(endpoint_url="http://table")


def cancelled(name: str, reasons: list[Json]) -> ClientError:
    answer: Any = {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons}
    return ClientError(answer, name)


def conflicting(call: Call, name: str, request: Json) -> Json:
    """Another transaction has one of the items at this moment."""
    reasons: list[Json] = [{"Code": "None"} for _ in request["TransactItems"]]
    reasons[-1] = {"Code": "TransactionConflict"}
    raise cancelled(name, reasons)


def throttled_inside(call: Call, name: str, request: Json) -> Json:
    """One item's partition is too busy for the transaction."""
    reasons: list[Json] = [{"Code": "ThrottlingError"} for _ in request["TransactItems"]]
    raise cancelled(name, reasons)


def half_written(call: Call, name: str, request: Json) -> Json:
    """The table takes every second item and leaves the rest unprocessed."""
    ((table, requests),) = request["RequestItems"].items()
    taken, left = requests[::2], requests[1::2]
    call(RequestItems={table: taken})
    return {"UnprocessedItems": {table: left} if left else {}}


def half_read(call: Call, name: str, request: Json) -> Json:
    ((table, wanted),) = request["RequestItems"].items()
    keys = wanted["Keys"]
    answer = call(RequestItems={table: {**wanted, "Keys": keys[::2]}})
    if keys[1::2]:
        answer["UnprocessedKeys"] = {table: {**wanted, "Keys": keys[1::2]}}
    return answer


Fault = Callable[[Call, str, Json], Json]

ANYWHERE: tuple[Fault, ...] = (killed_before, killed_after, throttled, failing, timed_out, timed_out_after)
SPECIAL: Mapping[str, tuple[Fault, ...]] = {
    "transact_write_items": (conflicting, throttled_inside),
    "batch_write_item": (half_written,),
    "batch_get_item": (half_read,),
}
OPERATIONS = (
    "batch_get_item",
    "batch_write_item",
    "get_item",
    "put_item",
    "put_object",
    "query",
    "scan",
    "transact_write_items",
    "update_item",
    "admin_update_user_attributes",
)


def faults_of(operation: str) -> tuple[Fault, ...]:
    """What may happen to a call of an operation."""
    return ANYWHERE + SPECIAL.get(operation, ())


class Faults:
    """Decides which call meets which fault, and counts them.

    ``choose`` is asked with the number of the call and its operation, and gives a fault or None.
    """

    def __init__(self) -> None:
        self.choose: Callable[[int, str], Fault | None] = lambda _number, _operation: None
        self.calls = 0
        self.tried: Counter[tuple[str, str]] = Counter()

    def call(self, call: Call, operation: str, request: Json) -> Json:
        fault = self.choose(self.calls, operation)
        self.calls += 1
        if fault is None:
            return call(**request)
        self.tried[operation, fault.__name__] += 1
        return fault(call, operation, request)


class FaultyClient:
    """A client whose calls may meet faults."""

    def __init__(self, client: Any, faults: Faults) -> None:
        self._client = client
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name not in OPERATIONS:
            return attribute
        return lambda **request: self._faults.call(attribute, name, request)


@contextmanager
def faulty_wiring(faults: Faults) -> Iterator[None]:
    """The application's parts with clients that meet faults, and no waiting between retries."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            dynamodb, s3 = wiring.dynamodb(), boto3.client("s3")
            patch.setattr(wiring, "dynamodb", lambda: FaultyClient(dynamodb, faults))
            made = boto3.client
            patch.setattr(
                boto3, "client", lambda name, **rest: FaultyClient(s3, faults) if name == "s3" else made(name, **rest)
            )
            for part in ("facts", "views"):
                name = getattr(wiring, part)().name
                table = Table(FaultyClient(dynamodb, faults), name, sleep=lambda _seconds: None)  # type: ignore[arg-type]
                patch.setattr(wiring, part, lambda table=table: table)
            clear_wiring()
            yield
    finally:
        # Also after a test that failed: the next one must not meet its faults.
        clear_wiring()


def deliver_until_done(
    invoke: Callable[[list[Json]], Json], records: list[Json], sequence: Callable[[Json], str]
) -> int:
    """Deliver a batch as Lambda does until it is done; how many deliveries that took.

    After an error the batch comes again as a whole, after an answer that names a failed record from there on.
    """
    left = records
    for attempt in range(1, 60):
        try:
            answer = invoke(left)
        except (Killed, Exception):  # noqa: BLE001 - whatever it was, Lambda delivers again
            clear_wiring()
            continue
        failures = answer["batchItemFailures"]
        if not failures:
            return attempt
        numbers = [sequence(one) for one in left]
        left = left[numbers.index(failures[0]["itemIdentifier"]) :]
    raise AssertionError("not done after 60 deliveries")
