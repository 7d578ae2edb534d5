"""Questions about events and users: pages of credited events, a user's rest, a user's history."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from chalicelib.api.owners import Owners
from chalicelib.attribution.touches import Touch
from chalicelib.attribution.value import Value, value_of
from chalicelib.facts.items import events_between
from chalicelib.facts.model import Event, Identity
from chalicelib.keys import LAST, ViewKeys, fact_partition, padded, parse_user_partition
from chalicelib.projection.views import Basis, Campaign, Credit, campaign_from, credit_from, touch_from
from chalicelib.reports.credited import CreditedEvents
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.sources.records import LONGEST_NAME
from chalicelib.tables import Item, Table
from chalicelib.times import LAST_MS

UNATTRIBUTED = "unattributed"

MOST_LOOKED_AT = 5_000
"""Events that one page looks at, however few of them the filters let through; the next page goes on from there."""


class Row(NamedTuple):
    """An event as answers show it.

    Attributes
    ----------
    position
        Orders rows, newest last.
    counts
        False where the settings do not count events of this type: no answer shows it.
    """

    position: str
    user: Identity
    event_type: str
    time: int
    value: Value | None
    journey: str | None
    touch: Touch | None
    basis: Basis | None
    counts: bool = True


class Filters(NamedTuple):
    """Which events are asked for; times ms UTC, ``start <= time < end``; None lets everything through."""

    journey: str | None
    event_type: str | None
    user: str | None
    start: int | None
    end: int | None

    def let_through(self, row: Row) -> bool:
        if not row.counts:
            return False
        if self.event_type is not None and row.event_type != self.event_type:
            return False
        return self.journey is None or row.journey == (None if self.journey == UNATTRIBUTED else self.journey)


class Page(NamedTuple):
    """Rows, newest first, and the position to go on from (None: there are no more)."""

    rows: list[Row]
    next_position: str | None


class History(NamedTuple):
    """What is known of a user, newest first.

    ``deciders`` are the newest touches at or before each of the events, also of those that they give no credit.
    """

    user: Identity
    campaign: Campaign
    touches: list[Touch]
    events: list[Row]
    deciders: list[Touch | None]


class EventQueries:
    """Answers questions about events from the views, and from the facts for what no journey has credit for."""

    def __init__(self, facts: Table, views: Table, settings: SettingsStore, credited: CreditedEvents) -> None:
        self._facts = facts
        self._views = views
        self._settings = settings
        self._credited = credited

    def page(self, application: str, filters: Filters, limit: int, position: str | None) -> Page:
        """A page of events, newest first, below ``position``. ``journey`` UNATTRIBUTED needs a user."""
        rows: list[Row] = []
        for looked_at, row in enumerate(self._rows(application, filters, limit, position), start=1):
            if filters.let_through(row):
                if len(rows) == limit:
                    return Page(rows, rows[-1].position)
                rows.append(row)
            if looked_at == MOST_LOOKED_AT:
                return Page(rows, row.position)
        return Page(rows, None)

    def history(self, application: str, name: str, limit: int) -> History | None:
        """The newest touches and events of a user, or None where nothing is known of one.

        Of a user's events the newest `MOST_LOOKED_AT` are looked at.
        """
        user = self.find_user(application, name)
        if user is None:
            return None
        settings = self._settings.get(application)
        keys = ViewKeys(application, settings.generation)
        item = self._views.get(keys.campaign(user))
        touches = self._touches_until(keys, user, LAST_MS, limit)
        looked_at = islice(self._events_of(application, keys, settings, user, 0, LAST_MS + 1, limit), MOST_LOOKED_AT)
        events = list(islice((row for row in looked_at if row.counts), limit))
        return History(
            user=user,
            campaign=campaign_from(item) if item else Campaign(None, open=False),
            touches=touches,
            events=events,
            deciders=list(self._deciders(keys, user, touches, events, limit)),
        )

    def _touches_until(self, keys: ViewKeys, user: Identity, time: int, limit: int) -> list[Touch]:
        """The newest touches at or before a time."""
        last = f"touch#{padded(time)}#{LAST}"
        return [
            touch_from(one) for one in self._views.query(keys.user(user), "touch#", last, descending=True, limit=limit)
        ]

    def _deciders(
        self, keys: ViewKeys, user: Identity, touches: list[Touch], events: list[Row], limit: int
    ) -> Iterator[Touch | None]:
        """The newest touch at or before each event; those older than the newest few are looked up."""
        known = list(touches)
        there_are_more = len(touches) == limit
        for row in events:
            if row.user != user:
                yield next(iter(self._touches_until(keys, row.user, row.time, 1)), None)
                continue
            decider = next((one for one in known if one.time <= row.time), None)
            if decider is None and there_are_more:
                older = self._touches_until(keys, user, row.time, limit)
                known += older
                there_are_more = len(older) == limit
                decider = older[0] if older else None
            yield decider

    def find_user(self, application: str, name: str) -> Identity | None:
        """Who is meant by a name: the user of that user name, else of that ``UserId``, else of that endpoint id.

        An alias that was only ever linked to one user stands for that user.
        """
        if len(name.encode()) > LONGEST_NAME:
            return None
        keys = ViewKeys(application, self._settings.get(application).generation)
        for kind in ("n", "u", "p"):
            identity = Identity(kind, name)
            if any(True for _ in self._facts.query(fact_partition(application, identity), limit=1)):
                return self._owner(keys, identity)
        return None

    def _owner(self, keys: ViewKeys, identity: Identity) -> Identity:
        while identity.is_alias:
            state = self._views.get(keys.links(identity))
            if state is None or state["kind"] not in ("n", "u"):
                break
            identity = Identity(state["kind"], state["name"])
        return identity

    # --- rows, newest first ---

    def _rows(self, application: str, filters: Filters, limit: int, position: str | None) -> Iterator[Row]:
        """Events below ``position``, of which the filters may let some through."""
        settings = self._settings.get(application)
        keys = ViewKeys(application, settings.generation)
        low = padded(filters.start or 0)
        high = position or padded(LAST_MS + 1 if filters.end is None else filters.end)
        rows: Iterator[Row] = iter(())
        if filters.user is None:
            items = self._credited.by_time(
                application, keys.generation, low, high, descending=True, wanted=limit, journey=filters.journey
            )
            rows = map(indexed_row, items)
        elif user := self.find_user(application, filters.user):
            if filters.journey == UNATTRIBUTED:
                # A position is a time and more: events of its very millisecond may be below it.
                end = int(high[:15]) + (position is not None)
                rows = self._events_of(application, keys, settings, user, filters.start or 0, end, limit)
            else:
                rows = self._credits_of(keys, user, low, high, limit)
        for row in rows:
            if position is None or row.position < position:
                yield row

    def _credits_of(self, keys: ViewKeys, user: Identity, low: str, high: str, limit: int) -> Iterator[Row]:
        items = self._views.query(keys.user(user), f"credit#{low}", f"credit#{high}", descending=True, page=limit + 1)
        return (credited_row(user, credit_from(item)) for item in items)

    def _events_of(
        self, application: str, keys: ViewKeys, settings: Settings, user: Identity, start: int, end: int, limit: int
    ) -> Iterator[Row]:
        """All events of a user, with the credits they have; those of an alias, with the users they belong to.

        Those that do not count are among them, so that the caller can tell how many were read.
        """
        owners = Owners(self._views, keys)
        events = events_between(self._facts, application, user, start, end, descending=True, page=limit + 1)
        while chunk := list(islice(events, limit + 1)):
            whose = [owners.owner_at(user, event.time) for _, event in chunk]
            wanted = [
                keys.credit(owner, event.time, placed.digest)
                for (placed, event), owner in zip(chunk, whose, strict=True)
            ]
            found = self._views.get_many(wanted)
            for (placed, event), owner, key in zip(chunk, whose, wanted, strict=True):
                item = found.get(key)
                if item:
                    yield credited_row(owner, credit_from(item))
                else:
                    yield _uncredited_row(owner, event, placed.digest, settings)


def indexed_row(item: Item) -> Row:
    """An item of a journey's index as a row."""
    parsed = parse_user_partition(item["pk"])
    if parsed is None:
        raise ValueError(f"{item['pk']} is no user's partition")
    return credited_row(parsed[2], credit_from(item))


def credited_row(user: Identity, credit: Credit) -> Row:
    """A credited event as a row."""
    return Row(
        position=f"{padded(credit.event_time)}#{credit.digest}",
        user=user,
        event_type=credit.event_type,
        time=credit.event_time,
        value=credit.value,
        journey=credit.journey,
        touch=credit.touch,
        basis=credit.basis,
    )


def _uncredited_row(user: Identity, event: Event, digest: str, settings: Settings) -> Row:
    value = value_of(event, settings.value_at(event.time))
    counts = settings.policy_at(event.time).counts_event(event.type)
    position = f"{padded(event.time)}#{digest}"
    return Row(position, user, event.type, event.time, value, journey=None, touch=None, basis=None, counts=counts)
