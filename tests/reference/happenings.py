"""Hypothesis strategies for single facts of a history, as raw records with the words that tell them to a person.

What the rules leave open is not generated: interactions that name nobody, attributes that are null, one journey's steps
of several channels, sends without a journey.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from . import records
from .facts import DAY, Record
from .records import iso
from .settings import Settings

JOURNEYS = {"j1": "EMAIL", "j10": "SMS", "j2": None}  # and the channel of their step; "j10" < "j2" only as strings
EVENT_TYPES = ("purchase", "sign_up", "refund", "y|purchase", "a#b é")
LINK_TYPES = ("link", "sign_up", "a#b é")  # that settings may name as interactions
LINK_ATTRIBUTES = ("journey_id", "of")
AGENTS = (records.BROWSER, "Mozilla/5.0", " Mozilla/5.0 ")  # the latter two are machines
AMOUNTS = (5, 19.99, -5, 0, 0.1, 0.30000000000000004, 12_345_678_901.25, 2.5e-18, 3.5e-18)
QUANTITIES = (2, 1.0, 0, 0.5, 3)
CURRENCIES = ("USD", "eur", " eur ", "", "  ", "x|y")


@dataclass(frozen=True)
class Told:
    """One record, with the words that tell it to a person."""

    app: str
    at: int
    what: str
    who: str
    detail: str
    record: Record


@dataclass(frozen=True)
class Cast:
    """The few things that the facts of one history are about. A user is a `(user name, UserId)`."""

    settings: dict[str, Settings]
    times: Sequence[int]
    users: Sequence[tuple[str, str]]
    endpoints: Sequence[str]
    journeys: Sequence[str]

    @property
    def applications(self) -> list[str]:
        """The applications, the first of them twice: most facts should meet."""
        return [next(iter(self.settings)), *self.settings]

    def endpoints_of(self, user: tuple[str, str]) -> Sequence[str]:
        """The endpoints that the user mostly uses: his own, but also everybody's, so that endpoints change hands."""
        own = self.endpoints[self.users.index(user) :: len(self.users)]
        return [*own, *own, *self.endpoints]


@dataclass(frozen=True)
class Who:
    client_id: str | None
    user_id: str | None
    user_name: str | None

    def __str__(self) -> str:
        parts = [("endpoint", self.client_id), ("UserId", self.user_id), ("name", self.user_name)]
        return " ".join(f"{word} {name!r}" for word, name in parts if name is not None) or "nobody"


# What a record carries of a user: p endpoint, u UserId, n user name, b a blank user name.
CARRIED = ("p", "pn", "pu", "pun", "n", "u", "un", "pb", "pbu")
LINKING = ("pn", "pun", "pu", "p", "pb", "pbu")


def who(draw: st.DrawFn, cast: Cast, carried: Sequence[str]) -> Who:
    """Whom a record names."""
    carries = draw(st.sampled_from(carried))
    user = draw(st.sampled_from(cast.users))
    client_id = draw(st.sampled_from(cast.endpoints_of(user))) if "p" in carries else None
    name = user[0] if "n" in carries else "  " if "b" in carries else None
    return Who(client_id, user[1] if "u" in carries else None, name)


def clocks(draw: st.DrawFn, at: int) -> tuple[int, int | None, str]:
    """`(event_timestamp, arrival_timestamp, words)` of a fact that R8 puts at a time."""
    return draw(
        st.sampled_from(
            [
                (at, at + 880, ""),
                (at, None, "no arrival"),
                (at, at - DAY, "a clock exactly a day ahead"),
                (at + DAY + 1, at, "a clock more than a day ahead"),
            ]
        )
    )


def username_attribute(draw: st.DrawFn, settings: Settings) -> str:
    """Where a record says its user's name: in one of the attributes that hold it at some time."""
    return draw(st.sampled_from([settings.username_attribute, *(name for _, name in settings.username_changes)]))


def words(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


@st.composite
def sends(draw: st.DrawFn, cast: Cast) -> Told:
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    named = who(draw, cast, LINKING)
    journey = draw(st.sampled_from(cast.journeys))
    status = draw(st.sampled_from(["SUCCESS", None, "FAILURE", "DAILY_CAP"]))
    timestamp, arrival, clock = clocks(draw, at)
    record = records.send(
        app,
        named.client_id or "",
        journey,
        timestamp,
        arrival=at if arrival is None else arrival,
        user_name=named.user_name,
        user_id=named.user_id,
        status=status,
        run=draw(st.sampled_from([records.RUN, "run-2"])),
        username_attribute=username_attribute(draw, cast.settings[app]),
    )
    if arrival is None:
        del record["arrival_timestamp"]
    return Told(app, at, "send", str(named), words(journey, f"status {status}", clock), record)


@st.composite
def emails(draw: st.DrawFn, cast: Cast) -> Told:
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    client = who(draw, cast, ("p",)).client_id
    journey = draw(st.sampled_from([*cast.journeys, *cast.journeys, None]))
    message = draw(st.sampled_from(["m-1", "m-2"]))
    sent, arrives, clock = draw(
        st.sampled_from([(at - 60_000, True, ""), (at - 3 * DAY, True, "sent days ago"), (at, False, "no arrival")])
    )
    if draw(st.booleans()):
        link = draw(st.sampled_from(["https://example.com/", "https://example.com/b"]))
        click = records.email_click(app, client, journey, at, sent=sent, arrives=arrives, message=message, link=link)
        return Told(app, at, "click", f"endpoint {client!r}", words(str(journey), message, link, clock), click)
    agent = draw(st.sampled_from(AGENTS))
    record = records.email_open(app, client, journey, at, sent=sent, arrives=arrives, message=message, user_agent=agent)
    by = f"by {agent!r}" if agent != records.BROWSER else ""
    return Told(app, at, "open", f"endpoint {client!r}", words(str(journey), message, by, clock), record)


@st.composite
def pushes(draw: st.DrawFn, cast: Cast) -> Told:
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    named = who(draw, cast, CARRIED)
    journey = draw(st.sampled_from([*cast.journeys, *cast.journeys, None]))
    timestamp, arrival, clock = clocks(draw, at)
    record = records.push_opened(
        app,
        named.client_id,
        journey,
        timestamp,
        arrival=arrival,
        user_name=named.user_name,
        user_id=named.user_id,
        username_attribute=username_attribute(draw, cast.settings[app]),
    )
    if named.user_name and not named.user_id and not named.client_id:
        # By whichever attribute it is read: a push that names nobody is malformed.
        settings = cast.settings[app]
        attributes = (settings.username_attribute, *(name for _, name in settings.username_changes))
        record["endpoint"] = {"User": {"UserAttributes": {key: [named.user_name] for key in attributes}}}
    return Told(app, at, "push opened", str(named), words(str(journey), clock), record)


@st.composite
def steps(draw: st.DrawFn, cast: Cast) -> Told:
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    journey = draw(st.sampled_from(cast.journeys))
    attribute = username_attribute(draw, cast.settings[app])
    endpoints, names = {}, []
    for _ in range(draw(st.integers(1, 3))):
        named = who(draw, cast, LINKING)
        if named.client_id is None or named.client_id in endpoints:
            continue
        names.append(str(named))
        endpoints[named.client_id] = records.endpoint(
            user_name=named.user_name,
            user_id=named.user_id,
            channel=JOURNEYS[journey],
            username_attribute=attribute,
        )
    scheduled, invoked_at, clock = draw(
        st.sampled_from(
            [
                (iso(at), at + 1_000, ""),
                (None, at, "no ScheduledTime"),
                ("soon", at, "an unreadable ScheduledTime"),
                (iso(at), at - DAY, "scheduled a day after the call"),
                (iso(at + DAY + 1), at, "scheduled more than a day after the call"),
            ]
        )
    )
    step = records.step(app, journey, endpoints, scheduled=scheduled, invoked_at=invoked_at)
    return Told(app, at, "journey step", " | ".join(names), words(journey, clock), step)


@st.composite
def events(draw: st.DrawFn, cast: Cast) -> Told:
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    settings = cast.settings[app]
    named = who(draw, cast, (*CARRIED, ""))
    timestamp, arrival, clock = clocks(draw, at)
    origin: records.Origin = {
        "client_id": named.client_id,
        "user_id": named.user_id,
        "user_name": named.user_name,
        "arrival": arrival,
        "session": draw(st.sampled_from(["s-1", None, "s-2"])),
        "username_attribute": username_attribute(draw, settings),
    }
    known = [*cast.journeys, *settings.journey_names.values(), "unknown", " "]
    names = st.sampled_from(["campaign", "Campaign", "CAMPAIGN", *LINK_ATTRIBUTES])
    attributes = draw(st.dictionaries(names, st.sampled_from(known), max_size=2))
    if draw(st.integers(0, 4)) == 4:
        numbers = dict(zip(("item_price", "quantity"), draw(amounts()), strict=True))
        currency = draw(st.sampled_from([None, *CURRENCIES]))
        detail = words(f"{numbers} {currency!r}", str(attributes or ""), clock)
        bought = records.purchase(app, timestamp, currency=currency, attributes=attributes, **numbers, **origin)
        return Told(app, at, "_monetization.purchase", str(named), detail, bought)
    event_type = draw(st.sampled_from(EVENT_TYPES))
    price, quantity = draw(amounts())
    price_name, currency_name = draw(st.sampled_from([("price", "currency"), ("amount", "cur")]))
    metrics = {n: v for n, v in ((price_name, price), ("quantity", quantity)) if v is not None}
    attributes |= draw(st.dictionaries(st.just(currency_name), st.sampled_from(CURRENCIES), max_size=1))
    record = records.event(app, event_type, timestamp, attributes=attributes, metrics=metrics, **origin)
    detail = words(str(metrics or ""), str(attributes or ""), f"session {origin['session']}", clock)
    return Told(app, at, event_type, str(named), detail, record)


@st.composite
def links(draw: st.DrawFn, cast: Cast) -> Told:
    """A link that somebody followed: a touch where settings say so."""
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    named = who(draw, cast, CARRIED)
    journey, attribute = draw(st.sampled_from([*cast.journeys, " "])), draw(st.sampled_from(LINK_ATTRIBUTES))
    event_type = draw(st.sampled_from(LINK_TYPES))
    attributes = {attribute: journey} | draw(st.dictionaries(st.just("campaign"), st.sampled_from(cast.journeys)))
    timestamp, arrival, clock = clocks(draw, at)
    record = records.event(
        app,
        event_type,
        timestamp,
        attributes=attributes,
        client_id=named.client_id,
        user_id=named.user_id,
        user_name=named.user_name,
        arrival=arrival,
        username_attribute=username_attribute(draw, cast.settings[app]),
    )
    return Told(app, at, event_type, str(named), words(str(attributes), clock), record)


def without(record: Mapping[str, object], name: str) -> dict[str, object]:
    return {one: value for one, value in record.items() if one != name}


@st.composite
def malformed(draw: st.DrawFn, cast: Cast) -> Told:
    """Bytes that are no record (R14), though most of them name users, journeys and amounts."""
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    client, journey = draw(st.sampled_from(cast.endpoints)), draw(st.sampled_from(cast.journeys))
    bought = records.event(app, "purchase", at, client_id=client, price=5)
    sent = records.send(app, client, journey, at, user_name=cast.users[0][0])
    broken = {
        "a purchase cut off": records.encode(bought)[: draw(st.integers(0, 200))],
        "no event_type": records.encode(without(bought, "event_type")),
        "no time": records.encode(without(bought, "event_timestamp")),
        "an arrival in words": records.encode({**bought, "arrival_timestamp": "noon"}),
        "a price in words": records.encode({**bought, "metrics": {"price": "5"}}),
        "attributes in a list": records.encode({**bought, "attributes": ["currency", "EUR"]}),
        "an attribute that is an object": records.encode({**bought, "attributes": {"currency": {"code": "EUR"}}}),
        "a blank application": records.encode({**bought, "application": {"app_id": " "}}),
        "an open without arrival": records.encode(records.email_open(app, client, journey, at, arrives=False)),
        "nobody's click": records.encode(records.email_click(app, None, journey, at)),
        "a send without endpoint": records.encode(without(sent, "client")),
        "a send's endpoint cut off": records.encode({**sent, "client_context": {"custom": {"endpoint": '{"User'}}}),
    }
    what = draw(st.sampled_from(list(broken)))
    return Told(app, at, "malformed", f"endpoint {client!r}", words(what, journey), broken[what])


def amounts() -> st.SearchStrategy[tuple[float | None, float | None]]:
    """A price and a quantity."""
    return st.tuples(st.sampled_from([*AMOUNTS, None]), st.sampled_from([None, *QUANTITIES]))


@st.composite
def noise(draw: st.DrawFn, cast: Cast) -> Told:
    app, at = draw(st.sampled_from(cast.applications)), draw(st.sampled_from(cast.times))
    event_type = draw(st.sampled_from([*records.OF_NO_USE, "_test.event_stream"]))
    if event_type == "_test.event_stream":
        return Told(app, at, event_type, "nobody", "", records.stream_test())
    client, journey = draw(st.sampled_from(cast.endpoints)), draw(st.sampled_from(cast.journeys))
    record = records.of_no_use(app, event_type, at, client_id=client, journey=journey)
    return Told(app, at, event_type, f"endpoint {client!r}", journey, record)


FACTS: tuple[Callable[[Cast], st.SearchStrategy[Told]], ...] = (
    events,
    emails,
    sends,
    steps,
    pushes,
    events,
    emails,
    sends,
    events,
    noise,
    links,
    malformed,
)
