"""The OpenAPI document: valid, of exactly the routes that there are, and of what they check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from chalice.app import Blueprint
from openapi_spec_validator import OpenAPIV31SpecValidator

from app import app
from chalicelib.api import contract, openapi
from chalicelib.api.access import check_token
from chalicelib.api.contract import Answer, Call, operation
from chalicelib.api.schemas.values import Instant, parse
from tests.api.calls import get

Json = dict[str, Any]

PUBLIC = {("GET", "/health"), ("GET", "/openapi.json")}
ROUTES = {(method, path) for path, methods in app.routes.items() for method in methods}


@pytest.fixture(scope="module")
def document() -> Json:
    found: Json = json.loads(openapi.document())
    return found


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield method.upper(), path, described


def test_it_is_openapi(document: Json) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_it_is_served_to_everybody(document: Json) -> None:
    assert get("/openapi.json") == (200, document)


def test_it_tells_the_routes_that_there_are_and_no_others(document: Json) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == ROUTES
    assert {(one.method, one.path) for one in contract.OPERATIONS} == ROUTES


def test_all_routes_but_the_public_ones_have_the_authorizer_and_say_so(document: Json) -> None:
    for method, path, described in operations(document):
        is_public = (method, path) in PUBLIC
        assert app.routes[path][method].authorizer is (None if is_public else check_token), path
        # What an operation does not say of security is as the document says: a token is needed.
        assert described.get("security") == ([] if is_public else None), path
        assert ("401" in described["responses"]) is not is_public
    assert document["security"] == [{"token": []}]
    assert {(one.method, one.path) for one in contract.OPERATIONS if one.access == "public"} == PUBLIC


def test_operations_have_names_of_their_own(document: Json) -> None:
    names = [described["operationId"] for _, _, described in operations(document)]
    assert len(set(names)) == len(names)
    for _, _, described in operations(document):
        assert described["summary"]
        assert described["tags"]
        assert set(described["tags"]) <= {one["name"] for one in document["tags"]}


def test_what_stands_in_a_path_is_a_parameter(document: Json) -> None:
    for _, path, described in operations(document):
        given = [one["name"] for one in described["parameters"] if one["in"] == "path"]
        assert given == [part[1:-1] for part in path.split("/") if part.startswith("{")]


def test_every_error_is_a_problem_and_every_answer_has_a_request_id(document: Json) -> None:
    for _, _, described in operations(document):
        assert {"400", "500"} < set(described["responses"])
        for status, answer in described["responses"].items():
            assert "X-Request-Id" in answer["headers"]
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"]


def test_a_body_takes_no_fields_but_those_it_names(document: Json) -> None:
    # Catches: a Struct for a body that passes a misspelt field over.
    loose = [name for name in _reached(document) if not _is_closed(document["components"]["schemas"][name])]
    assert loose == []


def _is_closed(schema: Json) -> bool:
    return "properties" not in schema or schema.get("additionalProperties") is False


def _reached(document: Json) -> set[str]:
    """The components that bodies are made of."""
    bodies = [one["requestBody"] for _, _, one in operations(document) if "requestBody" in one]
    reached: set[str] = set()
    waiting: list[object] = list(bodies)
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            name = str(found.get("$ref", "")).rpartition("/")[2]
            if name and name not in reached:
                reached.add(name)
                waiting.append(document["components"]["schemas"][name])
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
    return reached


def test_examples_are_what_they_are_examples_of() -> None:
    for one in contract.OPERATIONS:
        for kind, given in ((one.body, one.examples.get("body")), (one.answer, one.examples.get("answer"))):
            if given is not None:
                msgspec.convert(given, kind, dec_hook=parse)


# --- what is made of a declaration ---


class Asked(msgspec.Struct):
    from_: Instant | None = msgspec.field(name="from", default=None)
    limit: Annotated[int, msgspec.Meta(ge=1, le=9)] = 5
    user: str | None = None


class Sent(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Told(msgspec.Struct):
    at: Instant | None


@pytest.fixture
def declared() -> Json:
    """The document of two operations of the tests' own."""
    known = len(contract.OPERATIONS)
    routes = Blueprint(__name__)

    @operation(routes, "GET", "/a/{application}", access="viewer", summary="Look", query=Asked, media=("text/csv",))
    def look(call: Call[Asked, None]) -> Answer:
        return Answer(None)

    @operation(
        routes,
        "POST",
        "/a/{application}",
        access="admin",
        summary="Change",
        description="For good.",
        body=Sent,
        answer=Told,
        status=202,
        answers={204: None},
        errors=(412,),
        headers={"If-Match": "The version"},
        answer_headers={"ETag": "The version"},
        examples={"body": {"name": "x"}},
    )
    def change(call: Call[None, Sent]) -> Answer:
        return Answer(None)

    made = contract.OPERATIONS[known:]
    del contract.OPERATIONS[known:]
    return openapi.describe(made)


def test_a_query_s_fields_are_parameters(declared: Json) -> None:
    parameters = {one["name"]: one for one in declared["paths"]["/a/{application}"]["get"]["parameters"]}
    assert list(parameters) == ["application", "from", "limit", "user"]
    assert parameters["application"]["required"] is True
    assert parameters["from"]["schema"]["format"] == "date-time"
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 5}
    # That it may be left out is not that it may be null.
    assert parameters["user"]["required"] is False
    assert parameters["user"]["schema"] == {"type": "string"}


def test_bodies_answers_and_headers_are_told(declared: Json) -> None:
    change = declared["paths"]["/a/{application}"]["post"]
    assert change["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sent"}, "example": {"name": "x"}}},
    }
    assert change["description"] == "For good. Needs a token of an admin."
    assert set(change["responses"]) == {
        *("202", "204"),
        *("400", "401", "403", "412", "413", "415", "429", "500", "503"),
    }
    assert change["responses"]["202"]["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/Told"}}
    }
    assert set(change["responses"]["202"]["headers"]) == {"ETag", "X-Request-Id"}
    assert "content" not in change["responses"]["204"]
    assert [one["name"] for one in change["parameters"] if one["in"] == "header"] == ["If-Match"]
    look = declared["paths"]["/a/{application}"]["get"]["responses"]
    assert "text/csv" in look["200"]["content"]
    assert "415" not in look
    assert set(declared["components"]["schemas"]) == {"ProblemDetails", "Sent", "Told"}
