"""Journeys as marketers describe them: name, cost, goal, dates."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

import msgspec
from msgspec import Meta

from chalicelib.api.schemas.settings_values import Currency, EventType
from chalicelib.api.schemas.values import Instant, Spelled
from chalicelib.attribution.stamps import LONGEST_STAMP
from chalicelib.attribution.value import Value, money
from chalicelib.facts.model import flaw_of_id
from chalicelib.journeys.details import Goal, JourneyDetails


class JourneyName(Spelled, str):
    """A name that stamps on events can find (R11)."""

    RULE = f"text of 1 to {LONGEST_STAMP} bytes without control characters"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": LONGEST_STAMP}

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str) or flaw_of_id(given, LONGEST_STAMP):
            raise ValueError(f"must be {cls.RULE}")
        return cls(given)

    def spelled(self) -> str:
        return str(self)


class DecimalText(Spelled, Decimal):
    """An amount of money, as text: no reader makes a float of it."""

    RULE = 'a decimal of at least 0 as text, such as "1250.00", with at most 15 digits before the point and 18 after'
    SCHEMA: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": r"^[0-9]{1,15}(\.[0-9]{1,18})?$",
        "examples": ["1250.00"],
    }

    @classmethod
    def parse(cls, given: object) -> Self:
        if not isinstance(given, str) or not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,18})?", given):
            raise ValueError(f"must be {cls.RULE}")
        return cls(given)

    def spelled(self) -> str:
        return money(self)


class MoneyPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in a currency."""

    amount: DecimalText
    currency: Currency


class Target(MoneyPart, frozen=True):
    """Revenue that is aimed at."""

    def __post_init__(self) -> None:
        if not self.amount:
            raise ValueError("must have an amount greater than 0")


class GoalPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a journey is for: events of a type, and how many or how much revenue of them is aimed at, if any."""

    event_type: EventType
    target_count: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    target_revenue: Target | None = None


class JourneyFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What marketers say of a journey. ``name`` is null until somebody tells it: the id stands for it."""

    name: JourneyName | None
    cost: MoneyPart | None
    goal: GoalPart | None
    starts: Instant | None
    ends: Instant | None


class JourneyBody(JourneyFields, frozen=True):
    """The whole of it. ``journey_id`` and ``version`` are allowed and not looked at: an answer may be sent back."""

    journey_id: Any = None
    version: Any = None

    def __post_init__(self) -> None:
        if self.starts is not None and self.ends is not None and self.ends <= self.starts:
            raise ValueError("ends must be later than starts")

    def details(self, journey: str) -> JourneyDetails:
        goal = self.goal
        return JourneyDetails(
            id=journey,
            known_name=None if self.name is None else str(self.name),
            cost=_money(self.cost),
            goal=None if goal is None else Goal(str(goal.event_type), goal.target_count, _money(goal.target_revenue)),
            starts=None if self.starts is None else int(self.starts),
            ends=None if self.ends is None else int(self.ends),
        )


class JourneyAnswer(JourneyFields, frozen=True):
    """A journey and its version."""

    journey_id: str
    version: int

    @classmethod
    def of(cls, details: JourneyDetails, version: int) -> Self:
        goal = details.goal
        return cls(
            name=None if details.known_name is None else JourneyName(details.known_name),
            cost=details.cost and MoneyPart(*_parts(details.cost)),
            goal=goal
            and GoalPart(
                EventType(goal.event_type),
                goal.target_count,
                goal.target_revenue and Target(*_parts(goal.target_revenue)),
            ),
            starts=None if details.starts is None else Instant(details.starts),
            ends=None if details.ends is None else Instant(details.ends),
            journey_id=details.id,
            version=version,
        )


def _money(part: MoneyPart | None) -> Value | None:
    return None if part is None else Value(Decimal(part.amount), str(part.currency))


def _parts(amount: Value) -> tuple[DecimalText, Currency]:
    return DecimalText(amount.amount), Currency(amount.currency)
