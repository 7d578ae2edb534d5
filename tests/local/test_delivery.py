"""Delivery of one shard's records: what Lambda's event source mappings promise, case by case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from local.delivery import Failure, MalformedResponse, Policy, ShardDelivery, first_failure

BATCH = [str(number) for number in range(8)]
"""Records of these tests are their own sequence numbers."""


def failures(*identifiers: object) -> dict[str, object]:
    return {"batchItemFailures": [{"itemIdentifier": one} for one in identifiers]}


@dataclass
class Shard:
    """A delivery with a handler of the test, on a clock that moves only as far as the delivery wants to wait."""

    handler: Callable[[Sequence[str]], object]
    policy: Policy = field(default_factory=Policy)
    arrived_at: float = 0.0
    invocations: list[list[str]] = field(default_factory=list)
    given_up: list[Failure[str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    destination_fails: int = 0
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.delivery = ShardDelivery(
            self._invoke,
            lambda record: record,
            lambda _: self.arrived_at,
            self.policy,
            self._give_up,
            clock=lambda: self.now,
            now=lambda: self.now,
        )

    def _invoke(self, records: Sequence[str]) -> object:
        self.invocations.append(list(records))
        return self.handler(records)

    def _give_up(self, failure: Failure[str]) -> None:
        if self.destination_fails:
            self.destination_fails -= 1
            raise ConnectionError("the queue is gone")
        self.given_up.append(failure)

    def deliver(self, records: Sequence[str] = BATCH, steps: int = 1000) -> None:
        self.delivery.accept(records)
        for _ in range(steps):
            if not self.delivery.pending:
                return
            if self.delivery.not_before > self.now:
                self.waits.append(round(self.delivery.not_before - self.now, 3))
                self.now = self.delivery.not_before
            assert self.delivery.step()
        raise AssertionError(f"not delivered after {steps} steps: {self.invocations[-3:]}")


class Poison:
    """A handler that fails for some records; it keeps what it processed.

    ``report`` names the failed record in its response and processes those before it; otherwise it raises, after having
    processed them.
    """

    def __init__(self, bad: Sequence[str], *, report: bool, times: int | None = None) -> None:
        self.processed: list[str] = []
        self._bad = set(bad)
        self._report = report
        self._times = times

    def __call__(self, records: Sequence[str]) -> object:
        for record in records:
            if record in self._bad and self._times != 0:
                if self._times is not None:
                    self._times -= 1
                if self._report:
                    return failures(record)
                raise RuntimeError(f"poison {record}")
            self.processed.append(record)
        return failures()


@pytest.mark.parametrize("response", [None, {}, failures(), {"batchItemFailures": None}, {"state": {}}])
def test_a_response_without_failures_is_success(response: object) -> None:
    shard = Shard(lambda _: response)

    shard.deliver()

    assert shard.invocations == [BATCH]
    assert shard.delivery.delivered_up_to == "7"
    assert shard.delivery.delivered == 8


@pytest.mark.parametrize(
    "response",
    [
        "ok",
        ["0"],
        7,
        {"batchItemFailures": "3"},
        {"batchItemFailures": {"itemIdentifier": "3"}},
        {"batchItemFailures": ["3"]},
        {"batchItemFailures": [{"id": "3"}]},
        failures(""),
        failures(None),
        failures(3),
        failures("99"),
        failures("3", "99"),
    ],
)
def test_a_malformed_response_fails_the_whole_batch(response: object) -> None:
    answers = iter([response, None])
    shard = Shard(lambda _: next(answers), Policy(bisect_on_error=False))

    shard.deliver()

    assert shard.invocations == [BATCH, BATCH]
    assert "malformed" in (shard.delivery.last_error or "")


def test_a_malformed_response_says_what_is_wrong_with_it() -> None:
    with pytest.raises(MalformedResponse, match="names no record of the batch"):
        first_failure(failures("99"), BATCH)


def test_the_lowest_reported_failure_is_where_the_next_try_starts() -> None:
    answers = iter([failures("6", "3", "5"), failures()])
    shard = Shard(lambda _: next(answers))

    shard.deliver()

    assert shard.invocations == [BATCH, ["3", "4", "5", "6", "7"]]


def test_what_is_before_a_reported_failure_is_done_with() -> None:
    shard = Shard(Poison(["3"], report=True))

    shard.delivery.accept(BATCH)
    shard.delivery.step()

    assert shard.delivery.delivered_up_to == "2"
    assert shard.delivery.pending == 5


def test_reports_are_not_looked_at_where_the_mapping_does_not_ask_for_them() -> None:
    shard = Shard(lambda _: failures("3"), Policy(report_item_failures=False))

    shard.deliver()

    assert shard.invocations == [BATCH]


def test_with_a_tumbling_window_a_response_needs_a_state() -> None:
    answers = iter([failures(), {"state": {}, **failures()}])
    shard = Shard(lambda _: next(answers), Policy(expect_state=True, bisect_on_error=False))

    shard.deliver()

    assert shard.invocations == [BATCH, BATCH]


def test_an_error_bisects_until_the_poison_is_alone() -> None:
    handler = Poison(["5"], report=False)
    shard = Shard(handler, Policy(maximum_retry_attempts=2))

    shard.deliver()

    assert shard.invocations == [
        BATCH,
        ["0", "1", "2", "3"],
        ["4", "5", "6", "7"],
        ["4", "5"],
        ["4"],
        ["5"],
        ["5"],
        ["5"],
        ["6", "7"],
    ]
    assert [failure.records for failure in shard.given_up] == [["5"]]


def test_bisecting_does_not_use_up_retries() -> None:
    shard = Shard(Poison(["5"], report=False), Policy(maximum_retry_attempts=0))

    shard.deliver()

    assert [list(failure.records) for failure in shard.given_up] == [["5"]]
    assert shard.delivery.delivered == 7


@pytest.mark.parametrize("report", [True, False])
@pytest.mark.parametrize("bad", [["0"], ["7"], ["3"], ["0", "7"], ["2", "3", "6"], BATCH])
def test_only_the_poison_is_given_up_and_the_rest_stays_in_order(bad: list[str], report: bool) -> None:
    handler = Poison(bad, report=report)
    shard = Shard(handler, Policy(maximum_retry_attempts=2))

    shard.deliver()

    given_up = [record for failure in shard.given_up for record in failure.records]
    assert given_up == bad
    good = [record for record in BATCH if record not in bad]
    # Retries deliver again what was already processed; the first time is in order, and nothing is missing.
    assert list(dict.fromkeys(handler.processed)) == good
    assert shard.delivery.delivered_up_to == "7"
    assert (shard.delivery.delivered, shard.delivery.given_up) == (len(good), len(bad))


def test_without_bisection_the_rest_of_the_batch_is_given_up_with_the_poison() -> None:
    shard = Shard(Poison(["3"], report=True), Policy(maximum_retry_attempts=2, bisect_on_error=False))

    shard.deliver()

    assert [list(failure.records) for failure in shard.given_up] == [["3", "4", "5", "6", "7"]]


@pytest.mark.parametrize(("attempts", "invocations"), [(0, 1), (1, 2), (5, 6)])
def test_retries_are_counted(attempts: int, invocations: int) -> None:
    shard = Shard(Poison(["0"], report=False), Policy(maximum_retry_attempts=attempts))

    shard.deliver(["0"])

    assert len(shard.invocations) == invocations
    failure = shard.given_up[0]
    assert (failure.condition, failure.invoke_count) == ("RetryAttemptsExhausted", invocations)
    assert isinstance(failure.error, RuntimeError)


def test_a_failure_that_was_only_reported_has_no_error() -> None:
    shard = Shard(Poison(["0"], report=True), Policy(maximum_retry_attempts=0))

    shard.deliver(["0"])

    assert shard.given_up[0].error is None


def test_progress_starts_the_count_of_retries_again() -> None:
    """Each record fails once before it succeeds: never twice in a row at the same place."""
    failed: set[str] = set()

    def handler(records: Sequence[str]) -> object:
        for record in records:
            if record not in failed:
                failed.add(record)
                return failures(record)
        return failures()

    shard = Shard(handler, Policy(maximum_retry_attempts=1, bisect_on_error=False))

    shard.deliver()

    assert not shard.given_up
    assert shard.delivery.delivered == 8


def test_without_a_limit_it_retries_until_it_succeeds() -> None:
    shard = Shard(Poison(["0"], report=False, times=2000), Policy())

    shard.deliver(["0"], steps=3000)

    assert len(shard.invocations) == 2001
    assert not shard.given_up


def test_a_failing_record_is_given_up_when_it_is_too_old() -> None:
    shard = Shard(Poison(["0"], report=False), Policy(maximum_record_age_s=60, longest_backoff_s=10))
    shard.arrived_at = shard.now

    shard.deliver(["0"])

    assert shard.given_up[0].condition == "RecordAgeExceeded"
    assert 60 < sum(shard.waits) < 80


def test_waits_grow_and_end_at_the_longest() -> None:
    shard = Shard(Poison(["0"], report=False, times=6), Policy(first_backoff_s=0.5, longest_backoff_s=4))

    shard.deliver(["0"])

    assert shard.waits == [0.5, 1, 2, 4, 4, 4]


def test_nothing_happens_before_it_is_time() -> None:
    shard = Shard(Poison(["0"], report=False))
    shard.delivery.accept(["0"])

    assert shard.delivery.step()
    assert not shard.delivery.step()
    assert len(shard.invocations) == 1


def test_a_destination_that_fails_is_asked_again_without_another_invocation() -> None:
    shard = Shard(Poison(["0"], report=False), Policy(maximum_retry_attempts=0), destination_fails=3)

    shard.deliver(["0", "1"])

    assert [list(failure.records) for failure in shard.given_up] == [["0"]]
    assert shard.invocations == [["0", "1"], ["0"], ["1"]]


def test_the_next_batch_waits_for_the_one_before() -> None:
    shard = Shard(Poison(["0"], report=False))
    shard.delivery.accept(["0"])

    with pytest.raises(ValueError, match="still pending"):
        shard.delivery.accept(["1"])


def test_an_empty_batch_is_no_invocation() -> None:
    shard = Shard(lambda _: None)

    shard.deliver([])

    assert not shard.delivery.step()
    assert shard.invocations == []
