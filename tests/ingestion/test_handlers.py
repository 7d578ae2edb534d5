"""The functions as Chalice registers them: what Lambda passes in, and what goes back to the event source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chalice.local import LambdaContext
from chalice.test import Client

from app import app
from local.lambda_events import windowed
from tests.ingestion.fakes import stored
from tests.projection.scene import Scene
from tests.reference.facts import Step
from tests.reference.records import encode, endpoint, event, send, step
from tests.reference.shorthand import APP, HOUR, T, click
from tests.support.clock import SetClock
from tests.support.renaming import renamed
from tests.support.system import kinesis_event, moment


@pytest.fixture
def client(stack: object) -> Iterator[Client]:
    with Client(app) as client:
        yield client


def test_ingest_events_takes_records_of_the_stream_and_answers_which_failed(client: Client, scene: Scene) -> None:
    told = renamed(event(APP, "purchase", T, client_id="e1"), scene.suffix)
    batch = kinesis_event([encode(told), b"hello"])  # type: ignore[arg-type]
    assert client.lambda_.invoke("ingest_events", batch).payload == {"batchItemFailures": []}
    assert [placed.fact.time for placed in stored(scene.application)] == [T]


def test_tag_users_takes_a_journey_step_and_answers_each_endpoint(client: Client, scene: Scene) -> None:
    told = renamed(step(APP, "j1", {"e1": endpoint(user_name="jane")}, at=T), scene.suffix)
    assert isinstance(told, Step)
    answer = client.lambda_.invoke("tag_users", dict(told.payload)).payload
    assert answer == {"e1": {"EventAttributes": {"journey_id": "j1", "tagged": "true"}}}


def test_project_facts_takes_a_shard_s_changes_with_its_window_and_answers_which_failed(
    client: Client, scene: Scene
) -> None:
    scene.hear(click("j1", T), event(APP, "purchase", T + 1, client_id="e1"))
    scene.system.collect()
    (shard,) = scene.system.ready()
    records = scene.system.take(shard, 10)
    batch = windowed(records, shard, scene.system.stack.facts_stream_arn, moment(), 60)
    answer = client.lambda_.invoke("project_facts", batch).payload
    assert answer == {"state": {}, "batchItemFailures": []}
    assert scene.journeys() == {T + 1: "j1"}


def test_sync_campaigns_takes_changes_of_the_views(
    client: Client, scene: Scene, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client pretends a function of three seconds, near whose end sync would leave its work to the next delivery.
    monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", lambda _context: 60_000)
    clock.time = T + HOUR
    scene.system.sync()
    scene.tell(send(APP, "e1", "j1", T - 1, user_name="nobody in the pool"), click("j1", T))
    records: list[Any] = scene.system.views_stream.read()
    assert client.lambda_.invoke("sync_campaigns", {"Records": records}).payload == {"batchItemFailures": []}


def test_sync_campaigns_leaves_its_work_to_the_next_delivery_near_its_deadline(
    client: Client, scene: Scene, clock: SetClock
) -> None:
    clock.time = T + HOUR
    scene.system.sync()
    scene.tell(send(APP, "e1", "j1", T - 1, user_name="nobody in the pool"), click("j1", T))
    records: list[Any] = scene.system.views_stream.read()
    answer: Any = client.lambda_.invoke("sync_campaigns", {"Records": records}).payload
    (failed,) = answer["batchItemFailures"]
    assert failed["itemIdentifier"] in {one["dynamodb"]["SequenceNumber"] for one in records}


def test_expire_campaigns_runs_by_the_clock_and_says_how_many_it_closed(
    client: Client, scene: Scene, clock: SetClock
) -> None:
    scheduled = client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])
    client.lambda_.invoke("expire_campaigns", scheduled)
    assert client.lambda_.invoke("expire_campaigns", scheduled).payload == {"closed": 0}
