"""DELETE a user: admins only, answered at once, and the user is nobody from then on."""

from __future__ import annotations

import os
from urllib.parse import quote

import boto3
import pytest

from tests.api.calls import Answer, Api, call, encoded, refusal
from tests.erasure.people import NOW, Person, left_of
from tests.projection.scene import Scene
from tests.reference.shorthand import HOUR, T
from tests.support.clock import SetClock


def path_of(scene: Scene, name: str) -> str:
    return f"/applications/{encoded(scene.application)}/users/{encoded(name)}"


def delete(scene: Scene, name: str) -> Answer:
    return call("DELETE", path_of(scene, name))


def shown(scene: Scene, name: str) -> Answer:
    return Api(scene.application).get(f"users/{encoded(name)}")


@pytest.mark.parametrize("by", ["name", "user_id", "phone", "tablet"])
def test_a_person_is_erased_by_any_name(by: str, scene: Scene, jane: Person, joe: Person, clock: SetClock) -> None:
    scene.tell(*jane.history(), *joe.history())
    clock.time = NOW
    answer = delete(scene, getattr(jane, by))
    assert answer == (
        202,
        {
            "user": getattr(jane, by),
            "erased_until": "2026-03-28T10:00:00.000Z",
            "aliases": 3,  # the UserId, and by it the tablet, and the phone
            "exports": [],
        },
    )
    # At once, before anything is projected.
    assert {name: shown(scene, name).status for name in jane.names()} == dict.fromkeys(jane.names(), 404)
    scene.system.project_all()
    assert left_of(jane.names()) == []
    assert {name: shown(scene, name).status for name in jane.names()} == dict.fromkeys(jane.names(), 404)
    assert shown(scene, joe.name).status == 200
    assert {one["user"] for one in Api(scene.application).events()} == {joe.name}


def test_asked_again_it_goes_on(scene: Scene, jane: Person, clock: SetClock) -> None:
    scene.tell(*jane.history())
    clock.time = NOW
    first = delete(scene, jane.name)
    scene.system.project_all()
    clock.time = NOW + 1
    again = delete(scene, jane.name)
    assert (first.status, again.status) == (202, 202)
    assert again.body["erased_until"] == "2026-03-28T10:00:00.001Z"
    scene.system.project_all()
    assert left_of(jane.names()) == []


def test_exports_that_may_name_the_person_are_named(scene: Scene, jane: Person) -> None:
    scene.tell(*jane.history())
    application = quote(scene.application, safe="")
    folder, other = (f"exports/{one}/000000000000001-abc/" for one in (application, "another"))
    s3, bucket = boto3.client("s3"), os.environ["EXPORT_BUCKET"]
    for name in (folder, other):
        s3.put_object(Bucket=bucket, Key=f"{name}day=2026-03-28/part-00000.ndjson.gz", Body=b"")
    assert delete(scene, jane.name).body["exports"] == [f"s3://{bucket}/{folder}"]


def test_what_the_user_does_later_is_shown_alone(scene: Scene, jane: Person, clock: SetClock) -> None:
    scene.tell(*jane.history())
    clock.time = NOW
    delete(scene, jane.name)
    clock.time = NOW + HOUR
    # Not projected yet: what was before is in the tables still.
    scene.hear(jane.bought(NOW + 1))
    for _ in range(2):
        found = shown(scene, jane.name).body
        assert [one["time"] for one in found["events"]] == ["2026-03-28T10:00:00.001Z"]
        assert (found["touches"], found["campaign"]) == ([], None)
        assert found["events"][0]["why"] == "No touch at or before the event."
        scene.system.project_all()


def test_nobody_cannot_be_erased(scene: Scene, jane: Person) -> None:
    scene.tell(jane.bought(T))
    assert refusal(delete(scene, "nobody"), 404) == "Nothing is known of this user."


def test_which_of_several_users_is_meant_must_be_said(scene: Scene, jane: Person, joe: Person) -> None:
    scene.tell(jane.sent(T), joe.sent(T + 1, phone=jane.phone))
    assert refusal(delete(scene, jane.phone), 409) == f"{jane.phone} had several users: erase each of them by name."


@pytest.mark.parametrize("group", ["viewers", "marketers"])
def test_only_admins_erase(group: str, scene: Scene, jane: Person) -> None:
    scene.tell(jane.bought(T))
    answer = call("DELETE", path_of(scene, jane.name), groups=(group, "app:*"))
    assert answer.status == 403
    assert shown(scene, jane.name).status == 200
