"""No cache keeps an answer that needs a token: it may hold personal data (events, users, jobs, erasures)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from chalice.test import Client

from app import app
from chalicelib.api.contract import OPERATIONS
from tests.projection.scene import Scene
from tests.support.tokens import ADMIN, ALL, bearer, trusting

PRIVATE = [one for one in OPERATIONS if one.access != "public"]


def cached(method: str, path: str, body: bytes = b"", groups: Sequence[str] = ADMIN) -> Any:
    """Status and ``Cache-Control`` of an answer."""
    headers = bearer(*groups) | {"Content-Type": "application/json"}
    with trusting(), Client(app) as client:
        answer = client.http.request(method, path, headers=headers, body=body)
        return answer.status_code, answer.headers.get("Cache-Control")


def path_of(path: str, scene: Scene) -> str:
    return re.sub(r"\{(\w+)\}", lambda part: scene.application if part[1] == "application" else "x", path)


@pytest.mark.parametrize("operation", PRIVATE, ids=[one.id for one in PRIVATE])
def test_no_answer_that_needs_a_token_is_kept(operation: Any, scene: Scene) -> None:
    path = path_of(operation.path, scene).replace(" ", "%20")
    assert cached(operation.method, path, b"{}" if operation.body else b"")[1] == "no-store"
    # Nor is a refusal, which says whether there is something.
    status, control = cached(operation.method, path, groups=("viewers", "app:other"))
    assert (status, control) in ((403, "no-store"), (415, None))


def test_answers_with_data_are_not_kept(scene: Scene) -> None:
    path = f"/applications/{scene.application.replace(' ', '%20')}/events"
    assert cached("GET", path, groups=("viewers", ALL)) == (200, "no-store")


def test_what_is_public_may_be_kept() -> None:
    public = [one for one in OPERATIONS if one.access == "public"]
    assert public
    for operation in public:
        assert cached(operation.method, operation.path) == (200, None)
