"""GET a user: campaign now, touches, and events with their credits and why."""

from __future__ import annotations

import re

import pytest

from chalicelib import wiring
from tests.api.calls import Answer, Api, call, encoded, get
from tests.projection.scene import Scene, windows
from tests.reference.facts import DAY
from tests.reference.records import event, push_opened, send
from tests.reference.shorthand import APP, HOUR, WEEK, T, bought, click, opened
from tests.support.clock import SetClock
from tests.support.system import System


def user(scene: Scene, name: str) -> Answer:
    return Api(scene.application).get(f"users/{encoded(name)}")


def test_a_user_is_told_with_campaign_touches_and_events(scene: Scene, clock: SetClock) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    scene.tell(
        send(APP, "e1", "j1", T - HOUR, user_name="jane", user_id="u1"),
        click("j1", T),
        event(APP, "purchase", T + 2 * HOUR, user_name="jane", price=5),
        event(APP, "sign_up", T - 1, user_name="jane"),
    )
    clock.time = T + DAY
    assert user(scene, "jane") == (
        200,
        {
            "user": "jane",
            "identity": "user_name",
            "campaign": {
                "journey_id": "j1",
                "name": "Spring sale",
                "since": "2026-03-28T00:00:00.000Z",
                "until": "2026-04-04T00:00:00.000Z",
            },
            "touches": [
                {
                    "time": "2026-03-28T00:00:00.000Z",
                    "kind": "email.click",
                    "channel": "email",
                    "journey_id": "j1",
                    "journey_name": "Spring sale",
                    "window_until": "2026-04-04T00:00:00.000Z",
                }
            ],
            "events": [
                {
                    "event_type": "purchase",
                    "time": "2026-03-28T02:00:00.000Z",
                    "user": "jane",
                    "value": "5.00",
                    "currency": "USD",
                    "journey_id": "j1",
                    "journey_name": "Spring sale",
                    "touch": {"time": "2026-03-28T00:00:00.000Z", "kind": "email.click", "channel": "email"},
                    "basis": "touch",
                    "why": "The newest touch at or before the event is email.click of journey Spring sale at "
                    "2026-03-28T00:00:00.000Z, 2 h earlier; its window was open until 2026-04-04T00:00:00.000Z.",
                },
                {
                    "event_type": "sign_up",
                    "time": "2026-03-27T23:59:59.999Z",
                    "user": "jane",
                    "value": None,
                    "currency": None,
                    "journey_id": None,
                    "journey_name": None,
                    "touch": None,
                    "basis": None,
                    "why": "No touch at or before the event.",
                },
            ],
        },
    )


def test_why_a_window_that_was_over_gives_no_credit(system: System, clock: SetClock) -> None:
    # R1 told to a marketer: the older touch's window was open, and does not count.
    scene = Scene(system, clock, windows((7, 0), (1 / 24, T + 1)))
    scene.tell(click("j1", T), opened("j2", T + HOUR), bought(T + 3 * HOUR))
    (told,) = user(scene, "e1").body["events"]
    assert told["journey_id"] is None
    assert re.fullmatch(
        r"The newest touch at or before the event is email\.open of journey j2 at 2026-03-28T01:00:00\.000Z; "
        r"its window ended at 2026-03-28T02:00:00\.\d{3}Z, before the event\. An older touch never takes its place\.",
        told["why"],
    )


def test_why_a_stamp_gives_credit(scene: Scene) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    scene.tell(event(APP, "purchase", T, client_id="e1", attributes={"campaign": "Spring sale"}))
    (told,) = user(scene, "e1").body["events"]
    assert (told["journey_id"], told["basis"], told["touch"]) == ("j1", "stamp", None)
    assert told["why"] == "No touch at or before the event; its stamp names journey Spring sale."


def test_the_campaign_is_that_of_now(scene: Scene, clock: SetClock) -> None:
    # Also before expiry comes by, and wherever it was written as open.
    scene.tell(click("j1", T))
    for now, journey in ((T, "j1"), (T + WEEK - 1, "j1"), (T + WEEK, None)):
        clock.time = now
        campaign = user(scene, "e1").body["campaign"]
        assert (campaign and campaign["journey_id"]) == journey


def test_touches_and_events_are_newest_first_and_at_most_a_hundred(scene: Scene, clock: SetClock) -> None:
    scene.tell(*(click("j1", T + number) for number in range(101)), *(bought(T + number) for number in range(101)))
    found = user(scene, "e1").body
    for told in (found["touches"], found["events"]):
        assert len(told) == 100
        assert told[0]["time"] == "2026-03-28T00:00:00.100Z"
        assert [one["time"] for one in told] == sorted((one["time"] for one in told), reverse=True)


def test_an_event_whose_touch_is_older_than_those_shown_still_says_why(scene: Scene, clock: SetClock) -> None:
    # Catches: "no touch at or before the event" said of an event that has one, beyond the hundred that are shown.
    scene.tell(click("j0", T - 2 * WEEK), bought(T - DAY), *(click("j1", T + number) for number in range(100)))
    (told,) = user(scene, "e1").body["events"]
    assert told["journey_id"] is None
    assert "its window ended at" in told["why"]


IDENTITIES = {
    "jane": ("jane", "user_name"),
    "u1": ("jane", "user_name"),  # an alias that was only ever linked to one user stands for that user
    "e1": ("jane", "user_name"),
    "u2": ("u2", "user_id"),
    "e9": ("e9", "endpoint_id"),
}


@pytest.mark.parametrize(("name", "expected"), IDENTITIES.items())
def test_a_user_is_found_by_user_name_user_id_or_endpoint_id(
    name: str, expected: tuple[str, str], scene: Scene
) -> None:
    scene.tell(
        send(APP, "e1", "j1", T - 1, user_name="jane", user_id="u1"),
        click("j1", T),
        push_opened(APP, "e2", "j1", T, user_id="u2"),
        bought(T, "e9"),
    )
    found = user(scene, name).body
    assert (found["user"], found["identity"]) == expected


def test_a_user_name_comes_before_a_user_id_before_an_endpoint_id_of_the_same_text(scene: Scene) -> None:
    scene.tell(bought(T, "x"))
    assert user(scene, "x").body["identity"] == "endpoint_id"
    scene.tell(event(APP, "purchase", T, user_id="x"))
    assert user(scene, "x").body["identity"] == "user_id"
    scene.tell(event(APP, "purchase", T, user_name="x"))
    assert user(scene, "x").body["identity"] == "user_name"


@pytest.mark.parametrize(
    "name", ["a_b", "x#y", "a b", "é日", "jane+x@example.com", "n" * 128, "100%25/a", "a/b", "?&="]
)
def test_a_name_in_the_path_is_decoded_once(name: str, scene: Scene) -> None:
    # Catches: "100%25" decoded twice, a slash taken for the end of the name.
    scene.tell(event(APP, "purchase", T, user_name=name))
    assert user(scene, name).body["user"] == name


@pytest.mark.parametrize("name", ["nobody", " ", "e", "n" * 3_000, "x#y", "\x00"])
def test_of_whom_nothing_is_known_nothing_is_found(name: str, scene: Scene) -> None:
    scene.tell(bought(T))
    answer = user(scene, name)
    assert (answer.status, answer.body["title"]) == (404, "Not Found")


def test_another_application_s_user_is_nobody_here(system: System, clock: SetClock, scene: Scene) -> None:
    Scene(system, clock).tell(bought(T))
    assert user(scene, "e1").status == 404


def test_health(stack: object) -> None:
    assert get("/health") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 403),  # as API Gateway answers what it has no route for
        ("GET", "/applications/a", 403),
        ("GET", "/applications/a/users", 403),
        ("POST", "/health", 405),
        ("DELETE", "/applications/a/lookback-window", 405),
    ],
)
def test_there_are_no_other_routes(method: str, path: str, status: int, stack: object) -> None:
    assert call(method, path).status == status
