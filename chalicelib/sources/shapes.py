"""Shapes of the Pinpoint event stream's records, as far as they matter. All else in a record may be anything."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.facts.model import Identity
from chalicelib.sources.endpoints import Endpoint
from chalicelib.sources.records import named


class Head(msgspec.Struct):
    event_type: Any = None


class Application(msgspec.Struct):
    app_id: str


class Client(msgspec.Struct):
    client_id: str | None = None


class Session(msgspec.Struct):
    session_id: Any = None


class ClientContext(msgspec.Struct):
    custom: dict[str, Any] | None = None


class Mail(msgspec.Struct):
    message_id: str | None = None


class Engagement(msgspec.Struct):
    user_agent: str | None = None
    link: str | None = None


class MailEvent(msgspec.Struct):
    mail: Mail | None = None
    open: Engagement | None = None
    click: Engagement | None = None


class EmailChannel(msgspec.Struct):
    mail_event: MailEvent | None = None


class Facets(msgspec.Struct):
    email_channel: EmailChannel | None = None


class Record(msgspec.Struct):
    """The envelope."""

    event_type: str
    event_timestamp: int
    application: Application
    arrival_timestamp: int | msgspec.UnsetType = msgspec.UNSET
    client: Client | None = None
    session: Session | None = None
    attributes: dict[str, str | int | float | bool | None] | None = None
    # Any, so that a number can be told from text that looks like one.
    metrics: dict[str, Any] | None = None
    client_context: ClientContext | None = None
    endpoint: Endpoint | None = None
    facets: Facets | None = None

    @property
    def arrival(self) -> int | None:
        return None if self.arrival_timestamp is msgspec.UNSET else self.arrival_timestamp

    @property
    def endpoint_id(self) -> Identity | None:
        return named("p", self.client.client_id if self.client else None)

    def attribute(self, name: str) -> str:
        """An attribute as text; absent and null ones are empty."""
        value = (self.attributes or {}).get(name)
        return "" if value is None else str(value)
