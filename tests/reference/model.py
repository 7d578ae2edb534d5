"""The reference model: rules R1-R14 as one brute-force function from raw records and settings to outcomes.

It is written from the rules, imports nothing of the product and takes no short cut: every event looks at every touch of
its user, every alias at every link. All times are integer milliseconds UTC, all money is Decimal. Records may come as
the bytes of the stream: malformed ones (R14, `wellformed.py`) are counted, and are nothing else. Those that come parsed
are taken for well formed.

Conventions that complete the rules:

* An identity is `(kind, name)`: 'n' user name, 'u' UserId, 'p' endpoint id, 'x' nobody (named after the fact).
  A record names the strongest it carries, in that order. Blank names count as absent.
* Only `_journey.send` (of any status) and the journey step link: the endpoint to the user name, else to the UserId; and
  the UserId to the user name when both are given. At one millisecond a user name beats a UserId, then the greater name.
  Both hops, endpoint to UserId and UserId to user name, are resolved at the fact's own time.
* Touches of one millisecond: strength, then journey id, then kind, then channel. Without a journey it is no touch.
* A custom interaction is as strong as a click, has its event's type as its kind, and stays an event, so it may be its
  own touch; a type that settings exclude is a touch only. An interaction that is left out makes its journey known, too.
* Policies are in force by the fact's own time, as windows are. Of two from one moment the last set wins, as a whole.
* The same record twice is one fact: what happened, to whom, when. Arrival, device and SDK do not count.
* Of settings with one `effective_from` the last set wins. Before the first the window is seven days.
* A stamp counts only where the user has no touch at or before the event, open or not. The journeys that it may name are
  those with a registered name, and those known from any send or touch of the application, by id when they have no name.
* The campaign is the newest touch's journey while `now < t + window`. A touch whose clock runs ahead counts at once.
* A stamp agrees with the touch that decides its event if it is the journey's name, or its id when it has none, as of
  now. A blank one is none. Only events credited by a touch are counted so.
* A touch of a journey beyond the cap of unnamed ones is none; an event of a type beyond the cap is counted as `other`.
* A day is the UTC day of the fact's own time. Refunds count as events.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from .facts import (
    EPOCH,
    EXACT,
    Event,
    FactKey,
    Facts,
    Identity,
    Link,
    Record,
    Send,
    Step,
    Touch,
    dig,
    read_step,
    reader_of,
)
from .settings import Settings
from .wellformed import parsed

__all__ = ["Credit", "CreditingTouch", "Outcome", "Record", "Settings", "Step", "Tally", "malformed", "run"]


class CreditingTouch(NamedTuple):
    time: int
    kind: str
    channel: str


class Credit(NamedTuple):
    """What became of one distinct event. Without a credit `journey_id`, `touch` and `basis` are None."""

    user: Identity
    event_type: str
    time: int
    value: Decimal | None
    currency: str | None
    journey_id: str | None
    touch: CreditingTouch | None
    basis: str | None
    stamp: str | None = None


def target_at(alias: Identity, time: int, links: Iterable[Link]) -> Identity:
    """R6, one hop: whom an alias means at a time; itself when it was never linked."""
    mine = [link for link in links if link.alias == alias]
    if not mine:
        return alias
    before = [link.time for link in mine if link.time <= time]
    after = [link.time for link in mine if link.time > time]
    moment = max(before) if before else min(after)
    targets = [link.target for link in mine if link.time == moment]
    return max(targets, key=lambda target: (target[0] == "n", target[1]))


def resolve(named: Identity, time: int, links: Iterable[Link]) -> Identity:
    """R6: the user whom an identity means at a time."""
    if named[0] == "p":
        named = target_at(named, time, links)
    if named[0] == "u":
        named = target_at(named, time, links)
    return named


def label_of(journey: str, settings: Settings) -> str:
    """What a client reads of a journey: its name, or its id when it has none."""
    return settings.journey_names.get(journey) or journey


def journey_stamped(stamp: str | None, facts: Facts, settings: Settings) -> str | None:
    """R11: the journey that a stamp names."""
    known = facts.journeys | set(settings.journey_names)
    named = [journey for journey in known if label_of(journey, settings) == stamp]
    return max(named) if named else None


def credit(event: Event, touches: Iterable[Touch], facts: Facts, settings: Settings) -> Credit:
    """R1, R2, R4, R11: the credit of one event, given every touch of the application."""
    what = (event.user, event.event_type, event.time, event.value, event.currency)
    before = [touch for touch in touches if touch.user == event.user and touch.time <= event.time]
    if not before:
        stamped = journey_stamped(event.stamp, facts, settings)
        return Credit(*what, stamped, None, "stamp" if stamped else None, event.stamp)
    newest = max(before, key=Touch.order)
    if event.time < newest.time + newest.window:
        touch = CreditingTouch(newest.time, newest.kind, newest.channel)
        return Credit(*what, newest.journey_id, touch, "touch", event.stamp)
    return Credit(*what, None, None, None, event.stamp)


def day_of(time: int) -> str:
    """The UTC day of a time, as YYYY-MM-DD."""
    return (EPOCH + timedelta(milliseconds=time)).date().isoformat()


@dataclass
class Tally:
    """What happened in one day, of one journey, of none or of all; events are by `(event type, currency)`."""

    sends: int = 0
    touches: Counter[str] = field(default_factory=Counter)
    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    values: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    stamps_agreeing: int = 0
    stamps_disagreeing: int = 0

    def add_event(self, event: Credit) -> None:
        self.counts[event.event_type, event.currency] += 1
        if event.value is not None and event.currency is not None:
            cell = (event.event_type, event.currency)
            self.values[cell] = EXACT.add(self.values.get(cell, Decimal(0)), event.value)

    def add_stamp(self, stamp: str, label: str) -> None:
        """R11: whether a stamp agrees with the touch."""
        self.stamps_agreeing += stamp == label
        self.stamps_disagreeing += stamp != label

    @property
    def events(self) -> Counter[str]:
        """Number of events by type."""
        by_type: Counter[str] = Counter()
        for (event_type, _), count in self.counts.items():
            by_type[event_type] += count
        return by_type

    @property
    def revenue(self) -> dict[str, Decimal]:
        """Value by currency, refunds subtracted; a currency whose sum is zero is there too."""
        by_currency: dict[str, Decimal] = {}
        for (_, currency), value in self.values.items():
            by_currency[currency] = EXACT.add(by_currency.get(currency, Decimal(0)), value)
        return by_currency


@dataclass
class Outcome:
    """All that the rules say of one application."""

    settings: Settings
    touches: list[Touch]  # in their order, of all users
    sends: list[Send]
    credits: dict[FactKey, Credit]
    named_journeys: set[str]  # by a marketer, a send or a step: the others' campaigns are not written to Cognito

    def campaigns(self, now_ms: int) -> dict[Identity, str | None]:
        """R7: the campaign of every user who has a touch; None once its window has ended."""
        newest = {touch.user: touch for touch in self.touches}
        return {
            user: touch.journey_id if now_ms < touch.time + touch.window else None for user, touch in newest.items()
        }

    @property
    def tallies(self) -> dict[tuple[str, str], Tally]:
        """By (day, journey id)."""
        tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
        for send in self.sends:
            tallies[day_of(send.time), send.journey_id].sends += 1
        for touch in self.touches:
            tallies[day_of(touch.time), touch.journey_id].touches[touch.kind] += 1
        for event in self.credits.values():
            if event.journey_id is not None:
                tally = tallies[day_of(event.time), event.journey_id]
                tally.add_event(self.counted(event))
                if event.stamp is not None and event.basis == "touch":
                    tally.add_stamp(event.stamp, label_of(event.journey_id, self.settings))
        return dict(tallies)

    @property
    def unattributed(self) -> dict[str, Tally]:
        """By day: the events without a credit."""
        return self._by_day(event for event in self.credits.values() if event.journey_id is None)

    @property
    def totals(self) -> dict[str, Tally]:
        """By day: all events."""
        return self._by_day(self.credits.values())

    def _by_day(self, events: Iterable[Credit]) -> dict[str, Tally]:
        days: dict[str, Tally] = defaultdict(Tally)
        for event in events:
            days[day_of(event.time)].add_event(self.counted(event))
        return dict(days)

    def counted(self, event: Credit) -> Credit:
        """The event under the type that it is counted by: `other` for a type beyond the cap."""
        named = self.settings.counted_types
        return event if named is None or event.event_type in named else event._replace(event_type="other")

    @property
    def touch_tallies(self) -> dict[tuple[str, str], Tally]:
        """Credited events by (day of the touch that they are credited to, journey id); a stamped one has its own."""
        tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
        for event in self.credits.values():
            if event.journey_id is not None:
                tallies[touch_day_of(event), event.journey_id].add_event(self.counted(event))
        return dict(tallies)

    def reached(self, journey_id: str, first_day: str, last_day: str) -> set[Identity]:
        """The users with a touch of the journey in these days, both included."""
        return {t.user for t in self.touches if t.journey_id == journey_id and first_day <= day_of(t.time) <= last_day}

    def credited(self, journey_id: str, first_day: str, last_day: str, *, by_touch: bool = False) -> list[Credit]:
        """The events credited to the journey in these days, both included: their own, or those of their touches."""
        day = touch_day_of if by_touch else own_day_of
        events = [event for event in self.credits.values() if event.journey_id == journey_id]
        return [event for event in events if first_day <= day(event) <= last_day]

    def converters(self, journey_id: str, first_day: str, last_day: str) -> set[Identity]:
        """The users with an event credited to the journey in these days, both included."""
        return {event.user for event in self.credited(journey_id, first_day, last_day)}


def own_day_of(event: Credit) -> str:
    return day_of(event.time)


def touch_day_of(event: Credit) -> str:
    return day_of(event.touch.time if event.touch else event.time)


def outcome_of(facts: Facts, settings: Settings) -> Outcome:
    taken = [touch for touch in facts.touches.values() if touch.journey_id not in settings.beyond_cap]
    facts.journeys -= settings.beyond_cap
    touches = [touch._replace(user=resolve(touch.user, touch.time, facts.links)) for touch in taken]
    events = {k: e._replace(user=resolve(e.user, e.time, facts.links)) for k, e in facts.events.items()}
    credits = {key: credit(event, touches, facts, settings) for key, event in events.items()}
    touches.sort(key=lambda touch: (touch.order(), touch.user))
    named = facts.named_journeys | set(settings.journey_names)
    return Outcome(settings, touches, sorted(facts.sends.values()), credits, named)


def run(records: Iterable[Record], settings_by_app: Mapping[str, Settings]) -> dict[str, Outcome]:
    """The outcome of every application that has settings or records. Applications share nothing."""
    facts: dict[str, Facts] = {application: Facts() for application in settings_by_app}
    for given in records:
        record = parsed(given) if isinstance(given, bytes) else given
        if record is None:
            continue  # R14: it alters nothing
        if isinstance(record, Step):
            application = str(record.payload["ApplicationId"])
            read_step(record, settings_by_app.get(application, Settings()), facts.setdefault(application, Facts()))
        elif reader := reader_of(str(record["event_type"])):
            application = str(dig(record, "application", "app_id"))
            reader(record, settings_by_app.get(application, Settings()), facts.setdefault(application, Facts()))
    return {app: outcome_of(found, settings_by_app.get(app, Settings())) for app, found in facts.items()}


def malformed(records: Iterable[Record]) -> int:
    """R14: how many of the records are quarantined, each as often as it comes."""
    return sum(isinstance(record, bytes) and parsed(record) is None for record in records)
