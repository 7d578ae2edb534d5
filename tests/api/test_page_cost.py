"""What a page costs: about what it shows, however much lies before it, and never without bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.api import queries
from chalicelib.api.queries import Filters
from chalicelib.settings.model import Policy, Settings
from tests.projection.scene import Scene
from tests.reference.records import event, send
from tests.reference.shorthand import APP, T, bought, click
from tests.support.clock import SetClock
from tests.support.system import System, clear_wiring

EVENTS = 600


class Counted:
    """A client that counts the items it reads."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.items = 0

    def query(self, **request: Any) -> Any:
        answer = self._client.query(**request)
        self.items += len(answer["Items"])
        return answer

    def batch_get_item(self, **request: Any) -> Any:
        answer = self._client.batch_get_item(**request)
        self.items += sum(len(items) for items in answer["Responses"].values())
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture(scope="module")
def shop(system: System, clock: SetClock) -> Scene:
    """A user with 600 credited events, and one with 600 that have no credit."""
    scene = Scene(system, clock)
    scene.tell(
        click("j1", T),
        *(bought(T + number) for number in range(EVENTS)),
        *(bought(T + number, "e2") for number in range(EVENTS)),
    )
    return scene


@pytest.fixture
def counted(system: System) -> Iterator[Counted]:
    client = Counted(wiring.dynamodb())
    clear_wiring()
    wiring.facts().client = client  # type: ignore[assignment]
    wiring.views().client = client  # type: ignore[assignment]
    yield client
    clear_wiring()


@pytest.fixture(scope="module")
def crowded(system: System, clock: SetClock) -> Scene:
    """A user with 600 events of a type that does not count, after one event that does."""
    scene = Scene(system, clock, Settings().with_policy(Policy(0, excluded_events=frozenset({"view"}))))
    scene.tell(bought(T - 1), *(event(APP, "view", T + number, client_id="e1") for number in range(EVENTS)))
    return scene


QUERIES = {
    "all": Filters(None, None, None, None, None),
    "a journey": Filters("j1", None, None, None, None),
    "a user": Filters(None, None, "e1", None, None),
    "a user's rest": Filters("unattributed", None, "e2", None, None),
}


@pytest.mark.parametrize("filters", QUERIES.values(), ids=QUERIES)
def test_the_last_page_costs_what_the_first_one_does(filters: Filters, shop: Scene, counted: Counted) -> None:
    # Catches: pages that are read from the beginning and thrown away up to the cursor.
    position: str | None = None
    costs, rows = [], 0
    while True:
        counted.items = 0
        page = shop.page(filters, 50, position)
        costs.append(counted.items)
        rows += len(page.rows)
        position = page.next_position
        if position is None:
            break
    assert rows == EVENTS
    assert len(costs) == EVENTS // 50
    assert max(costs) <= 2 * 51 + 5


@pytest.mark.parametrize(
    "filters",
    [
        Filters("unattributed", None, "e1", None, None),  # catches: a user's whole history read for an empty page
        Filters("j2", None, "e1", None, None),
        Filters(None, "sign_up", "e1", None, None),
        Filters(None, "sign_up", None, None, None),
    ],
)
def test_a_page_that_finds_nothing_stops_looking_and_the_next_one_goes_on(
    filters: Filters, shop: Scene, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", 100)
    position: str | None = None
    pages = 0
    while True:
        counted.items = 0
        page = shop.page(filters, 50, position)
        assert page.rows == []
        assert counted.items <= 2 * 2 * 102 + 5
        pages += 1
        position = page.next_position
        if position is None:
            break
    assert pages == 1 + EVENTS // 100


def test_events_that_do_not_count_are_looked_at_too(
    crowded: Scene, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Catches: one page that reads all events of a user because the settings count none of them.
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", 100)
    rows, position, pages = [], None, 0
    while True:
        counted.items = 0
        page = crowded.page(Filters("unattributed", None, "e1", None, None), 50, position)
        assert counted.items <= 2 * 2 * 102 + 5
        rows += page.rows
        position, pages = page.next_position, pages + 1
        if position is None:
            break
    assert [row.time for row in rows] == [T - 1]
    assert pages == 1 + EVENTS // 100


def test_a_user_s_history_looks_at_a_bounded_number_of_events(
    crowded: Scene, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", 100)
    counted.items = 0
    history = wiring.event_queries().history(crowded.application, "e1", 50)
    assert history is not None
    assert history.events == []
    assert counted.items <= 2 * 2 * 102 + 5
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", 1_000)
    history = wiring.event_queries().history(crowded.application, "e1", 50)
    assert history is not None
    assert [row.time for row in history.events] == [T - 1]


def test_an_alias_of_many_links_costs_a_page_one_link_for_each_event(
    system: System, clock: SetClock, counted: Counted
) -> None:
    # Catches: all links of an alias read, however often it changed hands.
    scene = Scene(system, clock)
    scene.hear(*(send(APP, "e1", "j1", T + at, user_name=f"u{at % 3}") for at in range(0, 300)))
    scene.hear(*(bought(T + at) for at in (-2, -1, 100, 100, 298)))
    system.project_all()
    counted.items = 0
    history = wiring.event_queries().history(scene.application, "e1", 50)
    assert history is not None
    # Before all links the first one decides.
    owners = [(row.time - T, row.user.name) for row in history.events]
    assert owners == [(298, "u1"), (100, "u1"), (-1, "u0"), (-2, "u0")]
    assert counted.items <= 40
