"""Middleware that tells what the API is asked and answers: how long it took, and with which class of status."""

from __future__ import annotations

import time
from collections.abc import Callable

from chalice.app import Request, Response

from chalicelib.observability import tell_request
from chalicelib.times import SECOND_MS

UNKNOWN = "unknown"
FAILED = 500
"""What Chalice answers for an error that comes past all middleware."""


def watch(request: Request | None, get_response: Callable[[Request | None], Response]) -> Response:
    """Tell a request when it is answered. To be registered first, so that it sees what the others make of errors."""
    start = time.monotonic()
    status = FAILED
    try:
        response = get_response(request)
        status = response.status_code
        return response
    finally:
        # The route, not the path: the path may name a customer.
        operation = f"{request.method} {request.path}" if request else UNKNOWN
        tell_request(operation, status, round((time.monotonic() - start) * SECOND_MS))
