"""What comparisons and previews are asked by. What they answer stands in `comparison` and `preview_figures`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from chalicelib import compare, preview
from chalicelib.api.schemas.values import Day, Instant
from chalicelib.attribution.models import MODELS, Model
from chalicelib.preview_changes import Changes
from chalicelib.settings import CustomInteraction, InteractionSetting
from chalicelib.times import LAST_MS

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


class InteractionChange(InteractionSetting, frozen=True, forbid_unknown_fields=True):
    """Whether a kind of interaction counts as a touch, and its window in days (null: the application's)."""


class CustomInteractionChange(CustomInteraction, frozen=True, forbid_unknown_fields=True):
    """A custom event that is a touch too: its attribute ``journey_attribute`` holds the journey's id."""


class SettingsChanges(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Settings as they are to be tried out; what is not named stays as it is.

    Attributes
    ----------
    lookback_window_days
        From 0.0007 (a minute) to 365.
    interactions
        By kind: ``email.click``, ``email.open``, ``push.opened_notification``, ``journey.step``; those not named stay.
    included_events
        Only these types are events; null: all that may be.
    """

    lookback_window_days: Decimal | UnsetType = UNSET
    interactions: dict[str, InteractionChange] | UnsetType = UNSET
    custom_interactions: list[CustomInteractionChange] | UnsetType = UNSET
    ignore_machine_opens: bool | UnsetType = UNSET
    machine_user_agents: list[str] | UnsetType = UNSET
    included_events: list[str] | UnsetType | None = UNSET
    excluded_events: list[str] | UnsetType = UNSET

    def changes(self) -> Changes:
        return msgspec.convert(msgspec.to_builtins(self), Changes)


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


def _model(name: str) -> Model:
    for model in MODELS:
        if name == model:
            return model
    raise ValueError(f"models must name some of {', '.join(MODELS)}, separated by commas.")
