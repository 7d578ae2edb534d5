"""Requests to the REST API as a client makes them, through Chalice's own routing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from chalice.test import Client

from app import app
from tests.support.tokens import ADMIN, bearer, trusting

Json = dict[str, Any]


class Answer(NamedTuple):
    """Status and body of an answer."""

    status: int
    body: Any


class Api:
    """The API as one application's client sees it."""

    def __init__(self, application: str) -> None:
        self.root = f"/applications/{encoded(application)}"

    def get(self, path: str, *parameters: tuple[str, str], **query: str) -> Answer:
        """GET a path below the application. A query parameter ``from_`` is ``from``."""
        given = [(name.rstrip("_"), value) for name, value in query.items()] + list(parameters)
        return get(f"{self.root}/{path}" + (f"?{urlencode(given)}" if given else ""))

    def put(self, path: str, body: object, content_type: str = "application/json") -> Answer:
        """PUT JSON, or the very text if ``body`` is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return call("PUT", f"{self.root}/{path}", data, content_type)

    def events(self, **query: str) -> list[Json]:
        """All events that a query finds, page by page."""
        found: list[Json] = []
        cursor: dict[str, str] = {}
        while True:
            status, body = self.get("events", **query, **cursor)
            assert status == 200, body
            found += body["items"]
            if body["next_cursor"] is None:
                return found
            cursor = {"cursor": body["next_cursor"]}


def encoded(text: str) -> str:
    """As a part of a path."""
    return quote(text, safe="")


def get(path: str) -> Answer:
    return call("GET", path)


def call(
    method: str, path: str, body: bytes = b"", content_type: str = "application/json", groups: Sequence[str] = ADMIN
) -> Answer:
    """A request of somebody in these groups."""
    with trusting(), Client(app) as client:
        headers = bearer(*groups) | ({"Content-Type": content_type} if body else {})
        answer = client.http.request(method, path, headers=headers, body=body)
        told = "application/json" if answer.status_code < 400 else "application/problem+json"
        assert answer.headers.get("Content-Type", told) == told
        return Answer(answer.status_code, answer.json_body)


def refusal(answer: Answer, status: int = 400) -> str:
    """The sentence that an answer refuses with."""
    assert answer.status == status, answer
    detail: str = answer.body["detail"]
    assert detail.endswith("."), detail
    return detail
