"""R7: whatever fails on the way, also a deadline in the midst of a batch, Cognito ends with the model's campaigns."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import functions, wiring
from chalicelib.campaigns.cognito import CognitoCampaigns, PacedWriter, bucket_for
from chalicelib.campaigns.sync import CampaignSync
from chalicelib.journeys.registry import NameLookup
from local.lambda_events import sequence_number
from tests.campaigns.fakes import ATTRIBUTE, AtOnce, Pool, Time, error
from tests.properties.counted import FAULTS
from tests.properties.test_equality import Prepared, check_all, prepared, told_and_delivered
from tests.properties.test_faults import FEWER, ingest
from tests.reference import histories, model
from tests.reference.facts import Record
from tests.support.clock import SetClock
from tests.support.faults import Call, Fault, Faults, FaultyClient, deliver_until_done, faults_of
from tests.support.system import Follower, Json, System

pytestmark = pytest.mark.timeout(900)

LONG, SPARED = 300_000, 10_000
"""Milliseconds of a function, and those near its deadline in which nothing is begun."""


def too_many_requests(call: Call, name: str, request: Json) -> Json:
    raise error("TooManyRequestsException", "Too many requests")


COGNITO_FAULTS: tuple[Fault, ...] = (*faults_of("admin_update_user_attributes"), too_many_requests)


class Cognito:
    """``sync_campaigns`` before a pool of its own, whose calls meet faults and whose time runs out."""

    def __init__(self, stream: Follower, chance: random.Random) -> None:
        self.pool = Pool(histories.NAMES, time=Time())
        self._stream = stream
        self._chance = chance
        self._rate = chance.choice((0.1, 0.3))
        self._faults = Faults()
        self._faults.choose = lambda *_: chance.choice(COGNITO_FAULTS) if chance.random() < self._rate else None

    def part(self) -> CampaignSync:
        cognito = CognitoCampaigns(FaultyClient(self.pool, self._faults), "pool", ATTRIBUTE)  # type: ignore[arg-type]
        time = self.pool.time
        writer = PacedWriter(cognito, bucket_for(20, time), AtOnce())
        return CampaignSync(
            wiring.views(), wiring.settings(), writer, NameLookup(None, wiring.registry()), wiring.clock, time
        )

    def deliver(self) -> None:
        """All that changed in the views, in batches, until it is done."""
        records = self._stream.read()
        while records:
            size = self._chance.randint(1, 12)
            batch, records = records[:size], records[size:]
            deliver_until_done(self._invoke, batch, sequence_number)

    def done(self) -> None:
        FAULTS.update(self._faults.tried)

    def _invoke(self, left: Sequence[Json]) -> Json:
        return functions.sync({"Records": left}, self._deadline())

    def _deadline(self) -> Callable[[], int]:
        """Time enough; or, as often as other faults, so little that it runs out after a few questions for it."""
        if self._chance.random() >= self._rate:
            return lambda: LONG
        FAULTS["sync_campaigns", "deadline"] += 1
        questions = iter(range(self._chance.randint(1, 8)))
        return lambda: LONG if next(questions, None) is not None else SPARED


def possible(ready: Prepared, name: str) -> set[str]:
    """What a user's attribute may say: the campaign in the application that knows the user; of several, any of theirs.

    Applications share a pool here, and whichever changed last has its way. A journey that nobody named is not written,
    so what was written before it stays: any that somebody named, but never the text that a client alone sent.
    """
    told = model.run(ready.renamed(ready.history.records), ready.settings)
    texts = set()
    for application, outcome in told.items():
        campaigns = outcome.campaigns(ready.history.now)
        if ("n", name) not in campaigns:
            continue
        journey = campaigns["n", name]
        if journey is None or journey in outcome.named_journeys:
            texts.add(model.label_of(journey, ready.settings[application]) if journey else "")
        else:
            named = {model.label_of(one, ready.settings[application]) for one in outcome.named_journeys}
            texts |= named | {""}
    return texts if len(texts) == 1 else texts | {""}


@settings(max_examples=FEWER)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_cognito_ends_with_the_models_campaigns(
    told: tuple[histories.History, list[list[Record]]],
    seed: int,
    system: System,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    cognito = Cognito(Follower(system.stack.endpoint, system.stack.views_stream_arn), chance)
    monkeypatch.setattr(wiring, "campaign_sync", cognito.part)
    for batch in deliveries:
        ingest(system, clock, ready.renamed(batch))
        clock.time = history.now
        system.collect()
        while chance.random() < 0.8 and (shards := system.ready()):
            system.project_some(chance.choice(shards), chance.randint(1, 5))
            system.collect()
        if chance.random() < 0.5:
            cognito.deliver()
    system.project_all(chance.choice, count=4)
    cognito.deliver()
    cognito.done()
    check_all(ready)
    for name in histories.NAMES:
        assert (cognito.pool.campaigns[name] or "") in possible(ready, name), name
