"""The OpenAPI 3.1 document of all operations, made of what they declare: the Structs of their requests and answers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import msgspec

from chalicelib.api.callers import WHO
from chalicelib.api.contract import JSON, OPERATIONS, Operation, shorter_requests
from chalicelib.api.decoding import LARGEST_BODY, parameters
from chalicelib.api.problems import PROBLEM_JSON, REQUEST_ID, title_of
from chalicelib.api.schemas.problems import ProblemDetails
from chalicelib.api.schemas.values import schema

Json = dict[str, Any]

_REF = "#/components/schemas/{name}"
_IN_PATH = re.compile(r"\{(\w+)\}")
_PARTS_OF_PATHS: dict[str, Json] = {
    "application": {
        "description": "The Pinpoint application's id",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
        "example": "shop",
    },
    "journey": {"description": "The journey's id", "schema": {"type": "string", "minLength": 1, "maxLength": 256}},
}
_NO_PARAMETERS = {"accept", "content-type", "authorization"}
"""Headers that OpenAPI tells otherwise: by contents of bodies, and by security."""
_ALWAYS = (400, 429, 500)
_CLOSED = (401, 403, 503)
_WITH_BODY = (413, 415)
_SHORTENED = (422,)
_MEANINGS = {
    400: "The request is wrong; the detail names the parameter or field",
    401: "There is no valid access token",
    403: "The token's bearer may not do this, or not in this application",
    413: f"The body has more than {LARGEST_BODY // 1024} kB",
    415: f"The body is not {JSON}",
    422: "The answer would be too large, or take too long; the detail names what to ask for instead",
    429: "Too many requests at a time",
    500: "The request failed; what happened is logged under its request id",
    503: "Tokens cannot be checked at the moment",
}
_REQUEST_ID_HEADER: Json = {REQUEST_ID: {"$ref": f"#/components/headers/{REQUEST_ID}"}}
_TAGS = {
    "settings": "What counts, for how long, and where it is written",
    "journeys": "Journeys: names, cost, goals",
    "reports": "What journeys earned, and whether they paid",
    "events": "Events and their credits",
    "users": "One person's history, and its erasure",
    "jobs": "Work that is too long for a request",
    "system": "The API itself",
}


@cache
def document() -> bytes:
    """The document, as JSON."""
    return msgspec.json.encode(describe(OPERATIONS))


def describe(operations: Collection[Operation]) -> Json:
    """The OpenAPI document of some operations."""
    schemas, components = _schemas(operations)
    paths: dict[str, Json] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    used = {tag for one in operations for tag in one.tags}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Journey attribution",
            "version": "1",
            "description": "What marketers' journeys earned. Times are ISO-8601, in answers always UTC; money is "
            "decimal text. Errors are problem details (RFC 9457). Every answer has a request id, by which its log is "
            "found.",
        },
        # Relative to this document: it does not know below which path its API is served.
        "servers": [{"url": "."}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items() if name in used],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "headers": {REQUEST_ID: {"description": "The request's id", "schema": {"type": "string"}}},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of the marketers' pool. Groups say what its bearer may do "
                    "(viewers, marketers, admins), and in which applications (app: and the id percent-encoded, or "
                    "app:* for all).",
                }
            },
        },
    }


def _schemas(operations: Collection[Operation]) -> tuple[dict[Any, Json], dict[str, Json]]:
    """The schema of each type of a body or answer, which refers to the components."""
    types = list(dict.fromkeys([ProblemDetails, *(kind for one in operations for kind in _types(one))]))
    found, components = msgspec.json.schema_components(types, schema_hook=schema, ref_template=_REF)
    return dict(zip(types, found, strict=True)), components


def _types(one: Operation) -> Iterator[Any]:
    yield from (kind for kind in (one.body, one.answer, *one.answers.values()) if kind is not None)


def _operation(one: Operation, schemas: dict[Any, Json]) -> Json:
    needs = "" if one.access == "public" else f"Needs a token of {WHO[one.access]}."
    described: Json = {
        "operationId": one.id,
        "summary": one.summary,
        "description": " ".join(text for text in (one.description, needs) if text),
        "tags": list(one.tags),
        "parameters": [*_path_parameters(one.path), *_query_parameters(one), *_header_parameters(one)],
        "responses": {**_answers(one, schemas), **_problems(one, schemas)},
    }
    if one.access == "public":
        described["security"] = []
    if one.body is not None:
        content = {"schema": schemas[one.body]} | _example(one, "body")
        described["requestBody"] = {"required": True, "content": {JSON: content}}
    return described


def _path_parameters(path: str) -> Iterator[Json]:
    for name in _IN_PATH.findall(path):
        part = _PARTS_OF_PATHS.get(name.removesuffix("_id"), {"schema": {"type": "string", "minLength": 1}})
        yield {"name": name, "in": "path", "required": True, **part}


def _query_parameters(one: Operation) -> Iterator[Json]:
    if one.query is None:
        return
    # Each field's schema without the null by which the Struct says that it was not given.
    (_,), components = msgspec.json.schema_components([one.query], schema_hook=schema, ref_template="{name}")
    properties = components[one.query.__name__]["properties"]
    for name in parameters(one.query):
        shape = _without_null(properties[name])
        # A blank parameter counts as absent.
        yield {"name": name, "in": "query", "required": False, "allowEmptyValue": True, "schema": shape}


def _without_null(given: Json) -> Json:
    kept = {name: value for name, value in given.items() if name != "default" or value is not None}
    choices = [choice for choice in kept.pop("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **kept}
    return {"anyOf": choices, **kept} if choices else kept


def _header_parameters(one: Operation) -> Iterator[Json]:
    for name, meaning in one.headers.items():
        if name.lower() not in _NO_PARAMETERS:
            yield {
                "name": name,
                "in": "header",
                "required": False,
                "description": meaning,
                "schema": {"type": "string"},
            }


def _answers(one: Operation, schemas: dict[Any, Json]) -> dict[str, Json]:
    found = {str(one.status): _good(one, one.status, one.answer, schemas)}
    for status, kind in one.answers.items():
        found[str(status)] = _good(one, status, kind, schemas)
    return found


def _good(one: Operation, status: int, kind: Any, schemas: dict[Any, Json]) -> Json:
    content: dict[str, Json] = {}
    if kind is not None:
        content[JSON] = {"schema": schemas[kind]} | _example(one, "answer")
    if status == one.status:
        content |= {media: {"schema": {"type": "string"}} for media in one.media}
    headers = {
        name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in one.answer_headers.items()
    }
    described: Json = {"description": title_of(status), "headers": {**headers, **_REQUEST_ID_HEADER}}
    return described | ({"content": content} if content else {})


def _problems(one: Operation, schemas: dict[Any, Json]) -> dict[str, Json]:
    closed = () if one.access == "public" else _CLOSED
    shortened = _SHORTENED if shorter_requests(one) else ()
    statuses = {*_ALWAYS, *closed, *(_WITH_BODY if one.body is not None else ()), *shortened, *one.errors}
    content = {PROBLEM_JSON: {"schema": schemas[ProblemDetails]}}
    return {
        str(status): {
            "description": _MEANINGS.get(status, title_of(status)),
            "headers": _REQUEST_ID_HEADER,
            "content": content,
        }
        for status in sorted(statuses)
    }


def _example(one: Operation, name: str) -> Json:
    return {"example": one.examples[name]} if name in one.examples else {}
