"""``python -m local demo`` as a user runs it, and that its checks can fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from local.reconcile import (
    Finding,
    Listed,
    Sent,
    all_credits_are_listed,
    all_that_was_sent,
    bad_records_are_set_aside,
    campaigns_are_in_cognito,
    nothing_changed,
    parts_make_the_whole,
)
from local.rest_client import DecidingTouch, Event, Events, Journey, Report
from tests.e2e.support import PROJECT, as_a_user_has_it
from tests.reference.records import email_click, encode, event, purchase, stream_test

CLAIMS = [
    "journeys + unattributed = total",
    "journeys + unattributed = total",
    "total = distinct events sent",
    "events listed = events credited",
    "quarantined = malformed records sent",
    "Cognito attribute = campaign now",
    "delivered again = nothing changed",
]


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    """The program, run to its end."""
    environment = {name: value for name, value in as_a_user_has_it().items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "local", "demo", *options]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=110, check=False
    )


class TestDemo:
    """The program."""

    def test_at_small_size_everything_adds_up(self) -> None:
        ended = demo("--records", "1500")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert len(ended.stderr.splitlines()) <= 3, ended.stderr
        lines = [line.rstrip() for line in ended.stdout.splitlines()]
        assert max(map(len, lines)) <= 100
        # One table for each application, with journeys by their names.
        assert [line.split()[0] for line in lines if "  application " in line] == ["North", "Boutique"]
        assert [line for line in lines if re.match(r"Welcome series .*\d\.\d% ", line)]
        assert [line for line in lines if line.startswith("Unattributed ")]
        # One credit explained.
        assert [line for line in lines if line.startswith("Why is the ")]
        assert [line for line in lines if line.startswith("  API: The newest touch at or before the event is")]
        # The checks, with their numbers.
        assert [re.split(r" {2,}", line.strip())[1] for line in lines if "✔" in line] == CLAIMS
        assert "✘" not in ended.stdout
        assert "All 7 checks hold." in lines
        for credited, rest, total in re.findall(r"([\d,]+) \+ ([\d,]+) = ([\d,]+) events", ended.stdout):
            assert _number(credited) + _number(rest) == _number(total)
        reported, sent = re.findall(r"([\d,]+) reported = ([\d,]+) in the raw records", ended.stdout)[0]
        assert _number(reported) == _number(sent) > 100
        assert lines[0].startswith("1,500 records sent (")

    def test_standard_error_is_for_progress(self, tmp_path: Path) -> None:
        # Catches: log lines of the functions on the terminal, hundreds for as few records.
        ended = demo("--records", "300", "--log-file", str(tmp_path / "log"), "--log-level", "WARNING")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert len(ended.stderr.splitlines()) <= 3
        assert not [line for line in (ended.stdout + ended.stderr).splitlines() if line.startswith("{")]
        logged = (tmp_path / "log").read_text().splitlines()
        # Of bad records there are some, and each is logged once; what is counted at INFO is not.
        assert logged
        assert len(set(logged)) == len(logged)
        assert not [line for line in logged if '"level":"INFO"' in line]

    def test_what_makes_no_stream_is_refused(self) -> None:
        ended = demo("--records", "0")
        assert (ended.returncode, ended.stdout) == (2, "")


def _number(text: str) -> int:
    return int(text.replace(",", ""))


class TestSent:
    """Distinct events are counted from the raw records."""

    def test_records_are_one_event_if_only_their_arrival_differs(self) -> None:
        first = event("a", "purchase", 1_000, price=9.99, user_name="jane")
        sent = Sent()
        for record in (
            first,
            first,
            {**first, "arrival_timestamp": 5_000_000},
            {**first, "event_timestamp": 1_001},
            event("b", "purchase", 1_000, price=9.99, user_name="jane"),
            email_click("a", "e1", "j1", 2_000),
            stream_test(),
        ):
            sent.add(encode(record))
        assert (sent.records, sent.event_records, sent.events, sent.unreadable) == (7, 5, 3, 0)
        assert {name: figures.events for name, figures in sent.by_application.items()} == {
            "a": Counter(purchase=2),
            "b": Counter(purchase=1),
        }

    def test_values_are_exact_and_apart_by_currency(self) -> None:
        sent = Sent()
        for record in (
            event("a", "purchase", 1, price=0.1, user_name="jane"),
            event("a", "purchase", 2, price=0.2, user_name="jane"),
            event("a", "refund", 3, price=0.1, attributes={"currency": "EUR"}, user_name="jane"),
            purchase("a", 4, item_price=2.5, quantity=3.0, currency="EUR", user_name="jane"),
            event("a", "sign_up", 5, user_name="jane"),
        ):
            sent.add(encode(record))
        assert dict(sent.by_application["a"].revenue) == {"USD": Decimal("0.3"), "EUR": Decimal("7.4")}

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"[1]", b'{"event_type": 1}', b'{"event_type": "purchase"}', json.dumps({}).encode("utf-16")],
    )
    def test_what_cannot_be_read_is_counted(self, data: bytes) -> None:
        sent = Sent()
        sent.add(data)
        assert (sent.records, sent.unreadable, sent.events) == (1, 1, 0)


JOURNEY = Journey({"purchase": 2}, {"USD": Decimal("15.00")}, "j1", "Spring sale", 9, {"email.click": 3}, 3, 1)
REST = Events({"purchase": 1, "sign_up": 4}, {"USD": Decimal("2.50"), "EUR": Decimal("1.00")})
TOTAL = Events({"purchase": 3, "sign_up": 4}, {"USD": Decimal("17.50"), "EUR": Decimal("1.00")})
REPORT = Report([JOURNEY], REST, TOTAL)


def listed_event(value: str, journey: str = "j1") -> Event:
    touch = DecidingTouch("2026-01-01T00:00:00.000Z", "email.click", "email")
    time = "2026-01-01T01:00:00.000Z"
    return Event("purchase", time, "jane", Decimal(value), "USD", journey, "Spring sale", touch, "touch")


def sent_events() -> Sent:
    """As many as `TOTAL`."""
    sent = Sent()
    for number, (kind, price, currency) in enumerate(
        [("purchase", 10, "USD"), ("purchase", 5, "USD"), ("purchase", 2.5, "USD"), ("sign_up", 1, "EUR")]
        + [("sign_up", None, "EUR")] * 3
    ):
        sent.add(encode(event("a", kind, number, price=price, attributes={"currency": currency}, user_name="jane")))
    return sent


def changed(**parts: object) -> Report:
    return msgspec.structs.replace(REPORT, **parts)


class TestChecks:
    """Each holds for what adds up, and says what differs where it does not."""

    @pytest.mark.parametrize(
        "finding",
        [
            parts_make_the_whole("Shop", REPORT),
            all_that_was_sent(sent_events(), {"a": REPORT}),
            all_credits_are_listed({"a": REPORT}, {"a": Listed([listed_event("10"), listed_event("5")])}),
            bad_records_are_set_aside(5, 5, 5),
            nothing_changed(10, {"a": REPORT}, {"a": REPORT}),
            campaigns_are_in_cognito({"jane": "Spring sale", "anna": ""}, {"jane": "Spring sale", "anna": ""}),
        ],
        ids=lambda finding: finding.claim,
    )
    def test_holds(self, finding: Finding) -> None:
        assert finding.holds, finding.differences

    @pytest.mark.parametrize(
        ("check", "differences"),
        [
            # An event that is in two places, or in none.
            (
                lambda: parts_make_the_whole("Shop", changed(unattributed=Events({"purchase": 2, "sign_up": 4}, {}))),
                [
                    "purchase: sum of parts 4, total 3",
                    "EUR: sum of parts 0, total 1.00",
                    "USD: sum of parts 15.00, total 17.50",
                ],
            ),
            # More credited than there is: the parts still make the whole.
            (
                lambda: parts_make_the_whole(
                    "Shop",
                    Report([JOURNEY], Events({"purchase": -1}, {}), Events({"purchase": 1}, {"USD": Decimal(15)})),
                ),
                ["purchase: -1 unattributed"],
            ),
            (
                lambda: all_that_was_sent(sent_events(), {"a": changed(total=REST)}),
                ["purchase: sent of a 3, reported 1", "USD: sent of a 17.5, reported 2.50"],
            ),
            # An application of which nothing is reported.
            (
                lambda: all_that_was_sent(sent_events(), {}),
                [
                    "purchase: sent of a 3, reported 0",
                    "sign_up: sent of a 4, reported 0",
                    "EUR: sent of a 1, reported 0",
                    "USD: sent of a 17.5, reported 0",
                ],
            ),
            (
                lambda: all_credits_are_listed({"a": REPORT}, {"a": Listed([listed_event("10")])}),
                ["purchase: listed of Spring sale 1, reported 2", "USD: listed of Spring sale 10, reported 15.00"],
            ),
            # The same events, of another journey.
            (
                lambda: all_credits_are_listed(
                    {"a": REPORT}, {"a": Listed([listed_event("10"), listed_event("5", "j2")])}
                ),
                [
                    "purchase: listed of Spring sale 1, reported 2",
                    "USD: listed of Spring sale 10, reported 15.00",
                    "purchase: listed of j2 1, reported 0",
                    "USD: listed of j2 5, reported 0",
                ],
            ),
            (lambda: bad_records_are_set_aside(5, 5, 4), ["5 malformed records sent, 4 quarantined"]),
            (
                lambda: bad_records_are_set_aside(5, 6, 5),
                ["5 malformed records sent, 6 of the raw records cannot be read"],
            ),
            (
                lambda: nothing_changed(1, {"a": REPORT}, {"a": changed(total=REST)}),
                ["purchase: total before 3, after 1"],
            ),
            (
                lambda: campaigns_are_in_cognito({"jane": "Spring sale"}, {"jane": ""}),
                ["jane: campaign Spring sale, in Cognito none"],
            ),
        ],
    )
    def test_says_what_differs(self, check: Callable[[], Finding], differences: list[str]) -> None:
        assert list(check().differences) == differences

    @pytest.mark.parametrize("part", ["sends", "reached", "converters"])
    def test_a_second_delivery_that_counts_again(self, part: str) -> None:
        again = changed(journeys=[msgspec.structs.replace(JOURNEY, **{part: 10})])
        assert not nothing_changed(1, {"a": REPORT}, {"a": again}).holds
