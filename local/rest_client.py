"""A client of the application's REST API: its answers as structs, its pages as one stream."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

PER_PAGE = 1_000
TIMEOUT_S = 60.0

Answer = TypeVar("Answer", bound=msgspec.Struct)


class RestFailed(Exception):
    """The API did not answer with what was asked for."""


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
    """The REST API at an address, as the bearer of a token sees it.

    Its methods raise `RestFailed`, and OSError where nothing answers.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self._headers = {"Authorization": f"Bearer {token}"}
        self._host = urlsplit(address).netloc

    def report(self, application: str) -> Report:
        """All of an application's days."""
        return self._found(f"/applications/{quote(application, safe='')}/report", {}, Report)

    def credited(self, application: str) -> Iterator[Event]:
        """All credited events of an application, newest first."""
        path = f"/applications/{quote(application, safe='')}/events"
        query = {"limit": str(PER_PAGE)}
        while True:
            page = self._found(path, query, _Page)
            yield from page.items
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def history(self, application: str, user: str) -> History | None:
        """A user's newest touches and events, or None where nothing is known of one."""
        return self._get(f"/applications/{quote(application, safe='')}/users/{quote(user, safe='')}", {}, History)

    def _found(self, path: str, query: Mapping[str, str], shape: type[Answer]) -> Answer:
        answer = self._get(path, query, shape)
        if answer is None:
            raise RestFailed(f"GET {path}: not found")
        return answer

    def _get(self, path: str, query: Mapping[str, str], shape: type[Answer]) -> Answer | None:
        target = f"{path}?{urlencode(query)}" if query else path
        connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_S)
        try:
            connection.request("GET", target, headers=self._headers)
            response = connection.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            raise RestFailed(f"GET {path}: {error!r}") from error
        finally:
            connection.close()
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        if response.status != HTTPStatus.OK:
            raise RestFailed(f"GET {path}: {response.status} {body.decode(errors='replace')[:300]}")
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.DecodeError as error:
            raise RestFailed(f"GET {path}: {error}") from error
