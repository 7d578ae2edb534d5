"""What counts as a touch and as an event is a setting, in force from a time on (R9, R10)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib.settings.model import CustomInteraction, InteractionSetting, Policy, Settings
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record
from tests.reference.records import email_click, email_open, event, send, step
from tests.reference.shorthand import APP
from tests.support.clock import SetClock
from tests.support.system import System

T = 1_774_656_000_000
HOUR = 3_600_000
JANE = "jane"


def scene_of(system: System, clock: SetClock, *policies: Policy) -> Scene:
    settings = Settings()
    for policy in policies:
        settings = settings.with_policy(policy)
    return Scene(system, clock, settings)


def bought(at: int, event_type: str = "purchase") -> Record:
    return event(APP, event_type, at, price=10, user_name=JANE)


LINK = send(APP, "e1", "j1", T - HOUR, user_name=JANE)


def test_a_kind_that_is_switched_off_is_no_touch(system: System, clock: SetClock) -> None:
    # Catches: an open that still overwrites the click before it (R1), or is tallied as a touch.
    scene = scene_of(system, clock, Policy(interactions={"email.open": InteractionSetting(counts=False)}))
    scene.tell(LINK, email_click(APP, "e1", "j1", T), email_open(APP, "e1", "j2", T + HOUR), bought(T + 2 * HOUR))
    assert scene.journeys() == {T + 2 * HOUR: "j1"}
    assert [(one.journey, dict(one.touches)) for one in scene.report().journeys] == [("j1", {"email.click": 1})]


def test_a_kind_may_have_a_window_of_its_own(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(interactions={"email.open": InteractionSetting(days=Decimal(1))}))
    scene.tell(LINK, email_open(APP, "e1", "j1", T), bought(T + DAY - 1), bought(T + DAY))
    assert scene.journeys() == {T + DAY - 1: "j1"}


def test_a_newer_touch_with_a_shorter_window_overwrites_the_older_all_the_same(system: System, clock: SetClock) -> None:
    # Catches: falling back to the click, whose window is still open (R1).
    scene = scene_of(system, clock, Policy(interactions={"email.open": InteractionSetting(days=Decimal(1))}))
    scene.tell(LINK, email_click(APP, "e1", "j1", T), email_open(APP, "e1", "j2", T + HOUR), bought(T + HOUR + DAY))
    assert scene.journeys() == {}
    assert scene.report().unattributed.by_type() == {"purchase": 1}


@pytest.mark.parametrize(("agent", "counts"), [("Mozilla/5.0", False), ("Mozilla/5.0 (iPhone) Mail", True)])
def test_opens_by_machines_can_be_ignored(system: System, clock: SetClock, agent: str, counts: bool) -> None:
    scene = scene_of(system, clock, Policy(ignore_machine_opens=True))
    scene.tell(LINK, email_open(APP, "e1", "j1", T, user_agent=agent), bought(T + 1))
    assert scene.journeys() == ({T + 1: "j1"} if counts else {})


def test_a_click_by_the_same_agent_is_no_machine_open(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(ignore_machine_opens=True))
    scene.tell(LINK, email_click(APP, "e1", "j1", T, user_agent="Mozilla/5.0"), bought(T + 1))
    assert scene.journeys() == {T + 1: "j1"}


SMS = CustomInteraction("sms.click", channel="sms")


def clicked(at: int, journey: str, **attributes: str) -> Record:
    return event(APP, "sms.click", at, user_name=JANE, attributes={"journey_id": journey, **attributes})


def test_a_custom_event_may_be_a_touch_and_stays_an_event(system: System, clock: SetClock) -> None:
    # By R10 it is an event too, and the newest touch at or before it is itself.
    scene = scene_of(system, clock, Policy(custom_interactions=(SMS,)))
    scene.tell(bought(T + 2), clicked(T + 1, "j1"))
    assert scene.journeys() == {T + 1: "j1", T + 2: "j1"}
    (figures,) = scene.report().journeys
    assert (dict(figures.touches), figures.reached, figures.converters) == ({"sms.click": 1}, 1, 1)


def test_a_custom_event_that_names_no_journey_is_no_touch(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(custom_interactions=(SMS,)))
    scene.tell(clicked(T, "  "), bought(T + 1))
    assert scene.journeys() == {}


def test_a_custom_touch_moves_with_its_alias(system: System, clock: SetClock) -> None:
    # Catches: a touch that stays with the endpoint when the link comes after it.
    scene = scene_of(system, clock, Policy(custom_interactions=(SMS,)))
    touch = event(APP, "sms.click", T, client_id="e1", attributes={"journey_id": "j1"})
    scene.tell_one_by_one([touch, bought(T + 1), LINK])
    assert scene.journeys() == {T: "j1", T + 1: "j1"}
    (figures,) = scene.report().journeys
    assert (figures.reached, dict(figures.touches)) == (1, {"sms.click": 1})
    scene.tell(send(APP, "e1", "j1", T - 2, user_name="else"), send(APP, "e1", "j1", T + 5, user_name=JANE))
    assert scene.journeys() == {T: "j1"}


def test_the_policy_of_the_facts_time_is_the_one_in_force(system: System, clock: SetClock) -> None:
    off = Policy(effective_from=T, interactions={"journey.step": InteractionSetting(counts=False)})
    scene = scene_of(system, clock, off)
    endpoints = {"e1": {"ChannelType": "SMS", "User": {"UserAttributes": {"username": [JANE]}}}}
    scene.tell(step(APP, "j1", endpoints, at=T - 1), step(APP, "j2", endpoints, at=T), bought(T + 1))
    assert scene.journeys() == {T + 1: "j1"}


def test_types_that_are_left_out_are_no_events(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(excluded_events=frozenset({"page_view"})))
    scene.tell(LINK, email_click(APP, "e1", "j1", T), bought(T + 1), bought(T + 2, "page_view"))
    assert scene.journeys() == {T + 1: "j1"}
    assert scene.report().total.by_type() == {"purchase": 1}


def test_only_types_that_are_let_in_are_events(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(included_events=frozenset({"sign_up"})))
    scene.tell_one_by_one([bought(T + 1), bought(T + 2, "sign_up"), LINK, email_click(APP, "e1", "j1", T)])
    assert scene.journeys() == {T + 2: "j1"}
    assert scene.report().total.by_type() == {"sign_up": 1}


FOLLOWED = CustomInteraction("link", journey_attribute="of", channel="sms", days=Decimal(1))


def followed(at: int, journey: str, **attributes: str) -> Record:
    return event(APP, "link", at, user_name=JANE, attributes={"of": journey, **attributes})


def test_a_custom_interaction_has_its_own_attribute_channel_and_window(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(custom_interactions=(SMS, FOLLOWED)))
    scene.tell(followed(T, "j1", journey_id="j2"), bought(T + DAY - 1), bought(T + DAY))
    assert scene.journeys() == {T: "j1", T + DAY - 1: "j1"}
    touches = [one.touch for one in scene.credited()]
    assert touches == [(T, "link", "sms"), (T, "link", "sms")]


def test_a_custom_interaction_is_as_strong_as_a_click(system: System, clock: SetClock) -> None:
    # Catches: an open that beats it at one millisecond; a click that always does, whatever the journeys (R4).
    scene = scene_of(system, clock, Policy(custom_interactions=(SMS,)))
    scene.tell(LINK, clicked(T, "j1"), email_open(APP, "e1", "j2", T), bought(T))
    assert {one.journey for one in scene.credited()} == {"j1"}
    scene.tell(email_click(APP, "e1", "j0", T))
    assert {one.journey for one in scene.credited()} == {"j1"}
    scene.tell(email_click(APP, "e1", "j3", T))
    assert {one.journey for one in scene.credited()} == {"j3"}


def test_an_excluded_custom_interaction_is_a_touch_only(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(custom_interactions=(SMS,), excluded_events=frozenset({"sms.click"})))
    scene.tell(clicked(T, "j1"), bought(T + 1))
    assert scene.journeys() == {T + 1: "j1"}
    report = scene.report()
    assert report.total.by_type() == {"purchase": 1}
    assert [dict(one.touches) for one in report.journeys] == [{"sms.click": 1}]


@pytest.mark.parametrize("interaction", [clicked(T, "j1"), email_open(APP, "e1", "j1", T)], ids=["custom", "left out"])
def test_what_names_a_journey_makes_it_known_to_stamps(system: System, clock: SetClock, interaction: Record) -> None:
    # Catches: custom interactions that only credit; a journey forgotten because its interaction does not count.
    policy = Policy(custom_interactions=(SMS,), interactions={"email.open": InteractionSetting(counts=False)})
    stamped = event(APP, "purchase", T - 1, user_name="joan", attributes={"campaign": "j1"})
    scene = scene_of(system, clock, policy)
    scene.tell_one_by_one([stamped, interaction])
    assert [(one.journey, one.basis) for one in scene.credited() if one.time == T - 1] == [("j1", "stamp")]


def test_machines_are_those_that_settings_name(system: System, clock: SetClock) -> None:
    policy = Policy(ignore_machine_opens=True, machine_user_agents=frozenset({"Proxy/1"}))
    scene = scene_of(system, clock, policy)
    scene.tell(LINK, email_open(APP, "e1", "j1", T, user_agent="Mozilla/5.0"))
    scene.tell(email_open(APP, "e1", "j2", T + 1, user_agent=" Proxy/1 "), bought(T + 2))
    assert scene.journeys() == {T + 2: "j1"}


def test_the_stamp_of_an_event_that_is_its_own_touch_is_held_against_it(system: System, clock: SetClock) -> None:
    scene = scene_of(system, clock, Policy(custom_interactions=(SMS,)))
    scene.tell(clicked(T, "j1", campaign="j1"), clicked(T + 1, "j1", campaign="j2"), clicked(T + 2, "j1"))
    (figures,) = scene.report().journeys
    assert (figures.stamps_agreeing, figures.stamps_disagreeing) == (1, 1)
