"""The contract by itself: what an operation is called with, who may call it, and what each wrong request is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
import pytest
from chalice.app import AuthResponse, BadRequestError, Blueprint, Chalice
from chalice.test import Client, HTTPResponse

from chalicelib.api import contract
from chalicelib.api.callers import Access, Caller, caller_of, grant_of
from chalicelib.api.contract import Answer, Call, Problem, operation
from chalicelib.api.decoding import decode_body
from chalicelib.api.problems import envelope
from chalicelib.api.schemas.values import Day, Instant

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=5)]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    from_: Instant | None = msgspec.field(name="from", default=None)
    day: Day | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=9)] = 5
    by: Literal["day", "week"] = "day"
    name: str | None = None
    all: bool = False


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Text
    at: Instant | None = None
    parts: list[Part] = []
    sizes: dict[str, Annotated[int, msgspec.Meta(gt=0)]] = {}

    def __post_init__(self) -> None:
        if self.name == "both":
            raise ValueError("name and at exclude each other")


class Cat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="cat"):
    lives: int = 9


class Dog(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="dog"):
    age: int = 1


class Told(msgspec.Struct, frozen=True, kw_only=True):
    application: str = ""
    said: str = ""
    at: Instant | None = None


def _an_api() -> tuple[Chalice, list[Call[Any, Any]]]:
    """An application with an operation of each kind, and the calls that it got."""
    calls: list[Call[Any, Any]] = []
    routes = Blueprint(__name__)
    app = Chalice("contract", configure_logs=False)

    @operation(routes, "GET", "/a/{application}", access="viewer", summary="Look", query=Asked, answer=Told)
    def look(call: Call[Asked, None]) -> Told:
        calls.append(call)
        return Told(application=call.application, at=call.query.from_)

    @operation(routes, "PUT", "/a/{application}", access="admin", summary="Change", body=Sent, answer=Told, status=201)
    def change(call: Call[None, Sent]) -> Told:
        calls.append(call)
        return Told(said=call.body.name, at=call.body.at)

    @operation(routes, "PUT", "/a/{application}/journeys/{journey}", access="marketer", summary="Name")
    def name(call: Call[None, None]) -> Answer:
        calls.append(call)
        return Answer(None, status=204, headers={"ETag": '"1"'})

    @operation(routes, "GET", "/text", access="public", summary="Text", media=("text/csv",))
    def text(call: Call[None, None]) -> Answer:
        return Answer("é;1\n".encode(), content_type="text/csv")

    @operation(routes, "GET", "/fails/{how}", access="public", summary="Fail")
    def fails(call: Call[None, None]) -> Answer:
        if call.path["how"] == "problem":
            raise Problem(412, "Somebody else was faster.", headers={"ETag": '"2"'}, version=2)
        if call.path["how"] == "chalice":
            raise BadRequestError("No.")
        raise RuntimeError("a secret")

    @routes.route("/old")
    def old() -> None:
        raise BadRequestError("An old route")

    app.register_middleware(envelope, "http")
    app.register_blueprint(routes)
    return app, calls


class Api:
    """An application of its own with an operation of each kind. ``headers`` go with every request."""

    headers: Mapping[str, str] = {}

    def __init__(self) -> None:
        known = len(contract.OPERATIONS)
        try:
            self.app, self.calls = _an_api()
        finally:
            del contract.OPERATIONS[known:]

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {**({"Content-Type": "application/json"} if data else {}), **self.headers, **(headers or {})}
        with Client(self.app) as client:
            return client.http.request(method, path, sent, data)

    def get(self, path: str = "/a/shop", headers: Mapping[str, str] | None = None) -> Any:
        return self.ask("GET", path, headers=headers)

    def put(self, body: object, path: str = "/a/shop") -> Any:
        return self.ask("PUT", path, body)


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Api:
    """With an authorizer that believes a caller's groups; the application's own checks tokens."""
    guard = Blueprint(__name__)

    @guard.authorizer()
    def believe(request: Any) -> AuthResponse:
        return AuthResponse(["*"], "jo", {"subject": "jo", "groups": request.token})

    monkeypatch.setattr(contract, "authorizer", believe)
    api = Api()
    api.app.register_blueprint(guard)
    return api


@pytest.fixture
def api(guarded: Api) -> Api:
    """Called by somebody who may do everything."""
    guarded.headers = {"Authorization": "admins app:*"}
    return guarded


def problem(answer: HTTPResponse, status: int = 400) -> dict[str, Any]:
    """The problem that an answer tells, checked for what all of them have."""
    assert answer.status_code == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json_body
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(body)
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert body["detail"].endswith(".")
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return body


# --- what a call says ---


def test_a_query_comes_as_its_types(api: Api) -> None:
    answer = api.get("/a/my%20shop?from=1970-01-01T00:00:01.5Z&day=2026-03-28&limit=9&by=week&name=null&all=true")
    assert (answer.status_code, answer.json_body) == (
        200,
        {"application": "my shop", "said": "", "at": "1970-01-01T00:00:01.500Z"},
    )
    assert api.calls[0].query == Asked(
        from_=Instant(1_500), day=Day("20260328"), limit=9, by="week", name="null", all=True
    )


def test_what_is_not_said_or_blank_is_as_declared(api: Api) -> None:
    api.get()
    api.get("/a/shop?limit=&by=%20&from=")
    assert [call.query for call in api.calls] == [Asked(), Asked()]


def test_a_body_comes_as_its_types(api: Api) -> None:
    answer = api.put({"name": "x", "at": "1970-01-02", "parts": [{"size": 1}]})
    assert (answer.status_code, answer.json_body["at"]) == (201, "1970-01-02T00:00:00.000Z")
    assert api.calls[0].body == Sent(name="x", at=Instant(86_400_000), parts=[Part(1)])


def test_parts_of_the_path_are_decoded_once(api: Api) -> None:
    answer = api.ask("PUT", "/a/100%2525/journeys/a%2Fb")
    assert (answer.status_code, answer.body, answer.headers["ETag"]) == (204, b"", '"1"')
    assert dict(api.calls[0].path) == {"application": "100%25", "journey": "a/b"}


def test_text_is_answered_as_it_is(api: Api) -> None:
    answer = api.get("/text")
    assert (answer.body.decode(), answer.headers["Content-Type"]) == ("é;1\n", "text/csv")


def test_a_request_without_body_may_be_of_any_type(api: Api) -> None:
    assert api.get(headers={"Content-Type": "text/plain"}).status_code == 200


def test_every_answer_has_a_request_id_of_its_own(api: Api) -> None:
    ids = {api.get().headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


# --- what is refused ---

QUERIES = {
    "limit=0": "limit must be a whole number from 1 to 9, not 0.",
    "limit=ten": "limit must be a whole number from 1 to 9, not ten.",
    "limit=1.5": "limit must be a whole number from 1 to 9, not 1.5.",
    "limit=%2B5": "limit must be a whole number from 1 to 9, not +5.",
    "limit=" + quote("٣"): "limit must be a whole number from 1 to 9, not ٣.",
    "limit=" + "9" * 5_000: "limit must be a whole number from 1 to 9.",
    "limit=1&limit=2": "limit is given more than once.",
    "limit=&limit=2": "limit is given more than once.",
    "by=month": "by must be one of day, week, not month.",
    "all=TRUE": "all must be true or false, not TRUE.",
    "from=soon": "from must be an ISO-8601 date or time, not soon.",
    "day=20260328": "day must be a day such as 2026-03-28, not 20260328.",
    "day=2026-02-30": "day must be a day such as 2026-03-28, not 2026-02-30.",
    "from_=2026-03-28": "There is no parameter from_; there are from, day, limit, by, name, all.",
}


@pytest.mark.parametrize(("query", "detail"), QUERIES.items(), ids=[str(one)[:30] for one in QUERIES])
def test_a_wrong_query_is_told_which_parameter_it_is(query: str, detail: str, api: Api) -> None:
    assert problem(api.get(f"/a/shop?{query}"))["detail"] == detail
    assert api.calls == []


BODIES: list[tuple[object, str]] = [
    ({}, "name is missing."),
    ({"name": ""}, "name must be text of 1 to 5 characters."),
    ({"name": "longer"}, "name must be text of 1 to 5 characters, not longer."),
    ({"name": 7}, "name must be text of 1 to 5 characters, not 7."),
    ({"name": None}, "name must be text of 1 to 5 characters."),
    ({"name": "x", "size": 1}, "There is no size to set; there are name, at, parts, sizes."),
    ({"name": "x", "at": "soon"}, "at must be an ISO-8601 date or time, not soon."),
    ({"name": "x", "at": 5}, "at must be an ISO-8601 date or time."),
    ({"name": "x", "parts": {}}, "parts must be a list."),
    ({"name": "x", "parts": [{"size": 1}, {}]}, "parts[1].size is missing."),
    ({"name": "x", "parts": [{"size": True}]}, "parts[0].size must be a whole number, not true."),
    ({"name": "x", "parts": [{"size": 1, "x": 1}]}, "There is no parts[0].x to set; there are size."),
    ({"name": "x", "sizes": {"a": 0}}, "sizes[...] must be a whole number greater than 0."),
    ({"name": "both"}, "name and at exclude each other."),
    ([], "The body must be an object."),
    (b"null", "The body must be an object."),
]


@pytest.mark.parametrize(("body", "detail"), BODIES)
def test_a_wrong_body_is_told_which_field_it_is(body: object, detail: str, api: Api) -> None:
    assert problem(api.put(body))["detail"] == detail
    assert api.calls == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{name: 1}", b'{"name": NaN}', b'{"name": "\xff"}', b'{"name": "\\ud800"}'],
)
def test_what_is_no_json_is_refused(body: bytes, api: Api) -> None:
    assert problem(api.put(body))["detail"].startswith("The body is not the JSON that is expected")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{}", "kind is missing."),
        (b'{"kind": "cow"}', "kind must be one of cat, dog, not cow."),
        (b'{"kind": "cat", "lives": "x"}', "lives must be a whole number, not x."),
    ],
)
def test_a_body_of_several_kinds_is_told_which_there_are(body: bytes, detail: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_body(body, Cat | Dog)
    assert refused.value.detail == detail


def test_a_body_nested_without_end_is_refused(api: Api) -> None:
    assert problem(api.put(b'{"name": ' + b"[" * 100_000))


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    largest = b'{"name": "x"}'.ljust(256 * 1024)
    assert api.put(largest).status_code == 201
    assert problem(api.put(largest + b" "), 413)["title"] == "Content Too Large"


@pytest.mark.parametrize("application", ["%20", "a%0A", "x" * 257])
def test_what_can_be_no_application_is_refused(application: str, api: Api) -> None:
    assert problem(api.get(f"/a/{application}"))["detail"].startswith("application_id ")


def test_what_can_be_no_journey_is_refused(api: Api) -> None:
    assert problem(api.ask("PUT", "/a/shop/journeys/%1F"))["detail"].startswith("journey_id ")


def test_a_problem_is_told_with_its_extensions_and_headers(api: Api) -> None:
    answer = api.get("/fails/problem")
    body = problem(answer, 412)
    assert (body["title"], body["detail"]) == ("Precondition Failed", "Somebody else was faster.")
    assert (body["instance"], body["version"], answer.headers["ETag"]) == ("/fails/problem", 2, '"2"')


def test_an_error_of_the_code_is_told_to_nobody_but_the_log(api: Api) -> None:
    # An error of Chalice's is one of the code too: operations raise problems.
    for how in ("error", "chalice"):
        answer = api.get(f"/fails/{how}")
        assert problem(answer, 500)["title"] == "Internal Server Error"
        assert b"secret" not in answer.body


def test_what_chalice_refuses_is_a_problem_too(api: Api) -> None:
    not_allowed = api.ask("POST", "/text")
    assert problem(not_allowed, 405)["title"] == "Method Not Allowed"
    assert not_allowed.headers["Allow"] == "GET"
    wrong_type = api.ask("PUT", "/a/shop", b"{}", {"Content-Type": "text/plain"})
    assert problem(wrong_type, 415)["detail"] == "Unsupported media type: text/plain."
    assert problem(api.get("/old"))["detail"] == "An old route."


# --- who may ---

LEVELS: list[tuple[str, Access, bool]] = [
    ("viewers", "viewer", True),
    ("viewers", "marketer", False),
    ("viewers", "admin", False),
    ("marketers", "viewer", True),
    ("marketers", "marketer", True),
    ("marketers", "admin", False),
    ("admins", "viewer", True),
    ("admins", "marketer", True),
    ("admins", "admin", True),
    ("", "viewer", False),
    ("", "public", True),
    ("Admins", "viewer", False),
    ("admin", "viewer", False),
    ("viewers,admins", "viewer", False),
]


@pytest.mark.parametrize(("groups", "access", "may"), LEVELS)
def test_admins_are_marketers_and_marketers_viewers(groups: str, access: Access, may: bool) -> None:
    assert caller_of({"groups": groups}).may(access) is may


@pytest.mark.parametrize(
    ("group", "application", "may"),
    [
        ("app:shop", "shop", True),
        ("app:shop", "shop2", False),
        ("app:shop", "Shop", False),
        ("app:my%20shop", "my shop", True),
        ("app:my%20shop", "my%20shop", False),
        ("app:a%2Fb", "a/b", True),
        ("app:*", "anything at all", True),
        ("app:*", "*", True),
        ("app:%2A", "*", True),
        ("app:%2A", "shop", False),
        ("app:", "shop", False),
        ("shop", "shop", False),
    ],
)
def test_a_grant_is_for_one_application(group: str, application: str, may: bool) -> None:
    assert Caller("jo", frozenset({group})).may_enter(application) is may


def test_a_grant_names_the_application_with_nothing_left_out() -> None:
    assert grant_of("a b/c*é") == "app:a%20b%2Fc%2A%C3%A9"


def test_without_an_authorizers_word_a_caller_is_nobody() -> None:
    assert caller_of({}) == Caller("", frozenset())


@pytest.mark.parametrize(
    ("groups", "method", "path", "status"),
    [
        ("viewers app:shop", "GET", "/a/shop", 200),
        ("viewers app:shop", "GET", "/a/sh%6Fp", 200),
        ("viewers app:shop", "GET", "/a/other", 403),
        ("viewers", "GET", "/a/shop", 403),
        ("app:shop", "GET", "/a/shop", 403),
        ("viewers app:*", "PUT", "/a/shop", 403),
        ("viewers app:*", "PUT", "/a/shop/journeys/j1", 403),
        ("marketers app:shop", "PUT", "/a/shop/journeys/j1", 204),
        ("marketers app:shop", "PUT", "/a/shop", 403),
        ("marketers app:shop", "PUT", "/a/other/journeys/j1", 403),
        ("admins app:shop", "GET", "/a/shop", 200),
        ("admins", "GET", "/a/shop", 403),
    ],
)
def test_an_operation_asks_for_group_and_grant(groups: str, method: str, path: str, status: int, guarded: Api) -> None:
    answer = guarded.ask(method, path, headers={"Authorization": groups})
    assert answer.status_code == status
    if status == 403:
        assert problem(answer, 403)["title"] == "Forbidden"
        assert guarded.calls == []


def test_an_operation_is_told_who_calls(guarded: Api) -> None:
    guarded.get(headers={"Authorization": "viewers app:shop"})
    assert guarded.calls[0].caller == Caller("jo", frozenset({"viewers", "app:shop"}))


def test_who_may_not_ask_is_told_nothing_of_the_rest(guarded: Api) -> None:
    wrong = "/a/shop?limit=0&x=1"
    assert problem(guarded.get(wrong, {"Authorization": "app:shop"}), 403)
    assert problem(guarded.get(wrong, {"Authorization": "viewers"}), 403)
    assert problem(guarded.get(wrong, {"Authorization": "viewers app:shop"}), 400)


def test_public_operations_need_no_token(guarded: Api) -> None:
    assert guarded.get("/text").status_code == 200
    assert guarded.get().status_code == 401


def test_without_an_authorizer_nothing_is_open_but_the_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "authorizer", None)
    api = Api()
    assert api.get("/text").status_code == 200
    answer = api.get(headers={"Authorization": "admins app:*"})
    assert problem(answer, 401)["detail"] == "A valid access token is needed."
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.calls == []


def test_an_operation_s_name_is_its_own(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "OPERATIONS", [])
    routes = Blueprint(__name__)

    def one(call: Call[None, None]) -> Answer:
        return Answer(None, 204)

    operation(routes, "GET", "/one", access="public", summary="One")(one)
    with pytest.raises(ValueError, match="two operations called one"):
        operation(routes, "GET", "/two", access="public", summary="Two")(one)
