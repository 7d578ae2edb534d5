"""What is open to everybody: whether the API is there."""

from __future__ import annotations

from typing import Literal

import msgspec

from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Call, operation


class Health(msgspec.Struct, frozen=True):
    """The API is there."""

    status: Literal["ok"] = "ok"


@operation(
    routes, "GET", "/health", access="public", summary="Whether the API is there", tags=("system",), answer=Health
)
def health(call: Call[None, None]) -> Health:  # noqa: ARG001 - every operation has its call
    return Health()
