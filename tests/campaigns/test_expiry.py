"""``expire_campaigns``: every minute, windows whose end has come are closed, and no others (R7)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib import wiring
from chalicelib.attribution.touches import Touch
from chalicelib.campaigns.expiry import Expiry
from chalicelib.facts.model import Identity
from chalicelib.projection.views import Campaign, campaign_from, campaign_item
from chalicelib.tables import Item, Table
from tests.projection.scene import Scene
from tests.reference.shorthand import HOUR, WEEK, T, click, opened
from tests.support.clock import SetClock

FAR = T + 100 * WEEK
"""Long after the windows of all other tests."""


@pytest.fixture(autouse=True)
def only_mine(scene: Scene, clock: SetClock) -> None:
    """Closes what others left open."""
    clock.time = FAR + 100 * WEEK
    wiring.expiry().expire()


def expire_at(clock: SetClock, now: int) -> int:
    clock.time = now
    return wiring.expiry().expire().closed


def is_open(scene: Scene, name: str) -> bool:
    item = scene.campaign_item(name)
    assert item is not None
    return campaign_from(item).open


def test_a_window_is_closed_at_its_end_and_not_a_millisecond_before(scene: Scene, clock: SetClock) -> None:
    clock.time = FAR
    scene.tell(click("j1", FAR))
    assert expire_at(clock, FAR + WEEK - 1) == 0
    assert is_open(scene, "e1")
    assert expire_at(clock, FAR + WEEK) == 1
    assert not is_open(scene, "e1")
    assert expire_at(clock, FAR + WEEK + 60_000) == 0  # once closed it is due no more


def test_only_windows_that_are_due_are_closed(scene: Scene, clock: SetClock) -> None:
    clock.time = FAR
    scene.tell(*(click("j1", FAR + number, f"e{number}") for number in range(10)))
    assert expire_at(clock, FAR + WEEK + 4) == 5
    assert [is_open(scene, f"e{number}") for number in range(10)] == [False] * 5 + [True] * 5


def test_a_closed_window_keeps_its_touch(scene: Scene, clock: SetClock) -> None:
    # Catches: an item that is removed, so that the user's next event finds no touch and is a stamp's.
    clock.time = FAR
    scene.tell(click("j1", FAR))
    before = scene.campaign_item("e1")
    expire_at(clock, FAR + WEEK)
    after = scene.campaign_item("e1")
    assert before is not None
    assert after is not None
    assert after["touch"] == before["touch"]
    assert set(before) - set(after) == {"gpk", "gsk"}


def test_a_newer_touch_is_due_at_its_own_end(scene: Scene, clock: SetClock) -> None:
    clock.time = FAR
    scene.tell(click("j1", FAR), opened("j2", FAR + HOUR))
    assert expire_at(clock, FAR + WEEK) == 0
    assert scene.campaign("e1") == "j2"
    assert expire_at(clock, FAR + HOUR + WEEK) == 1


class Overtaken:
    """A client on which a newer touch is projected between finding a due window and closing it."""

    def __init__(self, client: Any, newer: Item) -> None:
        self._client = client
        self._newer = newer

    def update_item(self, **request: Any) -> Any:
        wiring.views().put_many([self._newer])
        return self._client.update_item(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def campaign_of(scene: Scene, user: str, journey: str, at: int) -> Item:
    touch = Touch(at, "email.click", "email", journey, at + WEEK, "d")
    return campaign_item(scene.keys, Identity("p", user), Campaign(touch, open=True))


def test_a_window_that_a_newer_touch_opened_meanwhile_is_left_open(scene: Scene, clock: SetClock) -> None:
    # Catches: an update without a condition, which blanks the campaign of somebody who just clicked.
    clock.time = FAR
    scene.tell(click("j1", FAR))
    client = Overtaken(wiring.dynamodb(), campaign_of(scene, "e1", "j2", FAR + WEEK))
    clock.time = FAR + WEEK
    assert Expiry(Table(client, wiring.views().name), clock).expire().closed == 0  # type: ignore[arg-type]
    assert scene.campaign("e1") == "j2"


class SmallPages:
    """A client that answers queries in small pages, and counts its calls."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.queries = 0
        self.scans = 0

    def query(self, **request: Any) -> Any:
        self.queries += 1
        return self._client.query(**{**request, "Limit": 100})

    def scan(self, **request: Any) -> Any:
        self.scans += 1
        return self._client.scan(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_1500_due_windows_over_many_pages_are_all_closed(scene: Scene, clock: SetClock) -> None:
    # The pages are read while what they list leaves the index. Catches: every second page passed over.
    users = [f"user {number}" for number in range(1_500)]
    wiring.views().put_many([campaign_of(scene, user, "j1", FAR + at) for at, user in enumerate(users)])
    wiring.views().put_many([campaign_of(scene, "not yet", "j1", FAR + 1_500)])
    client = SmallPages(wiring.dynamodb())
    clock.time = FAR + WEEK + 1_499
    expiry = Expiry(Table(client, wiring.views().name), clock)  # type: ignore[arg-type]
    assert expiry.expire() == (1_500, 1_499)
    assert client.queries >= 16
    assert client.scans == 0
    closed = wiring.views().get_many(scene.keys.campaign(Identity("p", user)) for user in users)
    assert [item["open"] for item in closed.values()] == [False] * 1_500
    assert is_open(scene, "not yet")


class Breaking:
    """A client that fails at the third update."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._updates = 0

    def update_item(self, **request: Any) -> Any:
        self._updates += 1
        if self._updates == 3:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")
        return self._client.update_item(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_what_a_failed_run_left_open_the_next_one_closes(scene: Scene, clock: SetClock) -> None:
    clock.time = FAR
    scene.tell(*(click("j1", FAR, f"e{number}") for number in range(5)))
    clock.time = FAR + WEEK
    with pytest.raises(ClientError):
        Expiry(Table(Breaking(wiring.dynamodb()), wiring.views().name), clock).expire()  # type: ignore[arg-type]
    assert expire_at(clock, FAR + WEEK + 60_000) == 3
    assert not any(is_open(scene, f"e{number}") for number in range(5))
