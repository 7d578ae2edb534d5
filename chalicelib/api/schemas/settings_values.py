"""Values of settings: windows, names, currencies, time zones, pools."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Self

from chalicelib.api.schemas.values import Spelled
from chalicelib.api.schemas.window import Days
from chalicelib.facts.model import PURCHASE, flaw_of_id
from chalicelib.settings.model import parse_window_days


class WindowDays(Days):
    """The length of a window, by the name of whatever field it stands in."""

    RULE = "a number of days from 0.0007 (one minute) to 365"

    @classmethod
    def parse(cls, given: object) -> Self:
        try:
            return cls(parse_window_days(given))
        except ValueError as reason:
            raise ValueError(f"must be {cls.RULE}{_not(given)}") from reason


class Text(Spelled, str):
    """A name that marketers choose: of an attribute, a metric, a channel."""

    RULE = "text of 1 to 256 bytes without control characters"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 256}

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str) or flaw_of_id(given) or len(given.encode()) > 256:
            raise ValueError(f"must be {cls.RULE}")
        return cls(given)

    def spelled(self) -> str:
        return str(self)


class EventType(Text):
    """A type that events may have (R10)."""

    RULE = f"a type of events: text of 1 to 256 bytes that does not begin with _, or {PURCHASE}"

    @classmethod
    def parse(cls, given: object) -> Self:
        found = super().parse(given)
        if found.startswith("_") and found != PURCHASE:
            raise ValueError(f"must be {cls.RULE}, not {found}")
        return found


class Currency(Text):
    """A currency, in capitals as events' own are counted (R12)."""

    RULE = "a currency of 3 to 16 characters such as EUR"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "minLength": 3, "maxLength": 16, "examples": ["EUR"]}

    @classmethod
    def parse(cls, given: object) -> Self:
        text = super().parse(given).strip().upper()
        if not 3 <= len(text) <= 16 or not text.isprintable() or "|" in text:
            raise ValueError(f"must be {cls.RULE}{_not(given)}")
        return cls(text)


class TimeZone(Text):
    """The name of a time zone."""

    RULE = "a time zone's name in the IANA database such as Europe/Berlin"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "examples": ["UTC", "Europe/Berlin"]}

    @classmethod
    def parse(cls, given: object) -> Self:
        # Of the list, not of what the machine has: that may know names of its own, such as localtime.
        if not isinstance(given, str) or given not in _time_zones():
            raise ValueError(f"must be {cls.RULE}{_not(given)}")
        return cls(given)


class UserPoolId(Text):
    """The id of a Cognito user pool in the deployment's own region."""

    RULE = "the id of a Cognito user pool such as eu-west-1_AbCdEfGhI"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^[\w-]+_[0-9a-zA-Z]+$", "maxLength": 55}

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str) or len(given) > 55 or not re.fullmatch(r"[\w-]+_[0-9a-zA-Z]+", given, re.ASCII):
            raise ValueError(f"must be {cls.RULE}{_not(given)}")
        return cls(given)


class PoolAttribute(Text):
    """An attribute that a pool declares itself: no other is a campaign's to overwrite."""

    RULE = "an attribute of the pool's own: custom: and 1 to 20 characters"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^custom:[^\s:]{1,20}$"}

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str) or not re.fullmatch(r"custom:[^\s:]{1,20}", given) or not given.isprintable():
            raise ValueError(f"must be {cls.RULE}{_not(given)}")
        return cls(given)


def _not(given: object) -> str:
    text = str(given)
    return f", not {text}" if isinstance(given, str | int | float) and 0 < len(text) <= 60 else ""


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
