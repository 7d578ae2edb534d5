"""The commands against a running ``serve``, as a marketer's shell has them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import MINUTE, PROJECT, Served, as_a_user_has_it, now, serving
from tests.reference.records import email_click, event

APP = "terminal"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A ``serve`` in which a journey has two purchases of 12.50 and a view, and nobody has another purchase."""
    with serving(tmp_path_factory.mktemp("serve") / "stderr.log") as system:
        start = now() - 10 * MINUTE
        system.put(
            [
                email_click(APP, "e1", "spring", start),
                *(event(APP, "purchase", start + at, client_id="e1", price=12.5) for at in (1, 2)),
                event(APP, "product_view", start + 3, client_id="e1"),
                event(APP, "purchase", start + 4, client_id="e2", price=7.0),
            ]
        )
        system.settle()
        yield system


def run(served: Served, *arguments: str, user: str = "admin", status: int = 0) -> str:
    """What a command prints; both its outputs where it fails."""
    environment = {
        **as_a_user_has_it(),
        "API_URL": served.ready["api"],
        "API_TOKEN": served.ready["tokens"][user],
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "120",
    }
    command = [sys.executable, "-m", "local", *arguments]
    ended = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout + (ended.stderr if status else "")


def cells(text: str, name: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(name))


def test_a_report_adds_up(served: Served) -> None:
    text = run(served, "report", APP, "--by", "day", "--plot", "revenue:USD", user="viewer")
    # Sends, clicks, reached, converters, rate, events, USD, share.
    assert cells(text, "spring")[1:9] == ["-", "1", "1", "1", "100.0%", "3", "25.00", "75.0%"]
    assert cells(text, "Unattributed")[1:4] == ["1", "7.00", "25.0%"]
    assert cells(text, "Total")[1:6] == ["-", "1", "4", "32.00", "100.0%"]
    assert "Revenue in USD of all journeys by day" in text
    assert json.loads(run(served, "report", APP, "--json"))["total"]["revenue"] == {"USD": "32.00"}


def test_a_cost_that_is_said_is_in_the_report(served: Served) -> None:
    run(served, "journeys", APP, "spring", "--cost", "10 USD", "--goal", "purchase", "--target-count", "4")
    report = json.loads(run(served, "report", APP, "--json"))
    journey = next(one for one in report["journeys"] if one["journey_id"] == "spring")
    # Two purchases of 12.50 for 10: 15 are gained, and half of the goal is reached.
    assert (journey["roi"], journey["cost_per_conversion"], journey["goal"]["progress"]) == (
        *("1.5000", "5.0000", "0.5000"),
    )
    assert "Saved as version" in run(served, "journeys", APP, "spring", "--cost", "", "--goal", "", user="marketer")
    refused = run(served, "journeys", APP, "spring", "--name", "Spring", user="viewer", status=1)
    assert "error:" in refused


def test_events_users_and_models(served: Served) -> None:
    rows = list(csv.DictReader(io.StringIO(run(served, "events", APP, "--csv", "--type", "purchase").lstrip("\ufeff"))))
    assert [(row["value"], row["journey_id"], row["touch_kind"]) for row in rows] == [
        ("12.50", "spring", "email.click"),
        ("12.50", "spring", "email.click"),
    ]
    assert "newest touch" in run(served, "users", APP, "e1")
    assert "Nothing is known of this user." in run(served, "users", APP, "nobody", status=1)
    assert cells(run(served, "compare", APP, "--models", "last_touch,linear", "--type", "purchase"), "spring") == [
        *("spring", "2", "2"),
    ]


def test_settings_are_saved_once_and_not_over_those_of_another(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    document = json.loads(run(served, "settings", APP, "--json"))
    document["retention_days"] = 400
    file.write_text(json.dumps(document))
    assert "This needs a token of" in run(served, "settings", APP, "--set", str(file), user="viewer", status=1)
    assert "Saved as version 1." in run(served, "settings", APP, "--set", str(file))
    assert "changed meanwhile" in run(served, "settings", APP, "--set", str(file), status=1)
    assert cells(run(served, "settings", APP, "--history"), "retention_days")[1:] == ["not", "set", "400", "at", "once"]


def test_an_export_is_waited_for(served: Served) -> None:
    text = run(served, "jobs", APP, "--export", "--wait", user="marketer")
    assert "events     3, worth 25.00 USD" in text
    assert f"s3://{served.ready['exports_bucket']}/" in text
    assert cells(run(served, "jobs", APP), "0")[-4:] == ["done", "3", "of", "3"]
