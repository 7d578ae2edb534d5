"""The rules in tables, worked out by hand: R1-R4, R6, R7, R11, R13. Each case names the mistake that it catches."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from .facts import DAY, Record
from .model import Credit, Settings, run
from .records import endpoint, event, of_no_use, push_opened, send, step
from .shorthand import (
    APP,
    HOUR,
    WEEK,
    T,
    bought,
    click,
    journey_and_basis,
    only_credit,
    opened,
    outcome,
    pushed,
    tagged,
)


@pytest.mark.parametrize(
    ("after", "journey"),
    [
        (-1, None),  # catches: the nearest touch instead of the newest before
        (0, "j1"),  # catches: t < e
        (WEEK - 1, "j1"),  # catches: an end cut to whole seconds or days
        (WEEK, None),  # catches: e <= t + window
    ],
)
def test_window_edges(after: int, journey: str | None) -> None:
    assert only_credit(click("j1", T), bought(T + after)).journey_id == journey


def test_no_falling_back_to_an_older_touch_whose_window_is_longer() -> None:
    # Catches: the newest touch among those whose window is open.
    by = Settings(windows=[(T, WEEK), (T + HOUR, HOUR)])
    told = [click("j1", T), click("j2", T + HOUR), bought(T + 2 * HOUR)]
    assert only_credit(*told, by=by) == Credit(("p", "e1"), "purchase", T + 2 * HOUR, None, None, None, None, None)


@pytest.mark.parametrize(
    ("touched_at", "after", "journey"),
    [
        (T + HOUR - 1, DAY, "j1"),  # catches: the window in force at the event, or now
        (T + HOUR, HOUR - 1, "j1"),  # catches: effective_from < t
        (T + HOUR, HOUR, None),  # catches: the window before the change
        (T - DAY - 1, WEEK - 1, "j1"),  # catches: the first setting taken for all times before it
    ],
)
def test_window_in_force_at_the_touch(touched_at: int, after: int, journey: str | None) -> None:
    by = Settings(windows=[(T + HOUR, HOUR), (T - DAY, 2 * DAY)])  # catches: the order of setting instead of of effect
    assert only_credit(click("j1", touched_at), bought(touched_at + after), by=by).journey_id == journey


def test_the_last_set_of_two_windows_from_one_moment_wins() -> None:
    # Catches: the first set, or the longer one.
    by = Settings(windows=[(T, DAY), (T, HOUR)])
    assert only_credit(click("j1", T), bought(T + HOUR), by=by).journey_id is None


def test_returning_to_an_earlier_journey_credits_it_again() -> None:
    # Catches: one touch kept per journey, first touch.
    told = [click("j1", T), click("j2", T + 2), click("j1", T + 4), bought(T + 1), bought(T + 3), bought(T + 5)]
    credits = sorted(outcome(*told).credits.values(), key=lambda credit: credit.time)
    assert [credit.journey_id for credit in credits] == ["j1", "j2", "j1"]
    assert [credit.touch and credit.touch.time for credit in credits] == [T, T + 2, T + 4]


def test_same_journey_again_restarts_the_window() -> None:
    # Catches: the window counted from the first touch of the journey.
    assert only_credit(click("j1", T), opened("j1", T + DAY), bought(T + WEEK)).journey_id == "j1"


@pytest.mark.parametrize(
    ("touches", "journey", "kind"),
    [
        ([click("j1", T), opened("j2", T)], "j1", "email.click"),  # catches: journey id before strength
        ([opened("j1", T), tagged("j2", T)], "j1", "email.open"),  # catches: the step as strong as an open
        ([pushed("j1", T), tagged("j2", T)], "j1", "push.opened_notification"),
        ([pushed("j1", T), opened("j2", T)], "j2", "email.open"),  # catches: push stronger than open
        ([opened("j1", T), pushed("j1", T)], "j1", "push.opened_notification"),  # catches: arrival order
        ([click("j2", T), click("j10", T)], "j2", "email.click"),  # catches: ids compared as numbers
        ([click("j1", T), opened("j2", T + 1)], "j2", "email.open"),  # catches: strength before time
    ],
)
def test_ties(touches: list[Record], journey: str, kind: str) -> None:
    for told in (touches, touches[::-1]):
        credit = only_credit(bought(T + 1), *told)
        assert (credit.journey_id, credit.touch and credit.touch.kind) == (journey, kind)


def user_of(told: Record, *links: Record) -> tuple[str, str]:
    return only_credit(told, *links).user


@pytest.mark.parametrize(
    ("carried", "user"),
    [
        ({"client_id": "e1", "user_id": "u", "user_name": "jane"}, ("n", "jane")),
        ({"client_id": "e1", "user_id": "u"}, ("u", "u")),  # catches: the endpoint preferred
        ({"client_id": "e1"}, ("p", "e1")),
        ({"client_id": "e1", "user_id": "u", "user_name": " "}, ("u", "u")),  # catches: blank names as names
        ({"client_id": "e1", "user_id": "", "user_name": ""}, ("p", "e1")),
        ({"user_name": "é ü"}, ("n", "é ü")),  # catches: names cut, folded or quoted
        ({"user_name": "x#y"}, ("n", "x#y")),
    ],
)
def test_the_strongest_name_of_a_record(carried: Mapping[str, str], user: tuple[str, str]) -> None:
    origin = [carried.get(name) for name in ("client_id", "user_id", "user_name")]
    told = event(APP, "purchase", T, client_id=origin[0], user_id=origin[1], user_name=origin[2])
    assert user_of(told) == user


def test_first_entry_and_setting_of_the_user_name() -> None:
    # Catches: the last entry; the attribute's name fixed in code.
    told = event(APP, "purchase", T, client_id="e1")
    told["endpoint"] = {"User": {"UserAttributes": {"login": ["jane", "joan"], "username": ["other"]}}}
    assert only_credit(told, by=Settings(username_attribute="login")).user == ("n", "jane")


def test_events_of_nobody_are_each_their_own_user() -> None:
    # Catches: all anonymous events piled onto one user, or dropped (R13).
    result = outcome(bought(T, None), bought(T + 1, None))
    users = {credit.user for credit in result.credits.values()}
    assert len(users) == 2
    assert {kind for kind, _ in users} == {"x"}


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_nobody_is_the_same_however_a_number_is_spelled(zero: float) -> None:
    # Catches: nobody named after the copy that came first (R5).
    plain, spelled = (event(APP, "purchase", T, metrics={"price": 5, "weight": weight}) for weight in (0, zero))
    assert outcome(plain, spelled) == outcome(spelled, plain)


def names(at: int, user_name: str | None = None, user_id: str | None = None, endpoint_id: str = "e1") -> Record:
    return send(APP, endpoint_id, "j1", at, user_name=user_name, user_id=user_id)


@pytest.mark.parametrize(
    ("links", "user"),
    [
        ([names(T, "jane")], ("n", "jane")),  # at the fact's own millisecond; catches: link < t
        ([names(T - 2, "joan"), names(T - 1, "jane")], ("n", "jane")),  # catches: the first link
        ([names(T - 1, "jane"), names(T + 1, "joan")], ("n", "jane")),  # catches: the newest link of all
        ([names(T + 2, "joan"), names(T + 1, "jane")], ("n", "jane")),  # catches: the latest of those after
        ([names(T - HOUR, "jane"), names(T + 1, "joan")], ("n", "jane")),  # catches: the nearest link
        ([names(T, "a"), names(T, "jane")], ("n", "jane")),  # catches: the one that arrived first
        ([names(T, "a"), names(T, user_id="z")], ("n", "a")),  # catches: the greater text whatever its kind
        ([names(T - 1, "jane"), names(T)], ("n", "jane")),  # a send that names nobody; catches: it unlinks
        ([names(T - 1, " ")], ("p", "e1")),  # catches: a link to a blank
        ([names(T, "jane", endpoint_id="e2")], ("p", "e1")),
        ([names(T, user_id="u")], ("u", "u")),
        ([names(T, "jane", "u")], ("n", "jane")),
        ([tagged("j1", T - 1), step(APP, "j1", {"e1": endpoint(user_name="jane")}, at=T)], ("n", "jane")),
        # Only sends and steps link; catches: links learnt from an event's or a push's endpoint object.
        ([push_opened(APP, "e1", "j1", T, user_name="jane")], ("p", "e1")),
    ],
)
def test_links_of_an_endpoint(links: list[Record], user: tuple[str, str]) -> None:
    assert user_of(bought(T), *links) == user
    assert user_of(bought(T), *links[::-1]) == user


def test_both_hops_at_the_facts_own_time() -> None:
    # Catches: the second hop resolved when the first link was made, or now.
    links = [
        names(T, user_id="u"),
        names(T + 2, "jane", "u", endpoint_id="e2"),
        names(T + 4, "joan", "u", endpoint_id="e2"),
    ]
    assert [user_of(bought(T + after), *links)[1] for after in (0, 2, 3, 4, 5)] == [
        "jane",
        "jane",
        "jane",
        "joan",
        "joan",
    ]


def test_a_text_of_two_kinds_is_two_identities() -> None:
    # Catches: identities compared by name alone.
    told = [event(APP, "purchase", T, user_name="a"), event(APP, "purchase", T, user_id="a"), bought(T, "a")]
    assert {credit.user for credit in outcome(*told).credits.values()} == {("n", "a"), ("u", "a"), ("p", "a")}


def test_an_alias_that_changes_hands_keeps_its_facts_with_each_owner() -> None:
    # Catches: all of an alias's facts moved to its latest owner.
    told = [names(T, "jane"), click("j1", T + 1), names(T + 2, "joan"), click("j2", T + 3)]
    assert outcome(*told).campaigns(T + 4) == {("n", "jane"): "j1", ("n", "joan"): "j2"}


def test_touches_of_several_endpoints_meet_in_their_user() -> None:
    # Catches: last touch by endpoint; one endpoint per step.
    told = [
        step(APP, "j1", {"e1": endpoint(user_name="jane"), "e2": endpoint(user_name="jane")}, at=T),
        click("j2", T + 1, "e2"),
        event(APP, "purchase", T + 2, user_name="jane"),
    ]
    assert only_credit(*told).journey_id == "j2"
    assert len(outcome(*told).touches) == 3


@pytest.mark.parametrize("status", ["FAILURE", "DAILY_CAP", "SUCCESS", None])
def test_sends_of_every_status_link_and_those_that_went_out_count(status: str | None) -> None:
    # Catches: links of failed sends ignored, failed sends counted, sends of old shape not counted.
    result = outcome(send(APP, "e1", "j1", T, user_name="jane", status=status), bought(T))
    assert [credit.user for credit in result.credits.values()] == [("n", "jane")]
    assert len(result.sends) == (1 if status in ("SUCCESS", None) else 0)


def test_campaign_is_the_newest_touch_while_its_window_is_open() -> None:
    by = Settings(windows=[(0, DAY), (T + HOUR, HOUR)])
    result = outcome(click("j1", T), click("j2", T + HOUR), click("j1", T + 1, "e2"), by=by)
    user, other = ("p", "e1"), ("p", "e2")
    assert result.campaigns(T + HOUR) == {user: "j2", other: "j1"}
    assert result.campaigns(T + 2 * HOUR - 1)[user] == "j2"
    assert result.campaigns(T + 2 * HOUR)[user] is None  # catches: j1 again, whose window is still open; now <= end
    assert outcome(bought(T), by=by).campaigns(T) == {}  # catches: users who have only events


NAMED = Settings(journey_names={"j1": "Spring", "j2": "Spring", "j3": "j1"})


@pytest.mark.parametrize(
    ("told", "journey", "basis"),
    [
        ([bought(T, campaign="Spring")], "j2", "stamp"),  # catches: the least id of two journeys of one name
        ([bought(T, CamPaign="Spring")], "j2", "stamp"),  # catches: the attribute's case
        ([bought(T, campaign="spring")], None, None),  # catches: the value's case ignored as well
        ([bought(T, campaign="Spring ")], None, None),  # catches: the value trimmed
        ([bought(T, campaign=" ")], None, None),
        ([bought(T, campaign="j1")], "j3", "stamp"),  # catches: the id of a journey that has a name
        ([bought(T, campaign="j2")], None, None),
        ([bought(T, campaign="j9")], None, None),  # catches: unknown journeys credited
        ([click("j9", T + DAY, "e9"), bought(T, campaign="j9")], "j9", "stamp"),  # known, if only later
        ([send(APP, "e9", "j9", T, status="FAILURE"), bought(T, campaign="j9")], "j9", "stamp"),
        ([tagged("j9", T, "e9"), bought(T, campaign="j9")], "j9", "stamp"),
        ([of_no_use(APP, "_email.delivered", T, journey="j9"), bought(T, campaign="j9")], None, None),
        ([click("j1", T), bought(T, campaign="j1")], "j1", "touch"),  # catches: a stamp that beats a touch
        ([click("j1", T + 1), bought(T, campaign="j1")], "j3", "stamp"),  # the touch came after the event
        ([click("j1", T), bought(T + WEEK, campaign="j1")], None, None),  # catches: a stamp where a window is over
        ([bought(T, None, campaign="Spring")], "j2", "stamp"),  # nobody may be stamped, too
    ],
)
def test_stamps(told: list[Record], journey: str | None, basis: str | None) -> None:
    assert journey_and_basis(*told, by=NAMED) == (journey, basis)
    assert journey_and_basis(*told[::-1], by=NAMED) == (journey, basis)


def test_tallies_of_a_small_history() -> None:
    # Catches: events counted on the touch's day; refunds not counted as events; currencies or types added together.
    told = [
        send(APP, "e1", "j1", T - 1, user_name="jane"),
        send(APP, "e2", "j1", T, status="FAILURE"),
        click("j1", T + 1),
        opened("j1", T + 2),
        event(APP, "purchase", T + 3, user_name="jane", price=10),
        event(APP, "purchase", T + 4, user_name="jane", price=7, attributes={"currency": "EUR"}),
        event(APP, "refund", T + DAY, user_name="jane", price=4),
        event(APP, "sign_up", T + DAY, user_name="jane"),
        event(APP, "purchase", T + DAY, user_name="joan", price=1),
    ]
    result = outcome(*told)
    before, first, second = "2026-03-27", "2026-03-28", "2026-03-29"
    tallies = result.tallies
    assert set(tallies) == {(before, "j1"), (first, "j1"), (second, "j1")}
    assert {day: tally.sends for (day, _), tally in tallies.items()} == {before: 1, first: 0, second: 0}
    assert tallies[first, "j1"].touches == {"email.click": 1, "email.open": 1}
    assert tallies[first, "j1"].events == {"purchase": 2}
    assert tallies[first, "j1"].revenue == {"USD": Decimal(10), "EUR": Decimal(7)}
    assert tallies[second, "j1"].events == {"refund": 1, "sign_up": 1}
    assert tallies[second, "j1"].revenue == {"USD": Decimal(-4)}
    assert result.unattributed[second].counts == {("purchase", "USD"): 1}
    assert result.totals[second].counts == {("purchase", "USD"): 1, ("refund", "USD"): 1, ("sign_up", None): 1}
    assert result.totals[second].values == {("purchase", "USD"): Decimal(1), ("refund", "USD"): Decimal(-4)}


def test_reached_and_converters_are_distinct_users_of_whole_days() -> None:
    # Catches: a user counted once a day; the last day or its last millisecond left out.
    told = [click("j1", T), click("j1", T + DAY), click("j1", T + 2 * DAY - 1, "e2"), bought(T + 2 * DAY)]
    result = outcome(*told, bought(T, "e3"))
    first, second, third = "2026-03-28", "2026-03-29", "2026-03-30"
    assert result.reached("j1", first, second) == {("p", "e1"), ("p", "e2")}
    assert result.reached("j1", first, first) == {("p", "e1")}
    assert result.reached("j1", third, third) == set()
    assert result.converters("j1", first, second) == set()
    assert result.converters("j1", first, third) == {("p", "e1")}


def test_applications_share_nothing() -> None:
    # Catches: touches, links, names or known journeys of another application (I5).
    told = [
        click("j1", T),
        send(APP, "e1", "j1", T, user_name="jane"),
        event("other", "purchase", T + 1, client_id="e1", attributes={"campaign": "j1"}),
    ]
    (credit,) = run(told, {APP: NAMED})["other"].credits.values()
    assert (credit.user, credit.journey_id) == (("p", "e1"), None)
