"""A second version over the first, with data in place; and data of the first version read by this one."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.facts.items import SCHEMA, from_item, to_item
from chalicelib.keys import settings_key
from chalicelib.settings.model import Settings
from tests.deployed.deployment import Deployment
from tests.deployed.test_deployed import HOUR, MINUTE, now
from tests.projection.scene import Scene, clock, scene, system
from tests.reference.records import email_click, encode, event
from tests.reference.shorthand import APP, T

__all__ = ["clock", "scene", "system"]

UPGRADED = "upgraded"

FIRST = json.loads((Path(__file__).parent / "first_facts.json").read_text(encoding="utf-8"))
"""Facts as the first version stored them. The click is Jane's, then the step; the purchase follows the step."""

# --- the template ---


def test_a_second_version_deploys_over_the_first_with_its_data_in_place(deployed: Deployment) -> None:
    start = now() - HOUR
    deployed.put(
        [
            encode(email_click(UPGRADED, "phone", "spring", start)),
            encode(event(UPGRADED, "purchase", start + MINUTE, client_id="phone", price=5)),
        ]
    )
    deployed.settle()
    viewer = deployed.sign_in("upgrader", "viewers", "app:*")
    path = f"/applications/{UPGRADED}/report"
    before = deployed.call("GET", path, viewer)
    assert before.status == 200, before
    assert before.body["total"]["revenue"] == {"USD": "5.00"}
    resources = deployed.resources
    deployed.deploy({"ExpireCampaigns": {"Timeout": 59}})
    try:
        timeout = deployed.client("lambda").get_function_configuration(FunctionName=resources["ExpireCampaigns"])
        assert timeout["Timeout"] == 59
        # Nothing was made anew: tables, stream, pools and functions are the ones of the first version.
        assert deployed.resources == resources
        assert deployed.call("GET", path, viewer).body == before.body
        deployed.put([encode(event(UPGRADED, "purchase", start + 2 * MINUTE, client_id="phone", price=6))])
        deployed.settle()
        assert deployed.call("GET", path, viewer).body["total"]["revenue"] == {"USD": "11.00"}
    finally:
        # Back, as a rollback goes.
        deployed.deploy()


# --- data ---


def test_settings_of_the_first_schema_are_read_and_saved_as_of_today(scene: Scene) -> None:
    key = settings_key(scene.application)
    first = {
        "windows": [{"days": "3", "effective_from": 0}],
        "username_attribute": "login",
        "value": {"price_metric": "cost", "default_currency": "EUR"},
    }
    wiring.views().client.put_item(
        TableName=wiring.views().name,
        Item={
            "pk": {"S": key.pk},
            "sk": {"S": key.sk},
            "document": {"S": json.dumps(first)},
            "version": {"N": "1"},
        },
    )
    found = wiring.settings().get(scene.application)
    assert found.username_attribute == "login"
    assert [(one.days, one.effective_from) for one in found.windows] == [(Decimal(3), 0)]
    assert found.value_at(T).price_metric == "cost"
    assert found.value_at(T).default_currency == "EUR"
    # What came later has its defaults.
    assert (found.retention_days, found.generation, found.has_erasures) == (None, 0, False)
    wiring.settings().change(scene.application, lambda old: old)
    saved: Any = wiring.views().get(key)
    assert saved is not None
    assert int(saved["schema"]) == 3
    assert wiring.settings().get(scene.application) == found


def test_a_fact_of_the_first_schema_is_read_and_projected(scene: Scene) -> None:
    """Items as the first version wrote them, taken down then: they carry no number of a schema."""
    application = scene.application.replace(" ", "%20")
    stored = [{"pk": f"{application}#{one['whose']}", "sk": one["sk"], "fact": one["fact"]} for one in FIRST]
    wiring.facts().put_many(stored)
    scene.system.project_all()
    j1, j2 = scene.report().journeys
    assert (j1.journey, j1.sends, j1.touches, j1.events.by_type()) == ("j1", 1, {"email.click": 1}, {"sign_up": 1})
    assert (j2.journey, j2.touches, j2.events.revenue()) == ("j2", {"journey.step": 1}, {"EUR": Decimal("12.50")})
    assert {row.user.name for row in scene.page().rows} == {"jane"}
    assert SCHEMA == 1


def test_a_fact_of_a_later_schema_is_refused_rather_than_misread(scene: Scene) -> None:
    # After a rollback: it goes to the failure queue, where it waits for the version that can read it.
    scene.hear(event(APP, "purchase", T, client_id="e1", price=5))
    (stored,) = facts_of(f"{scene.application.replace(' ', '%20')}#p#e1")
    item = {name: value["S"] for name, value in stored.items()}
    assert to_item(from_item(item), Settings()) == item
    with pytest.raises(ValueError, match="schema 2"):
        from_item({**item, "schema": 2})
    scene.system.project_all()


def facts_of(partition: str) -> list[dict[str, Any]]:
    facts = wiring.facts()
    return facts.client.query(
        TableName=facts.name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": partition}},
        ConsistentRead=True,
    )["Items"]
