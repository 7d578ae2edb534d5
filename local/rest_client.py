"""A client of the application's REST API: its answers as structs, its pages as one stream."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

PER_PAGE = 1_000
TIMEOUT_S = 60.0
WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Before a request is sent again, if the answer does not say how long to wait."""
LONGEST_WAIT_S = 30.0
THROTTLED = HTTPStatus.TOO_MANY_REQUESTS
PASSING = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
AGAIN = {"GET": (THROTTLED, *PASSING), "PUT": (THROTTLED,)}
"""Which answers lead to another try, by method."""

Answer = TypeVar("Answer", bound=msgspec.Struct)


class RestFailed(Exception):
    """The API did not answer with what was asked for."""


class Refused(RestFailed):
    """The API answered with a problem.

    Attributes
    ----------
    detail
        The problem's sentence, or what stands in its place where something before the API refused.
    request_id
        By which the API's logs know the request; None where the answer does not tell it.
    retry_after_s
        How long to wait before the request is sent again, where the answer tells it.
    """

    def __init__(
        self, asked: str, status: int, detail: str, request_id: str | None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{asked}: {status} {detail}")
        self.status = status
        self.detail = detail
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class Response(NamedTuple):
    """A good answer as it came; ``headers`` without regard to case."""

    headers: Mapping[str, str]
    body: bytes

    def decoded(self, shape: type[Answer], dec_hook: Any = None) -> Answer:
        """The answer as a struct. Raises `RestFailed`."""
        try:
            return msgspec.json.decode(self.body, type=shape, dec_hook=dec_hook)
        except (msgspec.DecodeError, ValueError) as error:
            raise RestFailed(f"the answer is not as expected: {error}") from error


class Events(msgspec.Struct, frozen=True):
    """Events by type and their value by currency."""

    events: dict[str, int]
    revenue: dict[str, Decimal]

    @property
    def count(self) -> int:
        return sum(self.events.values())


class Journey(Events, frozen=True):
    """A journey's line of a report."""

    journey_id: str
    name: str
    sends: int
    touches: dict[str, int]
    reached: int
    converters: int


class Report(msgspec.Struct, frozen=True):
    """An application's report."""

    journeys: list[Journey]
    unattributed: Events
    total: Events


class Touch(msgspec.Struct, frozen=True):
    """A touch as it stands in a user's history; ``time`` is ISO-8601."""

    time: str
    kind: str
    channel: str
    journey_id: str
    journey_name: str
    window_until: str


class DecidingTouch(msgspec.Struct, frozen=True):
    """A touch as it stands in an event's credit."""

    time: str
    kind: str
    channel: str


class Event(msgspec.Struct, frozen=True):
    """An event with its credit, if it has one; ``why`` only in a user's history."""

    event_type: str
    time: str
    user: str | None
    value: Decimal | None
    currency: str | None
    journey_id: str | None
    journey_name: str | None
    touch: DecidingTouch | None
    basis: str | None
    why: str | None = None


class Campaign(msgspec.Struct, frozen=True):
    """A user's campaign now."""

    journey_id: str
    name: str


class History(msgspec.Struct, frozen=True):
    """What is known of a user, newest first."""

    user: str
    campaign: Campaign | None
    touches: list[Touch]
    events: list[Event]


class _Page(msgspec.Struct, frozen=True):
    items: list[Event]
    next_cursor: str | None


class Api:
    """The REST API at an address (``http`` or ``https``, with or without a path), as the bearer of a token sees it.

    Its methods raise `RestFailed`, and OSError where nothing answers. The environment's proxies are used. Redirections
    are not followed: the token is for this address.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._opener = urllib.request.build_opener(_NoRedirection())

    def report(self, application: str) -> Report:
        """All of an application's days."""
        return self.send("GET", path_of(application, "report")).decoded(Report)

    def credited(self, application: str) -> Iterator[Event]:
        """All credited events of an application, newest first."""
        query = {"limit": str(PER_PAGE)}
        while True:
            page = self.send("GET", path_of(application, "events"), query).decoded(_Page)
            yield from page.items
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def history(self, application: str, user: str) -> History | None:
        """A user's newest touches and events, or None where nothing is known of one."""
        try:
            return self.send("GET", path_of(application, "users", user)).decoded(History)
        except Refused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Ask for anything, with a body of JSON or none. Raises `Refused` for what is not a success.

        A question that is throttled, or that something on the way could not answer, is asked again after a while; so
        is a change that is throttled, which was not made. A new job is not: there may be too many of them (429).
        """
        for wait_s in WAITS_S:
            try:
                return self._send(method, path, query, headers, body)
            except Refused as refusal:
                if method not in AGAIN or refusal.status not in AGAIN[method]:
                    raise
                told = refusal.retry_after_s
                time.sleep(wait_s if told is None else min(told, LONGEST_WAIT_S))
        return self._send(method, path, query, headers, body)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: bytes | None,
    ) -> Response:
        asked = f"{method} {path}"
        target = f"{self.address}{path}" + (f"?{urlencode(query)}" if query else "")
        content = {} if body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 - the user's own address; what reads it takes http(s) only
            target, body, {**self._headers, **content, **(headers or {})}, method=method
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return Response(answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(asked, error.code, dict(error.headers.items()), error.read()) from error
        except http.client.HTTPException as error:
            raise RestFailed(f"{asked}: {error!r}") from error


def path_of(application: str, *parts: str) -> str:
    """The path of something of an application; each part is one segment, percent-encoded."""
    return "".join(f"/{quote(one, safe='')}" for one in ("applications", application, *parts))


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Makes an error of it, as of any other answer that is not a success."""


def _refused(asked: str, status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """What an answer says of itself: a problem's members, API Gateway's own message, or text of whatever came."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = None
    if not isinstance(told, dict):
        told = {"detail": body.decode(errors="replace")[:300].strip()}
    detail = str(told.get("detail") or told.get("message") or HTTPStatus(status).phrase)
    by_name = {name.lower(): value for name, value in headers.items()}
    request_id = told.get("request_id") or by_name.get("x-request-id") or by_name.get("x-amzn-requestid")
    wait = by_name.get("retry-after", "")
    return Refused(
        asked,
        status,
        detail,
        None if request_id is None else str(request_id),
        float(wait) if wait.isdecimal() else None,
    )
