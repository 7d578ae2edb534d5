"""What was lost comes back from a restored table, without a change to what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from chalicelib import wiring
from chalicelib.rebuild import Rebuilder
from chalicelib.tables import Table
from infra import restore
from tests.projection.scene import Scene, clock, scene, system
from tests.reference.records import event
from tests.reference.shorthand import APP, HOUR, T, click

__all__ = ["clock", "scene", "system"]

KEYS: Any = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
STRINGS: Any = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]


@pytest.fixture
def restored(scene: Scene) -> Iterator[Table]:
    """A table as a recovery makes it: of the same keys, beside the others."""
    client = wiring.dynamodb()
    client.create_table(
        TableName="restored", KeySchema=KEYS, AttributeDefinitions=STRINGS, BillingMode="PAY_PER_REQUEST"
    )
    yield Table(client, "restored")
    client.delete_table(TableName="restored")


def items(table: Table, beginning: str) -> list[dict[str, Any]]:
    """The items of a table whose partitions begin so, in order."""
    pages = table.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True)
    found = [one for page in pages for one in page["Items"] if one["pk"]["S"].startswith(beginning)]
    return sorted(found, key=lambda one: (one["pk"]["S"], one["sk"]["S"]))


def copy(found: list[dict[str, Any]], table: Table) -> None:
    for one in found:
        table.client.put_item(TableName=table.name, Item=one)


def delete(found: list[dict[str, Any]], table: Table) -> None:
    for one in found:
        table.client.delete_item(TableName=table.name, Key={"pk": one["pk"], "sk": one["sk"]})


def run(*arguments: str) -> str:
    outcome = CliRunner().invoke(restore.app, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_facts_that_were_lost_are_counted_once_after_a_rebuild(scene: Scene, restored: Table) -> None:
    scene.tell(click("j1", T), event(APP, "purchase", T + HOUR, client_id="e1", price=5))
    scene.tell(event(APP, "purchase", T + 2 * HOUR, client_id="e1", price=7))
    partition, facts = f"{scene.application.replace(' ', '%20')}#", wiring.facts()
    whole, before = items(facts, partition), scene.report()
    copy(whole, restored)
    delete(whole[:2], facts)
    assert "3 facts are copied" in run(restored.name, facts.name)
    assert items(facts, partition) == whole
    # What comes back is a new change to the projection; the rebuild makes totals those of the facts.
    work = Rebuilder(facts, wiring.views(), wiring.settings(), scene.clock, scene.system.project_all)
    for _ in work.rebuild(scene.application):
        pass
    served = wiring.settings().get(scene.application).generation
    after = wiring.reports().report(scene.application, served, None, None)
    assert after.journeys == before.journeys
    assert after.total == before.total


def test_what_has_expired_does_not_come_back(scene: Scene, restored: Table) -> None:
    expired = {"pk": {"S": f"{scene.application}#p#e1"}, "sk": {"S": "e#1"}, "fact": {"S": "{}"}, "ttl": {"N": "1"}}
    copy([expired], restored)
    assert "0 facts are copied" in run(restored.name, wiring.facts().name)


def test_settings_come_back_and_what_is_there_stays(scene: Scene, restored: Table) -> None:
    wiring.settings().change(scene.application, lambda old: old)
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    views = wiring.views()
    partition = f"app#{scene.application.replace(' ', '%20')}"
    kept = items(views, partition)
    copy(kept, restored)
    delete([one for one in kept if one["sk"]["S"] != "settings"], views)
    wiring.settings().change(scene.application, lambda old: old)
    changed = [one for one in items(views, partition) if one["sk"]["S"] == "settings"]
    said = run(restored.name, views.name, "--application", scene.application)
    assert "items were missing" in said
    now = items(views, partition)
    assert (
        [one for one in now if one["sk"]["S"] == "settings"]
        == changed
        != [one for one in kept if one["sk"]["S"] == "settings"]
    )
    assert {one["sk"]["S"] for one in now} >= {one["sk"]["S"] for one in kept}
    assert wiring.registry().names(scene.application) == {"j1": "Spring sale"}
