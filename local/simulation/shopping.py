"""What people do in the shop's app: look, fill a basket, buy, sign up, send back.

A visit is reported by a device, whose endpoint is never the one that got the e-mail. Devices tell differently much of
whose they are, and some report hours later, or with a clock that is days ahead.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from local.simulation import shapes
from local.simulation.chance import DAY, HOUR, MINUTE, SECOND, delay, digest, share, uuid_like
from local.simulation.shapes import Event, Installation, Json
from local.simulation.world import Application, Journey, Person, World

WHOLE_UNITS = frozenset({"JPY"})
"""Currencies without cents."""
MONETIZATION = 0.35
"""Of the purchases, those that the app reports with the SDK's `_monetization.purchase`."""
REFUNDED = 0.06
STAMPED = 0.06
"""Of the visits, those of an app that puts the campaign it read from Cognito into its events."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """How the events of one visit reach the stream: whose, with what stamp, how late and how far ahead (ms)."""

    where: Installation
    stamp: dict[str, Json]
    buffered: int
    ahead: int
    rng: random.Random

    def report(self, kind: str, time: int, attributes: Event, metrics: Event | None) -> Event:
        """The event as it arrives."""
        arrival = time + self.buffered + self.rng.randrange(100, 3_000)
        return shapes.app_event(kind, self.where, time + self.ahead, arrival, {**attributes, **self.stamp}, metrics)


def installation(application: Application, person: Person, client_id: str) -> Installation:
    """The app on a person's device; what its endpoint tells of its user stays the same for the whole run."""
    trait = share(client_id, "app")
    if trait < 0.12:
        return Installation(application, person, client_id, "no endpoint")
    return Installation(application, person, client_id, "user_id" if trait < 0.30 else "username")


def visit_story(world: World, application: Application, rng: random.Random, at: int) -> Iterator[Event]:
    """Somebody comes to the shop without a message: a known customer, or a visitor whom nobody knows."""
    person = world.person(int(rng.random() * world.people))
    if rng.random() < 0.15:
        yield from anonymous_visit(application, person, rng, at)
        return
    yield from shop(world, application, person, rng, at, buys=rng.random() < 0.35, journey=None)


def anonymous_visit(application: Application, person: Person, rng: random.Random, at: int) -> Iterator[Event]:
    """A new installation, nobody's; one in ten signs up and is somebody from then on."""
    client_id = uuid_like(digest(application.app_id, "visitor", rng.getrandbits(64)))
    reporter = Reporter(Installation(application, person, client_id, "nothing"), {}, 0, 0, rng)
    time = at
    for _ in range(rng.randrange(1, 4)):
        yield reporter.report("product_view", time, {"item": item(rng)}, {})
        time += delay(rng, MINUTE)
    if rng.random() < 0.3:
        known = Reporter(Installation(application, person, client_id, "username"), {}, 0, 0, rng)
        yield known.report("sign_up", time, {"source": "app"}, {})


def shop(
    world: World,
    application: Application,
    person: Person,
    rng: random.Random,
    at: int,
    *,
    buys: bool,
    journey: Journey | None,
) -> Iterator[Event]:
    """One visit of a customer that starts at `at`; `journey` is what brought them, if a message did."""
    where = installation(application, person, world.endpoint_id(application, person, "DEVICE"))
    reporter = Reporter(
        where=where,
        stamp=stamp(application, journey, rng),
        buffered=delay(rng, 3 * HOUR) if rng.random() < 0.03 else 0,  # The device was offline.
        ahead=3 * DAY if rng.random() < 0.004 else 0,
        rng=rng,
    )
    time = at
    if rng.random() < 0.12:
        yield reporter.report("_session.start", time, {}, {})
    for _ in range(rng.randrange(1, 4)):
        time += delay(rng, MINUTE)
        yield reporter.report("product_view", time, {"item": item(rng)}, {})
    if buys:
        time += delay(rng, 3 * MINUTE)
        yield reporter.report("add_to_cart", time, {"item": item(rng)}, {})
        time += delay(rng, 5 * MINUTE)
        yield from buy(reporter, application, rng, time)
    if rng.random() < 0.04:
        yield reporter.report("newsletter.subscribe", time + 5 * SECOND, {"list": "weekly"}, {})
    if rng.random() < 0.08:
        yield reporter.report("_session.stop", time + MINUTE, {}, {})


def buy(reporter: Reporter, application: Application, rng: random.Random, time: int) -> Iterator[Event]:
    """A purchase, in one of two ways of reporting it, and now and then its refund days later."""
    currency = application.currencies[0 if rng.random() < 0.75 else rng.randrange(len(application.currencies))]
    price = amount(currency, rng)
    quantity = float(rng.choice((1, 1, 1, 2, 3)))
    sku = item(rng)
    if rng.random() < MONETIZATION:
        attributes: Event = {"_product_id": sku, "_currency": currency}
        metrics: Event = {"_item_price": price, "_quantity": quantity}
        yield reporter.report("_monetization.purchase", time, attributes, metrics)
        return
    bought: Event = {"currency": currency, "item": sku}
    yield reporter.report("purchase", time, bought, {"price": price, "quantity": quantity})
    if rng.random() < REFUNDED:
        yield reporter.report("refund", time + delay(rng, 2 * DAY, 0.6), bought, {"price": price, "quantity": quantity})


def stamp(application: Application, journey: Journey | None, rng: random.Random) -> dict[str, Json]:
    """The `campaign` attribute, if the app adds one: it may be outdated, for the app reads it when it likes."""
    if rng.random() >= STAMPED:
        return {}
    named = journey if journey is not None and rng.random() < 0.8 else rng.choice(application.journeys)
    return {"campaign" if rng.random() < 0.8 else "Campaign": named.name}


def item(rng: random.Random) -> str:
    """What somebody looks at."""
    return f"sku-{rng.randrange(1, 200)}"


def amount(currency: str, rng: random.Random) -> float:
    """A price as JSON carries it: the double nearest to a whole number of the currency's smallest unit."""
    units = int(rng.lognormvariate(8.1, 0.7))
    return float(units) if currency in WHOLE_UNITS else round(units / 100, 2)
