"""Aliases: whose fact is it? (R6)

A fact that names only an alias lies in the alias's partition. Once a link tells whose the alias is, a copy is
placed in that identity's partition, and when links move it the copy there is marked as gone; the change stream
takes both on to the projection of that identity. Only links that were projected count here, and they are kept in
the views: what is placed where is always what they say.

While an alias was only ever linked to one identity, that identity is all there is to know. The list of links is
kept once there are more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.facts.items import facts_between
from chalicelib.facts.model import Event, Identity, Interaction, Link, PlacedFact, Send, Step
from chalicelib.facts.reading import Owner
from chalicelib.keys import LAST, Key, padded
from chalicelib.tables import Item

if TYPE_CHECKING:
    from chalicelib.keys import ViewKeys
    from chalicelib.projection.unit import Unit
    from chalicelib.projection.users import Users
    from chalicelib.settings import Settings

MANY = "many"


class Linked(msgspec.Struct, frozen=True):
    """At ``time`` (ms UTC) the alias was ``owner``."""

    time: int
    owner: Identity

    @property
    def order(self) -> tuple[int, tuple[int, str]]:
        return (self.time, self.owner.rank)


def links_of(fact: Link | Send | Step) -> Linked | None:
    """The link that a fact in an alias's partition makes, if it names anybody."""
    return Linked(fact.time, fact.owner) if fact.owner else None


class Aliases:
    """Projects what lies in partitions of aliases, within a unit of work."""

    def __init__(self, unit: Unit, keys: ViewKeys, users: Sequence[Users], settings: Settings) -> None:
        self._settings = settings
        self._unit = unit
        self._keys = keys
        self._users = users

    def owner_at(self, alias: Identity, time: int) -> Identity | None:
        """The identity that a fact of an alias belongs to, or None: the alias is its own user."""
        state = self._unit.get(self._keys.links(alias))
        if state is None:
            return None
        if state["kind"] != MANY:
            return _owner(state)
        link = self._last_link(alias, f"{padded(time)}#{LAST}") or self._earliest(alias)
        return link.owner if link else None

    # --- facts of an alias ---

    def place(self, placed: PlacedFact, owner: Identity, *, gone: bool = False) -> None:
        """Put a copy of an alias's fact into its owner's partition, or mark the copy there as gone."""
        copy = msgspec.structs.replace(placed, identity=owner, via=placed.identity.kind, gone=gone)
        self._unit.place(copy, self._settings)

    # --- links ---

    def linked(self, alias: Identity, link: Linked) -> Iterator[None]:
        """An alias has one more link: facts that it tells the owner of move. Yields between moves."""
        key = self._keys.links(alias)
        state = self._unit.get(key)
        if state is None:
            yield from self._move(alias, 0, None, None, link.owner)
            self._unit.put({**_key_fields(key), "kind": link.owner.kind, "name": link.owner.name})
        elif state["kind"] == MANY:
            yield from self._one_of_many(alias, link)
        elif _owner(state) != link.owner:
            yield from self._become_many(alias, _owner(state))
            self._unit.put({**_key_fields(key), "kind": MANY})

    def _become_many(self, alias: Identity, only: Identity) -> Iterator[None]:
        """The first link to somebody else: keep all links from now on, and move what they say differently."""
        facts = facts_between(self._unit.facts, self._keys.application, alias, "l", 0, None)
        links = [found for one in facts if isinstance(one.fact, Link | Send | Step) and (found := links_of(one.fact))]
        for link in links:
            self._keep(alias, link)
            yield
        deciding = {link.time: link for link in sorted(links, key=lambda one: one.order)}
        decided = sorted(deciding.values(), key=lambda one: one.time)
        for at, link in enumerate(decided):
            start = link.time if at else 0
            end = decided[at + 1].time if at + 1 < len(decided) else None
            if link.owner != only:
                yield from self._move(alias, start, end, only, link.owner)

    def _one_of_many(self, alias: Identity, link: Linked) -> Iterator[None]:
        if self._unit.get(self._keys.link(alias, link.time, link.owner)):
            return
        at_or_before = self._last_link(alias, f"{padded(link.time)}#{LAST}")
        if at_or_before and at_or_before.time == link.time and at_or_before.order > link.order:
            self._keep(alias, link)
            return
        earliest = self._earliest(alias)
        before = at_or_before or earliest
        following = self._unit.first(self._keys.alias(alias), f"link#{padded(link.time)}#{LAST}", f"link#{LAST}")
        start = 0 if earliest is None or link.time <= earliest.time else link.time
        end = _link(following).time if following else None
        if before and before.owner != link.owner:
            yield from self._move(alias, start, end, before.owner, link.owner)
        self._keep(alias, link)

    def _move(
        self, alias: Identity, start: int, end: int | None, old: Identity | None, new: Identity
    ) -> Iterator[None]:
        """Facts of an alias with ``start <= time < end`` go from ``old`` (None: the alias itself) to ``new``."""
        for placed in self._unit.reader.movable(Owner(self._keys.application, alias), start, end):
            if old:
                self.place(placed, old, gone=True)
            else:
                self._withdraw(alias, placed)
            if not placed.gone:
                self.place(placed, new)
            yield

    def _withdraw(self, alias: Identity, placed: PlacedFact) -> None:
        """Take a fact from an alias that was its own user: all its facts go, so nothing is left to decide."""
        if isinstance(placed.fact, Event):
            for users in self._users:
                users.event_withdrawn(alias, placed.fact, placed.digest)
        elif isinstance(placed.fact, Interaction):
            for users in self._users:
                users.touch_withdrawn(alias, placed.fact, placed.digest)

    # --- the stored links ---

    def _keep(self, alias: Identity, link: Linked) -> None:
        key = self._keys.link(alias, link.time, link.owner)
        self._unit.put({**_key_fields(key), "time": link.time, "kind": link.owner.kind, "name": link.owner.name})

    def _last_link(self, alias: Identity, high: str) -> Linked | None:
        item = self._unit.first(self._keys.alias(alias), "link#", f"link#{high}", descending=True)
        return _link(item) if item else None

    def _earliest(self, alias: Identity) -> Linked | None:
        """The link that decides the alias's facts before all links: the greatest of the first millisecond."""
        first = self._unit.first(self._keys.alias(alias), "link#", f"link#{LAST}")
        return self._last_link(alias, f"{padded(_link(first).time)}#{LAST}") if first else None


def _key_fields(key: Key) -> Item:
    return {"pk": key.pk, "sk": key.sk}


def _owner(item: dict[str, Any]) -> Identity:
    return Identity(item["kind"], item["name"])


def _link(item: dict[str, Any]) -> Linked:
    return Linked(int(item["time"]), _owner(item))
