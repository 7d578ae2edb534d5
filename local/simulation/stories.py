"""What people do: a message is sent and some react to it; somebody opens the shop's app and looks around.

A story is a generator of what the stream gets to see of it. The numbers are those of an ordinary retail programme: of
100 e-mails about 90 are delivered, 30 people open and 6 click, and some of them buy; and mail programs that fetch every
picture open half of them, seconds after delivery.
"""

import random
from collections.abc import Iterator

from local.simulation import shapes
from local.simulation.chance import HOUR, MINUTE, SECOND, delay, digest
from local.simulation.shapes import Event, Installation, Json, Message
from local.simulation.shopping import installation, shop
from local.simulation.world import Application, Journey, World

FAILED_STATUSES = ("FAILURE", "FAILURE_PERMANENT", "THROTTLED", "DAILY_CAP", "QUIET_TIME", "UNSUPPORTED_CHANNEL")
MACHINE = "Mozilla/5.0"
"""The whole user agent of Apple's mail privacy proxy."""
READERS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)

FAILED = 0.05
BOUNCED = 0.05
OPENED = 0.335
CLICKED = 0.20
"""Of those who opened; so 6 of 100 sends."""
BUYS_AFTER_CLICK = 0.3
BUYS_AFTER_OPEN = 0.06
LEAD = 0.03
"""E-mail endpoints that are nobody's yet: an address from a form."""


def message_story(world: World, application: Application, rng: random.Random, at: int) -> Iterator[Event]:
    """A journey sends one message at `at`, and what comes of it."""
    journey = rng.choices(application.journeys, [journey.weight for journey in application.journeys])[0]
    person = world.person(int(rng.random() * world.people))
    kind = "DEVICE" if journey.channel == "PUSH" else journey.channel
    message = Message(
        application=application,
        journey=journey,
        activity_id=rng.choice(journey.activities),
        endpoint_id=world.endpoint_id(application, person, kind),
        person=person,
        message_id=f"{rng.getrandbits(80):020x}-{rng.getrandbits(32):08x}-000000",
        sent=at,
    )
    status = rng.choice(FAILED_STATUSES) if rng.random() < FAILED else "SUCCESS"
    channel_type = person.device.channel if journey.channel == "PUSH" else journey.channel
    yield shapes.journey_send(message, channel_type, endpoint_known_by(message), status)
    if status != "SUCCESS":
        return
    match journey.channel:
        case "EMAIL":
            yield from email_story(world, message, journey, rng)
        case "SMS":
            yield from sms_story(world, message, rng)
        case "PUSH":
            yield from push_story(message, journey, rng)
        case "CUSTOM":
            return  # Pinpoint reports nothing after the send of a custom message.


def endpoint_known_by(message: Message) -> str:
    """What the endpoint tells of its user: mostly the user name, else a `UserId`, else nothing; always the same."""
    trait = int(digest(message.endpoint_id, "known", size=2), 16) / 65_536
    if message.journey is not None and message.journey.channel == "EMAIL" and trait < LEAD:
        return "nothing"
    return "user_id" if trait < 0.1 else "username"


def email_story(world: World, message: Message, journey: Journey, rng: random.Random) -> Iterator[Event]:
    """An e-mail is accepted, delivered or bounced, opened by machines and people, and clicked."""
    yield shapes.email_event("_email.send", message, message.sent + rng.randrange(200, 900), "received", "send", {})
    delivered = message.sent + rng.randrange(900, 20_000)
    if rng.random() < BOUNCED:
        yield bounce(message, delivered, rng)
        return
    yield delivery(message, delivered)
    if message.person.apple_mail:
        yield opened(message, delivered + rng.randrange(SECOND, 10 * SECOND), MACHINE, rng)
    if rng.random() >= OPENED * journey.appeal:
        return
    reader = READERS[message.person.number % len(READERS)]
    seen = delivered + delay(rng, 2 * HOUR)
    yield opened(message, seen, reader, rng)
    clicked = rng.random() < CLICKED
    if clicked:
        click_time = seen + delay(rng, MINUTE, 0.8)
        for _ in range(1 if rng.random() < 0.6 else 2):
            yield click(message, journey, click_time, reader, rng)
            click_time += delay(rng, MINUTE, 0.8)
    again = seen
    while rng.random() < 0.6:  # Every look at the message is an open of its own.
        again += delay(rng, 5 * HOUR)
        yield opened(message, again, reader, rng)
    if rng.random() < (BUYS_AFTER_CLICK if clicked else BUYS_AFTER_OPEN):
        start = seen + delay(rng, 30 * MINUTE if clicked else 8 * HOUR)
        yield from shop(world, message.application, message.person, rng, start, buys=True, journey=journey)
        if rng.random() < 0.3:
            yield from receipt(world, message, start + 30 * MINUTE, rng)


def bounce(message: Message, time: int, rng: random.Random) -> Event:
    """The address does not exist, or its mailbox is full."""
    hard = rng.random() < 0.3
    detail: Event = {
        "bounce_type": "Permanent" if hard else "Transient",
        "bounce_sub_type": "General" if hard else "MailboxFull",
        "bounced_recipients": [
            {
                "email_address": message.person.email,
                "action": "failed",
                "status": "5.1.1" if hard else "4.2.2",
                "diagnostic_code": "smtp; 550 5.1.1 user unknown" if hard else "smtp; 452 4.2.2 mailbox full",
            }
        ],
        "feedback_id": f"{message.message_id}-bounce",
        "reporting_mta": "dsn; a8-53.smtp-out.amazonses.com",
    }
    kind = "_email.hardbounce" if hard else "_email.softbounce"
    return shapes.email_event(kind, message, time, "bounced", "bounce", detail)


def delivery(message: Message, time: int) -> Event:
    """The recipient's server took the e-mail."""
    detail: Event = {
        "smtp_response": "250 ok:  Message 82080542 accepted",
        "reporting_mta": "a8-53.smtp-out.amazonses.com",
        "recipients": [message.person.email],
        "processing_time_millis": time - message.sent,
    }
    return shapes.email_event("_email.delivered", message, time, "delivered", "delivery", detail)


def opened(message: Message, time: int, user_agent: str, rng: random.Random) -> Event:
    """The e-mail's picture was fetched."""
    detail: Event = {"ip_address": address(rng), "user_agent": user_agent}
    return shapes.email_event("_email.open", message, time, "opened", "open", detail)


def click(message: Message, journey: Journey, time: int, user_agent: str, rng: random.Random) -> Event:
    """The e-mail's link was followed."""
    detail: Event = {"ip_address": address(rng), "user_agent": user_agent, "link": journey.link}
    return shapes.email_event("_email.click", message, time, journey.link, "click", detail)


def address(rng: random.Random) -> str:
    """An address of the network that documentation may use."""
    return f"198.51.100.{rng.randrange(1, 255)}"


def receipt(world: World, cause: Message, time: int, rng: random.Random) -> Iterator[Event]:
    """A transactional e-mail: of no journey, to an endpoint id that is only made up for it."""
    message = Message(
        application=cause.application,
        journey=None,
        activity_id="",
        endpoint_id=world.endpoint_id(cause.application, cause.person, f"receipt-{cause.message_id}"),
        person=cause.person,
        message_id=f"{cause.message_id}-receipt",
        sent=time,
    )
    yield shapes.email_event("_email.send", message, time + 400, "received", "send", {})
    yield delivery(message, time + 2 * SECOND)
    if rng.random() < 0.6:
        yield opened(message, time + delay(rng, HOUR), READERS[message.person.number % len(READERS)], rng)


def sms_story(world: World, message: Message, rng: random.Random) -> Iterator[Event]:
    """A text message goes to the carrier, which reports later; its link is one of the marketer's own."""
    yield shapes.sms_event("_SMS.BUFFERED", message, message.sent + 500, message.sent + 700, "SUCCESSFUL")
    reported = message.sent + delay(rng, 10 * SECOND)
    chance = rng.random()
    if chance < 0.04:
        yield shapes.sms_event("_SMS.FAILURE", message, reported, reported + 90, "CARRIER_UNREACHABLE")
        return
    # The documented sample arrives a quarter of a second before it happened.
    yield shapes.sms_event("_SMS.SUCCESS", message, reported, reported - 258, "DELIVERED")
    if chance > 0.985:
        yield shapes.sms_event("_SMS.OPTOUT", message, reported + HOUR, reported + HOUR + 90, "DELIVERED")
    elif chance > 0.88 and message.journey is not None:
        clicked = reported + delay(rng, 20 * MINUTE)
        followed: Event = {"url": message.journey.link, **shapes.journey_attributes(message)}
        yield shapes.from_a_server("sms.click", message.application, message.endpoint_id, clicked, followed)
        if rng.random() < BUYS_AFTER_CLICK:
            start = clicked + delay(rng, 30 * MINUTE)
            yield from shop(world, message.application, message.person, rng, start, buys=True, journey=message.journey)


def push_story(message: Message, journey: Journey, rng: random.Random) -> Iterator[Event]:
    """A push message reaches the app and may be opened; some then shop in the session that it opened."""
    attributes = shapes.journey_attributes(message)
    where = installation(message.application, message.person, message.endpoint_id)
    received = message.sent + delay(rng, 20 * SECOND)
    if rng.random() < 0.3:
        kind = "_journey.received_background" if rng.random() < 0.8 else "_journey.received_foreground"
        yield app_event(kind, where, received, attributes, rng)
    if rng.random() < 0.3 * journey.appeal:
        tapped = received + delay(rng, HOUR)
        yield app_event("_journey.opened_notification", where, tapped, attributes, rng)
        if rng.random() < BUYS_AFTER_OPEN:
            yield from shop_in_session(message, where, attributes, rng, tapped)


def shop_in_session(
    message: Message, where: Installation, attributes: Event, rng: random.Random, tapped: int
) -> Iterator[Event]:
    """Shopping in the session that a push message opened: the SDK adds the journey's attributes to every event."""
    viewed: dict[str, Json] = {"item": f"sku-{rng.randrange(1, 200)}", **attributes}
    yield app_event("product_view", where, tapped + delay(rng, MINUTE), viewed, rng)
    currency = message.application.currencies[0]
    bought: dict[str, Json] = {**viewed, "currency": currency}
    metrics: dict[str, Json] = {"price": float(rng.randrange(5, 90)), "quantity": 1.0}
    yield app_event("purchase", where, tapped + delay(rng, 5 * MINUTE), bought, rng, metrics)


def app_event(
    kind: str,
    where: Installation,
    time: int,
    attributes: Event,
    rng: random.Random,
    metrics: Event | None = None,
) -> Event:
    """An event of an app that is online: it arrives within seconds."""
    return shapes.app_event(kind, where, time, time + rng.randrange(100, 3_000), attributes, metrics)
