"""Work that is interrupted half-way, and records that the code cannot take: what is left is done later, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.facts.model import Event, Identity
from chalicelib.keys import Key
from chalicelib.projection.project import PoisonRecord
from chalicelib.projection.users import Users
from chalicelib.tables import Table
from tests.projection.scene import Scene
from tests.reference.records import send
from tests.reference.shorthand import APP, T, bought, click
from tests.support.faults import Faults, FaultyClient, Killed, faulty_wiring, half_read, killed_before


def test_a_link_that_was_interrupted_half_way_is_taken_up_again(scene: Scene) -> None:
    # 60 events take two transactions. Catches: the link's record passed by the first of them.
    scene.tell(click("j1", T), *(bought(T + number) for number in range(60)))
    scene.hear(send(APP, "e1", "j1", T - 9, user_name="jane"))
    scene.system.collect()
    (shard,) = scene.system.ready()
    batch = scene.system.take(shard, 10)
    faults, commits = Faults(), iter(range(1_000))
    faults.choose = lambda _, operation: (
        killed_before if operation == "transact_write_items" and next(commits) == 1 else None
    )
    with faulty_wiring(faults), pytest.raises(Killed):
        scene.system.deliver(shard, batch)
    assert faults.tried
    assert scene.system.deliver(shard, batch)["batchItemFailures"] == []
    scene.system.project_all()
    assert [one.user for one in scene.credited()] == [("n", "jane")] * 60


def test_a_record_that_makes_the_code_fail_is_not_passed_over(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    # R14. It can be read; what it asks for fails. Once the bug is mended it is projected as if nothing had been.
    scene.hear(*(bought(T + number) for number in range(3)))
    scene.system.collect()
    (shard,) = scene.system.ready()
    records = scene.system.take(shard, 10)
    added = Users.event_added

    def with_a_bug(self: Users, user: Identity, event: Event, digest: str) -> Iterator[None]:
        if event.time == T + 1:
            raise ZeroDivisionError
        return added(self, user, event, digest)

    with monkeypatch.context() as patch:
        patch.setattr(Users, "event_added", with_a_bug)
        sequence = records[1]["dynamodb"]["SequenceNumber"]
        assert scene.system.deliver(shard, records)["batchItemFailures"] == [{"itemIdentifier": sequence}]
        with pytest.raises(PoisonRecord, match=str(int(sequence))):
            scene.system.deliver(shard, records[1:])
    assert scene.report().total.by_type() == {"purchase": 1}
    assert scene.system.deliver(shard, records[1:])["batchItemFailures"] == []
    assert scene.report().total.by_type() == {"purchase": 3}


def test_keys_that_the_table_left_unread_are_read_again(scene: Scene) -> None:
    # Catches: BatchGetItem's answer not looked at, so that what is stored seems not to be.
    keys = [Key(f"{scene.application}#unread", str(number)) for number in range(9)]
    wiring.views().put_many([{"pk": key.pk, "sk": key.sk} for key in keys])
    faults = Faults()
    faults.choose = lambda _, operation: half_read
    client: Any = FaultyClient(wiring.dynamodb(), faults)
    table = Table(client, wiring.views().name, sleep=lambda _seconds: None)
    assert set(table.get_many(keys)) == set(keys)
    assert faults.tried.total() > 1
