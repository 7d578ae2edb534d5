"""Who may call the API of a running ``serve``: its pool's own tokens, over HTTP, and what is nearly one of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest

from app import app
from tests.e2e.support import Answer, Served

PUBLIC = {"/health", "/openapi.json"}
PASSWORD = "Correct-Horse-7-Battery"
REPORT = "/applications/shop/report"
WINDOW = "/applications/shop/lookback-window"
ROUTES = [(path, method) for path, methods in app.routes.items() for method in methods]


class Tokens(NamedTuple):
    """Of one signing in."""

    access: str
    id: str


def with_token(served: Served, token: str, path: str = REPORT, method: str = "GET", body: object = None) -> Answer:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return served.call(method, path, headers, None if body is None else json.dumps(body).encode())


def client_of(served: Served, pool: str) -> str:
    made = served.cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="test", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    found: str = made["UserPoolClient"]["ClientId"]
    return found


def signed_in(served: Served, pool: str, client: str, name: str, *groups: str) -> Tokens:
    """A new user of a pool, in these groups, who signs in at a client."""
    cognito = served.cognito
    cognito.admin_create_user(UserPoolId=pool, Username=name, TemporaryPassword=PASSWORD, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
    for group in groups:
        ensure_group(served, pool, group)
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
    answer = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    return Tokens(answer["AccessToken"], answer["IdToken"])


def ensure_group(served: Served, pool: str, group: str) -> None:
    known = {one["GroupName"] for one in served.cognito.list_groups(UserPoolId=pool)["Groups"]}
    if group not in known:
        served.cognito.create_group(UserPoolId=pool, GroupName=group)


def marketer(served: Served, name: str, *groups: str) -> Tokens:
    """A new user of the marketers' pool, as an administrator makes one."""
    return signed_in(served, served.ready["marketers_pool_id"], served.ready["marketers_client_id"], name, *groups)


# --- wrong tokens ---


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_every_route_but_the_public_ones_is_closed(served: Served, path: str, method: str) -> None:
    concrete = path.replace("{", "").replace("}", "")
    status = raw(served, method, concrete)
    assert status == (200 if path in PUBLIC else 401)


def raw(served: Served, method: str, path: str) -> int:
    """The status of a request without a token."""
    connection = http.client.HTTPConnection(urlsplit(served.ready["api"]).netloc, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def test_a_401_is_a_problem_and_says_how_to_do_it(served: Served) -> None:
    connection = http.client.HTTPConnection(urlsplit(served.ready["api"]).netloc, timeout=30)
    connection.request("GET", f"{REPORT}?from=2026-01-01")
    response = connection.getresponse()
    problem = json.loads(response.read())
    connection.close()
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (problem["status"], problem["title"], problem["instance"]) == (401, "Unauthorized", REPORT)
    assert problem["request_id"]


def test_what_has_no_route_is_a_problem_too(served: Served) -> None:
    for headers in ({}, {"Authorization": f"Bearer {served.ready['tokens']['admin']}"}):
        answer = served.call("GET", "/nothing/here", headers)
        assert (answer.status, answer.body["title"]) == (404, "Not Found")


def test_the_demo_s_users_are_let_in(served: Served) -> None:
    for name in ("viewer", "marketer", "admin"):
        assert with_token(served, served.ready["tokens"][name]).status == 200


def tampered(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(decoded(payload))
    claims["cognito:groups"] = ["admins", "app:*"]
    return f"{header}.{encoded(claims)}.{signature}"


def unsigned(token: str) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def other_key_id(token: str) -> str:
    header, payload, signature = token.split(".")
    return f"{encoded({**json.loads(decoded(header)), 'kid': 'another'})}.{payload}.{signature}"


def signed_with_a_secret(token: str) -> str:
    header, payload, _ = token.split(".")
    body = f"{encoded({**json.loads(decoded(header)), 'alg': 'HS256'})}.{payload}"
    return f"{body}.{encoded(hmac.new(b'secret', body.encode(), hashlib.sha256).digest())}"


def cut_short(token: str) -> str:
    return token[:-10]


@pytest.mark.parametrize("spoil", [tampered, unsigned, other_key_id, signed_with_a_secret, cut_short])
def test_a_spoilt_token_is_refused(served: Served, spoil: Callable[[str], str]) -> None:
    assert with_token(served, spoil(served.ready["tokens"]["viewer"])).status == 401


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encoded(part: Any) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_an_id_token_is_no_access_token(served: Served) -> None:
    tokens = marketer(served, "id-token", "admins", "app:*")
    assert with_token(served, tokens.access).status == 200
    assert with_token(served, tokens.id).status == 401


def test_another_client_of_the_pool_is_refused(served: Served) -> None:
    pool = served.ready["marketers_pool_id"]
    tokens = signed_in(served, pool, client_of(served, pool), "other-client", "admins", "app:*")
    assert with_token(served, tokens.access).status == 401


def test_the_customers_pool_is_refused_and_so_is_any_other(served: Served) -> None:
    another = served.cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
    for pool in (served.ready["user_pool_id"], another):
        tokens = signed_in(served, pool, client_of(served, pool), "customer", "admins", "app:*")
        assert with_token(served, tokens.access).status == 401


# --- what good ones may ---


def test_a_viewer_reads_and_does_not_write(served: Served) -> None:
    token = served.ready["tokens"]["viewer"]
    before = with_token(served, token, WINDOW)
    assert before.status == 200
    assert with_token(served, token, WINDOW, "PUT", {"days": 3}).status == 403
    assert with_token(served, token, WINDOW) == before


def test_a_marketer_does_not_change_settings_and_an_admin_does(served: Served) -> None:
    path = "/applications/access-settings/lookback-window"
    assert with_token(served, served.ready["tokens"]["marketer"], path, "PUT", {"days": 3}).status == 403
    assert with_token(served, served.ready["tokens"]["admin"], path, "PUT", {"days": 3}).status == 200


@pytest.mark.parametrize("application", ["granted", "a/b", "100%", "a#b", "a b", "ключ"])
def test_a_grant_opens_one_application_and_no_other(served: Served, application: str) -> None:
    grant = f"app:{quote(application, safe='')}"
    token = marketer(served, f"grant-{quote(application, safe='')}", "admins", grant).access
    path = f"/applications/{quote(application, safe='')}/lookback-window"
    assert with_token(served, token, path).status == 200
    assert with_token(served, token, path, "PUT", {"days": 5}).status == 200
    for other in ("shop", f"{application}x", "*", "grante"):
        refused = f"/applications/{quote(other, safe='')}/lookback-window"
        assert with_token(served, token, refused).status == 403
        assert with_token(served, token, refused, "PUT", {"days": 5}).status == 403


def test_a_grant_alone_does_not_let_one_read(served: Served) -> None:
    assert with_token(served, marketer(served, "no-role", "app:*").access).status == 403
    assert with_token(served, marketer(served, "no-grant", "admins").access).status == 403
    assert with_token(served, marketer(served, "nothing").access).status == 403
