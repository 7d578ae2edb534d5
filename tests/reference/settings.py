"""The reference model's settings of one application: R2, R9, R10, R12. Windows are milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_WINDOW = 604_800_000  # seven days


@dataclass(frozen=True)
class Custom:
    """R9: how a custom event that the marketer names is a touch; `window` in ms, None for the application's."""

    journey_attribute: str = "journey_id"
    channel: str = "custom"
    window: int | None = None


@dataclass(frozen=True)
class Policy:
    """R9, R10 from `effective_from` (ms UTC) on: what is a touch and what is an event.

    `off` are the kinds of interactions that are no touches, `windows` (ms) those of kinds that have one of their own,
    `customs` the custom interactions by event type, `machines` the user agents whose opens are no touches. Only
    `included` types are events, None for all, but for those `excluded`.
    """

    effective_from: int = 0
    off: frozenset[str] = frozenset()
    windows: Mapping[str, int] = field(default_factory=dict)
    customs: Mapping[str, Custom] = field(default_factory=dict)
    machines: frozenset[str] = frozenset()
    included: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()

    def counts(self, event_type: str) -> bool:
        """R10: whether events of a type are events."""
        return event_type not in self.excluded and (self.included is None or event_type in self.included)


@dataclass(frozen=True)
class Settings:
    """Settings of one application; `windows` are `(effective_from_ms, window_ms)`.

    Windows and policies are in the order of their setting. So are `username_changes`, `(effective_from_ms, attribute)`
    of records whose earlier clock is not before it. Which types and journeys met a cap first depends on the order of
    arrival, so it is given to the model: `counted_types` are those that are counted by name (None: all), `beyond_cap`
    the journeys that nobody named and that came too late.
    """

    windows: list[tuple[int, int]] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    username_attribute: str = "username"
    username_changes: list[tuple[int, str]] = field(default_factory=list)
    price_metric: str = "price"
    quantity_metric: str | None = None
    currency_attribute: str = "currency"
    default_currency: str = "USD"
    refund_types: frozenset[str] = frozenset({"refund"})
    journey_names: dict[str, str] = field(default_factory=dict)
    counted_types: frozenset[str] | None = None
    beyond_cap: frozenset[str] = frozenset()

    def window_at(self, time: int) -> int:
        """The lookback window (ms) in force at a time."""
        window, since = DEFAULT_WINDOW, None
        for effective_from, candidate in self.windows:
            if effective_from <= time and (since is None or effective_from >= since):
                window, since = candidate, effective_from
        return window

    def username_attribute_at(self, event_time: int, arrival: int | None) -> str:
        """R6: what names the user of a record with these clocks."""
        time = event_time if arrival is None else min(event_time, arrival)
        found, since = self.username_attribute, None
        for effective_from, attribute in self.username_changes:
            if effective_from <= time and (since is None or effective_from >= since):
                found, since = attribute, effective_from
        return found

    def policy_at(self, time: int) -> Policy:
        """What counts at a time."""
        in_force: Policy | None = None
        for policy in self.policies:
            if policy.effective_from <= time and (in_force is None or policy.effective_from >= in_force.effective_from):
                in_force = policy
        return in_force or Policy()
