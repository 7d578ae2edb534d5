"""What clients choose is counted under a bounded number of names; the rest is `other`, and adds up all the same."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from chalicelib import wiring
from chalicelib.projection.codes import MOST_STAMPS, MOST_TYPES
from chalicelib.reports.report import Report
from chalicelib.settings.model import Policy, Settings, ValueSettings
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record
from tests.reference.records import event
from tests.reference.shorthand import APP, T, click

FLOOD = 600


def bought(kind: str, at: int, currency: str = "EUR", **more: str) -> Record:
    return event(APP, kind, at, client_id="e1", price=2, attributes={"currency": currency, **more})


def flood(at: int) -> list[Record]:
    """Events each of a type and a currency of its own."""
    return [bought(f"made up {number}", at + number, f"X{number}") for number in range(FLOOD)]


def check_sums(report: Report, events: int) -> None:
    """R13: nothing is lost, and nothing is credited that is not in the total."""
    assert sum(report.total.counts.values()) == events
    assert sum(report.total.values.values()) == 2 * events
    assert min(report.unattributed.counts.values()) >= 0
    assert min(report.unattributed.values.values()) >= 0


def test_a_flood_of_types_and_currencies_counts_as_other(scene: Scene) -> None:
    scene.tell(click("j1", T), bought("purchase", T + 1), *flood(T + 2), bought("sign_up", T + FLOOD + 2))
    report = scene.report()
    check_sums(report, FLOOD + 2)
    total = report.total
    assert len(total.by_type()) == MOST_TYPES + 1
    # "purchase" was there before the flood; the other came too late for a name of its own.
    assert (total.by_type()["purchase"], total.by_type()["other"]) == (1, FLOOD + 2 - MOST_TYPES)
    assert total.revenue() == {"EUR": Decimal(4), "other": Decimal(2 * FLOOD)}
    (j1,) = report.journeys
    assert j1.events.by_type() == total.by_type()


def test_what_is_credited_as_other_is_taken_away_as_other(scene: Scene) -> None:
    scene.tell(click("j1", T), *flood(T + 2))
    scene.tell(click("j2", T + 1))
    j1_and_j2 = {one.journey: one.events.by_type() for one in scene.report().journeys}
    assert j1_and_j2.keys() == {"j1", "j2"}
    assert (j1_and_j2["j1"], sum(j1_and_j2["j2"].values())) == ({}, FLOOD)
    check_sums(scene.report(), FLOOD)


def test_the_flood_of_one_application_is_not_another_s(scene: Scene, system: object, clock: object) -> None:
    other = Scene(scene.system, scene.clock)
    scene.tell(*flood(T))
    other.tell(*(bought(f"kind {number}", T) for number in range(MOST_TYPES)))
    assert "other" not in other.report().total.by_type()


def test_types_that_settings_name_have_names_in_reserve(scene: Scene) -> None:
    """From the time on at which the settings hold: before, they were counted as other, and that stays so."""
    scene.tell(click("j1", T), *flood(T + 1), bought("sign_up", T + 1_000), bought("purchase", T + 1_001))
    assert scene.report().total.by_type()["purchase"] == 1  # it always is in reserve
    named = Policy(effective_from=T + DAY, included_events=frozenset({"sign_up", "purchase"}))
    wiring.settings().change(scene.application, lambda old: old.with_policy(named))
    scene.tell(bought("sign_up", T + DAY - 1), bought("sign_up", T + DAY), bought("sign_up", T + DAY + 1, "USD"))
    check_sums(scene.report(), FLOOD + 5)
    assert scene.report().total.by_type()["sign_up"] == 2
    # All of them are credited again, each under the name that it was counted by.
    scene.tell(click("j2", T + 999))
    check_sums(scene.report(), FLOOD + 5)
    by_journey = {one.journey: one.events.by_type() for one in scene.report().journeys}
    assert (by_journey["j2"]["sign_up"], by_journey["j2"]["other"]) == (2, 2)


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_sums_are_the_same(seed: int, scene: Scene) -> None:
    told = [click("j1", T), click("j2", T + 300), *flood(T + 1)]
    random.Random(seed).shuffle(told)
    for at in range(0, len(told), 100):
        scene.tell(*told[at : at + 100])
    check_sums(scene.report(), FLOOD)
    assert {one.journey: sum(one.events.counts.values()) for one in scene.report().journeys} == {
        "j1": 299,
        "j2": FLOOD - 299,
    }


def test_currencies_that_settings_name_count(clock: object, system: object, scene: Scene) -> None:
    points = ValueSettings(currencies=frozenset({"POINTS"}), default_currency="TOKENS")
    wiring.settings().change(scene.application, lambda _: Settings(values=(points,)))
    scene.tell(bought("purchase", T, "points"), bought("purchase", T, ""), bought("purchase", T, "TALERS"))
    assert scene.report().total.revenue() == {"POINTS": Decimal(2), "TOKENS": Decimal(2), "other": Decimal(2)}


def test_a_flood_of_stamps_disagrees(scene: Scene) -> None:
    stamps = [f"made up {number}" for number in range(MOST_STAMPS + 50)]
    scene.tell(click("j1", T), bought("purchase", T + 1, campaign="j1"))
    scene.tell(*(bought("purchase", T + 2 + number, campaign=stamp) for number, stamp in enumerate(stamps)))
    (j1,) = scene.report().journeys
    assert (j1.stamps_agreeing, j1.stamps_disagreeing) == (1, len(stamps))


def test_no_item_of_tallies_outgrows_its_bound(scene: Scene) -> None:
    long = "t" * 240
    scene.tell(click("j1", T), *(bought(f"{long}{number}", T + number, campaign=str(number)) for number in range(700)))
    table, pk = wiring.views(), scene.keys.tally(0, "", None).pk
    items = [*table.query_wire(pk), *table.query_wire(scene.keys.codes("events").pk)]
    assert len(items) == 4
    assert max(len(str(item)) for item in items) < 100_000
