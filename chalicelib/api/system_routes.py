"""What is open to everybody: whether the API is there, and what it can do."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from chalicelib.api import openapi
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Answer, Call, operation


class Health(msgspec.Struct, frozen=True):
    """The API is there."""

    status: Literal["ok"] = "ok"


@operation(
    routes, "GET", "/health", access="public", summary="Whether the API is there", tags=("system",), answer=Health
)
def health(call: Call[None, None]) -> Health:  # noqa: ARG001 - every operation has its call
    return Health()


@operation(
    routes,
    "GET",
    "/openapi.json",
    access="public",
    summary="This document",
    tags=("system",),
    answer=dict[str, Any],
)
def get_openapi(call: Call[None, None]) -> Answer:  # noqa: ARG001 - every operation has its call
    return Answer(openapi.document())
