"""Exactly once: the change stream may deliver again, late, to two readers at a time, and what no code can read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib import functions, wiring
from chalicelib.projection.unit import Unit, load_watermark
from chalicelib.tables import Conflict
from tests.projection.scene import Scene
from tests.projection.setting_aside import bring_back, failures
from tests.reference.records import endpoint, event, send, step
from tests.reference.shorthand import APP, T, bought, click
from tests.support.system import Json, System, clear_wiring

HISTORY = [
    click("j1", T),
    bought(T + 1),
    bought(T + 5),
    click("j2", T + 4),
    send(APP, "e1", "j1", T - 9, user_name="jane"),
    event(APP, "purchase", T + 7, user_name="jane", price=3),
    bought(T + 2, None),
]


def projected(scene: Scene) -> list[tuple[str, list[Json]]]:
    """Project what waits, and what comes of it; the deliveries that it took."""
    delivered: list[tuple[str, list[Json]]] = []
    system = scene.system
    system.collect()
    while ready := system.ready():
        batch = system.take(ready[0], 1_000)
        assert system.deliver(ready[0], batch) == {"state": {}, "batchItemFailures": []}
        delivered.append((ready[0], batch))
        system.collect()
    return delivered


def test_the_same_change_records_again_do_nothing(scene: Scene) -> None:
    scene.hear(*HISTORY)
    delivered = projected(scene)
    before = scene.views()
    assert before
    for shard, batch in delivered:
        scene.system.deliver(shard, batch)
        scene.system.deliver(shard, batch[-1:])
    assert scene.views() == before
    scene.system.collect()
    assert scene.system.ready() == []


def test_the_same_raw_records_again_do_nothing(scene: Scene) -> None:
    # Catches: facts whose key or content depends on when they were ingested. No change record means no work.
    scene.tell(*HISTORY)
    before = scene.views()
    scene.hear(*HISTORY)
    scene.hear(*reversed(HISTORY))
    scene.system.collect()
    assert scene.system.ready() == []
    assert scene.views() == before


def test_a_batch_that_holds_old_and_new_records_projects_the_new_ones(scene: Scene) -> None:
    scene.hear(click("j1", T), bought(T + 1))
    ((shard, old),) = projected(scene)
    scene.hear(bought(T + 2))
    scene.system.collect()
    new = scene.system.take(shard, 10)
    scene.system.deliver(shard, [*old, *new])
    assert scene.report().total.by_type() == {"purchase": 2}
    assert scene.journeys() == {T + 1: "j1", T + 2: "j1"}


def unit_on(shard: str) -> Unit:
    """A unit of work from where a shard's watermark stands now."""
    return Unit(wiring.views(), wiring.facts(), shard, load_watermark(wiring.views(), shard))


def test_of_two_readers_of_one_shard_only_one_commits(scene: Scene) -> None:
    # A reader that was given up on may still run. Catches: its late commit, which would count everything twice.
    for _ in range(2):  # a shard that never committed, and one that did
        zombie, successor = unit_on("shard-of-two"), unit_on("shard-of-two")
        tally = scene.keys.tally(0, "20260328", None)
        for unit in (successor, zombie):
            unit.add(tally, "n||purchase", 1)
            unit.passed = unit.watermark.sequence + 5
        before = wiring.views().get(tally)
        successor.commit()
        after = wiring.views().get(tally)
        with pytest.raises(Conflict):
            zombie.commit()
        assert wiring.views().get(tally) == after != before
        assert load_watermark(wiring.views(), "shard-of-two") == successor.watermark


def test_nothing_is_written_before_a_commit(scene: Scene) -> None:
    unit = unit_on("shard-uncommitted")
    key = scene.keys.tally(0, "20260328", None)
    unit.add(key, "n||purchase", 1)
    unit.put({"pk": key.pk, "sk": "x"})
    assert unit.get(key._replace(sk="x")) == {"pk": key.pk, "sk": "x"}
    assert list(wiring.views().query(key.pk)) == []


class Contended:
    """A client on which the first transactions lose their race for an item."""

    def __init__(self, client: Any, losses: int) -> None:
        self._client = client
        self.losses = losses
        self.transactions = 0

    def transact_write_items(self, **request: Any) -> Any:
        self.transactions += 1
        if self.transactions <= self.losses:
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            error: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(error, "TransactWriteItems")
        return self._client.transact_write_items(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def contended(system: System) -> Iterator[Contended]:
    """Puts a client that loses races behind the application's tables."""
    client = Contended(wiring.dynamodb(), 0)
    clear_wiring()
    wiring.facts().client = client  # type: ignore[assignment]
    wiring.views().client = client  # type: ignore[assignment]
    yield client
    clear_wiring()


def test_a_lost_race_is_run_again(scene: Scene, contended: Contended) -> None:
    scene.hear(click("j1", T), bought(T + 1))
    contended.losses = 3
    projected(scene)
    assert contended.transactions > 3
    assert scene.report().total.by_type() == {"purchase": 1}
    assert scene.journeys() == {T + 1: "j1"}


def test_a_race_lost_time_after_time_gives_the_batch_back(scene: Scene, contended: Contended) -> None:
    # Catches: records passed over because the code gave up on them.
    scene.hear(bought(T + 1))
    scene.system.collect()
    (shard,) = scene.system.ready()
    batch = scene.system.take(shard, 10)
    contended.losses = 1_000
    with pytest.raises(Conflict):
        scene.system.deliver(shard, batch)
    contended.losses = 0
    scene.system.deliver(shard, batch)
    assert scene.report().total.by_type() == {"purchase": 1}


def broken(record: Json, how: str) -> Json:
    """The change record of an item that no version of the code writes."""
    made = copy.deepcopy(record)
    image = made["dynamodb"]["NewImage"]
    match how:
        case "no JSON":
            image["fact"] = {"S": '{"fact":"ev'}
        case "unknown fact":
            image["fact"] = {"S": '{"fact":"rumour","time":1}'}
        case "a time of text":
            image["fact"] = {"S": '{"fact":"event","time":"soon","type":"purchase"}'}
        case "no fact":
            del image["fact"]
        case "a number":
            image["fact"] = {"N": "5"}
        case "an odd key":
            image["pk"] = {"S": "nothing"}
    return made


@pytest.mark.parametrize("how", ["no JSON", "unknown fact", "a time of text", "no fact", "a number", "an odd key"])
def test_a_record_that_cannot_be_projected_stops_only_itself(how: str, scene: Scene) -> None:
    # R14, I4. The stored fact is whole, only the change record is broken: it can be brought back.
    scene.hear(*(bought(T + number) for number in range(5)))
    scene.system.collect()
    (shard,) = scene.system.ready()
    records = scene.system.take(shard, 10)
    poison = broken(records[2], how)

    answer = scene.system.deliver(shard, [*records[:2], poison, *records[3:]])
    assert answer["batchItemFailures"] == []
    assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 4}, 1)
    (message,) = failures(scene)
    assert message["shardId"] == shard
    assert message["record"]["SequenceNumber"] == poison["dynamodb"]["SequenceNumber"]

    bring_back(scene)
    assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 5}, 0)
    bring_back(scene)
    assert scene.report().total.by_type() == {"purchase": 5}


def test_removals_and_rewrites_of_facts_change_nothing(scene: Scene) -> None:
    # Catches: a fact that expires after years taken for one that was withdrawn, and last year's report changed.
    scene.hear(*HISTORY, step(APP, "j3", {"e2": endpoint(user_name="joan")}, at=T))
    records = [record for _, batch in projected(scene) for record in batch]
    before = scene.views()
    last = max(int(record["dynamodb"]["SequenceNumber"]) for record in records)
    made = []
    for number, record in enumerate(records, start=1):
        expired, rewritten = copy.deepcopy(record), copy.deepcopy(record)
        expired |= {"eventName": "REMOVE", "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
        expired["dynamodb"]["OldImage"] = expired["dynamodb"].pop("NewImage")
        expired["dynamodb"]["SequenceNumber"] = str(last + 2 * number)
        rewritten["eventName"] = "MODIFY"
        rewritten["dynamodb"]["OldImage"] = record["dynamodb"]["NewImage"]
        rewritten["dynamodb"]["NewImage"] = record["dynamodb"]["NewImage"] | {"ttl": {"N": "5"}}
        rewritten["dynamodb"]["SequenceNumber"] = str(last + 2 * number + 1)
        made += [expired, rewritten]
    assert scene.system.deliver("shard-of-removals", made)["batchItemFailures"] == []
    assert scene.views() == before
    assert load_watermark(wiring.views(), "shard-of-removals").sequence == last + 2 * len(records) + 1


def test_a_batch_without_records_changes_nothing(scene: Scene) -> None:
    # Lambda sends one at the end of a tumbling window.
    assert scene.system.deliver("shard-of-nothing", []) == {"state": {}, "batchItemFailures": []}
    assert load_watermark(wiring.views(), "shard-of-nothing").version == 0


def test_a_batch_that_does_not_say_its_shard_is_refused(scene: Scene) -> None:
    # Catches: one watermark for all shards, by which records of one shard would be passed over for another's.
    with pytest.raises(ValueError, match="tumbling window"):
        functions.project({"Records": []})


def test_a_link_may_move_more_than_one_transaction_holds(scene: Scene) -> None:
    # 120 items and 4.7 MB; a transaction takes 100 and 4 MB. Catches: a shard that stands still for ever.
    attributes = {"a": "x" * 39_000}
    scene.tell(*(event(APP, "purchase", T + number, client_id="e1", attributes=attributes) for number in range(120)))
    scene.tell(click("j1", T - 1))
    assert {credit.user for credit in scene.credited()} == {("p", "e1")}
    scene.tell(send(APP, "e1", "j1", T - 9, user_name="jane"))
    assert [credit.user for credit in scene.credited()] == [("n", "jane")] * 120
    assert scene.report().total.by_type() == scene.report().journeys[0].events.by_type() == {"purchase": 120}
