"""A shop's stream, generated: sends, interactions and events of many customers over forty days, shuffled and doubled.

Each endpoint and UserId is only ever one customer's, so that a query can tell whose it is by a join.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.reference.facts import DAY, Record
from tests.reference.records import email_click, email_open, event, push_opened, send
from tests.reference.shorthand import APP, T

JOURNEYS = {f"j{number}": f"Journey {number}" for number in range(7)} | {"j7": "Journey 6"}
"""Names by id; two go by one name, of which a stamp means the greater id."""
DAYS = 40
EVENTS_EACH = 33
TYPES = (["purchase"] * 6) + ["sign_up", "add to cart", "refund"]
STAMPS = [*JOURNEYS.values(), "j1", "something else"]


def stream(events: int, seed: int) -> list[Record]:
    """Records with so many distinct events, in an order of their own."""
    dice = random.Random(seed)
    told: list[Record] = []
    for customer in range(-(-events // EVENTS_EACH)):
        told += _customer(dice, customer, min(EVENTS_EACH, events - customer * EVENTS_EACH))
    told += dice.sample(told, len(told) // 20)
    dice.shuffle(told)
    return told


def _customer(dice: random.Random, number: int, events: int) -> Iterator[Record]:
    endpoints = [f"e{number}-{one}" for one in range(dice.randint(1, 2))]
    known, touched = dice.random() < 0.9, dice.random() < 0.8
    for endpoint_id in endpoints:
        user_name = f"customer {number}" if known else None
        yield send(APP, endpoint_id, dice.choice(list(JOURNEYS)), T - DAY, user_name=user_name, user_id=f"u{number}")
    for _ in range(dice.randint(1, 9) if touched else 0):
        yield from _touch(dice, dice.choice(endpoints))
    for _ in range(events):
        yield _event(dice, number, endpoints, known)


def _touch(dice: random.Random, endpoint_id: str) -> Iterator[Record]:
    at, journey = _moment(dice), dice.choice(list(JOURNEYS))
    kind = dice.random()
    if kind < 1 / 3:
        yield email_open(APP, endpoint_id, journey, at)
    elif kind < 2 / 3:
        yield email_click(APP, endpoint_id, journey, at)
    else:
        yield push_opened(APP, endpoint_id, journey, at)
    if dice.random() < 0.2:  # of the same millisecond: the stronger one counts, then the greater journey
        yield email_open(APP, endpoint_id, dice.choice(list(JOURNEYS)), at)


def _event(dice: random.Random, number: int, endpoints: list[str], known: bool) -> Record:
    attributes = {"currency": dice.choice(["USD", "usd", "EUR"])} if dice.random() < 0.8 else {}
    if dice.random() < 0.3:
        attributes["campaign"] = dice.choice(STAMPS)
    event_type = dice.choice(TYPES)
    price = dice.randint(1, 20_000) / 100 if event_type in ("purchase", "refund") and dice.random() < 0.95 else None
    named = dice.random()
    origin: dict[str, str] = {"client_id": dice.choice(endpoints)}
    if named < 0.4:
        origin |= {"user_id": f"u{number}"}
        if known:
            origin |= {"user_name": f"customer {number}"}
    elif named < 0.6:
        origin = {"user_id": f"u{number}", "client_id": f"another {number}"}
    return event(APP, event_type, _moment(dice), price=price, attributes=attributes, **origin)  # type: ignore[arg-type]


def _moment(dice: random.Random) -> int:
    return T + dice.randrange(DAYS * DAY)
