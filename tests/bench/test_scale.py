"""What a report of 28 days takes of an application with 50 journeys, 20 event types and two years of history, simulated:
with so many users (``BENCH_USERS``, 200,000), and with half of them.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import botocore.session
import pytest
from botocore.parsers import create_parser

from chalicelib.reports.report import DateBasis
from chalicelib.tables import Wire
from tests.reports.test_scale import LARGEST_ITEM, most_numbers_of_a_day, numbers_in
from tests.support.memory import stored_bytes
from tests.support.scale import AFTER, APPLICATION, CELLS, FIRST, REPORT_DAYS, VALUED_CELLS, Simulation

USERS = int(os.environ.get("BENCH_USERS", "200000"))
JOURNEYS = 50
ASKED = 9
PAGE = 1_000_000
"""Bytes that one query returns."""


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
            f"{users:,} users, {simulation.events:,} credited events: {len(items):,} items, {numbers_in(items):,} numbers, "
            f"{sum(map(stored_bytes, items)) / 1e6:.1f} MB; largest item {largest:,} bytes "
            f"(simulated in {time.process_time() - begun:.0f} s)"
        )
        assert largest < LARGEST_ITEM
        assert numbers_in(items) <= buckets * REPORT_DAYS * (JOURNEYS * most_numbers_of_a_day() + CELLS + VALUED_CELLS)
        told = [f"by the day of the {basis} {median(reporting(simulation, basis)):.0f} ms" for basis in BASES]
        print(f"    report: {', '.join(told)}; botocore's decoding: {median(decoding(items), 3):.0f} ms")


BASES: tuple[DateBasis, ...] = ("event", "touch")


def reporting(simulation: Simulation, basis: DateBasis) -> Callable[[], object]:
    return lambda: simulation.reports.report(APPLICATION, 0, FIRST, AFTER, basis)


def decoding(items: Sequence[Wire]) -> Callable[[], object]:
    """What botocore does with the answers that bring the items, of a megabyte each."""
    per_page = max(1, len(items) * PAGE // sum(map(stored_bytes, items)))
    pages = [json.dumps({"Items": items[at : at + per_page]}).encode() for at in range(0, len(items), per_page)]
    shape = botocore.session.get_session().get_service_model("dynamodb").operation_model("Query").output_shape
    parser = create_parser("json")

    def decode() -> None:
        for page in pages:
            parser.parse({"status_code": 200, "headers": {}, "body": page}, shape)

    return decode


def median(work: Callable[[], object], times: int = ASKED) -> float:
    """Milliseconds of the processor, which others may share; the table stays out of the garbage collection."""
    gc.collect()
    gc.freeze()
    took = []
    for _ in range(times):
        begun = time.process_time()
        work()
        took.append((time.process_time() - begun) * 1_000)
    gc.unfreeze()
    return statistics.median(took)
