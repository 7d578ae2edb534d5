"""What a report of 28 days takes of an application with 50 journeys, 20 event types and two years
of history, simulated: with so many users (``BENCH_USERS``, 100,000), and with half of them.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from botocore.parsers import create_parser

from chalicelib import wiring
from chalicelib.reports.report import DateBasis
from chalicelib.tables import Wire
from tests.reports.test_scale import LARGEST_ITEM, most_numbers_of_a_day, numbers_in
from tests.support.memory import stored_bytes
from tests.support.scale import AFTER, APPLICATION, CELLS, FIRST, REPORT_DAYS, VALUED_CELLS, Simulation

USERS = int(os.environ.get("BENCH_USERS", "100000"))
JOURNEYS = 50
ASKED = 7
PAGE = 1_000_000
"""Bytes that one query returns."""


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client needs one, though it is never called."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.mark.bench
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("buckets", [1, 8])
def test_a_report_of_28_days_does_not_grow_with_users(buckets: int) -> None:
    simulation = Simulation(JOURNEYS, buckets)
    print(f"\n{JOURNEYS} journeys, tallies in {buckets} of 8 buckets, {platform.machine()} with {os.cpu_count()} cores")
    for users in (USERS // 2, USERS):
        begun = time.process_time()
        simulation.grow(users)
        items = simulation.read()
        largest = max(map(stored_bytes, simulation.views.items()))
        print(
            f"{users:,} users, {simulation.events:,} credited events: {len(items):,} items, "
            f"{numbers_in(items):,} numbers, {sum(map(stored_bytes, items)) / 1e6:.1f} MB; "
            f"largest item {largest:,} bytes (simulated in {time.process_time() - begun:.0f} s)"
        )
        assert largest < LARGEST_ITEM
        assert numbers_in(items) <= buckets * REPORT_DAYS * (JOURNEYS * most_numbers_of_a_day() + CELLS + VALUED_CELLS)
        ask = partial(simulation.reports.report, APPLICATION, 0, FIRST, AFTER)
        told = [f"by the day of the {basis} {median(partial(ask, basis)):.0f} ms" for basis in BASES]
        answers = pages(items)
        told += [f"decoding {median(partial(decode, answers)):.0f} ms"]
        told += [f"by botocore {median(partial(decode_by_botocore, answers), 3):.0f} ms"]
        print(f"    report: {', '.join(told)}")


BASES: tuple[DateBasis, ...] = ("event", "touch")


def pages(items: Sequence[Wire]) -> list[bytes]:
    """The answers that bring the items."""
    each = max(1, len(items) * PAGE // sum(map(stored_bytes, items)))
    return [json.dumps({"Items": items[at : at + each]}).encode() for at in range(0, len(items), each)]


def decode(answers: Sequence[bytes]) -> None:
    """As the product's client does it, one answer after the other."""
    events = wiring.dynamodb().meta.events
    for body in answers:
        told: Wire = {}
        response = {"status_code": 200, "body": body}
        events.emit("before-parse.dynamodb.Query", response_dict=response, customized_response_dict=told)
        assert told["Items"]


def decode_by_botocore(answers: Sequence[bytes]) -> None:
    """What `chalicelib.plain_answers` saves."""
    shape = wiring.dynamodb().meta.service_model.operation_model("Query").output_shape
    assert shape
    parser = create_parser("json")
    for body in answers:
        assert parser.parse({"status_code": 200, "headers": {}, "body": body}, shape)["Items"]


def median(work: Callable[[], object], times: int = ASKED) -> float:
    """Milliseconds of the processor; the garbage collection leaves the table out."""
    gc.collect()
    gc.freeze()
    took = []
    for _ in range(times):
        begun = time.process_time()
        work()
        took.append((time.process_time() - begun) * 1_000)
    gc.unfreeze()
    return statistics.median(took)
