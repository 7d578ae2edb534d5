"""GET and PUT of a journey's name, cost, goal and dates."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.attribution.value import Value
from chalicelib.journeys.details import Goal, JourneyDetails
from chalicelib.journeys.labels import journeys_in
from chalicelib.journeys.registry import MOST_FORMER
from chalicelib.keys import journey_key, label_key
from chalicelib.settings.store import Outdated
from tests.api.calls import Api, Json, encoded, refusal
from tests.api.versioned import Versioned, ask
from tests.projection.meter import metered
from tests.projection.scene import Scene
from tests.reference.shorthand import T, bought, click
from tests.support.clock import SetClock
from tests.support.faults import Faults, Killed, faulty_wiring, killed_before

UNKNOWN: Json = {"name": None, "cost": None, "goal": None, "starts": None, "ends": None}
SPRING: Json = {
    "name": "Spring sale",
    "cost": {"amount": "1250.00", "currency": "EUR"},
    "goal": {
        "event_type": "purchase",
        "target_count": 400,
        "target_revenue": {"amount": "20000.00", "currency": "EUR"},
    },
    "starts": "2026-03-01T00:00:00.000Z",
    "ends": "2026-04-01T00:00:00.000Z",
}


@pytest.fixture
def application(scene: Scene, clock: SetClock) -> str:
    clock.time = T
    return scene.application


def path(journey: str) -> str:
    return f"journeys/{encoded(journey)}"


def get(application: str, journey: str = "j1") -> Versioned:
    return ask("GET", application, path(journey))


def put(application: str, body: object, match: str | None = None, journey: str = "j1") -> Versioned:
    return ask("PUT", application, path(journey), body, match=match)


def changed(*at: str, to: object) -> Json:
    document: Any = copy.deepcopy(SPRING)
    part = document
    for name in at[:-1]:
        part = part[name]
    part[at[-1]] = to
    result: Json = document
    return result


def bearers(application: str, label: str) -> list[str]:
    return journeys_in(wiring.views().get(label_key(application, label)))


def stamped(time: int, stamp: str) -> Any:
    return bought(time, campaign=stamp)


def test_a_journey_of_which_nothing_is_known(application: str) -> None:
    found = get(application)
    assert (found.status, found.body["detail"]) == (404, "Nothing is known of this journey.")


def test_a_journey_that_events_name(scene: Scene, application: str) -> None:
    scene.tell(click("j1", T))
    assert get(application) == (200, {**UNKNOWN, "journey_id": "j1", "version": 0}, '"0"')


def test_a_journey_may_be_described_before_its_first_message(scene: Scene, application: str) -> None:
    expected = {**SPRING, "journey_id": "j1", "version": 1}
    assert put(application, SPRING) == (200, expected, '"1"')
    scene.tell(click("j1", T))
    assert get(application) == (200, expected, '"1"')
    # What it is known for from then on is its name alone.
    assert (bearers(application, "Spring sale"), bearers(application, "j1")) == (["j1"], [])


def test_what_reports_read(application: str) -> None:
    put(application, SPRING)
    put(application, {**UNKNOWN, "cost": {"amount": "0.5", "currency": " usd "}}, journey="j2")
    assert wiring.registry().details(application) == {
        "j1": JourneyDetails(
            "j1",
            "Spring sale",
            Value(Decimal(1250), "EUR"),
            Goal("purchase", 400, Value(Decimal(20_000), "EUR")),
            1_772_323_200_000,
            1_775_001_600_000,
        ),
        "j2": JourneyDetails("j2", None, Value(Decimal("0.5"), "USD")),
    }
    assert wiring.registry().names(application) == {"j1": "Spring sale", "j2": "j2"}


def test_what_get_answers_may_be_put_back_and_changes_nothing(application: str) -> None:
    for body in (SPRING, UNKNOWN, changed("goal", "target_count", to=None)):
        shown = put(application, body)
        assert put(application, shown.body, shown.etag) == shown
        stored = wiring.views().get(journey_key(application, "j1"))
        assert put(application, shown.body) == shown
        assert wiring.views().get(journey_key(application, "j1")) == stored


def test_another_name_takes_the_stamps_of_the_past(scene: Scene, application: str) -> None:
    put(application, SPRING)
    scene.tell(stamped(T, "Spring sale"), stamped(T + 1, "Summer sale"))
    assert scene.journeys() == {T: "j1"}
    put(application, changed("name", to="Summer sale"))
    scene.system.project_all()
    assert scene.journeys() == {T + 1: "j1"}
    put(application, changed("name", to=None))
    scene.system.project_all()
    assert scene.journeys() == {}
    assert bearers(application, "j1") == ["j1"]


def test_a_change_of_the_cost_alone_decides_nothing_again(application: str) -> None:
    # Catches: a recheck of every event that bears the name, each time that somebody mends a cost.
    put(application, SPRING)
    faults = Faults()
    asked: list[str] = []
    faults.choose = lambda _, operation: asked.append(operation)
    with faulty_wiring(faults):
        assert put(application, changed("cost", to=None)).status == 200
    assert "query" not in asked
    assert "batch_write_item" not in asked


def test_a_name_from_elsewhere_leaves_the_rest(application: str) -> None:
    put(application, SPRING)
    wiring.registry().set_name(application, "j1", "Summer sale")
    assert get(application).body == {**changed("name", to="Summer sale"), "journey_id": "j1", "version": 2}


REFUSED: dict[str, tuple[Json, str]] = {
    "an empty name": (changed("name", to=" "), "name must be text of 1 to 900 bytes without control characters."),
    "a name of 901 bytes": (changed("name", to="é" * 450 + "x"), "name must be text of 1 to 900 bytes"),
    "a name of two lines": (changed("name", to="a\nb"), "name must be text of 1 to 900 bytes"),
    "a name that is a number": (changed("name", to=7), "name must be text of 1 to 900 bytes"),
    "a cost of less than none": (changed("cost", "amount", to="-1"), "cost.amount must be a decimal of at least 0"),
    "a cost that is a number": (changed("cost", "amount", to=1250), "cost.amount must be a decimal of at least 0"),
    "a cost with an exponent": (changed("cost", "amount", to="1e3"), "cost.amount must be a decimal of at least 0"),
    "a cost of a quadrillion": (changed("cost", "amount", to="1" * 16), "cost.amount must be a decimal of at least 0"),
    "a cost in digits of elsewhere": (changed("cost", "amount", to="١٢"), "cost.amount must be a decimal"),
    "a cost without currency": (changed("cost", to={"amount": "1"}), "cost.currency is missing."),
    "a currency of two": (changed("cost", "currency", to="EU"), "cost.currency must be a currency of 3 to 16"),
    "a goal of nothing": (changed("goal", to={}), "goal.event_type is missing."),
    "a goal of Pinpoint's own": (changed("goal", "event_type", to="_email.open"), "goal.event_type must be a type"),
    "a target of none": (changed("goal", "target_count", to=0), "goal.target_count must be a whole number from 1 to"),
    "a target of half": (changed("goal", "target_count", to=0.5), "goal.target_count must be a whole number"),
    "revenue of none": (
        changed("goal", "target_revenue", "amount", to="0.00"),
        "goal.target_revenue must have an amount greater than 0.",
    ),
    "an end before the start": (changed("ends", to="2026-02-28"), "ends must be later than starts."),
    "an end at the start": (changed("ends", to="2026-03-01"), "ends must be later than starts."),
    "a time that is none": (changed("starts", to="spring"), "starts must be an ISO-8601 date or time"),
    "something unknown": (changed("budget", to="1"), "There is no budget to set; there are name, cost, goal, "),
}


@pytest.mark.parametrize(("body", "says"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused_by_name_and_saves_nothing(body: Json, says: str, application: str) -> None:
    assert refusal(Api(application).put(path("j1"), body)).startswith(says)
    assert get(application).status == 404


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_description_is_whole(name: str, application: str) -> None:
    body = {field: value for field, value in SPRING.items() if field != name}
    assert refusal(Api(application).put(path("j1"), body)) == f"{name} is missing."


@pytest.mark.parametrize("name", ["é" * 450, "Spring / sale %2F #1", "日本語", "  padded  "])
def test_a_stamp_finds_any_name(name: str, scene: Scene, application: str) -> None:
    put(application, changed("name", to=name))
    scene.tell(stamped(T, name))
    assert scene.journeys() == {T: "j1"}


@pytest.mark.parametrize("journey", ["a/b c%é", "x" * 256])
def test_a_journey_may_have_any_id(journey: str, application: str) -> None:
    assert put(application, SPRING, journey=journey).body["journey_id"] == journey
    assert get(application, journey).status == 200


def test_what_was_read_is_changed_and_nothing_else(application: str) -> None:
    read = put(application, SPRING)
    put(application, changed("cost", "amount", to="1"), read.etag)
    lost = put(application, changed("name", to="Other"), read.etag)
    assert (lost.status, lost.etag) == (412, '"2"')
    assert lost.body["detail"] == "The journey changed meanwhile: version 2 by now. Read again."
    assert get(application).body["name"] == "Spring sale"
    assert bearers(application, "Other") == []


def test_what_is_not_known_matches_nothing(application: str) -> None:
    for match in ("*", '"0"', '"1"'):
        assert put(application, SPRING, match).status == 412
    assert get(application).status == 404


@pytest.mark.parametrize("write", [1, 2, 3])
def test_the_loser_of_a_race_leaves_no_label(
    write: int, scene: Scene, application: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Catches: stamps that are credited to a journey by a name that it was refused.
    read = put(application, SPRING)
    scene.tell(stamped(T, "Other"), stamped(T + 1, "Winner"))
    registry, transact, count = wiring.registry(), wiring.views().transact, 0

    def overtaken(operations: Any) -> None:
        nonlocal count
        count += 1
        # First the label is noted, then it is borne, then the name is stored.
        if count == write:
            assert bearers(application, "Other") == (["j1"] if write == 3 else [])
            registry.set_name(application, "j1", "Winner")
        transact(operations)

    monkeypatch.setattr(wiring.views(), "transact", overtaken)
    assert put(application, changed("name", to="Other"), read.etag).status == 412
    monkeypatch.undo()
    scene.system.project_all()
    assert (bearers(application, "Other"), bearers(application, "Winner")) == ([], ["j1"])
    assert scene.journeys() == {T + 1: "j1"}


def test_a_name_that_was_interrupted_anywhere_is_put_right_by_the_next(scene: Scene, application: str) -> None:
    # Whatever had happened, the journey then goes by its name and by nothing else, and so do the events of the past.
    other, last = changed("name", to="Other"), changed("name", to="Last")
    put(application, SPRING)
    scene.tell(stamped(T, "Spring sale"), stamped(T + 1, "Other"), stamped(T + 2, "Last"))
    tried = 0
    for kill_at in range(12):
        for again in (other, last):
            put(application, SPRING)
            faults, writes = Faults(), iter(range(100))
            faults.choose = lambda _, operation, writes=writes, kill_at=kill_at: (  # type: ignore[misc]
                killed_before
                if operation in ("transact_write_items", "batch_write_item") and next(writes) == kill_at
                else None
            )
            with faulty_wiring(faults):
                try:
                    details = JourneyDetails("j1", "Other")
                    wiring.registry().describe(application, details, None)
                except Killed:
                    tried += 1
            assert put(application, again).status == 200
            scene.system.project_all()
            name = again["name"]
            borne = [one for one in ("Spring sale", "Other", "Last", "j1") if bearers(application, one)]
            assert borne == [name]
            assert scene.journeys() == {T + 1 if name == "Other" else T + 2: "j1"}
    assert tried >= 8


def test_expected_revisions(application: str) -> None:
    registry = wiring.registry()
    with pytest.raises(Outdated):
        registry.describe(application, JourneyDetails("j1"), {0})
    assert registry.describe(application, JourneyDetails("j1")).revision == 1
    assert registry.describe(application, JourneyDetails("j1", "A"), {1, 7}).revision == 2


def test_only_marketers_describe(application: str) -> None:
    viewer = ("viewers", "app:*")
    assert ask("PUT", application, path("j1"), SPRING, groups=viewer).status == 403
    assert ask("PUT", application, path("j1"), SPRING, groups=("marketers", "app:*")).status == 200
    assert ask("GET", application, path("j1"), groups=viewer).status == 200


# --- former names ---


def former(application: str, journey: str = "j1") -> list[str]:
    item = wiring.views().get(journey_key(application, journey))
    assert item is not None
    return sorted(item["former"])


def test_the_sixtieth_name_costs_what_the_second_did(application: str) -> None:
    # Catches: former names that are kept, and taken away once more by each change.
    calls = []
    for number in range(60):
        with metered() as meter:
            assert put(application, changed("name", to=f"name {number}")).status == 200
        calls.append(meter.calls)
        assert former(application) == []
    assert calls[1] == calls[59]
    assert calls[59].total() <= 25
    assert bearers(application, "name 59") == ["j1"]
    assert not [number for number in range(59) if bearers(application, f"name {number}")]
    assert bearers(application, "j1") == []


def test_names_that_were_interrupted_again_and_again_do_not_pile_up(application: str) -> None:
    # Each leaves its label to the next change, which takes away what is left before it leaves one itself.
    put(application, SPRING)
    for number in range(20):
        faults, writes = Faults(), iter(range(100))
        faults.choose = lambda _, operation, writes=writes: (  # type: ignore[misc]
            # After the label and the name, before the former ones are taken away.
            killed_before if operation == "transact_write_items" and next(writes) == 3 else None
        )
        with faulty_wiring(faults), pytest.raises(Killed):
            wiring.registry().describe(application, JourneyDetails("j1", f"name {number}"))
        assert len(former(application)) <= MOST_FORMER + 2
    assert put(application, SPRING).status == 200
    assert former(application) == []
    assert not [number for number in range(20) if bearers(application, f"name {number}")]
