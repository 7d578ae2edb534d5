"""What DynamoDB refuses, and MiniStack does not: requests stay below its limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import wiring
from tests.projection.scene import Scene
from tests.reference.records import event, send
from tests.reference.shorthand import APP, HOUR, T, click
from tests.support.clock import SetClock

EXPRESSION_BYTES = 4_096
OPERATIONS = 100


@pytest.fixture
def transactions() -> Iterator[list[list[dict[str, Any]]]]:
    """The operations of each transaction from now on."""
    told: list[list[dict[str, Any]]] = []

    def note(params: dict[str, Any], **_: object) -> None:
        told.append(params["TransactItems"])

    events, name = wiring.dynamodb().meta.events, "provide-client-params.dynamodb.TransactWriteItems"
    events.register(name, note)
    yield told
    events.unregister(name, note)


def test_many_types_of_events_in_a_batch(
    scene: Scene, clock: SetClock, transactions: list[list[dict[str, Any]]]
) -> None:
    # Catches: an update whose expression grows with the types of a batch. Half of the events are credited.
    clock.time = T + HOUR
    scene.tell(send(APP, "e1", "j1", T - 2, user_name="jane"), click("j1", T - 1))
    transactions.clear()
    scene.tell(
        *(event(APP, f"type {number}", T + number, user_name="jane", price=number) for number in range(400)),
        *(event(APP, f"other type {number}", T + number, user_name="joe", price=number) for number in range(400)),
    )
    assert sum(scene.report().total.by_type().values()) == 800
    assert sum(scene.report().journeys[0].events.by_type().values()) == 400
    expressions = [one["Update"]["UpdateExpression"] for some in transactions for one in some if "Update" in one]
    assert max(map(len, expressions)) <= EXPRESSION_BYTES
    assert max(map(len, transactions)) <= OPERATIONS
