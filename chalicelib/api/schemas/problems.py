"""Errors, as every operation answers them."""

from __future__ import annotations

from typing import Annotated

import msgspec


class ProblemDetails(msgspec.Struct, frozen=True):
    """Problem details (RFC 9457). Some have further members."""

    type: str
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    detail: str
    instance: str
    request_id: str
