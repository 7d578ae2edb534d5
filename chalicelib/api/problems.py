"""Errors as problem details (RFC 9457), and the request id that every answer carries."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec
from chalice.app import HeadersType, Request, Response

from chalicelib.observability import logger

PROBLEM_JSON = "application/problem+json"
REQUEST_ID = "X-Request-Id"

_TITLES = {413: "Content Too Large"}
"""Where Python has a name of former days."""


class Problem(Exception):
    """What an operation raises to refuse a request.

    Parameters
    ----------
    status
        Of HTTP, 400 or more.
    detail
        A sentence for the caller, which names the field or parameter that is wrong.
    headers
        Of the answer.
    extensions
        Further members of the answer's body.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **extensions: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions


def request_id_of(request: Request) -> str:
    """API Gateway's id of a request, which its access log and its own errors carry; else Lambda's."""
    given = request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", None)
    return str(given or uuid.uuid4())


def problem_answer(problem: Problem, request: Request, request_id: str) -> Response:
    """The answer that tells a problem."""
    body = {
        "type": "about:blank",
        "title": title_of(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.context.get("path", request.path),
        "request_id": request_id,
        **problem.extensions,
    }
    headers: HeadersType = {**problem.headers, "Content-Type": PROBLEM_JSON}
    return Response(msgspec.json.encode(body).decode(), headers, problem.status)


def title_of(status: int) -> str:
    """What HTTP calls a status."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def envelope(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Middleware: every answer carries the request's id, and what Chalice itself refuses is a problem too.

    So are views' errors that came past `operation`, and errors in other middleware.
    """
    request_id = request_id_of(request)
    try:
        response = get_response(request)
    except Exception:  # noqa: BLE001 - logged; whatever it is, the caller gets an answer
        logger.exception("a request failed", extra={"request_id": request_id})
        response = problem_answer(unexpected(), request, request_id)
    # Chalice's own errors are the only bodies that are not text: an operation encodes what it answers.
    if response.status_code >= 400 and isinstance(response.body, dict):
        detail = _sentence(str(response.body.get("Message", "")))
        headers = {name: str(value) for name, value in response.headers.items()}
        response = problem_answer(Problem(response.status_code, detail, headers), request, request_id)
    response.headers[REQUEST_ID] = request_id
    return response


def unexpected() -> Problem:
    """An error of which the caller is told nothing but the request's id."""
    return Problem(500, "The request failed for a reason that is not yours; it is logged under its request id.")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
