"""Crashes, throttling, time-outs, half-done batches, lost races: after the retries, the model's outcome."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import functions
from local.lambda_events import sequence_number, windowed
from tests.properties.counted import FAULTS
from tests.properties.test_equality import Prepared, check_all, check_quarantine, prepared, told_and_delivered
from tests.reference import histories
from tests.reference.facts import DAY, Record, Step
from tests.reference.happenings import Told
from tests.reference.histories import BASE
from tests.reference.records import email_click, email_open, encode, endpoint, event, send, step
from tests.reference.settings import Settings as ModelSettings
from tests.support.budgets import small_budgets
from tests.support.clock import SetClock
from tests.support.faults import Fault, Faults, Killed, deliver_until_done, faults_of, faulty_wiring
from tests.support.system import Json, System, clear_wiring, kinesis_event, moment

pytestmark = pytest.mark.timeout(900)

FEWER = max(1, settings.default.max_examples // 3) if settings.default else 20
"""Each of these histories takes many deliveries."""


def ingest(system: System, clock: SetClock, batch: list[Record]) -> None:
    event = kinesis_event([encode(record) for record in batch if not isinstance(record, Step)])
    deliver_until_done(lambda left: functions.ingest({"Records": left}), event["Records"], sequence_number)
    for record in batch:
        if isinstance(record, Step):
            clock.time = record.invoked_at_ms
            invoke_until_done(record)


def invoke_until_done(called: Step) -> None:
    """Whoever calls the step calls it again when it fails."""
    for _ in range(60):
        try:
            functions.tag(called.payload, "test")
        except (Killed, Exception):  # noqa: BLE001 - as Pinpoint, which sees a failed invocation
            clear_wiring()
        else:
            return
    raise AssertionError("not done after 60 calls")


def project(system: System, shard: str, batch: list[Json]) -> None:
    def invoke(left: list[Json]) -> Json:
        return functions.project(windowed(left, shard, system.stack.facts_stream_arn, moment(), 60))

    deliver_until_done(invoke, batch, sequence_number)


def project_all(system: System, chance: random.Random, expiring: float = 0.0) -> None:
    """Project what waits; ``expiring`` is how often the stream's reader loses its iterator."""
    while True:
        if chance.random() < expiring:
            system.facts_stream.expire()
            FAULTS["get_records", "expired_iterator"] += 1
        system.collect()
        ready = system.ready()
        if not ready:
            return
        shard = chance.choice(ready)
        project(system, shard, system.take(shard, chance.randint(1, 6)))


def run(
    system: System,
    clock: SetClock,
    ready: Prepared,
    deliveries: list[list[Record]],
    chance: random.Random,
    expiring: float = 0.0,
) -> None:
    for batch in deliveries:
        ingest(system, clock, ready.renamed(batch))
    project_all(system, chance, expiring)


@settings(max_examples=FEWER)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_outcome_is_the_models_whatever_fails(
    told: tuple[histories.History, list[list[Record]]], seed: int, system: System, clock: SetClock
) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    faults = Faults()
    rate = chance.choice((0.01, 0.03, 0.1))
    faults.choose = lambda _, operation: chance.choice(faults_of(operation)) if chance.random() < rate else None
    with faulty_wiring(faults), small_budgets(small=chance.random() < 0.5):
        run(system, clock, ready, deliveries, chance, expiring=rate)
    FAULTS.update(faults.tried)
    check_all(ready)
    check_quarantine(ready, deliveries)


def one_history() -> histories.History:
    """A history in which every kind of call is made, and a lost or repeated write would show."""
    app, hour, jane = "app-1", 3_600_000, "jane@example.com"
    records: list[Record] = [
        event(app, "purchase", BASE + 5 * hour, price=10, client_id="e1"),
        email_click(app, "e1", "j1", BASE + 4 * hour),
        event(app, "purchase", BASE + 6 * hour, price=20, user_id="u1"),
        event(app, "sign_up", BASE + 7 * hour, user_name=jane),
        event(app, "refund", BASE + 8 * hour, price=5, user_name=jane),
        event(app, "purchase", BASE + hour, price=7, user_name="a_b", attributes={"campaign": "j2"}),
        send(app, "e1", "j1", BASE + 2 * hour, user_name=jane, user_id="u1"),
        email_open(app, "e1", "j2", BASE + 5 * hour + 1),
        step(
            app,
            "j2",
            {"e2": endpoint(user_name="a_b", user_id="u 2"), "e1": endpoint(user_name=jane, user_id="u1")},
            at=BASE + 9 * hour,
        ),
        send(app, "e1", "j2", BASE + 5 * hour, user_name="a_b"),
        event(app, "purchase", BASE + 10 * hour, price=40, client_id="e1"),
        event(app, "purchase", BASE + 30 * DAY, price=80, user_id="u 2"),
    ]
    told = [Told(app, 0, "", "", "", record) for record in records]
    return histories.History({app: ModelSettings()}, told, BASE + 10 * hour)


def only(fault: Fault, number: int, operation: str) -> Callable[[int, str], Fault | None]:
    """One call meets a fault, all others go well: the first of the operation from that number on.

    The calls of a history are not quite the same each time, as the names in it are others.
    """
    met = False

    def choose(at: int, called: str) -> Fault | None:
        nonlocal met
        if met or at < number or called != operation:
            return None
        met = True
        return fault

    return choose


CALLS_TRIED = {"quick": 40, "round": 100, "deep": 10_000}


def test_every_fault_at_every_call_of_one_history(system: System, clock: SetClock) -> None:
    """In the deep run all of them; else each fault of each operation somewhere, and others all over the run."""
    history = one_history()
    deliveries = [history.records[:7], history.records[7:]]
    operations: list[str] = []
    watching = Faults()
    watching.choose = lambda _, operation: operations.append(operation)
    ready = prepared(history)
    with faulty_wiring(watching):
        run(system, clock, ready, deliveries, random.Random(0))
    places = [(number, fault) for number, operation in enumerate(operations) for fault in faults_of(operation)]
    most = CALLS_TRIED.get(os.environ.get("HYPOTHESIS_PROFILE", "quick"), 40)
    chance = random.Random(int(os.environ.get("DEEP_ROUND", "1")))
    chance.shuffle(places)
    first = {(operations[number], fault): (number, fault) for number, fault in places}
    chosen = dict.fromkeys([*first.values(), *places])
    tried: Counter[tuple[str, str]] = Counter()
    runs = list(chosen)[: max(most, len(first))]
    for number, fault in runs:
        ready = prepared(history)
        faults = Faults()
        faults.choose = only(fault, number, operations[number])
        with faulty_wiring(faults):
            run(system, clock, ready, deliveries, random.Random(0))
        tried.update(faults.tried)
        check_all(ready)
    FAULTS.update(tried)
    assert set(tried) == {(operation, fault.__name__) for operation, fault in first}
    # One that should meet the last call of its kind may find that there is one call less.
    assert tried.total() >= 0.95 * len(runs)


@settings(max_examples=FEWER)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_two_readers_of_a_shard_at_once(
    told: tuple[histories.History, list[list[Record]]], seed: int, system: System, clock: SetClock
) -> None:
    """A batch goes to a second reader while the first stands before one of its commits: one of them wins, once."""
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    for batch in deliveries:
        ingest(system, clock, ready.renamed(batch))
    faults = Faults()
    busy = False

    def interrupt(call: Any, operation: str, request: Json) -> Json:
        nonlocal busy
        busy = True
        project(system, at["shard"], at["batch"])
        busy = False
        FAULTS[operation, "second reader"] += 1
        answer: Json = call(**request)
        return answer

    at: dict[str, Any] = {}
    faults.choose = lambda _, operation: (
        interrupt if operation == "transact_write_items" and not busy and chance.random() < 0.5 else None
    )
    with faulty_wiring(faults):
        while True:
            system.collect()
            shards = system.ready()
            if not shards:
                break
            at["shard"] = chance.choice(shards)
            at["batch"] = system.take(at["shard"], chance.randint(1, 6))
            project(system, at["shard"], at["batch"])
    check_all(ready)
