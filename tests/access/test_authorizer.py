"""The authorizer as API Gateway, ``chalice local`` and the test client call it: who gets through, and with what."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from chalice.app import Chalice
from chalice.test import Client

from chalicelib import wiring
from chalicelib.access.outcome import Bearer, KeysUnavailable
from chalicelib.api.access import check_token, context_of
from chalicelib.observability import logger
from tests.support.tokens import ADMIN, bearer, claims, pair, signed, token, trusting

PROJECT = Path(__file__).parents[2]
ARN = "arn:aws:execute-api:eu-west-1:123456789012:abc123/api"
APPLICATIONS = ["shop", "a/b", "100%", "a#b", "a b", "a:b", "a*b", "a?b", "..", "%2F", "ключ", "a+b@c"]

probe = Chalice(app_name="probe", configure_logs=False)


@probe.route("/applications/{application}/report", methods=["GET", "PUT"], authorizer=check_token)
def report(application: str) -> dict[str, Any]:
    request = probe.current_request
    assert request is not None
    return {"application": application, "caller": request.context["authorizer"]}


@pytest.fixture(autouse=True)
def _trusting() -> Iterator[None]:
    with trusting():
        yield


def called(header: str, path: str = "applications/a%2Fb/report") -> Any:
    """What the function answers to API Gateway."""
    return check_token({"type": "TOKEN", "authorizationToken": header, "methodArn": f"{ARN}/GET/{path}"}, None)


def test_the_policy_is_good_for_all_routes_because_it_is_kept_for_the_token() -> None:
    answer = called(f"Bearer {token('viewers', 'app:shop')}")
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement == {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": [f"{ARN}/*/*"]}
    assert answer["principalId"] == "subject-1"
    assert answer["context"] == {"subject": "subject-1", "groups": "viewers app:shop"}


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_the_scheme_is_bearer_in_any_case(header: str) -> None:
    assert called(header.format(token("viewers")))["principalId"] == "subject-1"


def test_groups_are_told_apart_whatever_is_in_them() -> None:
    groups = ("viewers", "app:*", "app:a%2Fb", "two words", "ключ")
    told = context_of(Bearer("s", groups))["groups"]
    assert told == "viewers app:* app:a%2Fb two%20words %D0%BA%D0%BB%D1%8E%D1%87"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer x.y.z", "token", "{good}", "Bearer {expired}"]
)
def test_in_lambda_a_refusal_is_the_one_message_that_api_gateway_makes_a_401_of(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lambda has Chalice's runtime only.
    monkeypatch.delitem(sys.modules, "chalice.local")
    now = wiring.clock.now()
    given = header.format(good=token("admins"), expired=signed(claims(now - 7_200_000, "admins")))
    with pytest.raises(Exception) as refused:  # noqa: PT011 - its message is all that API Gateway knows
        called(given)
    assert str(refused.value) == "Unauthorized"


def test_without_keys_the_authorizer_fails_instead_of_deciding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unreachable:
        def verify(self, _token: str) -> Bearer:
            raise KeysUnavailable("the pool does not answer")

    monkeypatch.setattr(wiring, "token_verifier", Unreachable)
    given = token("admins")
    assert called(f"Bearer {given}") is None
    logged = capsys.readouterr().out
    line = json.loads(logged)
    assert (line["level"], line["message"], line["reason"]) == (
        "ERROR",
        "tokens cannot be checked",
        "the pool does not answer",
    )
    assert "exception" not in line
    assert given not in logged
    with Client(probe) as client:
        assert client.http.get("/applications/a/report", headers=bearer(*ADMIN)).status_code == 500


def test_a_refusal_is_logged_with_its_reason_and_without_the_token(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(logger.setLevel, logger.log_level))
    logger.setLevel("INFO")
    given = signed(claims(wiring.clock.now(), "admins"), pair("another pool's"))
    with Client(probe) as client:
        answer = client.http.get("/applications/a/report", headers={"Authorization": f"Bearer {given}"})
    assert answer.status_code == 401
    logged = capsys.readouterr().out
    assert json.loads(logged)["reason"] == "its key is none of the pool's"
    assert not [part for part in given.split(".") if part in logged]


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_good_token_gets_through_to_any_application_s_route(application: str, method: str) -> None:
    with Client(probe) as client:
        path = f"/applications/{quote(application, safe='')}/report?from=2026-01-01"
        answer = client.http.request(method, path, headers=bearer("viewers", "app:shop"))
    assert answer.status_code == 200, answer.body
    caller = answer.json_body["caller"]
    assert (caller["subject"], caller["groups"]) == ("subject-1", "viewers app:shop")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer x.y.z"}, {"authorization": "x"}]
)
def test_any_other_is_answered_401(headers: dict[str, str]) -> None:
    with Client(probe) as client:
        for path in ("/applications/a/report", "/applications/a%2Fb/report"):
            assert client.http.get(path, headers=headers).status_code == 401


def test_only_a_token_that_is_to_be_verified_makes_the_library_be_imported() -> None:
    # Every function imports what app.py does, and the library takes a tenth of a second.
    script = "import sys, app; print([one for one in sys.modules if one.split('.')[0] in ('joserfc', 'cryptography')])"
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
