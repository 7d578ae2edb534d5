"""What comparisons and previews are asked by. What they answer stands in `comparison` and `preview_figures`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chalicelib.api.schemas.settings import (
    MOST_NAMED,
    Custom,
    Events,
    Interaction,
    MachineOpens,
    Part,
    Value,
)
from chalicelib.api.schemas.settings_values import Text
from chalicelib.api.schemas.values import Day, Instant
from chalicelib.api.schemas.window import Days
from chalicelib.attribution.models import MODELS, Model
from chalicelib.reports import compare, preview
from chalicelib.reports.preview_changes import Changes
from chalicelib.settings.model import CustomInteraction, InteractionSetting, ValueSettings
from chalicelib.times import LAST_MS

Given = TypeVar("Given")
Made = TypeVar("Made")

DEFAULT_HALF_LIFE_DAYS = Decimal(7)


class CompareQuery(msgspec.Struct, frozen=True):
    """Which credited events are compared; ``models`` names some of them, separated by commas."""

    from_: Instant | None = msgspec.field(name="from", default=None)
    to: Instant | None = None
    event_type: str | None = None
    half_life_days: Decimal = DEFAULT_HALF_LIFE_DAYS
    models: str | None = None

    def question(self, application: str) -> compare.Question:
        """Raises ValueError with a sentence where there is no such question."""
        models = MODELS if self.models is None else tuple(_model(one.strip()) for one in self.models.split(","))
        return compare_question(application, self.from_, self.to, self.event_type, self.half_life_days, models)


class CompareParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job of kind ``compare``: which credited events, in which models."""

    from_: Instant | None = msgspec.field(name="from", default=None)
    to: Instant | None = None
    event_type: str | None = None
    half_life_days: Decimal = DEFAULT_HALF_LIFE_DAYS
    models: tuple[Model, ...] = MODELS

    def question(self, application: str) -> compare.Question:
        """Raises ValueError with a sentence where there is no such question."""
        return compare_question(application, self.from_, self.to, self.event_type, self.half_life_days, self.models)


class SomeInteractions(Part, frozen=True):
    """Kinds of interactions; those not named stay as they are."""

    email_click: Interaction | UnsetType = msgspec.field(name="email.click", default=UNSET)
    email_open: Interaction | UnsetType = msgspec.field(name="email.open", default=UNSET)
    push_opened: Interaction | UnsetType = msgspec.field(name="push.opened_notification", default=UNSET)
    journey_step: Interaction | UnsetType = msgspec.field(name="journey.step", default=UNSET)

    def settings(self) -> dict[str, InteractionSetting]:
        """By kind, as settings have it."""
        fields = msgspec.structs.fields(SomeInteractions)
        given = {one.encode_name: getattr(self, one.name) for one in fields}
        return {
            kind: InteractionSetting(one.counts, _days(one.window_days))
            for kind, one in given.items()
            if isinstance(one, Interaction)
        }


class SettingsChanges(Part, frozen=True):
    """Parts of a settings document that are to be tried out; what is not named stays as it is."""

    lookback_window_days: Days | UnsetType = UNSET
    interactions: SomeInteractions | UnsetType = UNSET
    custom_interactions: Annotated[list[Custom], Meta(max_length=MOST_NAMED)] | UnsetType = UNSET
    machine_opens: MachineOpens | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    value: Value | UnsetType = UNSET

    def changes(self) -> Changes:
        """As they are applied to settings."""
        opens, events = self.machine_opens, self.events
        return Changes(
            lookback_window_days=_or_unset(self.lookback_window_days, Decimal),
            interactions=_or_unset(self.interactions, SomeInteractions.settings),
            custom_interactions=_or_unset(self.custom_interactions, _customs),
            ignore_machine_opens=_or_unset(opens, lambda one: one.ignore),
            machine_user_agents=_or_unset(opens, lambda one: _set(one.user_agents)),
            included_events=_or_unset(events, lambda one: None if one.included is None else _set(one.included)),
            excluded_events=_or_unset(events, lambda one: _set(one.excluded)),
            value=_or_unset(self.value, _value),
        )


class PreviewBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes, and the days whose report is to be shown under them; ``to`` is not included. Also of a job."""

    changes: SettingsChanges
    from_: Day | None = msgspec.field(name="from", default=None)
    to: Day | None = None

    def question(self, application: str) -> preview.Question:
        """Raises ValueError with a sentence where there is no such question."""
        first, end = (None if one is None else str(one) for one in (self.from_, self.to))
        asked = preview.Question(application, self.changes.changes(), first, end)
        if flaw := asked.flaw():
            raise ValueError(flaw)
        return asked


def compare_question(
    application: str,
    start: int | None,
    end: int | None,
    event_type: str | None,
    half_life_days: Decimal,
    models: tuple[Model, ...],
) -> compare.Question:
    """Raises ValueError with a sentence where there is no such question."""
    asked = compare.Question(
        application,
        start=0 if start is None else int(start),
        end=LAST_MS + 1 if end is None else int(end),
        event_type=event_type,
        half_life_days=half_life_days,
        models=models,
    )
    if flaw := asked.flaw():
        raise ValueError(flaw)
    return asked


def params_of(question: compare.Question | preview.Question) -> dict[str, Any]:
    """A job's parameters, plain JSON, without the application, which the job has."""
    params: dict[str, Any] = msgspec.to_builtins(question)
    del params["application"]
    return params


def _or_unset(given: Given | UnsetType, made: Callable[[Given], Made]) -> Made | UnsetType:
    return UNSET if isinstance(given, UnsetType) else made(given)


def _customs(given: list[Custom]) -> tuple[CustomInteraction, ...]:
    return tuple(
        CustomInteraction(str(one.event_type), str(one.journey_attribute), str(one.channel), _days(one.window_days))
        for one in given
    )


def _value(given: Value) -> ValueSettings:
    return ValueSettings(
        price_metric=str(given.price_metric),
        quantity_metric=None if given.quantity_metric is None else str(given.quantity_metric),
        currency_attribute=str(given.currency_attribute),
        default_currency=str(given.default_currency),
        refund_types=_set(given.refund_types),
    )


def _days(days: Days | None) -> Decimal | None:
    return None if days is None else Decimal(days)


def _set(texts: Iterable[Text]) -> frozenset[str]:
    return frozenset(str(one) for one in texts)


def _model(name: str) -> Model:
    for model in MODELS:
        if name == model:
            return model
    raise ValueError(f"models must name some of {', '.join(MODELS)}, separated by commas.")
