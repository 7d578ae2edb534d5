"""Logs name no customer: telling names go through every handler and the API, well and badly, and no line holds them.

What a handler raises is looked through as well, because Lambda logs it with its stack trace.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError
from chalice.test import Client

from app import app
from chalicelib import wiring
from local.lambda_events import windowed
from tests.observability.emitted import Handlers, lines
from tests.observability.test_alarms import breaking_cognito
from tests.reference.facts import Step
from tests.reference.records import encode, endpoint, event, send, step
from tests.reference.shorthand import APP, HOUR, T, click
from tests.support.clock import SetClock
from tests.support.renaming import renamed
from tests.support.system import moment
from tests.support.tokens import ADMIN, bearer, trusting

EMAIL = "jane.telling@example.com"
NAME = "Telling Tallulah"
ENDPOINT = "telling-endpoint-0123"
VALUE = "telling-value-of-an-attribute"
SECRET = "telling.token.of-somebody"
TELLING = ("telling", "Telling", "Tallulah", quote(EMAIL, safe=""))


@pytest.fixture
def heard(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> Iterator[Handlers]:
    """Everything that is written or logged while the block runs is looked through at its end."""
    caplog.set_level(logging.INFO)
    yield handlers
    said = handlers.listen() + caplog.text
    assert list(lines(said))
    assert not [line for line in said.splitlines() if any(word in line for word in TELLING)]


def raised(handlers: Handlers, name: str, payload: Any) -> str:
    """What Lambda logs of an invocation that raises; empty if it does not."""
    try:
        handlers.invoke(name, payload)
    except Exception as error:  # noqa: BLE001 - whatever it is, Lambda logs it
        return "".join(traceback.format_exception(error))
    return ""


def says_nothing(text: str) -> bool:
    # Source lines stand in a stack trace too, but none of the application's holds these words.
    shown = [line for line in text.splitlines() if "tests/observability" not in line]
    return not [line for line in shown if any(word in line for word in TELLING)]


def good(handlers: Handlers) -> list[bytes]:
    told = [
        send(APP, ENDPOINT, "j1", T - 1, user_name=EMAIL),
        click("j1", T, ENDPOINT),
        event(APP, "purchase", T + 1, client_id=ENDPOINT, attributes={"name": NAME, "note": VALUE}),
    ]
    return [encode(renamed(one, handlers.scene.suffix)) for one in told]  # type: ignore[arg-type]


def bad(handlers: Handlers) -> list[bytes]:
    """Telling values where they do not belong."""
    first, *_ = [json.loads(one) for one in good(handlers)]
    return [
        f"{EMAIL} is no JSON".encode(),
        json.dumps({**first, "event_timestamp": EMAIL}).encode(),
        json.dumps({**first, "event_type": [NAME]}).encode(),
        json.dumps({**first, "application": NAME}).encode(),
        json.dumps({**first, "client": VALUE, "attributes": VALUE}).encode(),
    ]


def test_what_goes_well_tells_nobody_s_name(heard: Handlers, clock: SetClock) -> None:
    clock.time = T + HOUR
    heard.scene.system.views_stream.read()
    heard.ingest(good(heard))
    passed = renamed(step(APP, "j1", {ENDPOINT: endpoint(user_name=EMAIL)}, at=T), heard.scene.suffix)
    assert isinstance(passed, Step)
    heard.invoke("tag_users", dict(passed.payload))
    heard.project()
    heard.sync()
    heard.expire()
    assert heard.value("CreditsMade") >= 1


def test_what_is_quarantined_stands_in_no_log(heard: Handlers) -> None:
    heard.ingest(bad(heard))
    heard.invoke("tag_users", {"Message": VALUE, "Endpoints": {ENDPOINT: {"User": {"UserId": EMAIL}}}})
    heard.invoke("tag_users", {"ApplicationId": NAME, "JourneyId": 1, "Endpoints": {ENDPOINT: NAME}})
    assert heard.value("Quarantined") == 7


def test_a_change_that_is_set_aside_is_not_logged_with_what_it_holds(heard: Handlers) -> None:
    heard.ingest(good(heard))
    system = heard.scene.system
    system.collect()
    shard = system.ready()[0]
    records = system.take(shard, 10)
    for wrong in ({"S": NAME}, {"S": json.dumps({"type": NAME, "time": EMAIL})}, {"S": json.dumps([VALUE])}):
        last = json.loads(json.dumps(records[-1], default=str))
        last["dynamodb"]["NewImage"]["fact"] = wrong
        for batch in ([*records[:-1], last], [last]):
            delivered = windowed(batch, shard, system.stack.facts_stream_arn, moment(), 60)
            error = raised(heard, "project_facts", delivered)
            assert error == ""
    # It is set aside, and what comes before it is projected. The record itself is in the failure queue only.
    assert heard.value("RecordsSetAside") >= 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidParameterException", f"Value '{EMAIL}' at 'username' failed to satisfy constraint"),
        ("UserNotFoundException", f"User {EMAIL} does not exist."),
        ("InternalErrorException", f"{EMAIL} made us fail"),
        ("TooManyRequestsException", f"too many for {EMAIL}"),
    ],
)
def test_what_cognito_says_of_a_user_is_not_repeated(
    heard: Handlers, clock: SetClock, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    clock.time = T + HOUR
    heard.scene.system.views_stream.read()
    heard.ingest(good(heard))
    heard.project()
    left = iter([12_000] * 8)
    monkeypatch.setattr("chalice.local.LambdaContext.get_remaining_time_in_millis", lambda _context: next(left, 9_000))
    records = [
        one for one in heard.scene.system.views_stream.read() if one["dynamodb"]["Keys"]["sk"]["S"] == "campaign"
    ]
    assert records
    with breaking_cognito(code, message) as faults:
        error = raised(heard, "sync_campaigns", {"Records": records})
    assert faults.tried, "Cognito was asked"
    assert bool(error) == (code == "InternalErrorException")
    assert says_nothing(error)


def request(path: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None) -> int:
    with trusting(), Client(app) as client:
        given = bearer(*ADMIN) | ({"Content-Type": "application/json"} if body else {}) | (headers or {})
        return client.http.request(method, path, headers=given, body=body).status_code


def test_the_api_tells_of_requests_and_not_of_whom_they_are_about(heard: Handlers) -> None:
    heard.ingest(good(heard))
    heard.project()
    application = f"/applications/{quote(heard.scene.application, safe='')}"
    user = quote(EMAIL, safe="")
    assert request(f"{application}/users/{user}") == 200
    assert request(f"{application}/events?user={user}") == 200
    assert request(f"{application}/events?from={user}") == 400
    assert request(f"{application}/report?{user}=1") == 400
    assert request(f"{application}/lookback-window", "PUT", json.dumps({"days": NAME}).encode()) == 400
    assert request(f"{application}/lookback-window", "PUT", f"{EMAIL} is no JSON".encode()) == 400
    assert request(f"{application}/users/{user}", headers={"Authorization": f"Bearer {SECRET}"}) == 401
    assert request(f"{application}/users/{user}", headers={"Authorization": SECRET}) == 401


def test_a_request_that_fails_is_logged_without_whom_it_is_about(
    heard: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> Any:
        raise ClientError({"Error": {"Code": "InternalServerError", "Message": "sorry"}}, "Query")

    for part in ("settings", "reports", "event_queries"):
        monkeypatch.setattr(wiring, part, fails)
    user = quote(EMAIL, safe="")
    application = f"/applications/{quote(heard.scene.application, safe='')}"
    assert request(f"{application}/events?user={user}") == 500
    assert request(f"{application}/users/{user}") == 500
    assert heard.value("ApiServerErrors") == 2


def test_log_lines_of_handlers_carry_the_request_s_id(heard: Handlers) -> None:
    heard.ingest(good(heard))
    (counts,) = [one for one in lines(heard.text) if one.get("message") == "counts"]
    assert counts["function_request_id"]
    assert counts["counts"]["RecordsIn"] == 3
