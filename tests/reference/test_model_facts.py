"""What one record says, in tables worked out by hand: R5, R8, R10, R12. Each case names the mistake that it catches."""

import pytest

from .facts import DAY, Record, Touch
from .model import Settings
from .records import (
    OF_NO_USE,
    email_click,
    email_open,
    endpoint,
    event,
    iso,
    of_no_use,
    purchase,
    push_opened,
    send,
    step,
    stream_test,
)
from .shorthand import (
    APP,
    HOUR,
    USUAL,
    WEEK,
    T,
    bought,
    click,
    journey_and_basis,
    only_credit,
    outcome,
    pushed,
    tagged,
)

PURCHASE = event(APP, "purchase", T, client_id="e1", price=5, attributes={"item": "a"})
OTHER_PURCHASES = {
    "other type": event(APP, "sale", T, client_id="e1", price=5, attributes={"item": "a"}),
    "other time": event(APP, "purchase", T + 1, client_id="e1", price=5, attributes={"item": "a"}),
    "other client": event(APP, "purchase", T, client_id="e2", price=5, attributes={"item": "a"}),
    "named": event(APP, "purchase", T, client_id="e1", user_id="u", price=5, attributes={"item": "a"}),
    "other price": event(APP, "purchase", T, client_id="e1", price=6, attributes={"item": "a"}),
    "other metric": event(APP, "purchase", T, client_id="e1", price=5, attributes={"item": "a"}, metrics={"n": 1}),
    "other item": event(APP, "purchase", T, client_id="e1", price=5, attributes={"item": "b"}),
    "other session": event(APP, "purchase", T, client_id="e1", price=5, attributes={"item": "a"}, session="s"),
}
SAME_PURCHASES = {
    "again": PURCHASE,
    "arrived later": PURCHASE | {"arrival_timestamp": T + HOUR},
    "never arrived": event(APP, "purchase", T, client_id="e1", price=5, attributes={"item": "a"}, arrival=None),
    "other device": PURCHASE | {"device": {}, "awsAccountId": "2", "event_version": "3.0"},
    "same number": event(APP, "purchase", T, client_id="e1", price=5.0, attributes={"item": "a"}),
}


@pytest.mark.parametrize("other", OTHER_PURCHASES.values(), ids=OTHER_PURCHASES)
def test_different_events(other: Record) -> None:
    # Catches: a digest that leaves the field out.
    assert len(outcome(PURCHASE, other).credits) == 2


@pytest.mark.parametrize("other", SAME_PURCHASES.values(), ids=SAME_PURCHASES)
def test_same_event(other: Record) -> None:
    # Catches: a digest of the bytes received, or of the delivery.
    assert len(outcome(PURCHASE, other).credits) == 1


OPEN = email_open(APP, "e1", "j1", T)
OTHER_TOUCHES = {
    "other run": email_open(APP, "e1", "j1", T, run="r"),
    "other activity": email_open(APP, "e1", "j1", T, activity="a"),
    "other message": email_open(APP, "e1", "j1", T, message="m"),
    "other arrival": email_open(APP, "e1", "j1", T + 1),
    "other client": email_open(APP, "e2", "j1", T),
    "click": email_click(APP, "e1", "j1", T),
}


@pytest.mark.parametrize("other", OTHER_TOUCHES.values(), ids=OTHER_TOUCHES)
def test_different_touches(other: Record) -> None:
    assert len(outcome(OPEN, other).touches) == 2


def test_same_touch_and_clicks_of_two_links() -> None:
    # Catches: the send time in the digest; the link, or the browser that opened, left out.
    assert len(outcome(OPEN, email_open(APP, "e1", "j1", T, sent=T - DAY)).touches) == 1
    assert len(outcome(OPEN, email_open(APP, "e1", "j1", T, user_agent="x")).touches) == 2
    assert len(outcome(click("j1", T), email_click(APP, "e1", "j1", T, link="https://b.example")).touches) == 2


def test_same_and_different_sends() -> None:
    # Catches: two runs of a journey counted as one; a send counted again when it is delivered again.
    told = send(APP, "e1", "j1", T)
    assert len(outcome(told, told | {"arrival_timestamp": T + 5}).sends) == 1
    others = [
        send(APP, "e1", "j1", T, run="r"),
        send(APP, "e1", "j1", T, activity="a"),
        send(APP, "e2", "j1", T),
        send(APP, "e1", "j2", T),
        send(APP, "e1", "j1", T + 1),
    ]
    assert len(outcome(told, *others).sends) == 6


def test_events_are_custom_ones_and_monetization_purchases() -> None:
    # Catches: session events counted; an SDK's purchase forgotten; a record without an application looked into.
    told = [of_no_use(APP, kind, T) for kind in OF_NO_USE] + [stream_test(), purchase(APP, T, client_id="e1")]
    result = outcome(*told, bought(T))
    assert {credit.event_type for credit in result.credits.values()} == {"_monetization.purchase", "purchase"}
    assert result.touches == []


def test_journey_attributes_of_an_app_event_are_no_touch() -> None:
    # Catches: any record with a journey_id taken for an interaction (R10).
    assert journey_and_basis(bought(T, journey_id="j1")) == (None, None)


def test_interaction_of_a_campaign_is_no_touch() -> None:
    # Catches: a touch of journey None that overwrites a real one.
    told = [click("j1", T), email_click(APP, "e1", None, T + 1), push_opened(APP, "e1", " ", T + 1), bought(T + 2)]
    assert only_credit(*told).journey_id == "j1"


def test_an_email_interaction_happens_at_its_arrival() -> None:
    # Catches: event_timestamp, which is the time of sending (trap 1 of the documentation).
    for told in (email_open(APP, "e1", "j1", T, sent=T - WEEK), email_click(APP, "e1", "j1", T, sent=T - WEEK)):
        assert [touch.time for touch in outcome(told).touches] == [T]
    assert [touch.time for touch in outcome(email_open(APP, "e1", "j1", T, arrives=False)).touches] == [T]


@pytest.mark.parametrize(
    ("event_timestamp", "arrival", "time"),
    [
        (T, T - 300, T),  # arrival a little before is documented; catches: max or min of the two
        (T, T + WEEK, T),  # sent late by a device that was offline; catches: the arrival
        (T + DAY, T, T + DAY),  # exactly a day; catches: >=
        (T + DAY + 1, T, T),  # a wrong clock
        (T, None, T),  # catches: a missing arrival read as 0
    ],
)
def test_clock_of_an_event(event_timestamp: int, arrival: int | None, time: int) -> None:
    told = event(APP, "purchase", event_timestamp, client_id="e1", arrival=arrival)
    assert only_credit(told).time == time


@pytest.mark.parametrize(
    ("scheduled", "invoked_at", "time"),
    [
        (iso(T + 123), T + DAY, T + 123),  # catches: milliseconds lost; the time of the call
        (iso(T + DAY), T, T + DAY),
        (iso(T + DAY + 1), T, T),
        ("2026-03-28T02:00:00+02:00", T + 5, T),  # catches: an offset ignored
        ("2026-03-28T00:00:00", T + 5, T),  # catches: the machine's time zone
        ("soon", T, T),
        (None, T, T),
    ],
)
def test_clock_of_a_step(scheduled: str | None, invoked_at: int, time: int) -> None:
    told = step(APP, "j1", {"e1": endpoint(channel="SMS")}, scheduled=scheduled, invoked_at=invoked_at)
    touches = [Touch(("p", "e1"), time, 1, "j1", "journey.step", "sms", WEEK)]
    assert outcome(told).touches == touches


def test_channels() -> None:
    told = [click("j1", T), pushed("j1", T + 1), tagged("j1", T + 2), tagged("j1", T + 3, channel="VOICE")]
    assert [touch.channel for touch in outcome(*told).touches] == ["email", "push", "custom", "voice"]


def value_of(told: Record, by: Settings = USUAL) -> tuple[str | None, str | None]:
    credit = only_credit(told, by=by)
    return None if credit.value is None else f"{credit.value.normalize():f}", credit.currency


def priced(price: object, quantity: object = None, event_type: str = "purchase", **attributes: str) -> Record:
    metrics = {} if quantity is None else {"quantity": quantity}
    return event(APP, event_type, T, client_id="e1", price=price, metrics=metrics, attributes=attributes)


@pytest.mark.parametrize(
    ("told", "value", "currency"),
    [
        (priced(19.99), "19.99", "USD"),
        (priced(0.1), "0.1", "USD"),  # catches: Decimal(0.1)
        (priced(5, 3), "5", "USD"),  # catches: a quantity used without the setting
        (priced(5, currency=" eur "), "5", "EUR"),  # catches: currencies not normalised
        (priced(5, currency=" "), "5", "USD"),
        (priced(0), "0", "USD"),  # catches: zero taken for absent
        (priced(-5), "-5", "USD"),
        (priced(5, event_type="refund"), "-5", "USD"),
        (priced(-5, event_type="refund"), "-5", "USD"),  # catches: a negative refund that adds
        (priced(None, currency="EUR"), None, None),  # catches: a currency without a value
        (priced(1e-19), "0", "USD"),
        (priced(2.5e-15), "0.000000000000002", "USD"),  # catches: half up
        (priced(3.5e-15), "0.000000000000004", "USD"),
        (priced(999999999999), "999999999999", "USD"),
        (priced(10**12), None, None),  # catches: amounts without bound
        (priced(-(10**12)), None, None),
        (priced(5, currency="XBT"), "5", "other"),  # catches: currencies that a client makes up
    ],
)
def test_value(told: Record, value: str | None, currency: str | None) -> None:
    assert value_of(told) == (value, currency)


@pytest.mark.parametrize(
    ("told", "value", "currency"),
    [
        (event(APP, "sale", T, metrics={"cost": 1.1, "n": 3}, attributes={"cur": "gbp"}), "3.3", "GBP"),
        (event(APP, "sale", T, metrics={"cost": 1.1}), "1.1", "EUR"),  # catches: an absent quantity as 0
        (event(APP, "sale", T, metrics={"cost": 1.1, "n": 0}), "0", "EUR"),  # catches: a quantity of 0 as absent
        (event(APP, "sale", T, metrics={"price": 5}), None, None),  # catches: the price out of the box as well
        (event(APP, "refund", T, metrics={"cost": 1}), "1", "EUR"),  # catches: refund types fixed in code
        (event(APP, "return", T, metrics={"cost": 1, "n": 2}), "-2", "EUR"),
        (purchase(APP, T, item_price=2.5, quantity=2, currency="usd"), "5", "USD"),  # catches: settings used for it
        (purchase(APP, T, item_price=2.5), "2.5", "EUR"),
        (purchase(APP, T, quantity=2), None, None),
    ],
)
def test_value_by_settings(told: Record, value: str | None, currency: str | None) -> None:
    by = Settings(
        price_metric="cost",
        quantity_metric="n",
        currency_attribute="cur",
        default_currency="EUR",
        refund_types=frozenset({"return"}),
    )
    assert value_of(told, by) == (value, currency)
