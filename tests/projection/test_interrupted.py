"""Work that is interrupted half-way, and records that the code cannot take: what is left is done later, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib import wiring
from chalicelib.facts.model import Event, Identity
from chalicelib.keys import Key, padded
from chalicelib.projection.project import TRIES
from chalicelib.projection.users import Users
from chalicelib.tables import Table
from tests.projection.scene import Scene
from tests.projection.setting_aside import bring_back, failures, set_aside_of
from tests.reference.records import send
from tests.reference.shorthand import APP, HOUR, T, bought, click
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


def test_a_record_that_makes_the_code_fail_is_set_aside(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    # R14. It can be read; what it asks for fails. Once the bug is mended it is projected as if nothing had been.
    scene.tell(click("j1", T - 1))
    scene.hear(*(bought(T + number) for number in range(3)))
    added = Users.event_added

    def with_a_bug(self: Users, user: Identity, event: Event, digest: str) -> Iterator[None]:
        if event.time == T + 1:
            raise ZeroDivisionError("by a bug")
        return added(self, user, event, digest)

    with monkeypatch.context() as patch:
        patch.setattr(Users, "event_added", with_a_bug)
        scene.system.project_all()
        assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 2}, 1)
        assert [one["reason"] for one in failures(scene)] == ["ZeroDivisionError: by a bug"]
        bring_back(scene)  # too early: it is set aside still
        assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 2}, 1)
    bring_back(scene)
    assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 3}, 0)
    assert scene.journeys() == {T: "j1", T + 1: "j1", T + 2: "j1"}
    assert list(set_aside_of(scene)) == []


REFUSED = {
    "an item too large": {"Error": {"Code": "ValidationException", "Message": "Item size has exceeded"}},
    "one of a transaction": {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": "None"}, {"Code": "ValidationError"}, {"Code": "TransactionConflict"}],
    },
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_what_the_table_will_never_take_is_set_aside(answer: Any, scene: Scene) -> None:
    """Whatever else is in its transaction is projected."""
    refused = 0
    scene.tell(click("j1", T - 1))
    scene.hear(*(bought(T + HOUR + number) for number in range(30)))
    faults = Faults()
    faults.choose = lambda _, operation: refuse_credit if operation == "transact_write_items" else None
    at = padded(T + HOUR + 7)

    def refuse_credit(call: Any, operation: str, request: Any) -> Any:
        nonlocal refused
        if any(f"credit#{at}" in str(one.get("Put", {}).get("Item", {}).get("sk")) for one in request["TransactItems"]):
            refused += 1
            raise ClientError(answer, "TransactWriteItems")
        return call(**request)

    with faulty_wiring(faults):
        scene.system.project_all()
    assert refused == 1 + TRIES  # with the others, and then by itself
    assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 29}, 1)
    assert len(scene.credited()) == 29
    bring_back(scene)
    assert (scene.report().total.by_type(), scene.report().events_set_aside) == ({"purchase": 30}, 0)
    assert len(scene.credited()) == 30


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
