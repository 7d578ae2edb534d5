"""All routes, one by one: only the public ones are open, and what a good token's bearer may not do is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chalice.app import ChaliceAuthorizer
from chalice.test import Client

from app import app
from chalicelib import wiring
from chalicelib.api.access import check_token
from tests.support.tokens import ALL, bearer, claims, pair, signed, token, trusting

PUBLIC = {"/health", "/openapi.json"}
ROUTES = [(path, method) for path, methods in app.routes.items() for method in methods]
CLOSED = [(path, method) for path, method in ROUTES if path not in PUBLIC]


@pytest.fixture(autouse=True)
def _trusting() -> Iterator[None]:
    with trusting():
        yield


def status(method: str, path: str, headers: dict[str, str]) -> int:
    """Of a request to a route, in the application ``shop``."""
    concrete = path.replace("{application}", "shop").replace("{", "").replace("}", "")
    body = b"{}" if method in ("PUT", "POST", "PATCH") else b""
    with Client(app) as client:
        answer = client.http.request(
            method, concrete, headers={"Content-Type": "application/json", **headers}, body=body
        )
    found: int = answer.status_code
    return found


def test_there_are_routes() -> None:
    assert {path for path, _ in ROUTES} > PUBLIC
    assert ("/applications/{application}/report", "GET") in CLOSED


@pytest.mark.parametrize(("path", "method"), CLOSED)
def test_a_closed_route_has_the_authorizer(path: str, method: str) -> None:
    authorizer = app.routes[path][method].authorizer
    assert isinstance(authorizer, ChaliceAuthorizer)
    assert authorizer is check_token


@pytest.mark.parametrize(("path", "method"), CLOSED)
def test_a_closed_route_answers_401_to_whoever_has_no_good_token(path: str, method: str) -> None:
    now = wiring.clock.now()
    wrong = {
        "none": {},
        "empty": {"Authorization": ""},
        "malformed": {"Authorization": "Bearer x.y.z"},
        "expired": {"Authorization": f"Bearer {signed(claims(now - 7_200_000, 'admins', ALL))}"},
        "of another pool": {"Authorization": f"Bearer {signed(claims(now, 'admins', ALL), pair('another'))}"},
        "for identity": {"Authorization": f"Bearer {signed(claims(now, 'admins', ALL, token_use='id'))}"},
        "not bearer": {"Authorization": token("admins", ALL)},
    }
    assert {name: status(method, path, headers) for name, headers in wrong.items()} == dict.fromkeys(wrong, 401)


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_a_public_route_asks_for_nothing_and_takes_no_offence_at_a_bad_token(path: str) -> None:
    assert status("GET", path, {}) == 200
    assert status("GET", path, {"Authorization": "Bearer x.y.z"}) == 200


@pytest.mark.parametrize(("path", "method"), CLOSED)
def test_nobody_in_particular_may_do_nothing(path: str, method: str) -> None:
    assert status(method, path, bearer()) == 403
    assert status(method, path, bearer("somebody", ALL)) == 403


@pytest.mark.parametrize(("path", "method"), [one for one in CLOSED if "{application}" in one[0]])
def test_a_grant_for_one_application_opens_no_other(path: str, method: str) -> None:
    assert status(method, path, bearer("admins")) == 403
    assert status(method, path, bearer("admins", "app:another", "app:sho", "app:shopp", "app:%2A", "app:")) == 403


@pytest.mark.parametrize(("path", "method"), [one for one in CLOSED if one[1] in ("PUT", "DELETE", "PATCH")])
def test_a_viewer_does_not_write(path: str, method: str) -> None:
    assert status(method, path, bearer("viewers", ALL)) == 403


@pytest.mark.parametrize(
    ("path", "method"), [one for one in CLOSED if one[1] != "GET" and ("settings" in one[0] or "window" in one[0])]
)
def test_a_marketer_does_not_change_settings(path: str, method: str) -> None:
    # A preview changes nothing: it is a report.
    if not path.endswith("/preview"):
        assert status(method, path, bearer("marketers", "viewers", ALL)) == 403
