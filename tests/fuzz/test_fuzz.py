"""Whatever comes in, no exception leaves a handler and nothing goes uncounted.

A few thousand inputs with the other tests, 200,000 in the deep profile (``make fuzz``).
"""

from __future__ import annotations

import json
import os

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.fuzz_records import STREAM, Fuzzer
from tests.fuzz.made_up import batches, steps
from tests.fuzz.mutations import Mutator

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
MUTATED = 190_000 if DEEP else 3_000
"""Records; besides a journey step's payload for every eighth of them."""
MADE_UP = 1_000 if DEEP else 20
"""Batches."""
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LARGEST_BATCH = 60


def test_mutated_records_and_steps_are_each_counted_once() -> None:
    fuzzer, mutator = Fuzzer(), Mutator(SEED)
    with fuzzer.running():
        while fuzzer.stream["RecordsIn"] < MUTATED:
            batch: list[bytes | None] = [mutator.record() for _ in range(LARGEST_BATCH)]
            # Copies, as a producer that tries again makes them, and one whose data is broken on its way.
            fuzzer.records([*batch, *batch[:3], None])
            for _ in range(LARGEST_BATCH // 8):
                fuzzer.step(mutator.step())
    print(f"\nfuzzed, seed {SEED}: {fuzzer}")
    # It would be easy to pass with inputs that are all refused at the first look.
    assert all(fuzzer.stream[name] > MUTATED / 100 for name in STREAM if name != "Returned"), fuzzer.stream
    assert fuzzer.steps["EndpointsTagged"] > MUTATED / 100
    assert not fuzzer.kinds["other"]


def test_made_up_records_and_steps_are_each_counted_once() -> None:
    fuzzer = Fuzzer()

    @settings(max_examples=MADE_UP, database=None, phases=[Phase.generate, Phase.shrink])
    @given(batches, st.lists(steps, max_size=5))
    def take(batch: list[bytes | None], payloads: list[object]) -> None:
        fuzzer.records(batch)
        for payload in payloads:
            fuzzer.step(json.loads(json.dumps(payload)))

    with fuzzer.running():
        take()
    print(f"\nfuzzed, made up: {fuzzer}")
