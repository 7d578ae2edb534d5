"""Requests with ``If-Match``, and answers with their ETag."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from chalice.test import Client

from app import app
from tests.api.calls import encoded
from tests.support.tokens import ADMIN, bearer, trusting


class Versioned(NamedTuple):
    """Status, body and ETag of an answer."""

    status: int
    body: Any
    etag: str | None


def ask(
    method: str,
    application: str,
    path: str,
    body: object = None,
    *,
    match: str | None = None,
    groups: Sequence[str] = ADMIN,
) -> Versioned:
    """A request below an application, of somebody in these groups."""
    headers = bearer(*groups)
    if match is not None:
        headers["If-Match"] = match
    if method == "PUT":
        headers["Content-Type"] = "application/json"
    data = json.dumps(body).encode() if method == "PUT" else b""
    with trusting(), Client(app) as client:
        answer = client.http.request(method, f"/applications/{encoded(application)}/{path}", headers=headers, body=data)
        tags = [value for name, value in answer.headers.items() if name.lower() == "etag"]
        return Versioned(answer.status_code, answer.json_body, tags[0] if tags else None)
