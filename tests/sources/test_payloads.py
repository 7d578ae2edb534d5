"""Every documented payload, and what becomes of it: a fact, skipped, or set aside."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.facts.model import Event, Fact, Identity, Interaction, PlacedFact, Send, Step
from chalicelib.settings.model import Settings
from chalicelib.sources.journey_step import steps_of
from chalicelib.sources.records import Rejected, Skipped
from tests.sources.reading import PAYLOADS, fact, read, reason, without_digest

GUIDE = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6"
SHOP = "c6504a2cca654c0f8415184859857fdc"
JOURNEY = "546401670c5547b08811ac6a9example"
OPENED_IN = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko)"

JANE = Identity("n", "jane")
SENT_TO = Identity("p", "d8dcf7c5-e81a-48ae-8313-f540cexample")


def placed(application: str, identity: Identity, told: Fact) -> PlacedFact:
    return PlacedFact(application, identity, "", told)


FACTS = {
    # Its endpoint is a JSON string that names no user: a send, and no link.
    "journey-send": placed(GUIDE, SENT_TO, Send(1572989078843, JOURNEY, "SUCCESS")),
    "journey-send-2025-docs": placed(GUIDE, SENT_TO, Send(1572989078843, JOURNEY, "SUCCESS")),
    "constructed-journey-send-custom": placed(
        GUIDE, SENT_TO, Send(1572989078843, JOURNEY, "SUCCESS", JANE, user_id="user-1")
    ),
    # R8: the arrival; event_timestamp is when the message was sent, a minute and a half earlier.
    "constructed-email-open-journey": placed(
        GUIDE,
        Identity("p", "8dc1f651-b3ec-46fc-9b67-2a050example"),
        Interaction(1564618712316, "email.open", "email", JOURNEY, OPENED_IN),
    ),
    "constructed-email-click-journey": placed(
        GUIDE,
        Identity("p", "49c1413e-a69c-46dc-b1c4-6470eexample"),
        Interaction(1564618713751, "email.click", "email", JOURNEY),
    ),
    # R6: the user name beats the UserId `user-a` and the endpoint `gcm-a`. R8: the event's own time.
    "constructed-journey-opened-notification": placed(
        SHOP, JANE, Interaction(1574861306622, "push.opened_notification", "push", JOURNEY)
    ),
    "constructed-custom-event-purchase": placed(
        SHOP,
        JANE,
        Event(
            1574861306622,
            "purchase",
            {"currency": "USD", "item": "sku-1", "campaign": "spring"},
            {"price": Decimal("19.99"), "quantity": Decimal(1)},
        ),
    ),
}

SKIPPED = {
    "app-session-stop": "_session.stop",
    "campaign-send": "_campaign.send",
    "email-send": "_email.send",
    "email-delivered": "_email.delivered",
    "sms-success": "_SMS.SUCCESS",
    # R9: delivered is never a touch, even if it names a journey.
    "constructed-sms-success-journey": "_SMS.SUCCESS",
    # A transactional message's: there is no journey to credit.
    "email-open": "_email.open without journey",
    "email-click": "_email.click without journey",
    # Catches: the `application` that this record does not have asked for.
    "constructed-test-event-stream": "_test.event_stream",
}

# Not records of the stream at all. Who puts them into it learns of it from the quarantine.
REJECTED = {
    "lambda-custom-channel-response-shape",
    "sms-two-way-inbound-sns-message",
    "successor-connect-outbound-campaigns-lambda-request",
    "successor-eum-sms-text-successful",
    "successor-ses-bounce",
    "successor-ses-click",
    "successor-ses-complaint",
    "successor-ses-delivery",
    "successor-ses-deliverydelay",
    "successor-ses-open",
    "successor-ses-reject",
    "successor-ses-rendering-failure",
    "successor-ses-send",
    "successor-ses-subscription",
}

STEPS: dict[str, PlacedFact | str] = {
    "constructed-lambda-custom-channel-journey": placed(
        "3a9b1f4e6c764ba7b031e7183example",
        Identity("p", "1dbcd396df28ac6cf8c1c2b7fexample"),
        Step(1586372416843, JOURNEY, "email", JANE, "user-1"),
    ),
    "lambda-custom-channel-campaign": "no JourneyId",
    "lambda-custom-channel-campaign-with-user-aws-sample": "no JourneyId",
}

NOW = 1_774_656_000_000


def payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def test_every_payload_has_its_line_in_one_of_the_tables() -> None:
    told = [*FACTS, *SKIPPED, *REJECTED, *STEPS]
    assert sorted(told) == sorted(path.stem for path in PAYLOADS.glob("*.json"))


@pytest.mark.parametrize(("name", "expected"), FACTS.items(), ids=FACTS)
def test_a_record_of_use_is_one_fact(name: str, expected: PlacedFact) -> None:
    assert without_digest(fact(payload(name))) == expected


def test_the_guide_s_two_texts_of_a_send_are_one_fact() -> None:
    # Catches: status codes that AWS added later in the digest, so that an archive and its replay count twice.
    assert fact(payload("journey-send")) == fact(payload("journey-send-2025-docs"))


@pytest.mark.parametrize(("name", "kind"), SKIPPED.items(), ids=SKIPPED)
def test_a_record_of_no_use_is_skipped_by_its_kind(name: str, kind: str) -> None:
    assert read(payload(name)) == Skipped(kind)


@pytest.mark.parametrize("name", sorted(REJECTED))
def test_what_is_no_record_of_the_stream_is_rejected(name: str) -> None:
    assert reason(payload(name)) == "no event_type"


@pytest.mark.parametrize(("name", "expected"), STEPS.items(), ids=STEPS)
def test_a_payload_of_the_custom_channel_is_a_step_only_if_a_journey_made_it(
    name: str, expected: PlacedFact | str
) -> None:
    told: dict[str, Any] = json.loads(payload(name))
    if isinstance(expected, str):
        with pytest.raises(Rejected, match=expected):
            steps_of(told, Settings(), NOW)
    else:
        passed = steps_of(told, Settings(), NOW)
        assert [without_digest(one) for one in passed.facts.values()] == [expected]
        assert passed.rejected == {}
