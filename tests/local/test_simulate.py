"""The simulated stream: in the documented shapes, repeatable, with the proportions and the flaws of a real one."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chalicelib.settings.model import Settings
from chalicelib.sources.pinpoint import fact_of, record_of
from chalicelib.sources.records import Rejected, Skipped
from local.simulate import simulate_command
from local.simulation import Simulation
from local.simulation.delivery import ReorderBuffer
from local.simulation.shapes import iso
from local.simulation.stories import MACHINE
from local.simulation.world import LONGEST_USERNAME

PAYLOADS = Path(__file__).parent.parent / "payloads"
UNTIL = datetime(2023, 4, 15, tzinfo=UTC)
DAY = 86_400_000

Document = dict[str, Any]


def simulation(**given: Any) -> Simulation:
    return Simulation(**{"seed": 7, "records": 20_000, "until": UNTIL, **given})


@pytest.fixture(scope="module")
def whole() -> Simulation:
    """A run of ordinary size, already counted."""
    made = simulation()
    for _ in made.records():
        pass
    return made


@pytest.fixture(scope="module")
def events() -> list[Document]:
    """All events of a run without broken records."""
    return [json.loads(record) for record in simulation(bad=0).records()]


def of_type(events: list[Document], *kinds: str) -> list[Document]:
    return [event for event in events if event["event_type"] in kinds]


# -- shapes ------------------------------------------------------------------------------------------------------------


def paths(document: object, at: str = "") -> set[str]:
    """Every key of a document, by the way to it, with the type of its value; list items count as one."""
    if isinstance(document, dict):
        return {at} | {path for name, value in document.items() for path in paths(value, f"{at}.{name}")}
    if isinstance(document, list):
        return {at} | {path for value in document for path in paths(value, f"{at}[]")}
    return {f"{at}: {type(document).__name__}"}


JOURNEY = {
    ".attributes.journey_id: str",
    ".attributes.journey_run_id: str",
    ".attributes.journey_activity_id: str",
}
LEGACY = {".client_context", ".client_context.custom", ".client_context.custom.legacy_identifier: str"}
STAMP = {".attributes.campaign: str", ".attributes.Campaign: str"}


def endpoint_paths() -> set[str]:
    """The whole endpoint object of an app's event: some apps' records carry none."""
    sample = json.loads((PAYLOADS / "constructed-custom-event-purchase.json").read_text())
    return {path for path in paths(sample) if path.startswith(".endpoint")}


@pytest.mark.parametrize(
    ("event_type", "sample", "may_differ"),
    [
        # The send carries its journey's own codes, as the guide of 2025 shows.
        ("_journey.send", "journey-send-2025-docs.json", set()),
        # The guide's e-mails are transactional; those of a journey name it.
        ("_email.send", "email-send.json", JOURNEY | LEGACY),
        ("_email.delivered", "email-delivered.json", JOURNEY | LEGACY),
        ("_email.open", "constructed-email-open-journey.json", JOURNEY | LEGACY),
        ("_email.click", "constructed-email-click-journey.json", set()),
        ("_SMS.SUCCESS", "constructed-sms-success-journey.json", set()),
        ("_journey.opened_notification", "constructed-journey-opened-notification.json", endpoint_paths()),
        ("purchase", "constructed-custom-event-purchase.json", endpoint_paths() | STAMP | JOURNEY),
        # The envelope of 3.0 had neither the account nor an endpoint.
        ("_session.stop", "app-session-stop.json", endpoint_paths() | STAMP | {".awsAccountId: str"}),
        ("_test.event_stream", "constructed-test-event-stream.json", set()),
    ],
)
def test_events_have_exactly_the_documented_keys(
    events: list[Document], event_type: str, sample: str, may_differ: set[str]
) -> None:
    documented = paths(json.loads((PAYLOADS / sample).read_text()))
    simulated = of_type(events, event_type)
    assert simulated
    for event in simulated:
        assert paths(event) ^ documented <= may_differ


def test_keys_stand_in_the_documented_order(events: list[Document]) -> None:
    for event_type, sample in (
        ("_journey.send", "journey-send.json"),
        ("_email.open", "constructed-email-open-journey.json"),
        ("purchase", "constructed-custom-event-purchase.json"),
    ):
        documented = list(json.loads((PAYLOADS / sample).read_text()))
        for event in of_type(events, event_type):
            assert list(event) == [name for name in documented if name in event]


def test_a_send_carries_its_endpoint_as_a_string_of_json(events: list[Document]) -> None:
    documented = json.loads(
        json.loads((PAYLOADS / "constructed-journey-send-custom.json").read_text())["client_context"]["custom"][
            "endpoint"
        ]
    )
    user = {
        ".User.UserId: str",
        ".User.UserAttributes",
        ".User.UserAttributes.username",
        ".User.UserAttributes.username[]: str",
    }
    for event in of_type(events, "_journey.send"):
        endpoint = json.loads(event["client_context"]["custom"]["endpoint"])
        assert paths(endpoint) ^ paths(documented) <= user


def test_email_and_sms_events_name_their_user_only_by_the_endpoint_id(events: list[Document]) -> None:
    messages = [event for event in events if event["event_type"].startswith(("_email.", "_SMS."))]
    sent_to = {event["client"]["client_id"] for event in of_type(events, "_journey.send")}
    assert messages
    for event in messages:
        assert "endpoint" not in event
        assert "User" not in json.dumps(event)
        if "journey_id" in event["attributes"]:
            assert event["client"]["client_id"] in sent_to


def test_opens_and_clicks_have_the_send_time_as_their_event_time(events: list[Document]) -> None:
    # A simulator that put the interaction there would let a product that reads the wrong field pass.
    for event in of_type(events, "_email.open", "_email.click", "_email.delivered", "_email.send"):
        sent = event["facets"]["email_channel"]["mail_event"]["mail"]["message_send_timestamp"]
        assert event["event_timestamp"] == sent < event["arrival_timestamp"]


def test_app_events_come_from_a_device_not_from_the_address_that_got_the_mail(events: list[Document]) -> None:
    mailed = {event["client"]["client_id"] for event in events if event["event_type"].startswith("_email.")}
    apps = {
        event["client"]["client_id"] for event in of_type(events, "purchase", "product_view", "_monetization.purchase")
    }
    assert apps
    assert not apps & mailed


def test_apps_tell_differently_much_of_whose_they_are(events: list[Document]) -> None:
    told: Counter[str] = Counter()
    for event in of_type(events, "product_view", "purchase"):
        if "endpoint" not in event:
            told["only an endpoint id"] += 1
        elif "UserAttributes" in event["endpoint"]["User"]:
            told["user name"] += 1
        else:
            told["only a UserId" if "UserId" in event["endpoint"]["User"] else "nobody"] += 1
    assert min(told[kind] for kind in ("user name", "only a UserId", "only an endpoint id", "nobody")) > 50
    assert told.most_common(1)[0][0] == "user name"


def test_a_monetization_purchase_carries_its_own_names(events: list[Document]) -> None:
    for event in of_type(events, "_monetization.purchase"):
        assert {"_currency", "_product_id"} <= set(event["attributes"])
        assert set(event["metrics"]) == {"_item_price", "_quantity"}


# -- repeatable, of any size -------------------------------------------------------------------------------------------


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert list(simulation(records=3_000).records()) == list(simulation(records=3_000).records())


def test_a_simulation_can_be_read_twice() -> None:
    twice = simulation(records=500)
    assert list(twice.records()) == list(twice.records())
    assert twice.emitted.records == 500


def test_another_seed_gives_another_stream_with_other_ids() -> None:
    one, other = simulation(records=500), simulation(records=500, seed=8)
    assert not set(one.records()) & (set(other.records()) - {b'{"event_type":"_test.event_stream"}'})
    assert not set(one.journey_names()) & set(other.journey_names())


@pytest.mark.parametrize("records", [1, 2, 17, 5_000])
def test_a_stream_has_exactly_as_many_records_as_wanted(records: int) -> None:
    made = simulation(records=records)
    assert sum(1 for _ in made.records()) == records == made.emitted.records


def test_events_cover_the_span_and_nothing_arrives_after_its_end(events: list[Document]) -> None:
    end = int(UNTIL.timestamp() * 1000)
    arrivals = [event["arrival_timestamp"] for event in events if event["event_type"] != "_test.event_stream"]
    assert end - 14 * DAY <= min(arrivals) < end - 13 * DAY
    assert end - DAY / 10 < max(arrivals) <= end


def test_the_reorder_buffer_never_holds_more_than_its_capacity() -> None:
    # Memory must not grow with the number of records, so a full buffer gives its oldest record away.
    buffer = ReorderBuffer(10, random.Random(1))
    given: list[bytes] = []
    for number in range(1_000):
        buffer.add(number * 1_000_000, b"%d" % number)
        given.extend(buffer.until(0))
    assert len(given) == 990
    assert buffer.largest == 11
    assert sorted([*given, *buffer.rest()], key=int) == [b"%d" % number for number in range(1_000)]


@pytest.mark.parametrize(
    "wrong",
    [{"records": 0}, {"bad": 1.0}, {"days": 0}, {"people": 0}, {"applications": 0}, {"until": datetime(2023, 4, 15)}],  # noqa: DTZ001
)
def test_arguments_that_make_no_stream_are_refused(wrong: Document) -> None:
    with pytest.raises(ValueError, match=r"must|less than"):
        simulation(**wrong)


# -- proportions -------------------------------------------------------------------------------------------------------


def parts(types: Counter[str], records: int) -> dict[str, float]:
    sends = types["_journey.send"] + types["_email.delivered"]
    touches = types["_email.open"] + types["_email.click"] + types["_journey.opened_notification"]
    custom = sum(count for kind, count in types.items() if not kind.startswith("_")) + types["_monetization.purchase"]
    return {"sent or delivered": sends / records, "interactions": touches / records, "custom": custom / records}


@pytest.mark.parametrize("seed", [1, 7, 20])
def test_a_run_has_the_proportions_of_an_ordinary_stream(seed: int) -> None:
    made = simulation(seed=seed)
    for _ in made.records():
        pass
    part = parts(made.emitted.types, 20_000)
    assert 0.31 <= part["sent or delivered"] <= 0.39
    assert 0.185 <= part["interactions"] <= 0.25
    assert 0.22 <= part["custom"] <= 0.28


def test_of_a_hundred_emails_ninety_are_delivered_thirty_opened_and_six_clicked(events: list[Document]) -> None:
    sends = sum(event["attributes"]["journey_activity_type"] == "EMAIL" for event in of_type(events, "_journey.send"))
    messages: dict[str, set[str]] = defaultdict(set)
    for event in of_type(events, "_email.delivered", "_email.open", "_email.click"):
        mail_event = event["facets"]["email_channel"]["mail_event"]
        if "journey_id" in event["attributes"] and mail_event.get("open", {}).get("user_agent") != MACHINE:
            messages[event["event_type"]].add(mail_event["mail"]["message_id"])
    assert 0.85 <= len(messages["_email.delivered"]) / sends <= 0.95
    assert 0.24 <= len(messages["_email.open"]) / sends <= 0.36
    assert 0.04 <= len(messages["_email.click"]) / sends <= 0.08


def test_some_sends_fail_and_nothing_comes_of_them(events: list[Document]) -> None:
    failed = [
        event for event in of_type(events, "_journey.send") if event["attributes"]["journey_send_status"] != "SUCCESS"
    ]
    assert 0.02 < len(failed) / len(of_type(events, "_journey.send")) < 0.08
    assert len({event["attributes"]["journey_send_status"] for event in failed}) > 3
    of_failed = {(event["client"]["client_id"], event["event_timestamp"]) for event in failed}
    for event in of_type(events, "_email.send", "_email.open"):
        assert (event["client"]["client_id"], event["event_timestamp"]) not in of_failed


def test_machines_open_mails_within_seconds_of_delivery(events: list[Document]) -> None:
    delivered = {message_id(event): event["arrival_timestamp"] for event in of_type(events, "_email.delivered")}
    opens = [event for event in of_type(events, "_email.open") if opened_by(event) == MACHINE]
    waits = [
        event["arrival_timestamp"] - delivered[message_id(event)] for event in opens if message_id(event) in delivered
    ]
    assert len(waits) > 500
    assert all(0 < wait <= 10_000 for wait in waits)


def message_id(event: Document) -> str:
    return str(event["facets"]["email_channel"]["mail_event"]["mail"]["message_id"])


def opened_by(event: Document) -> str:
    return str(event["facets"]["email_channel"]["mail_event"]["open"]["user_agent"])


def test_a_run_has_everything_that_happens_in_a_programme(whole: Simulation, events: list[Document]) -> None:
    assert {
        "sign_up",
        "refund",
        "purchase",
        "_monetization.purchase",
        "sms.click",
        "_SMS.FAILURE",
        "_SMS.OPTOUT",
    } <= set(whole.emitted.types)
    channels = {event["attributes"]["journey_activity_type"] for event in of_type(events, "_journey.send")}
    assert channels == {"EMAIL", "SMS", "PUSH", "CUSTOM"}
    assert {event["attributes"]["currency"] for event in of_type(events, "purchase")} >= {"USD", "EUR", "GBP"}
    stamped = [
        event for event in of_type(events, "purchase") if "campaign" in {name.lower() for name in event["attributes"]}
    ]
    assert stamped
    ahead = [e for e in events if e.get("event_timestamp", 0) > e.get("arrival_timestamp", 0) + DAY]
    assert ahead


def test_every_application_has_its_own_journeys_and_the_same_people(events: list[Document]) -> None:
    names = simulation().journey_names()
    assert len(names) == 2
    journeys: dict[str, set[str]] = defaultdict(set)
    users: dict[str, set[str]] = defaultdict(set)
    for event in of_type(events, "_journey.send"):
        application = event["application"]["app_id"]
        journeys[application].add(event["attributes"]["journey_id"])
        user = json.loads(event["client_context"]["custom"]["endpoint"])["User"]
        users[application].update(user.get("UserAttributes", {}).get("username", []))
    assert {application: set(known) for application, known in names.items()} == journeys
    first, second = users.values()
    assert len(first & second) > 100


def test_journeys_beyond_the_named_ones_have_names_of_their_own() -> None:
    for names in simulation(applications=5, journeys=20).journey_names().values():
        assert len(set(names.values())) == 20


def test_user_names_are_unique_and_some_are_awkward() -> None:
    names = list(simulation(people=2_000).usernames())
    assert len(set(names)) == len(names) > 1_800
    assert max(map(len, names)) == LONGEST_USERNAME
    for awkward in ("_", "#", " ", "@", "/", "%", "á", "佐"):
        assert any(awkward in name for name in names)


# -- flaws -------------------------------------------------------------------------------------------------------------


def test_some_records_come_twice_or_with_another_arrival_but_never_of_email() -> None:
    made = simulation(bad=0)
    records = Counter(made.records())
    twice = sum(count - 1 for record, count in records.items() if record != b'{"event_type":"_test.event_stream"}')
    facts: dict[str, set[int]] = defaultdict(set)
    for record in records:
        event = json.loads(record)
        facts[json.dumps({**event, "arrival_timestamp": 0})].add(event.get("arrival_timestamp", 0))
    again = {fact: arrivals for fact, arrivals in facts.items() if len(arrivals) > 1}
    redelivered = {fact for fact in again if not json.loads(fact)["event_type"].startswith("_email.")}
    assert twice > 200
    assert len(redelivered) > 20
    assert twice + sum(len(again[fact]) - 1 for fact in redelivered) == made.emitted.duplicates


def test_records_are_out_of_order_and_some_are_hours_late(events: list[Document]) -> None:
    arrivals = [event["arrival_timestamp"] for event in events if "arrival_timestamp" in event]
    assert sum(one > other for one, other in pairwise(arrivals)) > len(arrivals) / 4
    newest, late = 0, 0
    for arrival in arrivals:
        late += newest - arrival > DAY // 4
        newest = max(newest, arrival)
    assert late > 100


def verdicts(records: Iterator[bytes]) -> Counter[str]:
    """What the product's own source says to each record."""
    seen: Counter[str] = Counter()
    for data in records:
        try:
            record = record_of(data)
            outcome = record if isinstance(record, Skipped) else fact_of(record, Settings())
            seen["skipped" if isinstance(outcome, Skipped) else "fact"] += 1
        except Rejected:
            seen["rejected"] += 1
    return seen


def test_the_source_rejects_exactly_the_malformed_records() -> None:
    made = simulation(bad=0.05, records=10_000)
    seen = verdicts(made.records())
    assert seen["rejected"] == made.emitted.malformed > 300
    assert seen["fact"] > 5_000


def test_no_record_holds_the_end_of_a_line() -> None:
    assert not any(b"\n" in record for record in simulation(bad=0.3, records=5_000).records())


# -- command -----------------------------------------------------------------------------------------------------------

cli = typer.Typer()
cli.command()(simulate_command)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["--until", "2023-04-15T00:00:00Z", *arguments])


def test_the_command_writes_the_stream_as_lines() -> None:
    result = run("--records", "300", "--seed", "7")
    assert result.exit_code == 0
    assert result.stdout_bytes == b"".join(record + b"\n" for record in simulation(records=300).records())
    assert "300 records of seed 7" in result.stderr


def test_a_compressed_file_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one.gz", "two.gz"):
        assert run("--records", "300", "--out", str(tmp_path / name)).exit_code == 0
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert len(gzip.decompress((tmp_path / "one.gz").read_bytes()).splitlines()) == 300


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--until", "yesterday"], "isoformat"),
        (["--until", "2023-04-15"], "time zone"),
        (["--bad", "2"], "share"),
        (["--out", "x", "--stream", "y"], "either"),
        (["--out", "no/such/folder/x"], "No such file"),
        (["--stream", "x", "--endpoint-url", "nonsense"], "no address"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], said: str) -> None:
    result = run("--records", "10", *arguments)
    assert result.exit_code != 0
    assert said in result.output


def test_times_inside_an_endpoint_are_iso() -> None:
    assert iso(1_574_856_368_985) == "2019-11-27T12:06:08.985Z"
