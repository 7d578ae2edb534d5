"""The report and the comparison of attribution models, held to what SQL makes of the raw stream.

`FIGURES_EVENTS` says how many events the stream has; `make figures` takes 100,000.
"""

from __future__ import annotations

import os
from decimal import Decimal

import pytest

from chalicelib import wiring
from local.stack import LocalStack
from tests.api.calls import Api, Json
from tests.jobs.test_job_routes import Jobs
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.records import encode
from tests.reference.shorthand import T
from tests.reports.by_sql import MODELS, Asked
from tests.reports.shop import JOURNEYS, stream
from tests.support.clock import SetClock
from tests.support.renaming import renamed
from tests.support.system import System

EVENTS = int(os.environ.get("FIGURES_EVENTS", "800"))
HALF_LIFE = 3
PERIODS = [("2026-04-04", "2026-05-02"), ("2026-04-10", "2026-04-11"), ("2026-03-28", "2026-05-08")]
"""Twenty-eight days, one, and all."""

Answers = tuple[Api, Asked, Json]


@pytest.fixture(scope="module")
def answers(system: System, clock: SetClock, stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The application after the whole stream, SQL after the same, and the comparison of the models."""
    scene = Scene(system, clock)
    told = [encode(renamed(record, scene.suffix)) for record in stream(EVENTS, seed=7)]  # type: ignore[arg-type]
    for journey, name in JOURNEYS.items():
        wiring.registry().set_name(scene.application, journey, name)
    clock.time = T + 60 * DAY
    for start in range(0, len(told), 1_000):
        assert system.ingest(told[start : start + 1_000]) == {"batchItemFailures": []}
        system.project_all()
    file = tmp_path_factory.mktemp("stream") / "raw.ndjson"
    file.write_bytes(b"\n".join(told))
    jobs = Jobs(scene, stack)
    jobs.work()
    job = jobs.asked(kind="compare", half_life_days=str(HALF_LIFE))
    jobs.work()
    _, done, _ = jobs.call("GET", f"/{job['job_id']}")
    assert done["state"] == "done", done
    return Api(scene.application), Asked(file, JOURNEYS, HALF_LIFE), done["result"]


def told(one: Json) -> dict[str, object]:
    """What the API says of a journey, in SQL's terms."""
    return {
        "sends": one["sends"],
        "touches": one["touches"],
        "reached": one["reached"],
        "converters": one["converters"],
        "events": one["events"],
        "revenue": {currency: Decimal(amount) for currency, amount in one["revenue"].items()},
    }


NOTHING: dict[str, object] = {
    "sends": 0, "touches": {}, "reached": 0, "converters": 0, "events": {}, "revenue": {},
}  # fmt: skip


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("date", ["event", "touch"])
@pytest.mark.parametrize(("first", "end"), PERIODS)
def test_a_report_says_what_sql_says(answers: Answers, date: str, first: str, end: str) -> None:
    api, asked, _ = answers
    status, body = api.get("report", date=date, from_=first, to=end)
    assert status == 200
    expected = asked.report(date, first, end)
    rest = expected.pop(None, {})
    assert {one["journey_id"]: told(one) for one in body["journeys"]} == {
        journey: {name: figures.get(name, nothing) for name, nothing in NOTHING.items()}
        for journey, figures in expected.items()
    }
    if date == "event":
        revenue = {currency: Decimal(amount) for currency, amount in body["unattributed"]["revenue"].items()}
        assert (body["unattributed"]["events"], revenue) == (rest["events"], rest["revenue"])
        for one in body["journeys"]:
            check_times_and_stamps(one, expected[one["journey_id"]])


def check_times_and_stamps(one: Json, expected: Json) -> None:
    assert one["stamps"]["disagreeing"] == expected.get("disagreeing", 0)
    if expected.get("median_ms") is None:
        assert one["time_to_conversion"] is None
        return
    for ours, theirs in [("median_seconds", "median_ms"), ("p90_seconds", "p90_ms")]:
        # Delays are kept in classes of a sixteenth.
        assert one["time_to_conversion"][ours] == pytest.approx(expected[theirs] / 1000, rel=1 / 32, abs=1)


@pytest.mark.timeout(3600)
def test_every_event_is_in_the_total(answers: Answers) -> None:
    api, asked, _ = answers
    assert asked.rows("SELECT count(*) FROM events") == [(EVENTS,)]
    assert sum(api.get("report").body["total"]["events"].values()) == EVENTS


@pytest.mark.timeout(3600)
def test_five_models_say_what_sql_says(answers: Answers) -> None:
    _, asked, result = answers
    expected = asked.comparison()
    assert {one["journey_id"] for one in result["journeys"]} == set(expected)
    for one in result["journeys"]:
        for model in MODELS:
            events, revenue = expected[one["journey_id"]][model]
            share = one["models"][model]
            # Six places, and what the last digits give up so that all journeys add up.
            assert float(share["events"]) == pytest.approx(events, abs=1e-5)
            assert {currency: float(amount) for currency, amount in share["revenue"].items()} == pytest.approx(
                revenue, abs=0.02
            )
    assert len({total["events"] for total in result["totals"].values()}) == 1


def test_the_stream_is_worth_the_comparison(answers: Answers) -> None:
    """It holds what makes figures differ: long paths, stamps that decide, windows that are over."""
    _, asked, _ = answers
    assert asked.rows("SELECT max(n) >= 3 FROM (SELECT count(*) AS n FROM weights GROUP BY id)") == [(True,)]
    assert asked.rows("SELECT count(*) > 5 FROM credits WHERE stamped") == [(True,)]
    assert asked.rows("SELECT count(*) > 5 FROM paths WHERE back = 1 AND NOT covers") == [(True,)]
