"""Settings as the API shows them and takes them: whole documents."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Self, TypeVar

import msgspec
from msgspec import Meta

from chalicelib.api.schemas.settings_values import (
    Currency,
    EventType,
    PoolAttribute,
    Text,
    TimeZone,
    UserPoolId,
    WindowDays,
)
from chalicelib.api.schemas.values import Instant
from chalicelib.attribution.touches import COUNTS, STRENGTH
from chalicelib.settings.document import Document, Holds, fields_of
from chalicelib.settings.model import CognitoSettings, CustomInteraction, InteractionSetting, Policy, ValueSettings

MOST_NAMED = 200
"""User agents or event types in one list."""

MOST_CUSTOM = 50
"""Custom interactions: a day's tallies count touches by their types' names, of up to 256 bytes each."""

MOST_CURRENCIES = 20
"""A day's tallies count by currency."""


LARGEST_DOCUMENT = 60_000
"""Bytes of a document as JSON. A change is shown with its fields before and after it."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a document, which has nothing but its fields."""


class Interaction(Part, frozen=True):
    """Whether a kind of interaction is a touch, and its own window; null: the application's."""

    counts: bool
    window_days: WindowDays | None


class Interactions(Part, frozen=True):
    """The kinds of interactions."""

    email_click: Interaction = msgspec.field(name="email.click")
    email_open: Interaction = msgspec.field(name="email.open")
    push_opened: Interaction = msgspec.field(name="push.opened_notification")
    journey_step: Interaction = msgspec.field(name="journey.step")


class Custom(Part, frozen=True):
    """A custom event that is a touch too. ``journey_attribute`` holds the journey's id."""

    event_type: EventType
    journey_attribute: Text = msgspec.field(default_factory=lambda: Text("journey_id"))
    channel: Text = msgspec.field(default_factory=lambda: Text("custom"))
    window_days: WindowDays | None = None

    def __post_init__(self) -> None:
        # The rules of a kind of Pinpoint's own, and its strength in ties, would be taken for the event's.
        if self.event_type in STRENGTH:
            raise ValueError(f"A custom interaction cannot be called {self.event_type}, as one of Pinpoint's own is")


class MachineOpens(Part, frozen=True):
    """Opens of e-mail by programs with these user agents, as Apple's Mail Privacy Protection makes them."""

    ignore: bool
    user_agents: Annotated[list[Text], Meta(max_length=MOST_NAMED)]


class Events(Part, frozen=True):
    """Which types count as events; ``included`` null: all that are not excluded."""

    included: Annotated[list[EventType], Meta(max_length=MOST_NAMED)] | None
    excluded: Annotated[list[EventType], Meta(max_length=MOST_NAMED)]


class Value(Part, frozen=True):
    """Where an event's value stands. ``currencies`` count beside those of ISO 4217; all others count as ``other``."""

    price_metric: Text
    quantity_metric: Text | None
    currency_attribute: Text
    default_currency: Currency
    refund_types: Annotated[list[EventType], Meta(max_length=MOST_NAMED)]
    currencies: Annotated[list[Currency], Meta(max_length=MOST_CURRENCIES)] = []


class Cognito(Part, frozen=True):
    """Where campaigns are written; null: the pool and the attribute of the deployment. Not at all if not enabled."""

    enabled: bool
    user_pool_id: UserPoolId | None
    attribute: PoolAttribute | None


class SettingsFields(Part, frozen=True):
    """The fields of a settings document."""

    lookback_window_days: WindowDays
    interactions: Interactions
    custom_interactions: Annotated[list[Custom], Meta(max_length=MOST_CUSTOM)]
    machine_opens: MachineOpens
    events: Events
    value: Value
    username_attribute: Text
    cognito: Cognito
    retention_days: Annotated[int, Meta(ge=1, le=36_500)] | None
    time_zone: TimeZone


class SettingsBody(SettingsFields, frozen=True):
    """A whole document, and from when it is to hold: now, unless it says otherwise.

    ``version`` and ``waiting`` are allowed and not looked at, so that an answer may be sent back.
    """

    effective_from: Instant | None = None
    version: Any = None
    waiting: Any = None

    def __post_init__(self) -> None:
        types = [one.event_type for one in self.custom_interactions]
        if twice := next((one for one in types if types.count(one) > 1), None):
            raise ValueError(f"custom_interactions must not name {twice} twice")
        if len(msgspec.json.encode(fields_of(self.document()))) > LARGEST_DOCUMENT:
            raise ValueError(
                f"The document must have at most {LARGEST_DOCUMENT // 1000} kB: it must name fewer event types, user "
                "agents and custom interactions"
            )

    def document(self) -> Document:
        """As settings have it."""
        return Document(
            window_days=Decimal(self.lookback_window_days),
            policy=self._policy(),
            value=ValueSettings(
                price_metric=str(self.value.price_metric),
                quantity_metric=_text(self.value.quantity_metric),
                currency_attribute=str(self.value.currency_attribute),
                default_currency=str(self.value.default_currency),
                refund_types=_set(self.value.refund_types),
                currencies=_set(self.value.currencies),
            ),
            username_attribute=str(self.username_attribute),
            cognito=CognitoSettings(
                self.cognito.enabled, _text(self.cognito.user_pool_id), _text(self.cognito.attribute)
            ),
            retention_days=self.retention_days,
            time_zone=str(self.time_zone),
        )

    def _policy(self) -> Policy:
        named = {field.encode_name: field.name for field in msgspec.structs.fields(Interactions)}
        given: dict[str, Interaction] = {kind: getattr(self.interactions, name) for kind, name in named.items()}
        settings = {kind: InteractionSetting(one.counts, _days(one.window_days)) for kind, one in given.items()}
        return Policy(
            interactions={kind: one for kind, one in settings.items() if one != COUNTS},
            custom_interactions=tuple(
                CustomInteraction(
                    str(one.event_type), str(one.journey_attribute), str(one.channel), _days(one.window_days)
                )
                for one in self.custom_interactions
            ),
            ignore_machine_opens=self.machine_opens.ignore,
            machine_user_agents=_set(self.machine_opens.user_agents),
            included_events=None if self.events.included is None else _set(self.events.included),
            excluded_events=_set(self.events.excluded),
        )


class FieldChange(msgspec.Struct, frozen=True):
    """A field and its values before and after."""

    field: str
    from_: Any = msgspec.field(name="from")
    to: Any
    holds: Holds


class WaitingChanges(msgspec.Struct, frozen=True):
    """What is saved and does not hold yet: ``later`` at a time, ``rebuild`` for what is projected already."""

    effective_from: Instant | None
    holds: Holds
    changes: list[FieldChange]


class SettingsAnswer(SettingsFields, frozen=True):
    """The document as it was saved for now, its version, and what of it or of later ones does not hold yet: the first
    20 of these changes.
    """

    version: int
    waiting: list[WaitingChanges]

    @classmethod
    def of(cls, document: Document, version: int, waiting: list[WaitingChanges]) -> Self:
        policy, value, cognito = document.policy, document.value, document.cognito
        kinds = {kind: policy.interactions.get(kind, COUNTS) for kind in STRENGTH}
        shown = {kind: Interaction(one.counts, _own_days(one.days)) for kind, one in kinds.items()}
        return cls(
            lookback_window_days=WindowDays(document.window_days),
            interactions=Interactions(
                **{field.name: shown[field.encode_name] for field in msgspec.structs.fields(Interactions)}
            ),
            custom_interactions=[
                Custom(EventType(one.event_type), Text(one.journey_attribute), Text(one.channel), _own_days(one.days))
                for one in policy.custom_interactions
            ],
            machine_opens=MachineOpens(policy.ignore_machine_opens, _list(Text, policy.machine_user_agents)),
            events=Events(
                None if policy.included_events is None else _list(EventType, policy.included_events),
                _list(EventType, policy.excluded_events),
            ),
            value=Value(
                Text(value.price_metric),
                None if value.quantity_metric is None else Text(value.quantity_metric),
                Text(value.currency_attribute),
                Currency(value.default_currency),
                _list(EventType, value.refund_types),
                _list(Currency, value.currencies),
            ),
            username_attribute=Text(document.username_attribute),
            cognito=Cognito(
                cognito.enabled,
                None if cognito.user_pool_id is None else UserPoolId(cognito.user_pool_id),
                None if cognito.attribute is None else PoolAttribute(cognito.attribute),
            ),
            retention_days=document.retention_days,
            time_zone=TimeZone(document.time_zone),
            version=version,
            waiting=waiting,
        )


class HistoryQuery(msgspec.Struct, frozen=True):
    """Which page of the history."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: str | None = None


class HistoryEntry(msgspec.Struct, frozen=True):
    """Who changed what: ``by`` is the subject of the caller's token."""

    version: int
    time: Instant
    by: str
    effective_from: Instant
    changes: list[FieldChange]


class SettingsHistory(msgspec.Struct, frozen=True):
    """Changes, newest first."""

    items: list[HistoryEntry]
    next_cursor: str | None


TextKind = TypeVar("TextKind", bound=Text)


def _days(days: WindowDays | None) -> Decimal | None:
    return None if days is None else Decimal(days)


def _own_days(days: Decimal | None) -> WindowDays | None:
    return None if days is None else WindowDays(days)


def _text(text: Text | None) -> str | None:
    return None if text is None else str(text)


def _set(texts: Iterable[Text]) -> frozenset[str]:
    return frozenset(str(one) for one in texts)


def _list(kind: type[TextKind], texts: Iterable[str]) -> list[TextKind]:
    return [kind(one) for one in sorted(texts)]
