"""The reference model's reading of raw records into distinct facts: R8-R10, R12, R14, what one record tells for R6.

The conventions are told in `model.py`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from .settings import Settings

Identity = tuple[str, str]
FactKey = tuple[object, ...]

DAY = 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXACT = Context(prec=2000, rounding=ROUND_HALF_EVEN)  # wide enough that only the rounding to 18 decimals ever rounds
SMALLEST = Decimal("1E-15")
ISO_CURRENCIES = ("USD", "EUR", "GBP")

INTERACTIONS = {  # event type -> kind, channel, strength
    "_email.click": ("email.click", "email", 3),
    "_email.open": ("email.open", "email", 2),
    "_journey.opened_notification": ("push.opened_notification", "push", 2),
}
CUSTOM_STRENGTH = 3  # a link was followed, as with a click


@dataclass(frozen=True)
class Step:
    """One call of the journey step: its payload and when it was made (ms UTC)."""

    payload: Mapping[str, object]
    invoked_at_ms: int


Record = Mapping[str, object] | Step | bytes
"""As parsed, as called, or the bytes of the stream as they came: they may be malformed (R14)."""


class Link(NamedTuple):
    alias: Identity
    time: int
    target: Identity


class Touch(NamedTuple):
    user: Identity
    time: int
    strength: int
    journey_id: str
    kind: str
    channel: str
    window: int = 0

    def order(self) -> tuple[int, int, str, str, str]:
        return (self.time, self.strength, self.journey_id, self.kind, self.channel)


class Send(NamedTuple):
    journey_id: str
    time: int


class Event(NamedTuple):
    user: Identity
    event_type: str
    time: int
    value: Decimal | None
    currency: str | None
    stamp: str | None


@dataclass
class Facts:
    """The distinct facts of one application. Users in them are as named by the record until `resolved`."""

    links: set[Link] = field(default_factory=set)
    sends: dict[FactKey, Send] = field(default_factory=dict)
    touches: dict[FactKey, Touch] = field(default_factory=dict)
    events: dict[FactKey, Event] = field(default_factory=dict)
    journeys: set[str] = field(default_factory=set)
    named_journeys: set[str] = field(default_factory=set)  # by a send or a step, not only by what clients report


def dig(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def integer(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"the model takes well formed records only, not a time of {value!r}")
    return value


def items(value: object) -> dict[str, object]:
    return {str(name): entry for name, entry in value.items()} if isinstance(value, Mapping) else {}


def parse_object(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else None


def client_of(record: Mapping[str, object]) -> str | None:
    return text(dig(record, "client", "client_id"))


def journey_of(record: Mapping[str, object]) -> tuple[str | None, str | None, str | None]:
    """The `(journey id, run id, activity id)` that a record carries."""
    attributes = record.get("attributes")
    names = ("journey_id", "journey_run_id", "journey_activity_id")
    journey, run, activity = (text(dig(attributes, name)) for name in names)
    return journey, run, activity


def attribute_of(record: Mapping[str, object], settings: Settings) -> str:
    """R6: the attribute that names a record's user."""
    arrival = record.get("arrival_timestamp")
    return settings.username_attribute_at(
        integer(record["event_timestamp"]), None if arrival is None else integer(arrival)
    )


def names_of(endpoint: object, username_attribute: str) -> tuple[str | None, str | None]:
    """The `(UserId, user name)` that an endpoint carries."""
    entries = dig(endpoint, "User", "UserAttributes", username_attribute)
    first = entries[0] if isinstance(entries, list) and entries else None
    return text(dig(endpoint, "User", "UserId")), text(first)


def strongest(user_name: str | None, user_id: str | None, endpoint_id: str | None, key: FactKey) -> Identity:
    for kind, name in (("n", user_name), ("u", user_id), ("p", endpoint_id)):
        if name is not None:
            return (kind, name)
    return ("x", repr(key))


def add_links(facts: Facts, endpoint_id: str | None, user_id: str | None, user_name: str | None, time: int) -> None:
    if endpoint_id and user_name:
        facts.links.add(Link(("p", endpoint_id), time, ("n", user_name)))
    elif endpoint_id and user_id:
        facts.links.add(Link(("p", endpoint_id), time, ("u", user_id)))
    if user_id and user_name:
        facts.links.add(Link(("u", user_id), time, ("n", user_name)))


def add_touch(facts: Facts, key: FactKey, touch: Touch, settings: Settings, agent: str = "") -> None:
    """R9, R2: an interaction out of the box is a touch, unless the settings of its time leave it out."""
    facts.journeys.add(touch.journey_id)
    policy = settings.policy_at(touch.time)
    if touch.kind in policy.off or (touch.kind == "email.open" and agent.strip() in policy.machines):
        return
    window = policy.windows.get(touch.kind, settings.window_at(touch.time))
    facts.touches[key] = touch._replace(window=window)


def record_time(record: Mapping[str, object]) -> int:
    """R8."""
    event_time = integer(record["event_timestamp"])
    if record.get("arrival_timestamp") is None:
        return event_time
    arrival = integer(record["arrival_timestamp"])
    if record["event_type"] in ("_email.open", "_email.click"):
        return arrival
    return arrival if event_time > arrival + DAY else event_time


def scheduled_time(step: Step) -> int:
    """When a step was due: when it was called, where it does not say so."""
    try:
        scheduled = datetime.fromisoformat(str(step.payload.get("ScheduledTime")))
    except ValueError:
        return step.invoked_at_ms
    if scheduled.tzinfo is None:
        scheduled = scheduled.replace(tzinfo=UTC)
    return (scheduled - EPOCH) // timedelta(milliseconds=1)


def step_time(step: Step) -> int:
    """R8 for the journey step."""
    time = scheduled_time(step)
    return step.invoked_at_ms if time > step.invoked_at_ms + DAY else time


def read_step(step: Step, settings: Settings, facts: Facts) -> None:
    journey, time = text(step.payload.get("JourneyId")), step_time(step)
    if journey is None:
        return
    attribute = settings.username_attribute_at(scheduled_time(step), step.invoked_at_ms)
    for endpoint_id, endpoint in items(step.payload.get("Endpoints")).items():
        facts.named_journeys.add(journey)
        user_id, user_name = names_of(endpoint, attribute)
        add_links(facts, text(endpoint_id), user_id, user_name, time)
        channel = (text(dig(endpoint, "ChannelType")) or "custom").lower()
        key: FactKey = ("step", journey, endpoint_id, user_id, user_name, time, channel)
        user = strongest(user_name, user_id, text(endpoint_id), key)
        add_touch(facts, key, Touch(user, time, 1, journey, "journey.step", channel), settings)


def read_send(record: Mapping[str, object], settings: Settings, facts: Facts) -> None:
    endpoint = parse_object(dig(record, "client_context", "custom", "endpoint"))
    endpoint_id, (user_id, user_name) = client_of(record), names_of(endpoint, attribute_of(record, settings))
    time = record_time(record)
    add_links(facts, endpoint_id, user_id, user_name, time)
    journey, run, activity = journey_of(record)
    status = text(dig(record, "attributes", "journey_send_status"))
    if journey is None:
        return
    facts.journeys.add(journey)
    facts.named_journeys.add(journey)
    if status in (None, "SUCCESS"):
        key = ("send", time, journey, run, activity, status, endpoint_id, user_id, user_name)
        facts.sends[key] = Send(journey, time)


def read_interaction(record: Mapping[str, object], settings: Settings, facts: Facts) -> None:
    journey, run, activity = journey_of(record)
    if journey is None:
        return
    event_type, time = str(record["event_type"]), record_time(record)
    client_id, (user_id, user_name) = (
        client_of(record),
        names_of(record.get("endpoint"), attribute_of(record, settings)),
    )
    mail = dig(record, "facets", "email_channel", "mail_event")
    message, url = text(dig(mail, "mail", "message_id")), text(dig(mail, "click", "link"))
    browser = text(dig(mail, "open", "user_agent"))  # R9 may ask for it, so it makes opens distinct
    key = (event_type, time, client_id, user_id, user_name, journey, run, activity, message, url, browser)
    kind, channel, strength = INTERACTIONS[event_type]
    user = strongest(user_name, user_id, client_id, key)
    add_touch(facts, key, Touch(user, time, strength, journey, kind, channel), settings, browser or "")


def read_event(record: Mapping[str, object], settings: Settings, facts: Facts) -> None:
    event_type, time = str(record["event_type"]), record_time(record)
    client_id, (user_id, user_name) = (
        client_of(record),
        names_of(record.get("endpoint"), attribute_of(record, settings)),
    )
    session = text(dig(record, "session", "session_id"))
    attributes = items(record.get("attributes"))
    metrics = {name: spelled_once(number) for name, number in items(record.get("metrics")).items()}
    what = (tuple(sorted(attributes.items())), tuple(sorted(metrics.items())))
    key = ("event", event_type, time, client_id, user_id, user_name, session, *what)
    value, currency = value_of(event_type, attributes, metrics, settings)
    user = strongest(user_name, user_id, client_id, key)
    policy = settings.policy_at(time)
    if policy.counts(event_type):
        facts.events[key] = Event(user, event_type, time, value, currency, stamp_of(attributes))
    custom = policy.customs.get(event_type)
    clicked = text(attributes.get(custom.journey_attribute)) if custom else None
    if custom and clicked:
        facts.journeys.add(clicked)
        window = settings.window_at(time) if custom.window is None else custom.window
        facts.touches[key] = Touch(user, time, CUSTOM_STRENGTH, clicked, event_type, custom.channel, window)


def spelled_once(number: object) -> Decimal:
    """A number in its one spelling, which 0.0 and -0 share with 0: nobody is named after it."""
    return EXACT.plus(Decimal(str(number))).normalize(EXACT)


def value_of(
    event_type: str, attributes: Mapping[str, object], metrics: Mapping[str, Decimal], settings: Settings
) -> tuple[Decimal | None, str | None]:
    """R12: `(value, currency)`, rounded half-even to 15 decimals; from 10^12 on an amount is none. Currencies that are
    not in ISO 4217 (of which the histories have three), nor the default, are `other`.
    """
    names = (settings.price_metric, settings.quantity_metric, settings.currency_attribute)
    if event_type == "_monetization.purchase":
        names = ("_item_price", "_quantity", "_currency")
    price_metric, quantity_metric, currency_attribute = names
    if price_metric not in metrics:
        return None, None
    quantity = Decimal(1) if quantity_metric is None else metrics.get(quantity_metric, Decimal(1))
    product = EXACT.multiply(metrics[price_metric], quantity)
    if EXACT.abs(product) >= Decimal(10) ** 12:
        return None, None
    value = EXACT.quantize(product, SMALLEST)
    if event_type in settings.refund_types:
        value = EXACT.minus(EXACT.abs(value))
    currency = (text(attributes.get(currency_attribute)) or settings.default_currency).strip().upper()
    return value, currency if currency in {*ISO_CURRENCIES, settings.default_currency} else "other"


def stamp_of(attributes: Mapping[str, object]) -> str | None:
    for name in sorted(attributes):
        if name.lower() == "campaign" and text(attributes[name]):
            return text(attributes[name])
    return None


def reader_of(event_type: str) -> Callable[[Mapping[str, object], Settings, Facts], None] | None:
    """How records of a type are read; None for types that are of no use (R9, R10)."""
    if event_type == "_journey.send":
        return read_send
    if event_type in INTERACTIONS:
        return read_interaction
    if event_type == "_monetization.purchase" or not event_type.startswith("_"):
        return read_event
    return None
