"""Models side by side, over the views that the projection makes."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.attribution import models
from chalicelib.jobs.store import LARGEST_WORK, JobFailed
from chalicelib.reports import compare
from chalicelib.reports.compare import Comparer, Question, TooManyEvents
from chalicelib.reports.comparison import Comparison, Share, comparison_of
from chalicelib.reports.shares import Sum
from chalicelib.times import DAY_MS
from tests.compare.shared import FEWER, MODELS, Expected, expected
from tests.projection.scene import Scene
from tests.properties.test_equality import Prepared, prepared, told_and_delivered
from tests.reference import model
from tests.reference.facts import Record, Step
from tests.reference.histories import History
from tests.reference.records import encode, event
from tests.reference.shorthand import APP, HOUR, T, bought, click, opened, tagged
from tests.support.clock import SetClock
from tests.support.system import System

pytestmark = pytest.mark.timeout(600)

WEEK_MS = 7 * DAY_MS


def comparer(piece: int = 400, seconds: Any = None) -> Comparer:
    """One whose every piece is a step of its own, unless told how time goes by."""
    passing = itertools.count(0, 10)
    clock = seconds or (lambda: float(next(passing)))
    return Comparer(wiring.views(), wiring.settings(), wiring.registry(), wiring.credited_events(), clock, piece)


def ask(scene: Scene, **asked: Any) -> Comparison:
    return comparer(seconds=lambda: 0.0).compare(Question(scene.application, **asked), 1_000, 20)


def sale(at: int, price: float, endpoint_id: str = "e1", currency: str = "USD") -> Record:
    return event(
        APP, "purchase", at, client_id=endpoint_id, attributes={"currency": currency}, metrics={"price": price}
    )


def table(found: Comparison) -> dict[str, dict[str, tuple[str, dict[str, str]]]]:
    """By model and journey: events and revenue."""
    return {
        name: {one.journey_id: (one.models[name].events, one.models[name].revenue) for one in found.journeys}
        for name in found.totals
    }


def test_three_touches_and_one_purchase_in_five_models(scene: Scene) -> None:
    touches = [click("j1", T), opened("j2", T + DAY_MS), click("j3", T + 2 * DAY_MS)]
    scene.tell(*touches, sale(T + 2 * DAY_MS + HOUR, 10))
    found = ask(scene, half_life_days=Decimal(1))
    assert table(found) == {
        "last_touch": {"j1": ("0", {}), "j2": ("0", {}), "j3": ("1", {"USD": "10.00"})},
        "first_touch": {"j1": ("1", {"USD": "10.00"}), "j2": ("0", {}), "j3": ("0", {})},
        # 3.33 each, and the cent that is left goes to the first of equals.
        "linear": {
            "j1": ("0.333334", {"USD": "3.34"}),
            "j2": ("0.333333", {"USD": "3.33"}),
            "j3": ("0.333333", {"USD": "3.33"}),
        },
        "position_based": {
            "j1": ("0.4", {"USD": "4.00"}),
            "j2": ("0.2", {"USD": "2.00"}),
            "j3": ("0.4", {"USD": "4.00"}),
        },
        # 1/7, 2/7, 4/7
        "time_decay": {
            "j1": ("0.142857", {"USD": "1.43"}),
            "j2": ("0.285714", {"USD": "2.86"}),
            "j3": ("0.571429", {"USD": "5.71"}),
        },
    }
    assert {(one.events, one.revenue["USD"]) for one in found.totals.values()} == {("1", "10.00")}
    assert found.totals["linear"].largest_rounding.revenue == {"USD": "0.00666667"}
    assert found.totals["last_touch"].largest_rounding.events == "0"
    assert "1 days" in found.definitions["time_decay"]


def test_touches_whose_own_window_is_over_have_no_share(scene: Scene) -> None:
    scene.tell(click("j1", T), click("j2", T + DAY_MS), bought(T + WEEK_MS - 1), bought(T + WEEK_MS))
    assert [table(ask(scene))["linear"][one][0] for one in ("j1", "j2")] == ["0.5", "1.5"]


def test_repeats_of_a_journey_are_positions_of_their_own(scene: Scene) -> None:
    scene.tell(click("j1", T), click("j2", T + 1), opened("j2", T + 2), click("j1", T + 3), bought(T + HOUR))
    found = table(ask(scene))
    assert found["linear"] == {"j1": ("0.5", {}), "j2": ("0.5", {})}
    assert found["position_based"] == {"j1": ("0.8", {}), "j2": ("0.2", {})}


def test_a_stamped_event_goes_to_its_journey_in_every_model(scene: Scene) -> None:
    scene.tell(click("j1", T), tagged("j2", T, "e2"))
    scene.tell(bought(T + HOUR, "e3", campaign="j2"))
    assert {name: one["j2"] for name, one in table(ask(scene)).items()} == dict.fromkeys(MODELS, ("1", {}))


def test_events_of_the_period_and_type_that_is_asked_for(scene: Scene) -> None:
    scene.tell(
        click("j1", T),
        sale(T + 1, 1),
        sale(T + 2, 2),
        event(APP, "refund", T + 2, client_id="e1", metrics={"price": 0.5}),
        sale(T + 3, 4),
    )
    assert table(ask(scene, start=T + 2, end=T + 3))["linear"] == {"j1": ("2", {"USD": "1.50"})}
    assert table(ask(scene, start=T + 2, event_type="purchase"))["linear"] == {"j1": ("2", {"USD": "6.00"})}
    nothing = ask(scene, event_type="none")
    assert (nothing.journeys, nothing.totals["linear"].events) == ([], "0")


def test_last_touch_shows_all_decimals_of_the_values_and_currencies_apart(scene: Scene) -> None:
    scene.tell(
        click("j1", T), sale(T + 1, 0.005), click("j2", T + 2), sale(T + 3, 0.005), sale(T + 4, 7, currency="JPY")
    )
    found = ask(scene, models=("last_touch",))
    assert table(found) == {"last_touch": {"j1": ("1", {"USD": "0.005"}), "j2": ("2", {"JPY": "7.00", "USD": "0.005"})}}
    assert found.totals["last_touch"].revenue == {"JPY": "7.00", "USD": "0.01"}


def test_more_events_than_a_request_takes_are_for_a_job(scene: Scene) -> None:
    scene.tell(click("j1", T), bought(T + 1), bought(T + 2), bought(T + 3))
    question = Question(scene.application)
    assert comparer(seconds=lambda: 0.0).compare(question, 3, 20).events == 3
    with pytest.raises(TooManyEvents):
        comparer(seconds=lambda: 0.0).compare(question, 2, 20)
    with pytest.raises(TooManyEvents):
        comparer(1).compare(question, 3, 20)  # whose every piece takes ten seconds


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"from": T, "to": T}, "to must be later"),
        ({"half_life_days": 0.04}, "half_life_days must be from 0.0417"),
        ({"half_life_days": 90.5}, "to 90"),
        ({"half_life_days": "1e999999"}, "half_life_days"),
        ({"half_life_days": "nan"}, "half_life_days"),
        ({"models": []}, "at least one"),
        ({"models": ["linear", "linear"]}, "none twice"),
        ({"models": ["markov"]}, "markov"),
    ],
)
def test_jobs_that_ask_for_what_there_is_not(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(JobFailed, match=says):
        comparer().start({"application": APP, "job": "1", **asked})


def run_job(application: str, piece: int, **asked: Any) -> tuple[Comparison, int]:
    """A job's result, and how many steps it took; its state is JSON between them."""
    kind = comparer(piece)
    state = kind.start({"application": application, "job": "1", **asked})
    for steps in itertools.count(1):
        state, done, _, finished = comparer(piece).step(msgspec.json.decode(msgspec.json.encode(state)))
        assert len(msgspec.json.encode(state)) < LARGEST_WORK
        if finished:
            found = msgspec.convert(kind.result(state), Comparison)
            assert done == found.events
            return found, steps
    raise AssertionError


def test_a_job_gives_what_a_request_gives_in_as_many_steps_as_there_are_pieces(scene: Scene) -> None:
    users = [f"e{number}" for number in range(6)]
    scene.tell(*(click(f"j{at % 3}", T + at, one) for at in range(8) for one in users))
    scene.tell(*(sale(T + DAY_MS + at, 9.99, one) for at in range(3) for one in users))
    asked = ask(scene)
    found, steps = run_job(scene.application, 5)
    assert found == asked
    assert steps == 5  # four pieces of 18 events, and a look that finds no more


def test_a_job_begins_again_when_the_views_were_made_anew(scene: Scene) -> None:
    scene.tell(click("j1", T), bought(T + 1), bought(T + 2))
    kind = comparer(1)
    state, _, _, finished = kind.step(kind.start({"application": scene.application, "job": "1"}))
    assert not finished
    wiring.settings().change(scene.application, lambda old: msgspec.structs.replace(old, generation=1))
    state, done, _, finished = kind.step(state)
    assert (done, finished) == (0, True)  # the new generation has no views here


@pytest.mark.parametrize("most", [4, 7, 2_000])
def test_a_person_of_many_touches_is_read_in_bounded_pieces_with_the_same_result(
    most: int, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Twenty clicks of three journeys before, between and after three purchases; a path has three.
    monkeypatch.setattr(models, "LONGEST_PATH", 3)
    monkeypatch.setattr(compare, "LONGEST_PATH", 3)
    clicks = [click(f"j{at % 3}", T + at * HOUR) for at in range(20)]
    scene.tell(*clicks, *(sale(T + at * HOUR + 1, 9) for at in (2, 9, 19)))
    expected = table(ask(scene, models=("linear", "first_touch")))
    # Each path has one click of each journey, a third of each purchase.
    assert expected["linear"] == {f"j{at}": ("1", {"USD": "9.00"}) for at in range(3)}
    monkeypatch.setattr(compare, "MOST_TOUCHES", most)
    read = read_touches(monkeypatch)
    assert table(ask(scene, models=("linear", "first_touch"))) == expected
    # At first for all three purchases, then for each by itself.
    assert sum(read) <= (20 if most == 2_000 else most + 1 + 3 * most)


def test_touches_that_cannot_be_in_a_path_are_not_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    # Catches: all touches of a year, where the newest few are enough.
    monkeypatch.setattr(models, "LONGEST_PATH", 3)
    monkeypatch.setattr(compare, "LONGEST_PATH", 3)
    monkeypatch.setattr(compare, "TOUCH_PAGE", 4)
    scene.tell(*(click("j1", T + at) for at in range(40)), sale(T + HOUR, 9))
    read = read_touches(monkeypatch)
    assert table(ask(scene))["linear"] == {"j1": ("1", {"USD": "9.00"})}
    assert sum(read) == 4


def read_touches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many touches each query reads, from now on."""
    client = wiring.views().client
    read: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def query(self, **request: Any) -> Any:
            answer = client.query(**request)
            if str(request["ExpressionAttributeValues"].get(":first", {}).get("S")).startswith("touch#"):
                read.append(len(answer["Items"]))
            return answer

    monkeypatch.setattr(wiring.views(), "client", Counting())
    return read


def test_rounded_columns_add_up_with_refunds_too() -> None:
    third = Fraction(-1, 3)
    sums = {name: {"linear": Sum(Fraction(1, 3), {"USD": third})} for name in ("a", "b", "c")}
    found = comparison_of(
        sums,  # type: ignore[arg-type]
        {},
        models=("linear",),
        start=0,
        end=T,
        event_type=None,
        half_life_days=Decimal("0.5"),
        events=1,
        places={"USD": 2},
    )
    assert [one.models["linear"].revenue["USD"] for one in found.journeys] == ["-0.33", "-0.33", "-0.34"]
    assert (found.totals["linear"].events, found.totals["linear"].revenue) == ("1", {"USD": "-1.00"})
    assert found.half_life_days == "0.5"


# --- histories ---


def deliver(system: System, clock: SetClock, ready: Prepared, deliveries: list[list[Record]]) -> None:
    for batch in deliveries:
        raw = ready.renamed(batch)
        system.ingest(encode(record) for record in raw if not isinstance(record, Step))
        for step in raw:
            if isinstance(step, Step):
                clock.time = step.invoked_at_ms
                system.tag(step.payload)
    system.project_all()


@settings(max_examples=FEWER)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_a_comparison_is_what_the_reference_models_credits_say(
    told: tuple[History, list[list[Record]]], seed: int, system: System, clock: SetClock
) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    deliver(system, clock, ready, deliveries)
    outcomes = model.run(ready.renamed(history.records), ready.settings)
    half_life = chance.choice([HOUR, DAY_MS, 9 * DAY_MS])
    for application in ready.settings:
        outcome = outcomes[application]
        times = sorted({one.time for one in outcome.credits.values()})
        start, end = (0, 2**47) if not times or chance.random() < 0.5 else (times[0] + 1, times[-1] + 1)
        if start >= end:
            continue
        asked = {"from": start, "to": end, "half_life_days": str(Decimal(half_life) / DAY_MS)}
        found, _ = run_job(application, chance.choice([1, 2, 400]), **asked)
        check(found, expected(outcome, start, end, half_life))


def check(found: Comparison, wanted: Any) -> None:
    """A share that is next to nothing may be shown as none at all."""
    for name in MODELS:
        shown = {one.journey_id: one.models[name] for one in found.journeys}
        # A cent of rounding, and of the values the trillionths in which time decay is told and those of floats.
        tolerance = Fraction(1, 100) + sum(one.gross for one in wanted[name].values()) / 10**11
        for journey in {*shown, *wanted[name]}:
            one, exact = shown.get(journey, Share("0", {})), wanted[name].get(journey, Expected())
            assert abs(Fraction(one.events) - exact.events) < Fraction(1, 10**6)
            for currency in {*one.revenue, *exact.revenue}:
                off = abs(Fraction(one.revenue.get(currency, "0")) - exact.revenue.get(currency, Fraction(0)))
                assert off == 0 if name == "last_touch" else off < tolerance
    assert len({msgspec.json.encode((one.events, one.revenue)) for one in found.totals.values()}) == 1
    assert sum(Fraction(one.models["linear"].events) for one in found.journeys) == found.events
