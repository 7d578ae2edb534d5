"""R8: which of a record's two clocks says when it happened."""

from __future__ import annotations

import pytest

from tests.reference.facts import DAY
from tests.reference.records import Json, email_click, email_open, event, purchase, push_opened, send
from tests.reference.shorthand import APP, WEEK, T
from tests.sources.reading import fact, reason

OTHERS = [
    # event_timestamp, arrival_timestamp, time
    (T, T + 880, T),  # catches: the arrival for all
    (T, T - 300, T),  # an arrival a little before is documented; catches: the smaller or greater of the two
    (T, T + WEEK, T),  # reported late by a phone that was offline; catches: old events taken for wrong clocks
    (T + DAY - 1, T, T + DAY - 1),
    (T + DAY, T, T + DAY),  # exactly a day ahead is not more than a day; catches: >=
    (T + DAY + 1, T, T),  # a wrong clock
    (T + 3650 * DAY, T, T),
    (T, None, T),  # catches: a missing arrival read as 0, which would make every clock a wrong one
]


@pytest.mark.parametrize(("event_timestamp", "arrival", "time"), OTHERS)
@pytest.mark.parametrize("kind", ["custom event", "_monetization.purchase", "push opened", "send"])
def test_all_but_e_mail_interactions_have_their_own_time(
    kind: str, event_timestamp: int, arrival: int | None, time: int
) -> None:
    records = {
        "custom event": event(APP, "purchase", event_timestamp, client_id="e1"),
        "_monetization.purchase": purchase(APP, event_timestamp, client_id="e1"),
        "push opened": push_opened(APP, "e1", "j1", event_timestamp),
        "send": send(APP, "e1", "j1", event_timestamp),
    }
    assert fact(arriving(records[kind], arrival)).fact.time == time


@pytest.mark.parametrize(
    "sent",
    [
        T - 92_000,  # catches: event_timestamp, which is when the message was sent
        T - WEEK,
        T,
        T + WEEK,  # catches: the rule for wrong clocks, or the greater of the two, applied here too
    ],
)
@pytest.mark.parametrize("build", [email_open, email_click])
def test_an_e_mail_interaction_happened_when_it_arrived(build: type, sent: int) -> None:
    record = (
        email_open(APP, "e1", "j1", T, sent=sent) if build is email_open else email_click(APP, "e1", "j1", T, sent=sent)
    )
    assert fact(record).fact.time == T


@pytest.mark.parametrize("record", [email_open(APP, "e1", "j1", T), email_click(APP, "e1", "j1", T)])
def test_an_e_mail_interaction_without_its_arrival_is_rejected(record: Json) -> None:
    # Catches: the time of sending instead, which would credit whatever the customer bought before reading the message.
    assert reason(arriving(record, None)) == "no arrival_timestamp, which is the time of an e-mail interaction"


def arriving(record: Json, arrival: int | None) -> Json:
    told = {name: value for name, value in record.items() if name != "arrival_timestamp"}
    return told if arrival is None else told | {"arrival_timestamp": arrival}
