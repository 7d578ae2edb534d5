"""Values that are spelled in one way outside and are another thing inside: times, days."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from chalicelib.times import day_of, day_to_iso, from_iso, to_iso


class Spelled(ABC):
    """A value that a request spells otherwise than it is kept. Structs use its subclasses as types of fields.

    What is stored is made plain first (``int(instant)``): a document's encoder knows nothing of spelling.
    """

    RULE: ClassVar[str]
    """What it must be, in words: "<field> must be <RULE>"."""
    SCHEMA: ClassVar[dict[str, Any]]
    """JSON schema of how it is spelled."""

    @classmethod
    @abstractmethod
    def parse(cls, given: object) -> Self:
        """The value of what a request says, a string or any JSON.

        Raises
        ------
        ValueError
            It says no such value. The message goes on after the field's name ("must be ..."), or is a whole sentence.
        """

    @abstractmethod
    def spelled(self) -> object:
        """As an answer says it."""


class Instant(Spelled, int):
    """A time, ms UTC; outside an ISO-8601 date or time, without offset UTC, in answers always with ``Z``."""

    RULE = "an ISO-8601 date or time"
    SCHEMA: ClassVar[dict[str, Any]] = {
        "type": "string",
        "format": "date-time",
        "examples": ["2026-03-28T00:00:00.000Z"],
    }

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str):
            raise ValueError(f"must be {cls.RULE}")
        try:
            # A plus sign that was not percent-encoded comes as a blank.
            return cls(from_iso(given.strip().replace(" ", "+")))
        except (ValueError, OverflowError) as reason:
            raise ValueError(f"must be {cls.RULE}, not {given}") from reason

    def spelled(self) -> str:
        return to_iso(self)


class Day(Spelled, str):
    """A day, ``YYYYMMDD``; outside ``YYYY-MM-DD``."""

    RULE = "a day such as 2026-03-28"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "format": "date", "examples": ["2026-03-28"]}

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str):
            raise ValueError(f"must be {cls.RULE}")
        try:
            day = cls(day_of(from_iso(given)))
        except (ValueError, OverflowError) as reason:
            raise ValueError(f"must be {cls.RULE}, not {given}") from reason
        if day.spelled() != given:
            raise ValueError(f"must be {cls.RULE}, not {given}")
        return day

    def spelled(self) -> str:
        return day_to_iso(self)


def parse(kind: type, given: object) -> object:
    """msgspec's hook for decoding."""
    if issubclass(kind, Spelled):
        return kind.parse(given)
    raise NotImplementedError(f"{kind} is not a type of a request's field")


def spell(value: object) -> object:
    """msgspec's hook for encoding."""
    if isinstance(value, Spelled):
        return value.spelled()
    raise NotImplementedError(f"{type(value)} is not a type of an answer's field")


def schema(kind: type) -> dict[str, Any]:
    """msgspec's hook for JSON schemas."""
    if issubclass(kind, Spelled):
        return kind.SCHEMA
    raise NotImplementedError(f"{kind} has no schema")
