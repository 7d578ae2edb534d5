"""What marketers say of a journey: its name, cost, goal and dates; and as it stands in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from chalicelib.attribution.value import Value
from chalicelib.tables import Item


class Goal(NamedTuple):
    """What a journey is for: events of a type, as many or worth as much as its targets say."""

    event_type: str
    target_count: int | None = None
    target_revenue: Value | None = None


class JourneyDetails(NamedTuple):
    """A journey with what marketers say of it; ``starts`` and ``ends`` in ms UTC."""

    id: str
    known_name: str | None = None
    cost: Value | None = None
    goal: Goal | None = None
    starts: int | None = None
    ends: int | None = None

    @property
    def name(self) -> str:
        return self.known_name or self.id


def fields_of(details: JourneyDetails) -> Item:
    """As `details_in` reads them; what is not said is not there."""
    goal = details.goal
    said: Item = {
        "name": details.known_name,
        "cost": _money_fields(details.cost),
        "goal": goal
        and _said(
            {
                "event_type": goal.event_type,
                "target_count": goal.target_count,
                "target_revenue": _money_fields(goal.target_revenue),
            }
        ),
        "starts": details.starts,
        "ends": details.ends,
    }
    return _said(said)


def _said(fields: Item) -> Item:
    return {name: value for name, value in fields.items() if value is not None}


def _money_fields(money: Value | None) -> Item | None:
    return None if money is None else {"amount": str(money.amount), "currency": money.currency}


def details_in(item: Item) -> JourneyDetails:
    goal, starts, ends = item.get("goal"), item.get("starts"), item.get("ends")
    return JourneyDetails(
        id=item["journey"],
        known_name=item.get("name"),
        cost=_money(item.get("cost")),
        goal=_goal(goal) if goal else None,
        starts=None if starts is None else int(starts),
        ends=None if ends is None else int(ends),
    )


def _goal(fields: Mapping[str, Any]) -> Goal:
    count = fields.get("target_count")
    return Goal(fields["event_type"], None if count is None else int(count), _money(fields.get("target_revenue")))


def _money(fields: Mapping[str, Any] | None) -> Value | None:
    return Value(Decimal(fields["amount"]), fields["currency"]) if fields else None
