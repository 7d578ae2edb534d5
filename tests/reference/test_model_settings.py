"""What counts, by settings and by shape, in tables worked out by hand: R9-R11, R14. Each names what it catches."""

import pytest

from .facts import DAY, Record
from .model import Credit, Settings, malformed, run
from .records import email_click, email_open, encode, event, of_no_use, push_opened, send
from .settings import Custom, Policy
from .shorthand import APP, HOUR, WEEK, T, bought, click, journey_and_basis, only_credit, opened, outcome, tagged

NO_OPENS = Policy(off=frozenset({"email.open"}))
MACHINES = Policy(machines=frozenset({"Mozilla/5.0"}))
SMS = Policy(customs={"sms": Custom(journey_attribute="of", channel="sms")})
SHORT_SMS = Policy(customs={"sms": Custom(window=HOUR)})


def by(*policies: Policy, windows: list[tuple[int, int]] | None = None, **names: str) -> Settings:
    return Settings(windows=windows or [], policies=list(policies), journey_names=names)


def followed(journey: str, at: int, attribute: str = "journey_id", **others: str) -> Record:
    return event(APP, "sms", at, client_id="e1", attributes={attribute: journey, **others})


@pytest.mark.parametrize(
    ("told", "policy", "journey"),
    [
        ([click("j1", T), opened("j2", T + 1)], NO_OPENS, "j1"),  # catches: an open that still overwrites
        ([opened("j1", T)], NO_OPENS, None),
        ([tagged("j1", T)], Policy(off=frozenset({"journey.step"})), None),
        ([push_opened(APP, "e1", "j1", T)], Policy(off=frozenset({"push.opened_notification"})), None),
        ([email_open(APP, "e1", "j1", T, user_agent=" Mozilla/5.0 ")], MACHINES, None),
        ([email_open(APP, "e1", "j1", T, user_agent="Mozilla/5.0 (X)")], MACHINES, "j1"),  # catches: a prefix is enough
        ([email_open(APP, "e1", "j1", T, user_agent="Mozilla/5.0")], Policy(), "j1"),  # catches: ignored out of the box
        ([email_click(APP, "e1", "j1", T, user_agent="Mozilla/5.0")], MACHINES, "j1"),  # catches: clicks ignored, too
    ],
)
def test_what_is_a_touch(told: list[Record], policy: Policy, journey: str | None) -> None:
    assert only_credit(*told, bought(T + 2), by=by(policy)).journey_id == journey


@pytest.mark.parametrize(
    ("after", "journey"),
    [
        (HOUR - 1, "j1"),
        (HOUR, None),  # catches: the application's window; falling back to the click, whose window is open
    ],
)
def test_a_kind_has_a_window_of_its_own(after: int, journey: str | None) -> None:
    settings = by(Policy(windows={"email.open": HOUR}), windows=[(0, DAY)])
    told = [click("j2", T - 1), opened("j1", T), bought(T + after)]
    assert only_credit(*told, by=settings).journey_id == journey
    assert outcome(*told, by=settings).campaigns(T + after)["p", "e1"] == journey


def test_kinds_without_a_window_of_their_own_use_the_applications() -> None:
    settings = by(Policy(windows={"email.open": HOUR}), windows=[(0, DAY)])
    assert only_credit(click("j1", T), bought(T + DAY - 1), by=settings).journey_id == "j1"
    assert only_credit(click("j1", T), bought(T + DAY), by=settings).journey_id is None


@pytest.mark.parametrize(
    ("touched_at", "journey"),
    [
        (T - 1, "j1"),  # catches: the policy in force at the event, or now
        (T, None),  # catches: effective_from < t
        (T + HOUR, "j1"),  # catches: policies that add up instead of taking each other's place
    ],
)
def test_the_policy_in_force_at_the_touch(touched_at: int, journey: str | None) -> None:
    settings = by(Policy(effective_from=T + HOUR), Policy(effective_from=T, off=frozenset({"email.open"})))
    assert only_credit(opened("j1", touched_at), bought(touched_at + 1), by=settings).journey_id == journey


def test_the_last_set_of_two_policies_from_one_moment_wins() -> None:
    assert only_credit(opened("j1", T), bought(T), by=by(NO_OPENS, Policy())).journey_id == "j1"
    assert only_credit(opened("j1", T), bought(T), by=by(Policy(), NO_OPENS)).journey_id is None


def test_a_custom_interaction_is_a_touch_an_event_and_its_own_touch() -> None:
    result = outcome(followed("j1", T, "of"), bought(T + WEEK - 1), bought(T + WEEK), by=by(SMS))
    found = sorted((one.event_type, one.time, one.journey_id) for one in result.credits.values())
    assert found == [("purchase", T + WEEK - 1, "j1"), ("purchase", T + WEEK, None), ("sms", T, "j1")]
    assert [(one.kind, one.channel, one.strength) for one in result.touches] == [("sms", "sms", 3)]


@pytest.mark.parametrize(
    ("told", "policy", "journey"),
    [
        ([followed("j1", T)], Policy(), None),  # catches: any event with a journey taken for a touch (R10)
        ([followed("j1", T)], SMS, None),  # catches: the attribute's name fixed in code
        ([followed(" ", T, "of")], SMS, None),  # catches: a touch of a journey without a name
        ([followed("j1", T + 1 - HOUR)], SHORT_SMS, "j1"),
        ([followed("j1", T - HOUR + 1), click("j2", T - HOUR)], SHORT_SMS, "j1"),
        ([followed("j1", T - HOUR), click("j2", T - 2 * HOUR)], SHORT_SMS, None),
        ([followed("j1", T), opened("j2", T)], SHORT_SMS, "j1"),  # catches: weaker than an open
        ([followed("j1", T), click("j2", T)], SHORT_SMS, "j2"),  # catches: stronger than a click
    ],
)
def test_custom_interactions(told: list[Record], policy: Policy, journey: str | None) -> None:
    credits = outcome(*told, bought(T), by=by(policy)).credits.values()
    assert [one.journey_id for one in credits if one.event_type == "purchase"] == [journey]


def test_an_excluded_custom_interaction_is_a_touch_only() -> None:
    policy = Policy(customs=SMS.customs, excluded=frozenset({"sms"}))
    (credit,) = outcome(followed("j1", T, "of"), bought(T), by=by(policy)).credits.values()
    assert (credit.event_type, credit.journey_id) == ("purchase", "j1")


@pytest.mark.parametrize(
    ("policy", "types"),
    [
        (Policy(), {"purchase", "sms"}),
        (Policy(excluded=frozenset({"sms"})), {"purchase"}),
        (Policy(included=frozenset({"sms"})), {"sms"}),
        (Policy(included=frozenset()), set()),  # catches: an empty list taken for none
        (Policy(included=frozenset({"sms"}), excluded=frozenset({"sms"})), set()),
        (Policy(effective_from=T + 1, excluded=frozenset({"sms"})), {"purchase", "sms"}),
    ],
)
def test_what_is_an_event(policy: Policy, types: set[str]) -> None:
    result = outcome(bought(T), followed("j1", T), by=by(policy))
    assert {one.event_type for one in result.credits.values()} == types
    assert {kind for total in result.totals.values() for kind in total.events} == types


def test_an_interaction_that_is_left_out_still_makes_its_journey_known() -> None:
    told = [opened("j1", T, "e9"), bought(T, campaign="j1")]
    assert journey_and_basis(*told, by=by(NO_OPENS)) == ("j1", "stamp")


def test_a_custom_interaction_makes_its_journey_known_and_any_other_event_does_not() -> None:
    told = [followed("j1", T + 1, "of"), bought(T, campaign="j1")]
    for policy, basis in ((SMS, "stamp"), (Policy(), None)):
        credits = outcome(*told, by=by(policy)).credits.values()
        assert [one.basis for one in credits if one.event_type == "purchase"] == [basis]


@pytest.mark.parametrize(
    ("stamp", "settings", "figures"),
    [
        ("j1", by(), (1, 0)),
        ("j2", by(), (0, 1)),
        ("Spring", by(j1="Spring"), (1, 0)),
        ("j1", by(j1="Spring"), (0, 1)),  # catches: the id of a journey that has a name
        ("spring", by(j1="Spring"), (0, 1)),
        (" ", by(), (0, 0)),  # catches: a blank stamp that disagrees
    ],
)
def test_stamps_agree_or_not_with_the_touch(stamp: str, settings: Settings, figures: tuple[int, int]) -> None:
    told = [click("j1", T), bought(T, campaign=stamp), bought(T + WEEK, campaign=stamp), bought(T - 1, campaign="j1")]
    result = outcome(*told, bought(T + 1), by=settings)
    tally = result.tallies["2026-03-28", "j1"]
    assert (tally.stamps_agreeing, tally.stamps_disagreeing) == figures
    assert sum(one.stamps_agreeing + one.stamps_disagreeing for one in result.tallies.values()) == sum(figures)


GOOD: dict[str, Record] = {
    "event": event(APP, "purchase", T, client_id="e1", price=5),
    "nobody's event": event(APP, "purchase", T),
    "click": email_click(APP, "e1", "j1", T),
    "click of no journey": {**email_click(APP, None, None, T), "arrival_timestamp": T},
    "push": push_opened(APP, None, "j1", T, user_name="jane"),
    "send": send(APP, "e1", "j1", T),
    "of no use": of_no_use(APP, "_email.delivered", T),
}


@pytest.mark.parametrize("record", GOOD.values(), ids=GOOD)
def test_well_formed_bytes_are_the_record(record: Record) -> None:
    assert isinstance(record, dict)
    assert malformed([encode(record)]) == 0
    assert run([encode(record)], {APP: by()}) == run([record], {APP: by()})


BAD = {
    "no JSON": b"{",
    "no object": b"[]",
    "no UTF-8": b'"\xff"',
    "no type": encode({**event(APP, "x", T), "event_type": None}),
    "blank type": encode(event(APP, " ", T)),
    "no application": encode({**event(APP, "x", T), "application": {}}),
    "a time in words": encode({**event(APP, "x", T), "event_timestamp": "noon"}),
    "no time": encode({name: value for name, value in event(APP, "x", T).items() if name != "event_timestamp"}),
    "an amount in words": encode(event(APP, "x", T, metrics={"price": "5"})),
    "a yes for a number": encode(event(APP, "x", T, metrics={"price": True})),
    "an open without arrival": encode(email_open(APP, "e1", "j1", T, arrives=False)),
    "nobody's click": encode(email_click(APP, None, "j1", T)),
    "nobody's push": encode(push_opened(APP, None, "j1", T)),
    "nobody's send": encode({**send(APP, "e1", "j1", T), "client": {}}),
    "a send's endpoint cut off": encode({**send(APP, "e1", "j1", T), "client_context": {"custom": {"endpoint": "{"}}}),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_malformed_bytes_alter_nothing(data: bytes) -> None:
    neighbours = [click("j1", T), bought(T)]
    assert run([neighbours[0], data, neighbours[1]], {APP: by()}) == run(neighbours, {APP: by()})
    assert malformed([data, *neighbours, data]) == 2


def test_stamp_of_several_spellings() -> None:
    # The first by name that says something: upper case sorts first.
    credit: Credit = only_credit(click("j1", T), bought(T, campaign="j1", Campaign=" ", CAMPAIGN="j2"))
    assert credit.stamp == "j2"
    assert only_credit(click("j1", T), bought(T, campaign="j1", Campaign=" ")).stamp == "j1"
