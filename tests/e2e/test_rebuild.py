"""A rebuild while a simulation runs, one that is killed and run again too: the views are the reference model's."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.settings.model import Settings
from chalicelib.settings.stored import decoded
from tests.e2e.support import PROJECT, SHARD_HASHES, Served, as_a_user_has_it
from tests.reference import model
from tests.reference.facts import EXACT
from tests.reference.records import iso

RECORDS = 1_500
AT_ONCE = 60
EVERY_S = 0.2


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The simulator's stream: two applications, late, shuffled, doubled and malformed records."""
    path = tmp_path_factory.mktemp("simulated") / "stream.ndjson"
    options = ["--records", str(RECORDS), "--bad", "0.01", "--out", str(path)]
    command = [sys.executable, "-m", "local", "simulate", *options]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, env=as_a_user_has_it())
    return path.read_bytes().split(b"\n")[:-1]


class Rebuild:
    """``python -m local rebuild`` of an application, against a running ``serve``."""

    def __init__(self, served: Served, application: str) -> None:
        self._served = served
        self.application = application
        tables, region = served.ready["tables"], served.ready["region"]
        options = ["--facts-table", tables["facts"], "--views-table", tables["views"]]
        options += ["--endpoint-url", served.ready["aws"], "--region", region]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", "rebuild", application, *options],
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
            env={**as_a_user_has_it(), "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"},
        )

    def kill_once_begun(self) -> None:
        """End it in the midst of its work."""
        deadline = time.monotonic() + 30
        while generations(self._served, self.application)[1] is None:
            assert self.process.poll() is None, "it ended before it was seen to begin"
            assert time.monotonic() < deadline
        self.process.kill()
        self.process.communicate()
        assert generations(self._served, self.application) == (0, 1), "it was killed before it was done"

    def wait(self) -> None:
        _, errors = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, errors


def generations(served: Served, application: str) -> tuple[int, int | None]:
    """Which generation of the views is served, and which is being built."""
    key = {"pk": {"S": f"app#{application}"}, "sk": {"S": "settings"}}
    found = served.client("dynamodb").get_item(TableName=served.ready["tables"]["views"], Key=key, ConsistentRead=True)
    settings = decoded(found["Item"]["document"]["B"]) if "Item" in found else Settings()
    return settings.generation, settings.building


@pytest.mark.timeout(300)
def test_rebuilds_amid_a_running_simulation(served: Served, simulated: list[bytes]) -> None:
    expected = model.run(simulated, {})
    killed, plain = sorted(expected)
    running: list[Rebuild] = []
    pieces = [simulated[at : at + AT_ONCE] for at in range(0, len(simulated), AT_ONCE)]
    for number, piece in enumerate(pieces):
        served.put(piece, number % len(SHARD_HASHES))
        time.sleep(EVERY_S)
        if number == len(pieces) // 3:
            Rebuild(served, killed).kill_once_begun()
        if number == len(pieces) // 2:
            running = [Rebuild(served, killed), Rebuild(served, plain)]
    for one in running:
        one.wait()
    served.settle()
    for application in (killed, plain):
        assert generations(served, application) == (1, None)
        assert told(served.report(application)) == figures(expected[application])
        assert listed(served, application) == credited(expected[application])


def told(report: Mapping[str, Any]) -> dict[str, object]:
    """A report in the model's terms."""
    journeys = {
        one["journey_id"]: (one["sends"], one["touches"], one["reached"], one["converters"], *sums(one))
        for one in report["journeys"]
    }
    return {"journeys": journeys, "total": sums(report["total"]), "unattributed": sums(report["unattributed"])}


def sums(events: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, Decimal]]:
    return events["events"], {currency: Decimal(amount) for currency, amount in events["revenue"].items()}


def figures(outcome: model.Outcome) -> dict[str, object]:
    """What the rules say of all days."""
    first, last = "1970-01-01", "9999-12-31"
    by_journey: dict[str, list[model.Tally]] = {}
    for (_, journey), tally in outcome.tallies.items():
        by_journey.setdefault(journey, []).append(tally)
    journeys = {}
    for journey, tallies in by_journey.items():
        touches = sum((one.touches for one in tallies), Counter[str]())
        people = len(outcome.reached(journey, first, last)), len(outcome.converters(journey, first, last))
        journeys[journey] = (sum(one.sends for one in tallies), dict(touches), *people, *added(tallies))
    return {
        "journeys": journeys,
        "total": added(outcome.totals.values()),
        "unattributed": added(outcome.unattributed.values()),
    }


def added(tallies: Any) -> tuple[dict[str, int], dict[str, Decimal]]:
    events: Counter[str] = Counter()
    revenue: dict[str, Decimal] = {}
    for tally in tallies:
        events.update(tally.events)
        for currency, amount in tally.revenue.items():
            revenue[currency] = EXACT.add(revenue.get(currency, Decimal(0)), amount)
    return dict(events), revenue


def listed(served: Served, application: str) -> Counter[tuple[object, ...]]:
    """All credited events, page by page."""
    found: Counter[tuple[object, ...]] = Counter()
    query: dict[str, object] = {"limit": 1_000}
    while True:
        page = served.get(f"/applications/{application}/events", query).body
        found.update(map(shown, page["items"]))
        if page["next_cursor"] is None:
            return found
        query = {**query, "cursor": page["next_cursor"]}


def shown(one: Mapping[str, Any]) -> tuple[object, ...]:
    touch = one["touch"] and tuple(one["touch"][name] for name in ("time", "kind", "channel"))
    value = None if one["value"] is None else Decimal(one["value"])
    return (one["time"], one["event_type"], one["user"], value, one["currency"], one["journey_id"], touch, one["basis"])


def credited(outcome: model.Outcome) -> Counter[tuple[object, ...]]:
    return Counter(
        (
            iso(one.time),
            one.event_type,
            None if one.user[0] == "x" else one.user[1],
            one.value,
            one.currency,
            one.journey_id,
            one.touch and (iso(one.touch.time), one.touch.kind, one.touch.channel),
            one.basis,
        )
        for one in outcome.credits.values()
        if one.journey_id is not None
    )
