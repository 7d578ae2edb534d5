"""Previews: without a change they are the report, with one they are what the reference model says under it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.attribution.value import money
from chalicelib.facts import scanning
from chalicelib.facts.scanning import scanned
from chalicelib.jobs.store import JobFailed
from chalicelib.keys import Key
from chalicelib.reports import job_results
from chalicelib.reports.preview import Previewer, Question, TooManyFacts, is_own
from chalicelib.reports.preview_changes import Changes
from chalicelib.reports.preview_figures import Amounts, AmountsPreview, JourneyAmounts, JourneyPreview, Preview
from chalicelib.settings.model import (
    CustomInteraction,
    DayZone,
    InteractionSetting,
    Policy,
    Settings,
    ValueSettings,
    Window,
)
from chalicelib.times import DAY_MS
from tests.compare.shared import FEWER
from tests.compare.test_compare import deliver, sale
from tests.projection.scene import Scene, windows
from tests.properties.test_equality import prepared, told_and_delivered
from tests.reference import model
from tests.reference.facts import EXACT, Record
from tests.reference.histories import History
from tests.reference.model import Credit, Outcome
from tests.reference.records import email_open, event
from tests.reference.shorthand import APP, HOUR, T, bought, click, opened, tagged
from tests.support.clock import SetClock
from tests.support.outcome import report
from tests.support.system import System

pytestmark = pytest.mark.timeout(600)


def previewer(page: int | None = None, seconds: float = 0) -> Previewer:
    """One for which each look at the time takes so many seconds."""
    now = [0.0]

    def passing() -> float:
        now[0] += seconds
        return now[0]

    return Previewer(wiring.facts(), wiring.views(), wiring.settings(), wiring.registry(), passing, page)


def ask(scene: Scene, changes: Changes, first: str | None = None, end: str | None = None) -> Preview:
    return previewer().preview(Question(scene.application, changes, first, end), 10**6, 20)


def changed(found: Preview) -> dict[str | None, dict[str, int]]:
    """Events by journey under the changed settings; None: unattributed."""
    found_events: dict[str | None, dict[str, int]] = {None: found.unattributed.changed.events}
    return found_events | {one.journey_id: one.changed.events for one in found.journeys if one.changed.events}


def test_a_shorter_window_beside_the_present_one(scene: Scene) -> None:
    scene.tell(click("j1", T), sale(T + HOUR, 5), sale(T + 3 * DAY_MS, 7), click("j1", T, "e2"), sale(T + 1, 1, "e2"))
    found = ask(scene, Changes(lookback_window_days=Decimal(3)))
    assert found.journeys == [
        JourneyPreview(
            "j1",
            "j1",
            present=JourneyAmounts(2, {"purchase": 3}, {"USD": "13.00"}),
            changed=JourneyAmounts(2, {"purchase": 2}, {"USD": "6.00"}),
        )
    ]
    assert found.unattributed == AmountsPreview(Amounts({}, {}), Amounts({"purchase": 1}, {"USD": "7.00"}))
    assert found.total.present == found.total.changed == Amounts({"purchase": 3}, {"USD": "13.00"})
    assert wiring.settings().get(scene.application) == Settings()


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        # Without opens the click before decides, and it still covers the purchase.
        (
            Changes(interactions={"email.open": InteractionSetting(counts=False)}),
            {"j1": {"purchase": 1}, None: {"x": 1}},
        ),
        (
            Changes(interactions={"email.open": InteractionSetting(days=Decimal("0.01"))}),
            {None: {"purchase": 1, "x": 1}},
        ),
        (Changes(excluded_events=frozenset({"purchase"})), {None: {"x": 1}}),
        (Changes(included_events=frozenset({"purchase"})), {"j2": {"purchase": 1}, None: {}}),
        (
            Changes(custom_interactions=(CustomInteraction("x"),)),
            {"j9": {"purchase": 1, "x": 2}, None: {}},
        ),
        (Changes(), {"j2": {"purchase": 1}, None: {"x": 1}}),
    ],
)
def test_changes_of_what_counts(scene: Scene, changes: Changes, events: dict[str | None, dict[str, int]]) -> None:
    wiring.settings().change(scene.application, lambda _: windows((1.5, T + 2 * HOUR)))
    before, after = (
        event(APP, "x", at, client_id="e1", attributes={"journey_id": "j9"}) for at in (T - HOUR, T + 2 * HOUR)
    )
    scene.tell(click("j1", T), opened("j2", T + HOUR), before, bought(T + DAY_MS))
    if changes.custom_interactions:
        scene.tell(after)
    assert changed(ask(scene, changes)) == events


def test_machine_opens_left_out(scene: Scene) -> None:
    by_machine = email_open(APP, "e1", "j2", T + 1, user_agent="Mozilla/5.0")
    scene.tell(opened("j1", T), by_machine, bought(T + HOUR))
    assert changed(ask(scene, Changes(ignore_machine_opens=True))) == {"j1": {"purchase": 1}, None: {}}
    assert changed(ask(scene, Changes(ignore_machine_opens=False))) == {"j2": {"purchase": 1}, None: {}}


def test_days_of_the_period_and_touches_before_it(scene: Scene) -> None:
    scene.tell(click("j1", T - 6 * DAY_MS), bought(T - 1), bought(T), bought(T + DAY_MS - 1), bought(T + DAY_MS))
    found = ask(scene, Changes(), "20260328", "20260329")
    assert changed(found) == {"j1": {"purchase": 2}, None: {}}
    assert (found.from_, found.to) == ("2026-03-28", "2026-03-29")


def test_days_are_those_of_the_applications_time_zone(scene: Scene) -> None:
    # At T, midnight UTC, it is one o'clock in Berlin, so the last hour before T is of the same day there.
    wiring.settings().change(scene.application, lambda old: old.with_zone(DayZone("Europe/Berlin", 0)))
    scene.tell(click("j1", T - DAY_MS), bought(T - HOUR - 1), bought(T - HOUR), bought(T + 23 * HOUR - 1))
    scene.tell(bought(T + 23 * HOUR))
    found = ask(scene, Changes(), "20260328", "20260329")
    assert changed(found) == {"j1": {"purchase": 2}, None: {}}
    check_present(scene.application, found, "20260328", "20260329")


def test_a_policy_that_waits_for_a_rebuild_is_not_yet_in_force(scene: Scene) -> None:
    waiting = Policy(excluded_events=frozenset({"purchase"}), since_generation=1)
    wiring.settings().change(scene.application, lambda old: old.with_policy(waiting))
    scene.tell(click("j1", T), bought(T + 1))
    found = ask(scene, Changes(interactions={"email.click": InteractionSetting(days=Decimal(1))}))
    assert changed(found) == {"j1": {"purchase": 1}, None: {}}
    check_present(scene.application, found, None, None)


def test_a_touch_however_old_beats_a_stamp(scene: Scene) -> None:
    scene.tell(click("j1", T - 400 * DAY_MS), tagged("j2", T, "e2"), bought(T + 1, campaign="j2"))
    assert changed(ask(scene, Changes(), "20260328")) == {None: {"purchase": 1}}


def test_too_many_facts_or_too_slow_is_for_a_job(scene: Scene) -> None:
    scene.tell(*(bought(T + at, f"e{at}") for at in range(4)))
    question = Question(scene.application)
    with pytest.raises(TooManyFacts):
        previewer(page=1).preview(question, 3, 20)
    with pytest.raises(TooManyFacts):
        previewer(page=1, seconds=30).preview(question, 10**6, 20)
    # One page: what is read is answered.
    assert previewer(seconds=30).preview(question, 10**6, 20).total.present.events == {"purchase": 4}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"changes": {"lookback_window_days": 366}}, "lookback_window_days: days must be from"),
        ({"changes": {"lookback_window_days": "nan"}}, "lookback_window_days"),
        ({"changes": {"interactions": {"sms.click": {}}}}, "interactions has no sms.click"),
        ({"changes": {"interactions": {"email.open": {"days": 0}}}}, "interactions.email.open: days"),
        ({"changes": {"custom_interactions": [{"event_type": "a"}, {"event_type": "a"}]}}, "twice"),
        ({"changes": {"custom_interactions": [{"event_type": "_email.open"}]}}, "begins with _"),
        ({"changes": {"custom_interactions": [{"event_type": " "}]}}, "is empty"),
        ({"changes": {"excluded_events": [str(at) for at in range(201)]}}, "at most 200"),
        ({"changes": {"window": 3}}, "window"),
        ({"from": "20260329", "to": "20260329"}, "to must be later"),
    ],
)
def test_jobs_that_ask_for_what_cannot_be(given: dict[str, Any], says: str) -> None:
    with pytest.raises(JobFailed, match=says):
        previewer().start({"application": APP, "job": "1", **given})


def test_partitions_are_whole_wherever_the_pages_end_and_reading_goes_on_where_it_stopped(scene: Scene) -> None:
    users = [f"e{at}" for at in range(4)]
    scene.tell(*(bought(T + at, one) for at in range(3) for one in users), *(click("j1", T, one) for one in users))
    everything = [("", "~")]
    for limit in range(1, 8):
        whole = []
        after: Key | None = None
        while True:
            # Each page is the first of a new scan, which begins where the one before said.
            for page in scanned(wiring.facts(), scene.application, everything, after, limit):
                whole += page.partitions
                if page.resume != after:
                    break
            after = page.resume
            if after is None:
                break
        assert sorted((one[0].identity.name, len(one)) for one in whole) == [(one, 4) for one in users]


@pytest.mark.parametrize("most", [500, 1_000])
def test_a_user_of_too_many_facts_is_left_out_and_said(
    most: int, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Catches: all facts of a user held at once, however many a client sent.
    users = [f"e{at}" for at in range(3)]
    scene.tell(*(click("j1", T, one) for one in users), *(bought(T + 1, one) for one in users))
    scene.tell(*(bought(T + 2 + at, "e1") for at in range(20)))
    expected = previewer().preview(Question(scene.application), 10**6, 20)
    assert (expected.left_out, expected.journeys[0].present.events) == (0, {"purchase": 23})
    monkeypatch.setattr(scanning, "MOST_BYTES", most)
    for limit in (*range(3, 15), 100):
        found = previewer(page=limit).preview(Question(scene.application), 10**6, 20)
        assert (found.left_out, found.journeys[0].present) == (1, JourneyAmounts(2, {"purchase": 2}, {}))
        # Without all facts its events cannot be decided, so they have no journey.
        assert found.unattributed.present.events == {"purchase": 21}
        assert found.total == expected.total
        # Catches: a job that stops within the user's facts, and begins with them again.
        kind = previewer(page=limit, seconds=30)
        state: Any = kind.start({"application": scene.application, "job": "1"})
        finished = False
        while not finished:
            state, _, _, finished = kind.step(msgspec.json.decode(msgspec.json.encode(state)))
        assert kind.result(state) == msgspec.to_builtins(found)


def test_a_preview_that_a_job_cannot_hold_fails_with_advice(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    # Catches: an answer of more than 400 kB, with which the job is never saved.
    scene.tell(click("j1", T), bought(T + 1))
    kind = previewer()
    state, _, _, _ = kind.step(kind.start({"application": scene.application, "job": "1"}))
    size = len(msgspec.json.encode(kind.result(state)))
    monkeypatch.setattr(job_results, "LARGEST_WORK", size)
    assert kind.result(state)
    monkeypatch.setattr(job_results, "LARGEST_WORK", size - 1)
    with pytest.raises(JobFailed, match="ask for a shorter period"):
        kind.result(state)


def test_an_erased_users_alias_is_its_own_again_after_the_erasure() -> None:
    erased = {"time": Decimal(5), "kind": "x", "name": "", "until": Decimal(20)}
    linked = {"time": Decimal(30), "kind": "n", "name": "jane"}
    assert [at for at in (0, 4, 5, 20, 21, 29, 30, 99) if is_own(at, [erased, linked])] == [21, 29]
    assert [at for at in (0, 25) if is_own(at, [{"kind": "n", "name": "jane"}])] == []
    assert is_own(0, [])


# --- histories ---


def run_job(application: str, changes: Changes, page: int) -> Preview:
    kind = previewer(page, seconds=10)
    params = {"application": application, "job": "1", "changes": msgspec.to_builtins(changes)}
    state, finished = kind.start(params), False
    while not finished:
        state, _, _, finished = previewer(page, seconds=10).step(msgspec.json.decode(msgspec.json.encode(state)))
    return msgspec.convert(kind.result(state), Preview)


def check_present(application: str, found: Preview, first: str | None, end: str | None) -> None:
    wanted = report(application, first, end)
    figures = {one.journey: one for one in wanted.journeys if one.events.by_type()}
    assert {one.journey_id for one in found.journeys if one.present.events} == set(figures)
    for one in found.journeys:
        if one.present.events:
            mine = figures[one.journey_id]
            assert one.present.converters == mine.converters
            assert one.present.events == mine.events.by_type()
            assert one.present.revenue == {cur: money(amount) for cur, amount in mine.events.revenue().items()}
    for shown, events in ((found.unattributed.present, wanted.unattributed), (found.total.present, wanted.total)):
        assert shown.events == events.by_type()
        assert shown.revenue == {cur: money(amount) for cur, amount in events.revenue().items()}


def check_changed(found: Preview, outcome: Outcome) -> None:
    credited = [one for one in outcome.credits.values() if one.journey_id is not None]
    assert {one.journey_id for one in found.journeys if one.changed.events} == {one.journey_id for one in credited}
    for one in found.journeys:
        mine = [event for event in credited if event.journey_id == one.journey_id]
        assert one.changed.events == Counter(event.event_type for event in mine)
        assert one.changed.converters == len({event.user for event in mine})
        assert one.changed.revenue == worth(mine)
    left = [event for event in outcome.credits.values() if event.journey_id is None]
    assert found.unattributed.changed.events == Counter(event.event_type for event in left)
    assert found.unattributed.changed.revenue == worth(left)
    assert found.total.changed == found.total.present


def worth(events: Iterable[Credit]) -> dict[str, str]:
    """By the model, in currencies that any of the events is in."""
    sums: dict[str, Decimal] = {}
    for one in events:
        if one.currency is not None and one.value is not None:
            sums[one.currency] = EXACT.add(sums.get(one.currency, Decimal(0)), one.value)
    return {currency: money(amount) for currency, amount in sums.items()}


@settings(max_examples=FEWER)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_previews_of_histories(
    told: tuple[History, list[list[Record]]], seed: int, system: System, clock: SetClock
) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    deliver(system, clock, ready, deliveries)
    records = ready.renamed(history.records)
    for application, mine in ready.settings.items():
        unchanged = run_job(application, Changes(), chance.choice([20, 1000]))
        check_present(application, unchanged, None, None)
        assert all(one.present == one.changed for one in unchanged.journeys)
        assert unchanged.unattributed.present == unchanged.unattributed.changed
        assert unchanged.total.present == unchanged.total.changed
        day = f"202603{chance.choice(range(28, 32))}"
        check_present(application, previewer().preview(Question(application, Changes(), day), 10**6, 20), day, None)
        half = replace(mine, windows=[(0, 3 * DAY_MS + DAY_MS // 2)])
        found = run_job(application, Changes(lookback_window_days=Decimal("3.5")), chance.choice([20, 1000]))
        check_present(application, found, None, None)
        check_changed(found, model.run(records, {**ready.settings, application: half})[application])


def test_values_that_stand_elsewhere(scene: Scene) -> None:
    scene.tell(click("j1", T), event(APP, "purchase", T + 1, client_id="e1", metrics={"price": 5, "cost": 3}))
    found = ask(
        scene, Changes(value=ValueSettings("cost", default_currency="EUR", refund_types=frozenset({"purchase"})))
    )
    assert (found.total.present.revenue, found.total.changed.revenue) == ({"USD": "5.00"}, {"EUR": "-3.00"})


def test_windows_of_the_past_are_replaced_and_other_policies_kept() -> None:
    settings = Settings(windows=(Window(Decimal(1), 0), Window(Decimal(2), T)))
    assert Changes(lookback_window_days=Decimal(5)).applied(settings).windows == (Window(Decimal(5), 0),)
    assert Changes().applied(settings) == settings
