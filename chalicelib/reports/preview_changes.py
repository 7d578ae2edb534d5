"""Changes of settings that are tried out, not saved."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from chalicelib.attribution.touches import STRENGTH
from chalicelib.facts.model import flaw_of_id
from chalicelib.settings.model import (
    EVERYTHING,
    CustomInteraction,
    InteractionSetting,
    Settings,
    ValueSettings,
    Window,
    parse_window_days,
)

MOST_NAMED = 200
"""Custom interactions, user agents or event types in one change."""


class Changes(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is to be different, at all times; what is not named stays as it is and was.

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
    interactions: dict[str, InteractionSetting] | UnsetType = UNSET
    custom_interactions: tuple[CustomInteraction, ...] | UnsetType = UNSET
    ignore_machine_opens: bool | UnsetType = UNSET
    machine_user_agents: frozenset[str] | UnsetType = UNSET
    included_events: frozenset[str] | UnsetType | None = UNSET
    excluded_events: frozenset[str] | UnsetType = UNSET
    value: ValueSettings | UnsetType = UNSET

    def flaw(self) -> str | None:
        """Why they cannot be, as a sentence for the caller that names the field; None where they can."""
        return next(self._flaws(), None)

    def _flaws(self) -> Iterator[str]:
        interactions = self.interactions or {}
        customs = self.custom_interactions or ()
        for kind in interactions:
            if kind not in STRENGTH:
                yield f"interactions has no {kind[:50]}; there are {', '.join(sorted(STRENGTH))}."
        windows: list[tuple[str, Decimal | None]] = [
            (f"interactions.{kind}", one.days) for kind, one in interactions.items()
        ]
        windows += [("custom_interactions", one.days) for one in customs]
        if self.lookback_window_days is not UNSET:
            windows.append(("lookback_window_days", self.lookback_window_days))
        for field, days in windows:
            if flaw := _flaw_of_days(days):
                yield f"{field}: {flaw}."
        types = [one.event_type for one in customs]
        if len(set(types)) != len(types):
            yield "custom_interactions names an event type twice."
        for event_type in types:
            if flaw := flaw_of_id(event_type) or ("begins with _" if event_type.startswith("_") else None):
                yield f"custom_interactions: an event type {flaw}."
        for one in customs:
            if not one.journey_attribute.strip() or flaw_of_id(one.channel):
                yield "custom_interactions: journey_attribute and channel must not be empty."
        if any(_is_long(one) for one in msgspec.structs.astuple(self)):
            yield f"Each list takes at most {MOST_NAMED}."

    def applied(self, settings: Settings) -> Settings:
        """Settings as if these changes had been in force from the beginning."""
        if self.lookback_window_days is not UNSET:
            settings = msgspec.structs.replace(settings, windows=(Window(self.lookback_window_days, 0),))
        if self.value is not UNSET:
            value = msgspec.structs.replace(self.value, effective_from=0, since_generation=0)
            settings = msgspec.structs.replace(settings, values=(value,))
        fields = {name: given for name, given in self._of_policies() if given is not UNSET}
        if not fields and self.interactions is UNSET:
            return settings
        policies = settings.policies
        if not policies or policies[0].effective_from > 0:
            policies = (EVERYTHING, *policies)
        kinds = self.interactions or {}
        changed = tuple(
            msgspec.structs.replace(one, interactions={**one.interactions, **kinds}, **fields) for one in policies
        )
        return msgspec.structs.replace(settings, policies=changed)

    def _of_policies(self) -> Iterator[tuple[str, Any]]:
        for name in (
            "custom_interactions",
            "ignore_machine_opens",
            "machine_user_agents",
            "included_events",
            "excluded_events",
        ):
            yield name, getattr(self, name)


def _flaw_of_days(days: Decimal | None) -> str | None:
    if days is None:
        return None
    if not days.is_finite():
        return "days must be a number"
    try:
        parse_window_days(days)
    except ValueError as reason:
        return str(reason)
    return None


def _is_long(value: object) -> bool:
    return isinstance(value, tuple | frozenset | dict) and len(value) > MOST_NAMED
