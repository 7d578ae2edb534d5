"""Settings of an application, versioned by when they take effect.

Out of the box nothing needs to be set: a lookback window of seven days, the value of an event in its metric
``price``, US dollars.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

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
    """

    effective_from: int = 0
    interactions: dict[str, InteractionSetting] = {}
    custom_interactions: tuple[CustomInteraction, ...] = ()
    ignore_machine_opens: bool = False
    machine_user_agents: frozenset[str] = frozenset({"Mozilla/5.0"})
    included_events: frozenset[str] | None = None
    excluded_events: frozenset[str] = frozenset()

    def counts_event(self, event_type: str) -> bool:
        """Whether events of a type are events here (R10)."""
        included = self.included_events is None or event_type in self.included_events
        return included and event_type not in self.excluded_events


EVERYTHING = Policy()


class ValueSettings(msgspec.Struct, frozen=True):
    """Where an event's value stands (R12)."""

    price_metric: str = "price"
    quantity_metric: str | None = None
    currency_attribute: str = "currency"
    default_currency: str = "USD"
    refund_types: frozenset[str] = frozenset({"refund"})


class Settings(msgspec.Struct, frozen=True):
    """One application's settings document.

    Attributes
    ----------
    windows
        Lookback windows, ascending by ``effective_from``, no two with the same.
    policies
        What counts, ascending by ``effective_from``, no two with the same.
    username_attribute
        The user attribute of an endpoint that holds the Cognito user name (R6).
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
    has_erasures
        Somebody was erased: facts are checked against the bars of those who were. It stays so.
    """

    windows: tuple[Window, ...] = ()
    policies: tuple[Policy, ...] = ()
    username_attribute: str = "username"
    value: ValueSettings = ValueSettings()
    retention_days: int | None = None
    generation: int = 0
    building: int | None = None
    newest_generation: int = 0
    recount_until: int = 0
    has_erasures: bool = False

    def window_at(self, time: int) -> Window:
        """The lookback window in force at a time (R2)."""
        in_force = DEFAULT_WINDOW
        for window in self.windows:
            if window.effective_from > time:
                break
            in_force = window
        return in_force

    def policy_at(self, time: int) -> Policy:
        """What counts for facts of a time (R9, R10)."""
        in_force = EVERYTHING
        for policy in self.policies:
            if policy.effective_from > time:
                break
            in_force = policy
        return in_force

    def expiry_of(self, time: int) -> int | None:
        """When what is of a time (ms UTC) expires, in seconds as DynamoDB's TTL has it; None: never."""
        return None if self.retention_days is None else (time + self.retention_days * DAY_MS) // 1000

    def with_policy(self, policy: Policy) -> Settings:
        """These settings with one more policy; it replaces one of the same ``effective_from``."""
        kept = [one for one in self.policies if one.effective_from != policy.effective_from]
        policies = tuple(sorted([*kept, policy], key=lambda one: one.effective_from))
        return msgspec.structs.replace(self, policies=policies)

    def with_window(self, window: Window) -> Settings:
        """These settings with one more window; it replaces one of the same ``effective_from``."""
        kept = [one for one in self.windows if one.effective_from != window.effective_from]
        windows = tuple(sorted([*kept, window], key=lambda one: one.effective_from))
        return msgspec.structs.replace(self, windows=windows)


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
