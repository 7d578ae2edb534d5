"""Settings of an application, versioned by when they take effect.

Out of the box nothing needs to be set: a lookback window of seven days, the value of an event in its metric
``price``, US dollars.

An event is counted in totals once, when its record is projected, and its credit is a diff whenever it is decided again.
Both must see the same settings, or what is credited would not be a part of the total (R13). So what totals depend on
(policies, values, the time zone of days) changes for a generation of views only from now on; a version that reaches
back says by ``since_generation`` from which generation on it is seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import msgspec

from chalicelib.facts.model import PURCHASE
from chalicelib.times import DAY_MS, MINUTE_MS

DEFAULT_WINDOW_DAYS = Decimal(7)
LONGEST_WINDOW_DAYS = Decimal(365)


class Window(msgspec.Struct, frozen=True):
    """A lookback window of ``days``, for touches from ``effective_from`` (ms UTC) on (R2)."""

    days: Decimal
    effective_from: int

    @property
    def length(self) -> int:
        """Its length in milliseconds."""
        return int((self.days * DAY_MS).to_integral_value())


DEFAULT_WINDOW = Window(DEFAULT_WINDOW_DAYS, 0)


class InteractionSetting(msgspec.Struct, frozen=True):
    """Whether a kind of interaction counts as a touch, and its window in days (None: the application's)."""

    counts: bool = True
    days: Decimal | None = None


class CustomInteraction(msgspec.Struct, frozen=True):
    """A custom event that is a touch too, such as the click of a link in an SMS (R9).

    Attributes
    ----------
    journey_attribute
        Attribute of the event that holds the journey's id; an event without it is no touch.
    """

    event_type: str
    journey_attribute: str = "journey_id"
    channel: str = "custom"
    days: Decimal | None = None


class Policy(msgspec.Struct, frozen=True):
    """What counts as a touch (R9) and as an event (R10), for facts from ``effective_from`` (ms UTC) on.

    Attributes
    ----------
    interactions
        By kind: ``email.click``, ``email.open``, ``push.opened_notification``, ``journey.step``. Those not named count.
    ignore_machine_opens
        Opens by ``machine_user_agents`` are no touches. Apple's Mail Privacy Protection opens every message, and
        calls itself just "Mozilla/5.0".
    included_events
        Only these types are events; None: all that may be.
    since_generation
        Generations before it do not see this policy.
    """

    effective_from: int = 0
    interactions: dict[str, InteractionSetting] = {}
    custom_interactions: tuple[CustomInteraction, ...] = ()
    ignore_machine_opens: bool = False
    machine_user_agents: frozenset[str] = frozenset({"Mozilla/5.0"})
    included_events: frozenset[str] | None = None
    excluded_events: frozenset[str] = frozenset()
    since_generation: int = 0

    def counts_event(self, event_type: str) -> bool:
        """Whether events of a type are events here (R10)."""
        included = self.included_events is None or event_type in self.included_events
        return included and event_type not in self.excluded_events

    def names(self, event_type: str) -> bool:
        """Whether it names an event type as one that counts."""
        return event_type in (self.included_events or ()) or any(
            one.event_type == event_type for one in self.custom_interactions
        )


EVERYTHING = Policy()


class ValueSettings(msgspec.Struct, frozen=True):
    """Where an event's value stands (R12), of events from ``effective_from`` (ms UTC) on.

    Attributes
    ----------
    currencies
        Codes that count beside those of ISO 4217, such as a shop's points.
    since_generation
        Generations before it do not see these.
    """

    price_metric: str = "price"
    quantity_metric: str | None = None
    currency_attribute: str = "currency"
    default_currency: str = "USD"
    refund_types: frozenset[str] = frozenset({"refund"})
    currencies: frozenset[str] = frozenset()
    effective_from: int = 0
    since_generation: int = 0

    def names(self, event_type: str) -> bool:
        """Whether it names an event type."""
        return event_type in self.refund_types


DEFAULT_VALUE = ValueSettings()

ALWAYS_NAMED = frozenset({PURCHASE, "purchase", *DEFAULT_VALUE.refund_types})
"""Event types that are named whatever the settings say."""


class DayZone(msgspec.Struct, frozen=True):
    """The time zone, by its IANA name, in which generations from ``since_generation`` on tell days apart."""

    name: str
    since_generation: int


DEFAULT_ZONE = "UTC"


class UsernameAttribute(msgspec.Struct, frozen=True):
    """The user attribute of an endpoint that holds the Cognito user name (R6), for records from ``effective_from``
    (ms UTC) on.
    """

    name: str
    effective_from: int = 0


DEFAULT_USERNAME_ATTRIBUTE = "username"


class CognitoSettings(msgspec.Struct, frozen=True):
    """Where campaigns are written.

    Attributes
    ----------
    enabled
        Whether they are at all, or are kept in the views only.
    user_pool_id
        None: the pool of the deployment.
    attribute
        None: the attribute of the deployment.
    """

    enabled: bool = True
    user_pool_id: str | None = None
    attribute: str | None = None


class _Version(Protocol):
    @property
    def effective_from(self) -> int: ...
    @property
    def since_generation(self) -> int: ...


Version = TypeVar("Version", bound=_Version)


class Retired(msgspec.Struct, frozen=True):
    """A generation of the views that is no longer served, or whose rebuild was dropped, ``since`` a time (ms UTC).

    ``told``: campaigns that differ in the generation that took its place are written.
    """

    generation: int
    since: int
    told: bool = False


class Settings(msgspec.Struct, frozen=True):
    """One application's settings document.

    Attributes
    ----------
    windows
        Lookback windows, ascending by ``effective_from``, no two with the same.
    policies
        What counts, ascending by ``effective_from``, then ``since_generation``, no two with the same.
    values
        Where an event's value stands, in the same order.
    zones
        Of the reporting days, ascending by ``since_generation``.
    username_attributes
        Which attribute holds the Cognito user name, ascending by ``effective_from``, no two with the same.
    generation
        Which generation of the views is served.
    building
        The generation that a rebuild makes, projected beside the one that is served; None: no rebuild is under way.
    newest_generation
        The greatest that was ever used: a dropped one is not used again.
    recount_until
        Until this time (ms UTC) change records may come of facts that a rebuild has counted already.
    retention_days
        Facts older than this are refused, and expire; None keeps them for good.
    retiring
        Generations that are to be deleted. One stays here until nothing writes to it any more, so that erasures go
        there, too.
    has_erasures
        Somebody was erased: facts are checked against the bars of those who were. It stays so.
    """

    windows: tuple[Window, ...] = ()
    policies: tuple[Policy, ...] = ()
    username_attributes: tuple[UsernameAttribute, ...] = ()
    values: tuple[ValueSettings, ...] = ()
    zones: tuple[DayZone, ...] = ()
    cognito: CognitoSettings = CognitoSettings()
    retention_days: int | None = None
    generation: int = 0
    building: int | None = None
    newest_generation: int = 0
    recount_until: int = 0
    has_erasures: bool = False
    retiring: tuple[Retired, ...] = ()

    def window_at(self, time: int) -> Window:
        """The lookback window in force at a time (R2)."""
        at = bisect_right(self.windows, time, key=_effective_from)
        return self.windows[at - 1] if at else DEFAULT_WINDOW

    @property
    def username_attribute(self) -> str:
        """The newest attribute of the user name."""
        return self.username_attributes[-1].name if self.username_attributes else DEFAULT_USERNAME_ATTRIBUTE

    def username_attribute_at(self, time: int) -> str:
        """The attribute that names the user of a record of a time: the earlier of its event time and its arrival.

        So it depends on the record and on the history of the settings only. A record that arrived before a change
        has an earlier time than the change, and is read by the former attribute whenever it is replayed.
        """
        at = bisect_right(self.username_attributes, time, key=_effective_from)
        return self.username_attributes[at - 1].name if at else DEFAULT_USERNAME_ATTRIBUTE

    def policy_at(self, time: int) -> Policy:
        """What counts for facts of a time (R9, R10)."""
        return in_force(self.policies, time, self.generation) or EVERYTHING

    def named_since(self, event_type: str) -> int | None:
        """From which time on (ms UTC) these settings name an event type; None: they never do."""
        if event_type in ALWAYS_NAMED:
            return 0
        versions: list[Policy | ValueSettings] = [*self.policies, *self.values]
        seen = (one for one in versions if one.since_generation <= self.generation)
        return min((one.effective_from for one in seen if one.names(event_type)), default=None)

    def value_at(self, time: int) -> ValueSettings:
        """Where the value of events of a time stands (R12)."""
        return in_force(self.values, time, self.generation) or DEFAULT_VALUE

    @property
    def time_zone(self) -> str:
        """In which days are told apart, a name of the IANA database."""
        return next((one.name for one in reversed(self.zones) if one.since_generation <= self.generation), DEFAULT_ZONE)

    @property
    def next_generation(self) -> int:
        """The generation that the next rebuild to begin will make."""
        return max(self.newest_generation, self.generation) + 1

    def in_generation(self, number: int) -> Settings:
        """These settings as a generation must see them; as they are stored, the served one's answers come of them."""
        return msgspec.structs.replace(
            self,
            policies=seen_by(self.policies, number),
            values=seen_by(self.values, number),
            zones=tuple(DayZone(one.name, 0) for one in self.zones if one.since_generation <= number),
        )

    def expiry_of(self, time: int) -> int | None:
        """When what is of a time (ms UTC) expires, in seconds as DynamoDB's TTL has it; None: never."""
        return None if self.retention_days is None else (time + self.retention_days * DAY_MS) // 1000

    def with_policy(self, policy: Policy) -> Settings:
        """These settings with one more policy, in place of one of its ``effective_from`` and ``since_generation``."""
        return msgspec.structs.replace(self, policies=_with(self.policies, policy))

    def with_value(self, value: ValueSettings) -> Settings:
        """These settings with one more version of where values stand, as with policies."""
        return msgspec.structs.replace(self, values=_with(self.values, value))

    def with_zone(self, zone: DayZone) -> Settings:
        """These settings with days in another time zone, from a generation on that is not yet made."""
        kept = tuple(one for one in self.zones if one.since_generation < zone.since_generation)
        return msgspec.structs.replace(self, zones=(*kept, zone))

    def with_username_attribute(self, name: str, effective_from: int) -> Settings:
        """These settings with another attribute of the user name, in place of those that begin then or later."""
        kept = tuple(one for one in self.username_attributes if one.effective_from < effective_from)
        return msgspec.structs.replace(self, username_attributes=(*kept, UsernameAttribute(name, effective_from)))

    def with_window(self, window: Window) -> Settings:
        """These settings with one more window; it replaces one of the same ``effective_from``."""
        kept = [one for one in self.windows if one.effective_from != window.effective_from]
        windows = tuple(sorted([*kept, window], key=lambda one: one.effective_from))
        return msgspec.structs.replace(self, windows=windows)


def _order(version: _Version) -> tuple[int, int]:
    return (version.effective_from, version.since_generation)


def _with(versions: Iterable[Version], added: Version) -> tuple[Version, ...]:
    kept = [one for one in versions if _order(one) != _order(added)]
    return tuple(sorted([*kept, added], key=_order))


_effective_from: Callable[[Window | UsernameAttribute | _Version], int] = attrgetter("effective_from")


def in_force(versions: Sequence[Version], time: int, generation: int) -> Version | None:
    """The last version that a generation sees of those in force at a time."""
    at = bisect_right(versions, time, key=_effective_from)
    return next((versions[one] for one in range(at - 1, -1, -1) if versions[one].since_generation <= generation), None)


def _last_seen(versions: Iterable[Version], generation: int) -> Iterable[Version]:
    """Of the versions of each time the last one that a generation sees, in order of time."""
    return {one.effective_from: one for one in versions if one.since_generation <= generation}.values()


def seen_by(versions: Iterable[Version], generation: int) -> tuple[Version, ...]:
    """What a generation sees, for whoever takes that generation for the one that is served."""
    found = _last_seen(versions, generation)
    return tuple(msgspec.structs.replace(one, since_generation=0) for one in found)  # type: ignore[type-var]


def pruned(settings: Settings) -> Settings:
    """The settings without the versions that no generation sees any more, or that say what the one before says.

    A generation that ended is never served again, so what matters is the one that is served, the one that is being
    built, and the next one.
    """
    alive = {settings.generation, settings.next_generation, settings.building or settings.generation}
    return msgspec.structs.replace(
        settings,
        policies=_pruned(settings.policies, alive),
        values=_pruned(settings.values, alive),
        zones=_pruned_zones(settings.zones, min(alive)),
    )


def _pruned(versions: Sequence[Version], alive: Iterable[int]) -> tuple[Version, ...]:
    needed: set[tuple[int, int]] = set()
    for generation in alive:
        former: Version | None = None
        for one in _last_seen(versions, generation):
            if former is None or not _same_content(one, former):
                needed.add(_order(one))
            former = one
    # One that only repeats is needed all the same where it hides another of its time from a generation.
    times = {effective_from for effective_from, _ in needed}
    seen_by_some = {_order(one) for number in alive for one in _last_seen(versions, number)}
    return tuple(
        one
        for one in versions
        if _order(one) in needed or (_order(one) in seen_by_some and one.effective_from in times)
    )


def _same_content(one: Version, other: Version) -> bool:
    placed: Any = one
    when = {"effective_from": other.effective_from, "since_generation": other.since_generation}
    return bool(msgspec.structs.replace(placed, **when) == other)


def _pruned_zones(zones: Sequence[DayZone], oldest: int) -> tuple[DayZone, ...]:
    """Those that a generation from the oldest on sees."""
    at = bisect_right(zones, oldest, key=attrgetter("since_generation"))
    return tuple(zones[max(0, at - 1) :])


def parse_window_days(given: object) -> Decimal:
    """The number of days in a request.

    Raises
    ------
    ValueError
        It is not a number from one minute (1/1440 days) to 365 days; the message is a sentence for the caller.
    """
    if isinstance(given, bool) or not isinstance(given, int | float | Decimal):
        raise ValueError("days must be a number from 0.0007 (one minute) to 365")
    days = Decimal(str(given))
    if not days.is_finite() or days > LONGEST_WINDOW_DAYS or Window(days, 0).length < MINUTE_MS:
        raise ValueError(f"days must be from 0.0007 (one minute) to 365, not {given}")
    return days
