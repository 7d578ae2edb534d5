"""The commands that ask an API, against one that answers as it is told: what is asked, what is said, and exit codes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from local.cli import app
from local.rest_client import Api, Refused
from local.terminal import jobs

HEADER = b"\xef\xbb\xbftime,event_type\r\n"


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Told(NamedTuple):
    """An answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = MappingProxyType({})


class FakeApi:
    """An API on a port of its own that answers what it is told, in order, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Told] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.asked.append(
                    Asked(self.command, parts.path, parse_qs(parts.query), dict(self.headers.items()), body)
                )
                told = fake.answers.pop(0)
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(told.body)

            do_GET = do_PUT = do_POST = answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Not to standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def tell(self, *answers: Told) -> None:
        self.answers.extend(answers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def problem(status: int, detail: str) -> Told:
    return Told(status, json.dumps({"status": status, "detail": detail, "request_id": "r-1"}).encode())


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()
    yield fake
    fake.close()
    assert not fake.answers, "an answer that nobody asked for"


Run = Callable[..., Result]


@pytest.fixture
def run(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Run:
    environment = {"API_URL": api.address, "API_TOKEN": "t0ken", "NO_PROXY": "127.0.0.1", "COLUMNS": "100"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments: str, **changed: str | None) -> Result:
        return CliRunner().invoke(app, list(arguments), env=changed)

    return invoke


class TestErrors:
    """A sentence, and an exit code."""

    def test_a_problem_is_its_sentence_with_the_request_id(self, api: FakeApi, run: Run) -> None:
        api.tell(problem(400, "from must be an ISO-8601 date or time, not x."))
        result = run("report", "shop", "--from", "x")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "error: from must be an ISO-8601 date or time, not x. (request r-1)\n"

    def test_without_a_good_token_it_says_how_to_get_one(self, api: FakeApi, run: Run) -> None:
        api.tell(problem(401, "A valid access token is needed."))
        result = run("journeys", "shop")
        assert result.exit_code == 1
        assert "A valid access token is needed. (request r-1)" in result.stderr
        assert 'eval "$(python -m local env)"' in result.stderr
        assert "admin-initiate-auth" in result.stderr
        assert "t0ken" not in result.output

    def test_api_gateways_own_refusals_are_sentences_too(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(403, b'{"message": "Forbidden"}', {"x-amzn-RequestId": "gw-2"}))
        assert run("events", "shop").stderr == "error: Forbidden. (request gw-2)\n"

    def test_what_something_in_between_says_does_nothing_to_the_terminal(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(500, b"<h1>\x1b[2JBad\xff</h1>"))
        assert run("settings", "shop").stderr == "error: <h1>\\x1b[2JBad\ufffd</h1>.\n"

    def test_an_answer_of_another_service(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(200, b"<html>"))
        result = run("report", "shop")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: the answer is not as expected")

    def test_a_redirection_is_not_followed_with_the_token(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(302, b"", {"Location": f"{api.address}/elsewhere"}))
        assert run("report", "shop").exit_code == 1
        assert [one.path for one in api.asked] == ["/applications/shop/report"]

    def test_nobody_there(self, run: Run) -> None:
        unused = FakeApi()
        unused.close()
        result = run("report", "shop", "--api", unused.address)
        assert result.exit_code == 1
        assert result.stderr == (
            "error: the API cannot be reached: Connection refused. Is --api or API_URL its address?\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "changed"),
        [
            (["report", "shop"], {"API_TOKEN": None}),
            (["report", "shop"], {"API_TOKEN": "two words"}),
            (["report", "shop"], {"API_URL": None}),
            (["report", "shop", "--token", "t0ken"], {}),
            (["report", "shop", "--api", "http://example.com"], {}),
            (["report", "shop", "--api", "file:///etc/passwd"], {}),
            (["report", "shop", "--api", "shop.example.com"], {}),
            (["report"], {}),
            (["report", "shop", "--by", "hour"], {}),
            (["report", "shop", "--plot", "conversions"], {}),
            (["report", "shop", "--by", "day", "--plot", "roi"], {}),
            (["report", "shop", "--json", "--journey", "x"], {}),
            (["report", "shop", "--json", "--csv"], {}),
            (["events", "shop", "--limit", "2", "--all"], {}),
            (["events", "shop", "--csv", "--ndjson"], {}),
            (["settings", "shop", "--if-match", "1"], {}),
            (["settings", "shop", "--set", "/missing/file"], {}),
            (["journeys", "shop", "--name", "Sale"], {}),
            (["journeys", "shop", "j1", "--cost", "1250"], {}),
            (["journeys", "shop", "j1", "--target-count", "3"], {}),
            (["journeys", "shop", "j1", "--goal", "sign_up", "--target-count", "0"], {}),
            (["jobs", "shop", "--wait"], {}),
            (["jobs", "shop", "j1", "--export"], {}),
            (["jobs", "shop", "--from", "2026-03-01"], {}),
        ],
    )
    def test_wrong_usage_asks_nothing(
        self, api: FakeApi, run: Run, arguments: list[str], changed: dict[str, str | None]
    ) -> None:
        assert run(*arguments, **changed).exit_code == 2
        assert api.asked == []

    @pytest.mark.parametrize("command", ["report", "journeys", "events", "users", "settings", "compare", "jobs"])
    def test_help_says_where_the_token_comes_from(self, run: Run, command: str) -> None:
        assert "API_TOKEN and never from an option" in " ".join(run(command, "--help").stdout.split())


def test_the_address_may_have_a_path_and_ids_are_encoded(api: FakeApi, run: Run) -> None:
    api.tell(Told(200, b'{"raw": 1}'))
    result = run("users", "a/b", "jane@example.com", "--json", API_URL=f"{api.address}/stage/")
    assert result.stdout == '{"raw": 1}\n'
    assert api.asked[0].path == "/stage/applications/a%2Fb/users/jane%40example.com"
    assert api.asked[0].headers["Authorization"] == "Bearer t0ken"


def test_a_report_passes_on_what_is_asked_and_the_answer_as_it_is(api: FakeApi, run: Run) -> None:
    csv = HEADER + '2026,"é\r\n"\r\n'.encode()
    api.tell(Told(200, csv))
    options = ("--from", "2026-03-01", "--to", "2026-04-01", "--by", "week", "--date", "touch", "--csv")
    assert run("report", "shop", *options).stdout_bytes == csv
    assert api.asked[0].headers["Accept"] == "text/csv"
    assert api.asked[0].query == {"from": ["2026-03-01"], "to": ["2026-04-01"], "by": ["week"], "date": ["touch"]}


class TestBusy:
    """An API that is throttled, or something on the way to it that is in trouble."""

    @pytest.fixture(autouse=True)
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        waited: list[float] = []
        monkeypatch.setattr("local.rest_client.time.sleep", waited.append)
        return waited

    def test_a_throttled_question_is_asked_again(self, api: FakeApi, run: Run, waits: list[float]) -> None:
        busy = Told(429, b'{"message": "Too Many Requests"}')
        slow = Told(429, b'{"message": "Too Many Requests"}', {"Retry-After": "7"})
        api.tell(busy, slow, Told(503, b""), Told(200, b'{"journeys": []}'))
        assert run("report", "shop", "--json").exit_code == 0
        assert [one.method for one in api.asked] == ["GET"] * 4
        assert waits == [0.5, 7, 2]

    def test_it_gives_up_in_the_end(self, api: FakeApi, run: Run, waits: list[float]) -> None:
        api.tell(*[Told(429, b'{"message": "Too Many Requests"}')] * 5)
        result = run("report", "shop")
        assert (result.exit_code, result.stderr) == (1, "error: Too Many Requests.\n")
        assert len(waits) == 4

    @pytest.mark.parametrize(("method", "status"), [("POST", 429), ("POST", 504), ("PUT", 504)])
    def test_what_may_have_been_done_or_does_not_pass_is_not_sent_again(
        self, api: FakeApi, waits: list[float], method: str, status: int
    ) -> None:
        api.tell(problem(status, "not now"))
        with pytest.raises(Refused, match="not now"):
            Api(api.address, "t").send(method, "/applications/shop/jobs", body=b"{}")
        assert (len(api.asked), waits) == (1, [])


class TestEvents:
    """Pages, followed."""

    def test_a_csv_of_many_pages_has_one_header_and_every_row(self, api: FakeApi, run: Run) -> None:
        api.tell(
            Told(200, HEADER + b'1,"a\r\nb"\r\n2,c\r\n', {"X-Next-Cursor": "c1"}),
            Told(200, HEADER, {"X-Next-Cursor": "c2"}),
            Told(200, HEADER + b"3,d\r\n"),
        )
        result = run("events", "shop", "--csv", "--type", "purchase")
        assert result.stdout_bytes == HEADER + b'1,"a\r\nb"\r\n2,c\r\n3,d\r\n'
        assert result.stderr == ""
        assert [one.query.get("cursor") for one in api.asked] == [None, ["c1"], ["c2"]]
        assert {one.query["limit"][0] for one in api.asked} == {"1000"}
        assert {one.query["event_type"][0] for one in api.asked} == {"purchase"}

    def test_a_limit_counts_events_not_lines(self, api: FakeApi, run: Run) -> None:
        api.tell(
            Told(200, HEADER + b'1,"a\r\nb"\r\n2,c\r\n', {"X-Next-Cursor": "c1"}),
            Told(200, HEADER + b"3,d\r\n", {"X-Next-Cursor": "c2"}),
        )
        result = run("events", "shop", "--csv", "--limit", "3")
        assert [one.query["limit"] for one in api.asked] == [["3"], ["1"]]
        assert result.stderr == "There are more than these 3.\n"

    def test_lines_of_json(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(200, b'{"a":1}\n{"a":2}\n', {"X-Next-Cursor": "c1"}), Told(200, b'{"a":3}\n'))
        assert run("events", "shop", "--ndjson", "--limit", "1500").stdout_bytes == b'{"a":1}\n{"a":2}\n{"a":3}\n'
        assert [one.query["limit"] for one in api.asked] == [["1000"], ["1000"]]

    def test_a_table_says_that_there_are_more(self, api: FakeApi, run: Run) -> None:
        event: dict[str, Any] = {
            "event_type": "purchase",
            "time": "2026-03-01T10:00:00.000Z",
            "user": "jane",
            "value": "12.50",
            "currency": "EUR",
            "journey_id": "j",
            "journey_name": "春",
            "touch": {"time": "2026-03-01T09:00:00.000Z", "kind": "email.click", "channel": "email"},
            "basis": "touch",
        }
        api.tell(Told(200, json.dumps({"items": [event], "next_cursor": "c"}).encode()))
        lines = run("events", "shop", "--limit", "1", "--user", "jane").stdout.splitlines()
        assert [line.rstrip() for line in (lines[0], lines[2], lines[3])] == [
            "Time                 Event     User      Value  Journey  Credited by  Touch",
            "2026-03-01 10:00:00  purchase  jane  12.50 EUR  春       email.click  2026-03-01 09:00:00",
            "1 event; there are more: --limit N, or --all. Times are in UTC.",
        ]
        assert api.asked[0].query == {"user": ["jane"], "limit": ["1"]}


SAVED = {"lookback_window_days": 3, "version": 5, "waiting": []}


class TestSettings:
    """Saving a document."""

    def test_only_what_was_read_is_replaced(self, api: FakeApi, run: Run, tmp_path: Path) -> None:
        document = b'{"lookback_window_days": 3.10, "version": 4}'
        file = tmp_path / "settings.json"
        file.write_bytes(document)
        api.tell(Told(200, json.dumps(SAVED).encode()), Told(200, b'{"items": [], "next_cursor": null}'))
        result = run("settings", "shop", "--set", str(file))
        assert result.exit_code == 0, result.output
        put = api.asked[0]
        assert (put.method, put.path, put.body) == ("PUT", "/applications/shop/settings", document)
        assert put.headers["If-Match"] == '"4"'
        assert put.headers["Content-Type"] == "application/json"
        assert "Saved as version 5." in result.stdout

    def test_a_lost_race_is_said_and_an_error(self, api: FakeApi, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "settings.json"
        file.write_text('{"version": 4}')
        api.tell(problem(412, "The settings changed meanwhile: version 6 by now. Read again."))
        result = run("settings", "shop", "--set", str(file), "--if-match", "5")
        assert (result.exit_code, api.asked[0].headers["If-Match"]) == (1, '"5"')
        assert "version 6 by now" in result.stderr

    @pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"version": "4"}'])
    def test_a_document_without_a_version_is_not_sent(self, api: FakeApi, run: Run, tmp_path: Path, text: str) -> None:
        file = tmp_path / "settings.json"
        file.write_text(text)
        assert run("settings", "shop", "--set", str(file)).exit_code == 2
        assert api.asked == []


SALE = {
    "journey_id": "j/1",
    "version": 4,
    "name": "Sale",
    "cost": None,
    "goal": None,
    "starts": "2026-03-01T00:00:00.000Z",
    "ends": None,
}


class TestJourneys:
    """Describing one."""

    def test_what_is_given_is_changed_and_the_rest_stays(self, api: FakeApi, run: Run) -> None:
        cost = {"amount": "1250.00", "currency": "EUR"}
        saved = {**SALE, "cost": cost, "version": 5}
        api.tell(Told(200, json.dumps(SALE).encode()), Told(200, json.dumps(saved).encode()))
        result = run("journeys", "shop", "j/1", "--cost", "1250.00 eur", "--starts", "")
        assert result.exit_code == 0, result.output
        put = api.asked[1]
        assert (put.method, put.path) == ("PUT", "/applications/shop/journeys/j%2F1")
        assert put.headers["If-Match"] == '"4"'
        assert json.loads(put.body) == {**SALE, "cost": cost, "starts": None}
        assert "1,250.00 EUR" in result.stdout
        assert "Saved as version 5." in result.stdout

    def test_a_goal_replaces_the_former_one_with_its_targets(self, api: FakeApi, run: Run) -> None:
        goal = {"event_type": "purchase", "target_count": 400, "target_revenue": None}
        api.tell(Told(200, json.dumps({**SALE, "goal": goal}).encode()), Told(200, json.dumps(SALE).encode()))
        run("journeys", "shop", "j/1", "--goal", "sign_up", "--target-revenue", "20000 EUR")
        assert json.loads(api.asked[1].body)["goal"] == {
            "event_type": "sign_up",
            "target_count": None,
            "target_revenue": {"amount": "20000", "currency": "EUR"},
        }

    def test_an_empty_text_takes_away_and_no_change_is_said(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(200, json.dumps(SALE).encode()), Told(200, json.dumps(SALE).encode()))
        result = run("journeys", "shop", "j/1", "--goal", "", "--cost", "")
        assert json.loads(api.asked[1].body) == SALE
        assert "That changes nothing: it is version 4 still." in result.stdout

    def test_one_that_nobody_knows_is_described_for_the_first_time(self, api: FakeApi, run: Run) -> None:
        api.tell(problem(404, "Nothing is known of this journey."), Told(200, json.dumps(SALE).encode()))
        result = run("journeys", "shop", "j/1", "--name", "Sale")
        assert result.exit_code == 0, result.output
        put = api.asked[1]
        assert "If-Match" not in put.headers
        assert json.loads(put.body) == {"name": "Sale", "cost": None, "goal": None, "starts": None, "ends": None}

    def test_a_lost_race_is_said_and_an_error(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(200, json.dumps(SALE).encode()), problem(412, "The journey changed meanwhile: version 6 by now."))
        result = run("journeys", "shop", "j/1", "--name", "Sale")
        assert result.exit_code == 1
        assert "version 6 by now" in result.stderr

    def test_without_changes_it_is_shown(self, api: FakeApi, run: Run) -> None:
        api.tell(Told(200, json.dumps(SALE).encode()))
        result = run("journeys", "shop", "j/1")
        assert [one.method for one in api.asked] == ["GET"]
        assert "Journey j/1, version 4" in result.stdout
        assert "2026-03-01 00:00:00" in result.stdout


def job(state: str, done: int = 0, total: int | None = None, **given: Any) -> Told:
    document = {
        "job_id": "j1",
        "kind": "export_events",
        "state": state,
        "progress": {"done": done, "total": total},
        "created": "2026-03-01T10:00:00.000Z",
        "started": None,
        "finished": None,
        "requested_by": "jane",
        "params": {},
        "result": None,
        "error": None,
        **given,
    }
    return Told(200, json.dumps(document).encode())


class TestJobs:
    """Asked for and waited for."""

    @pytest.fixture(autouse=True)
    def _without_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "FIRST_WAIT_S", 0.0)

    def test_an_export_is_waited_for(self, api: FakeApi, run: Run) -> None:
        result = {
            "bucket": "b", "prefix": "p/", "manifest": "p/m", "files": ["p/1"], "file_count": 1, "events": 1200,
            "revenue": {"EUR": "10.00"},
        }  # fmt: skip
        over = job("done", 3, 3, result=result)
        api.tell(job("queued"), job("running", 1, 3), over, over)
        ended = run("jobs", "shop", "--export", "--from", "2026-03-01", "--journey", "spring", "--wait")
        assert ended.exit_code == 0, ended.output
        assert (api.asked[0].method, api.asked[0].path) == ("POST", "/applications/shop/jobs")
        wanted = {"kind": "export_events", "from": "2026-03-01", "journey_id": "spring"}
        assert json.loads(api.asked[0].body) == wanted
        assert {one.path for one in api.asked[1:]} == {"/applications/shop/jobs/j1"}
        assert "Job j1: export_events, done, 3 of 3 done" in ended.stdout
        assert "events     1,200, worth 10.00 EUR" in ended.stdout
        assert "s3://b/p/" in ended.stdout

    def test_a_failed_one_is_an_error(self, api: FakeApi, run: Run) -> None:
        failed = job("failed", error="The bucket is gone.")
        api.tell(failed, failed)
        ended = run("jobs", "shop", "j1", "--wait")
        assert ended.exit_code == 1
        assert "The bucket is gone." in ended.stdout

    def test_too_much_for_a_request_can_be_compared_by_a_job(self, api: FakeApi, run: Run) -> None:
        api.tell(problem(422, "The period holds more than 5,000 credited events. Make a job of it: POST /x."))
        ended = run("compare", "shop")
        assert ended.stderr == (
            "error: The period holds more than 5,000 credited events. The same command with --job makes a job of it. "
            "(request r-1)\n"
        )
        over = job("done", kind="compare", result={"any": "thing"})
        api.tell(over, over)
        ended = run("compare", "shop", "--job", "--json", "--models", "linear,last_touch", "--half-life-days", "3.50")
        assert ended.stdout == '{"any":"thing"}\n'
        asked = json.loads(api.asked[1].body)
        assert asked == {"kind": "compare", "models": ["linear", "last_touch"], "half_life_days": 3.5}
