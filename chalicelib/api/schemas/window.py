"""The lookback window, as the short form of settings shows and takes it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Self

import msgspec

from chalicelib.api.schemas.values import Instant, Spelled
from chalicelib.settings.model import LONGEST_WINDOW_DAYS, parse_window_days


class Days(Spelled, Decimal):
    """The length of a window, a number of days; outside an integer where it is one."""

    RULE = "a number from 0.0007 (one minute) to 365"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "number", "minimum": 0.0007, "maximum": int(LONGEST_WINDOW_DAYS)}

    @classmethod
    def parse(cls, given: object) -> Self:
        return cls(parse_window_days(given))

    def spelled(self) -> int | float:
        return int(self) if self == self.to_integral_value() else float(self)


class WindowVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lookback window, for touches from ``effective_from`` on."""

    days: Days
    effective_from: Instant


class LookbackWindow(msgspec.Struct, frozen=True):
    """The window in force now, and all that were ever set."""

    days: Days
    effective_from: Instant
    history: list[WindowVersion]


class WindowChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A window to be set, from now on unless it says otherwise.

    Attributes
    ----------
    history
        Not looked at: it is here so that what GET answers can be put back.
    """

    days: Days
    effective_from: Instant | None = None
    history: list[WindowVersion] | None = None
