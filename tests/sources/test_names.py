"""R6: whom a record is about."""

from __future__ import annotations

import pytest

from chalicelib.facts.model import LONGEST_ID, Identity, PlacedFact, Send
from chalicelib.keys import ViewKeys, fact_key, label_key
from chalicelib.sources.records import LONGEST_NAME
from tests.reference.records import email_click, event, push_opened, send
from tests.reference.shorthand import APP, T
from tests.sources.reading import fact, purchase, reason

NAMES = {
    # user name, UserId, endpoint id: whom the event is about
    "all": (("jane", "u1", "e1"), Identity("n", "jane")),
    "no user name": ((None, "u1", "e1"), Identity("u", "u1")),
    "only an endpoint": ((None, None, "e1"), Identity("p", "e1")),
    # Catches: an empty name that joins all customers without one.
    "a blank user name": (("  ", "u1", "e1"), Identity("u", "u1")),
    "an empty user name": (("", "u1", "e1"), Identity("u", "u1")),
    "blank names": (("", " ", "e1"), Identity("p", "e1")),
    # Catches: names trimmed; Cognito's are what they are.
    "spaces around a name": ((" jane ", None, None), Identity("n", " jane ")),
}


@pytest.mark.parametrize(("given", "expected"), NAMES.values(), ids=NAMES)
def test_an_event_is_about_the_strongest_name_it_carries(
    given: tuple[str | None, str | None, str | None], expected: Identity
) -> None:
    user_name, user_id, endpoint_id = given
    assert (
        fact(event(APP, "purchase", T, user_name=user_name, user_id=user_id, client_id=endpoint_id)).identity
        == expected
    )


def test_an_event_that_names_nobody_is_nobody_s_and_of_two_such_events_no_two_are_one_user_s() -> None:
    one, other = (fact(event(APP, "purchase", time, client_id=" ")) for time in (T, T + 1))
    assert (one.identity.kind, other.identity.kind) == ("x", "x")
    assert one.identity != other.identity


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('["jane"]', "jane"),
        ('"jane"', "jane"),  # catches: the first letter of a string
        ('["jane","joan"]', "jane"),
        ("[]", None),
        ("null", None),
        ('[""]', None),
    ],
)
def test_a_user_name_is_a_list_s_first_or_a_string(value: str, name: str | None) -> None:
    told = fact(purchase(f',"endpoint":{{"User":{{"UserAttributes":{{"username":{value}}}}}}}'))
    assert told.identity == (Identity("n", name) if name else Identity("p", "e1"))


def test_the_attribute_that_holds_the_user_name_is_a_setting() -> None:
    record = event(APP, "purchase", T, user_name="jane", username_attribute="login", client_id="e1")
    assert fact(record, "login").identity == Identity("n", "jane")
    assert fact(record, "username").identity == Identity("p", "e1")


@pytest.mark.parametrize("name", ["a_b", "x#y", "é ü", "jane+x@example.com", "n" * 128, "日" * 128, "%2F", "\t"])
def test_awkward_names_are_names(name: str) -> None:
    expected = Identity("n", name) if name.strip() else Identity("p", "e1")
    assert fact(event(APP, "purchase", T, user_name=name, client_id="e1")).identity == expected


@pytest.mark.parametrize("name", ["n" * (LONGEST_NAME + 1), "é" * (LONGEST_NAME // 2 + 1)])
def test_a_name_that_no_key_holds_is_rejected(name: str) -> None:
    assert reason(event(APP, "purchase", T, user_name=name))
    assert reason(event(APP, "purchase", T, user_id=name))
    assert reason(event(APP, "purchase", T, client_id=name))


def test_keys_of_the_longest_names_fit_dynamodb() -> None:
    # Catches: names measured for partition keys; those of links and stamped events stand in sort keys, after more.
    application, journey, name = "\u00e9" * (LONGEST_ID // 2), "j" * LONGEST_ID, "n" * LONGEST_NAME
    user, digest = Identity("n", name), "0" * 32
    keys = ViewKeys(application, generation=10**6)
    placed = PlacedFact(application, user, digest, Send(T, journey), via="p")
    for key in (
        fact_key(placed),
        keys.campaign(user),
        keys.link(user, T, user),
        keys.credit(user, T, digest),
        keys.participation(user, journey),
        keys.stamped_event("s" * 900, user, T, digest),
        label_key(application, "s" * 900),
        (keys.journey_credits(journey), ""),
    ):
        assert len(key[0].encode()) <= 2_048
        assert len(key[1].encode()) <= 1_024


OWNERS = {
    # what the endpoint of a send carries: whom it links the endpoint to, and which UserId it links to a user name
    "both": (("jane", "u1"), (Identity("n", "jane"), "u1")),
    "a user name": (("jane", None), (Identity("n", "jane"), None)),
    "a UserId": ((None, "u1"), (Identity("u", "u1"), None)),
    # Catches: a link to the empty name, to which all endpoints without one would belong.
    "a blank user name": ((" ", "u1"), (Identity("u", "u1"), None)),
    "neither": ((None, None), (None, None)),
}


@pytest.mark.parametrize(("carried", "expected"), OWNERS.values(), ids=OWNERS)
def test_a_send_lies_at_its_endpoint_and_links_it(
    carried: tuple[str | None, str | None], expected: tuple[Identity | None, str | None]
) -> None:
    placed = fact(send(APP, "e1", "j1", T, user_name=carried[0], user_id=carried[1]))
    assert placed.identity == Identity("p", "e1")
    assert isinstance(placed.fact, Send)
    assert (placed.fact.owner, placed.fact.user_id) == expected


def test_an_e_mail_interaction_is_its_endpoint_s_whatever_else_it_carries() -> None:
    # E-mail events carry no endpoint object. Catches: a field that no such record has believed.
    record = email_click(APP, "e1", "j1", T) | {"endpoint": {"User": {"UserId": "u1"}}}
    assert fact(record).identity == Identity("p", "e1")


def test_a_push_interaction_is_the_user_s_whom_its_endpoint_names() -> None:
    assert fact(push_opened(APP, "e1", "j1", T, user_name="jane")).identity == Identity("n", "jane")
    assert fact(push_opened(APP, "e1", "j1", T)).identity == Identity("p", "e1")
