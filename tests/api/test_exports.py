"""GET events as a file, by ``Accept``: CSV for spreadsheets, newline-delimited JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import pytest
from chalice.test import Client

from app import app
from chalicelib import wiring
from tests.api.calls import Api, encoded
from tests.projection.scene import Scene
from tests.reference.records import event, send
from tests.reference.shorthand import APP, HOUR, T, bought, click
from tests.support.tokens import ADMIN, bearer, trusting

HEADER = "time,event_type,user,value,currency,journey_id,journey_name,basis,touch_time,touch_kind,touch_channel"


class File(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text.encode().decode("utf-8-sig"), newline=""), strict=True))


class Files:
    """An application's events as files."""

    def __init__(self, application: str) -> None:
        self.path = f"/applications/{encoded(application)}/events"

    def get(self, accept: str | None = "text/csv", **query: str) -> File:
        given = {name.rstrip("_"): value for name, value in query.items()}
        return self.at(f"?{urlencode(given)}" if given else "", accept)

    def at(self, reference: str, accept: str | None = "text/csv") -> File:
        """A file under a query as it stands in a link."""
        headers = bearer(*ADMIN) | ({} if accept is None else {"Accept": accept})
        with trusting(), Client(app) as client:
            answer = client.http.get(self.path + reference, headers=headers)
            return File(answer.status_code, dict(answer.headers), answer.body.decode())


@pytest.fixture
def files(scene: Scene) -> Files:
    return Files(scene.application)


def test_a_page_as_csv(scene: Scene, files: Files) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring, sale")
    scene.tell(
        send(APP, "e1", "j1", T - HOUR, user_name="jané"),
        click("j1", T - 5),
        event(APP, "purchase", T + 7, user_name="jané", price=12.5, attributes={"currency": "eur"}),
        event(APP, "visit", T + 8, user_name="jané"),
    )
    file = files.get()
    assert file.status == 200
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    application = scene.application.replace(" ", "_")
    assert file.headers["Content-Disposition"] == f'attachment; filename="events-{application}.csv"'
    assert "X-Next-Cursor" not in file.headers
    assert "Link" not in file.headers
    why = 'j1,"Spring, sale",touch,2026-03-27T23:59:59.995Z,email.click,email'
    assert file.text == (
        f"\ufeff{HEADER}\r\n"
        f"2026-03-28T00:00:00.008Z,visit,jané,,,{why}\r\n"
        f"2026-03-28T00:00:00.007Z,purchase,jané,12.50,EUR,{why}\r\n"
    )


def test_without_events_there_is_the_header(scene: Scene, files: Files) -> None:
    assert files.get().text == f"\ufeff{HEADER}\r\n"
    assert files.get("application/x-ndjson").text == ""


def test_formulas_are_defused_and_negative_amounts_are_numbers(scene: Scene, files: Files, api: Api) -> None:
    hostile = '=HYPERLINK("http://evil.example","win")'
    scene.tell(
        send(APP, "e1", "j1", T - HOUR, user_name="-2+3"),
        click("j1", T - 5),
        event(APP, hostile, T + 1, user_name="-2+3", price=-12.5),
        event(APP, "@SUM(1)", T + 2, user_name="-2+3", price=2),
    )
    newest, oldest = files.get().rows
    assert (oldest["event_type"], newest["event_type"]) == (f"'{hostile}", "'@SUM(1)")
    assert newest["user"] == "'-2+3"
    assert (oldest["value"], newest["value"]) == ("-12.50", "2.00")
    # To the letter where no spreadsheet reads.
    lines = [json.loads(line) for line in files.get("application/x-ndjson").text.splitlines()]
    assert lines == api.events()
    assert lines[1]["event_type"] == hostile


def test_pages_of_a_file_follow_each_other_and_add_up_to_the_report(scene: Scene, files: Files, api: Api) -> None:
    scene.tell(click("j1", T), click("j2", T, "e2"))
    scene.tell(
        *(
            event(APP, "purchase", T + at, client_id="e1", price=at - 3, attributes={"currency": "eur"})
            for at in range(1, 8)
        ),
        *(event(APP, "purchase", T + at, client_id="e2", price=0.1) for at in range(1, 4)),
    )
    rows, reference, pages = [], "?limit=4", 0
    while True:
        file = files.at(reference)
        assert file.status == 200
        rows += file.rows
        pages += 1
        if "X-Next-Cursor" not in file.headers:
            assert "Link" not in file.headers
            break
        address, _, relation = file.headers["Link"].partition("; ")
        assert relation == 'rel="next"'
        reference = address.strip("<>")
        query = dict(parse_qsl(reference.removeprefix("?")))
        assert query == {"limit": "4", "cursor": file.headers["X-Next-Cursor"]}
    assert (pages, len(rows)) == (3, 10)
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row["currency"]] += Decimal(row["value"])
    assert sums == {"EUR": Decimal(7), "USD": Decimal("0.3")}  # 1+...+7 - 7*3, and 3 * 0.1
    assert [row["time"] for row in rows] == [item["time"] for item in api.events()]


def test_a_file_is_filtered_as_json_is(scene: Scene, files: Files, api: Api) -> None:
    scene.tell(click("j1", T), click("j2", T, "e2"))
    scene.tell(*(bought(T + at) for at in range(1, 4)), *(bought(T + at, "e2") for at in range(1, 4)))
    for query in ({"journey_id": "j1"}, {"user": "e2"}, {"from_": "2026-03-28T00:00:00.002Z"}, {"event_type": "x"}):
        found = api.events(**query)
        assert [row["time"] for row in files.get(**query).rows] == [item["time"] for item in found]
        lines = files.get("application/x-ndjson", **query).text.splitlines()
        assert [json.loads(line) for line in lines] == found


def test_a_cursor_goes_on_in_whatever_type(scene: Scene, files: Files, api: Api) -> None:
    scene.tell(click("j1", T), *(bought(T + at) for at in range(1, 4)))
    cursor = api.get("events", limit="1").body["next_cursor"]
    assert len(files.get(cursor=cursor).rows) == 2
    assert len(files.get("application/x-ndjson", cursor=cursor, limit="1").text.splitlines()) == 1


def test_the_next_page_keeps_every_filter(scene: Scene, files: Files) -> None:
    scene.tell(click("j1", T), *(bought(T + at) for at in range(1, 4)))
    file = files.get(limit="1", from_="2026-03-28T00:00:00+00:00", event_type="purchase")
    query = dict(parse_qsl(file.headers["Link"].partition(">")[0].removeprefix("<?")))
    assert query == {
        "from": "2026-03-28T00:00:00.000Z",
        "event_type": "purchase",
        "limit": "1",
        "cursor": file.headers["X-Next-Cursor"],
    }


def test_ndjson_has_its_type_and_name(scene: Scene, files: Files) -> None:
    file = files.get("application/x-ndjson")
    assert file.headers["Content-Type"] == "application/x-ndjson"
    assert file.headers["Content-Disposition"].endswith('.ndjson"')


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/csv;q=0.5, application/json"])
def test_json_is_the_default(scene: Scene, files: Files, accept: str | None) -> None:
    file = files.get(accept)
    assert json.loads(file.text) == {"items": [], "next_cursor": None}
    # A cache must not give one who wants JSON the CSV of another.
    assert file.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", ["application/pdf", "text/csv;q=0", "text/plain, image/*"])
def test_another_type_is_a_406(scene: Scene, files: Files, accept: str) -> None:
    file = files.get(accept)
    assert file.status == 406
    problem = json.loads(file.text)
    assert problem["status"] == 406
    assert problem["detail"] == "There are application/json, text/csv and application/x-ndjson."


def test_what_is_wrong_is_a_problem_in_any_type(scene: Scene, files: Files) -> None:
    file = files.get("text/csv", limit="1001")
    assert (file.status, file.headers["Content-Type"]) == (400, "application/problem+json")
    assert "limit" in json.loads(file.text)["detail"]


@pytest.fixture
def api(scene: Scene) -> Api:
    return Api(scene.application)
