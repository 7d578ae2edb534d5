"""No answer is larger than Lambda hands on: what would be is refused with advice, and lists have pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.api import contract, report_routes
from chalicelib.api.contract import OPERATIONS, shorter_requests
from chalicelib.attribution.value import Value
from chalicelib.journeys.details import JourneyDetails
from chalicelib.reports.report import Events, JourneyFigures, Report
from local.aws_limits import LAMBDA_ANSWER_BYTES
from tests.api.calls import Api, Json, call, encoded, refusal
from tests.projection.scene import Scene
from tests.reference.records import event, push_opened, send
from tests.reference.shorthand import APP, T, bought, click, opened

LESS = "The answer would have more than {most} MB, the most that can be returned. "


class TestEveryAnswer:
    """What the contract holds every operation to."""

    def test_the_bound_is_within_lambdas_with_room_for_headers(self) -> None:
        assert contract.LARGEST_ANSWER + 1_000_000 < LAMBDA_ANSWER_BYTES

    @pytest.mark.parametrize(
        ("character", "bytes_each"),
        [
            ("x", 1),
            ('"', 2),
            ("é", 6),  # Lambda's runtime may escape what is not ASCII
            ("😀", 12),
        ],
    )
    def test_an_answer_is_measured_as_lambda_does(
        self, character: str, bytes_each: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Catches: the length of the text, of which each quote is another byte in JSON.
        most = 5_000_000 // bytes_each
        assert not contract.is_too_large(character * (most - 1))
        assert contract.is_too_large(character * (most + 1))

    @pytest.mark.parametrize(
        ("operation", "requests"),
        [
            ("get_report", ["a shorter period (from, to)", "coarser parts (by)", "one journey (journey_id)"]),
            ("get_journeys", ["a shorter page (limit)"]),
            (
                "get_events",
                ["a shorter period (from, to)", "one journey (journey_id)", "a shorter page (limit)"],
            ),
            ("compare_models", ["a shorter period (from, to)", "fewer models (models)"]),
            ("preview_settings", ["a shorter period (from, to)"]),
            ("get_jobs", ["a shorter page (limit)"]),
        ],
    )
    def test_the_advice_names_the_operations_own_parameters(self, operation: str, requests: list[str]) -> None:
        declared = next(one for one in OPERATIONS if one.id == operation)
        assert shorter_requests(declared) == requests

    @pytest.mark.parametrize(
        ("path", "advice"),
        [
            ("report", "Ask for a shorter period (from, to), coarser parts (by) or one journey (journey_id)."),
            ("journeys", "Ask for a shorter page (limit)."),
            ("compare", "Ask for a shorter period (from, to) or fewer models (models)."),
        ],
    )
    def test_a_larger_one_is_a_problem_with_advice(
        self, path: str, advice: str, told: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(contract, "LARGEST_ANSWER", 200)
        assert refusal(told.get(path), 422) == LESS.format(most=0.0002) + advice

    def test_a_file_is_measured_too(self, told: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "LARGEST_ANSWER", 200)
        status, body = text_of(f"{told.root}/report", "text/csv")
        assert (status, json.loads(body)["detail"].startswith(LESS.format(most=0.0002))) == (422, True)

    def test_the_documentation_names_the_status(self) -> None:
        paths = call("GET", "/openapi.json").body["paths"]
        assert "422" in paths["/applications/{application}/report"]["get"]["responses"]
        assert "422" in paths["/applications/{application}/jobs"]["get"]["responses"]


@pytest.fixture(scope="module")
def told(system: object, clock: object) -> Api:
    """Three journeys: j1 with two purchases, j2 with one, j3 with a touch only; and a purchase without credit."""
    scene = Scene(system, clock)  # type: ignore[arg-type]
    scene.tell(
        send(APP, "e1", "j1", T),
        click("j1", T),
        bought(T + 1),
        bought(T + 2),
        click("j2", T, "e2"),
        bought(T + 1, "e2"),
        push_opened(APP, "e3", "j3", T),
        bought(T + 1, "e4"),
    )
    return Api(scene.application)


def text_of(path: str, accept: str) -> tuple[int, str]:
    from chalice.test import Client

    from app import app
    from tests.support.tokens import ADMIN, bearer, trusting

    with trusting(), Client(app) as client:
        answer = client.http.get(path, headers=bearer(*ADMIN) | {"Accept": accept})
        return answer.status_code, answer.body.decode()


class TestAReportOfOneJourney:
    """``journey_id``."""

    @pytest.mark.parametrize("by", ["whole", "day"])
    def test_it_lists_the_journey_and_adds_up_as_without(self, by: str, told: Api) -> None:
        query = {"by": by, "from_": "2026-03-28", "to": "2026-03-30"}
        whole = told.get("report", **query).body
        one = told.get("report", **query, journey_id="j2").body

        def only(report: Json) -> Json:
            return {**report, "journeys": [each for each in report["journeys"] if each["journey_id"] == "j2"]}

        assert [each["journey_id"] for each in one["journeys"]] == ["j2"]
        assert {**one, "periods": None} == {**only(whole), "periods": None}
        assert one["periods"] == (whole["periods"] and [only(part) for part in whole["periods"]])

    def test_one_that_has_no_figures_is_not_listed(self, told: Api) -> None:
        report = told.get("report", journey_id="j9").body
        assert (report["journeys"], report["total"]["events"]) == ([], {"purchase": 4})

    def test_csv_has_its_rows_only(self, told: Api) -> None:
        _, text = text_of(f"{told.root}/report?journey_id=j2", "text/csv")
        assert [line.split(",")[3] for line in text.splitlines()] == ["journey_id", "j2"]


ROWS = "The report would have more than {most} rows, one for each journey and period. "


class TestReportsOfManyRows:
    """More than 5,000 rows."""

    @pytest.mark.parametrize(
        ("query", "rows"), [({}, 3), ({"by": "day", "from_": "2026-03-28", "to": "2026-03-30"}, 3)]
    )
    def test_as_many_as_there_may_be(
        self, query: dict[str, str], rows: int, told: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(report_routes, "MOST_ROWS", rows)
        assert told.get("report", **query).status == 200
        monkeypatch.setattr(report_routes, "MOST_ROWS", rows - 1)
        advice = "Ask for a shorter period (from, to), coarser parts (by) or one journey (journey_id)."
        assert refusal(told.get("report", **query), 422) == ROWS.format(most=rows - 1) + advice
        assert told.get("report", **query, journey_id="j1").status == 200

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ({"by": "day"}, 422),  # 23 x 400 rows: 9 MB
            ({"by": "week"}, 200),  # 23 x 58
            ({"by": "day", "journey_id": "j07"}, 200),
            ({}, 200),
        ],
    )
    def test_23_journeys_for_400_days(
        self, query: dict[str, str], status: int, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wiring, "reports", lambda: Stub(23))
        answer = Api(scene.application).get("report", from_="2025-01-01", to="2026-02-05", **query)
        assert answer.status == status
        assert len(json.dumps(json.dumps(answer.body))) < LAMBDA_ANSWER_BYTES

    def test_wide_rows_are_refused_by_their_bytes(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        # 4,900 rows, each of 200 event types: more than 40 MB.
        monkeypatch.setattr(wiring, "reports", lambda: Stub(4_900, types=200))
        assert refusal(Api(scene.application).get("report"), 422).startswith(LESS.format(most=5))

    def test_a_table_of_many_columns_is_refused_before_it_is_written(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Each of 3,000 journeys has an event type of its own: 18 million cells, nearly all empty.
        monkeypatch.setattr(wiring, "reports", lambda: Stub(3_000, own_types=True))
        status, body = text_of(f"{Api(scene.application).root}/report", "text/csv")
        assert status == 422
        assert "cells" in json.loads(body)["detail"]


class Stub:
    """Reports in which each of so many journeys has a send and a purchase on each day."""

    def __init__(self, journeys: int, types: int = 1, *, own_types: bool = False) -> None:
        names = [f"j{at:02d}" for at in range(journeys)]
        self._names = {name: name for name in names}
        self.details: Mapping[str, JourneyDetails] = {name: JourneyDetails(name) for name in names}
        self._journeys = []
        for name in names:
            events = Events()
            for kind in [f"type of {name}"] if own_types else [f"type {at}" for at in range(types)]:
                events.counts["", kind] = 1
            self._journeys.append(JourneyFigures(name, sends=1, events=events))

    def days(self, *_: object) -> Stub:
        return self

    def report(self, first: str | None, end: str | None) -> Report:
        return Report(first, end, "event", self._journeys, self._names, Events(), touches_waiting=0, events_set_aside=0)


class TestTheListOfJourneys:
    """Pages of ``GET journeys``."""

    def test_pages_have_all_journeys_once_and_the_totals_of_all(self, told: Api) -> None:
        whole = told.get("journeys").body
        assert whole["next_cursor"] is None
        found: list[Json] = []
        cursor: dict[str, str] = {}
        sizes = []
        while True:
            page = told.get("journeys", limit="2", **cursor).body
            assert (page["total"], page["application"]) == (whole["total"], whole["application"])
            found += page["journeys"]
            sizes.append(len(page["journeys"]))
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert (found, sizes) == (whole["journeys"], [2, 1])

    def test_a_page_has_a_thousand_unless_it_is_said_otherwise(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(wiring, "reports", lambda: Stub(2_500))
        api = Api(scene.application)
        first = api.get("journeys").body
        assert (len(first["journeys"]), first["journeys"][0]["journey_id"]) == (1_000, "j00")
        last = api.get("journeys", cursor=first["next_cursor"]).body
        assert len(last["journeys"]) == 1_000

    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ({"limit": "0"}, "limit must be a whole number from 1 to 1000, not 0."),
            ({"limit": "1001"}, "limit must be a whole number from 1 to 1000, not 1001."),
            ({"cursor": "abc"}, "cursor is not one that this query returned."),
            ({"from_": "2026-03-28"}, "There is no parameter from; there are limit, cursor."),
        ],
    )
    def test_a_wrong_parameter_is_refused_with_a_sentence(
        self, query: dict[str, str], sentence: str, told: Api
    ) -> None:
        assert refusal(told.get("journeys", **query)) == sentence


USERS = 40


@pytest.fixture(scope="module")
def spoiled(system: object, clock: object) -> Scene:
    """Each quote is a byte, two in JSON, and four in the JSON that Lambda hands on."""
    scene = Scene(system, clock)  # type: ignore[arg-type]
    for at in range(USERS):
        name = '"' * 500 + f"{at:03d}"
        scene.hear(opened("j1", T, name), event(APP, '"' * 250, T + at, client_id=name))
    scene.system.project_all()
    return scene


class TestPagesOfEvents:
    """A client names its users and events; long names make no page too large."""

    def test_a_page_ends_before_it_is_too_large(self, spoiled: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "LARGEST_ANSWER", 50_000)
        api = Api(spoiled.application)
        first = api.get("events", limit="1000")
        assert first.status == 200
        # 500 + 250 quotes and 300 bytes more are 3.3 kB a row; the rest of 50 kB is for what is around them.
        assert 10 <= len(first.body["items"]) < 15
        times = [one["time"] for one in api.events(limit="1000")]
        assert times == sorted(times, reverse=True)
        assert len(set(times)) == USERS

    @pytest.mark.parametrize("media", ["text/csv", "application/x-ndjson"])
    def test_so_does_a_file(self, media: str, spoiled: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "LARGEST_ANSWER", 50_000)
        status, text = text_of(f"/applications/{encoded(spoiled.application)}/events?limit=1000", media)
        assert status == 200
        assert 10 <= len(text.splitlines()) <= 16


def test_a_cost_makes_a_row_in_each_period(told: Api, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    # Catches: rows counted by figures, where a journey with a cost is in each period without any.
    for at in range(3):
        wiring.registry().describe(scene.application, JourneyDetails(f"j{at}", cost=Value(Decimal(1), "USD")))
    api = Api(scene.application)
    monkeypatch.setattr(report_routes, "MOST_ROWS", 30)
    query: dict[str, Any] = {"by": "day", "from_": "2026-03-01"}
    assert api.get("report", **query, to="2026-03-11").status == 200
    assert api.get("report", **query, to="2026-03-12").status == 422
