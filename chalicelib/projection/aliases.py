"""Aliases: whose fact is it? (R6)

A fact that names only an alias lies in the alias's partition. Once a link tells whose the alias is, a copy is
placed in that identity's partition, and when links move it the copy there is marked as gone; the change stream
takes both on to the projection of that identity. Only links that were projected count here, and they are kept in
the views: what is placed where is always what they say.

While an alias was only ever linked to one identity, that identity is all there is to know. The list of links is
kept once there are more. What an alias that others had too was to a user who is erased stays as a link to nobody, up to
the time of the erasure; from then on the alias is its own user, until the next link.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.facts.items import facts_between
from chalicelib.facts.model import (
    ERASED,
    Erase,
    Event,
    Fact,
    Identity,
    Interaction,
    Link,
    PlacedFact,
    Send,
    Step,
    digest_of,
)
from chalicelib.facts.reading import Owner
from chalicelib.keys import LAST, Key, fact_key, padded
from chalicelib.projection.sweeps import Left
from chalicelib.settings.model import Settings
from chalicelib.tables import Item

if TYPE_CHECKING:
    from chalicelib.erasure.bars import Bars
    from chalicelib.keys import ViewKeys
    from chalicelib.projection.budget import Budget
    from chalicelib.projection.sweeps import Sweeps
    from chalicelib.projection.unit import Unit
    from chalicelib.projection.users import Users

MANY = "many"

MOST_OWNERS = 100
"""Users that an alias may be linked to in the course of time: a device has a few. Links to more are not taken."""

LINKS_AT_ONCE = 200
"""Links that one call reads."""


class Linked(msgspec.Struct, frozen=True):
    """At ``time`` (ms UTC) the alias was ``owner``; of an erased user's link only up to and with ``until``."""

    time: int
    owner: Identity
    until: int | None = None

    @property
    def order(self) -> tuple[int, tuple[int, str]]:
        return (self.time, self.owner.rank)

    def owner_of(self, time: int) -> Identity | None:
        """Whose a fact of a time is that this link decides; None: the alias is its own user again."""
        return self.owner if self.until is None or time <= self.until else None


def links_of(fact: Fact) -> Linked | None:
    """The link that a fact in an alias's partition makes, if it makes any."""
    return Linked(fact.time, fact.owner) if isinstance(fact, Link | Send | Step) and fact.owner else None


def erasure(application: str, identity: Identity, mark: Erase) -> PlacedFact:
    """The mark that makes the projection erase what lies in an identity's partition."""
    return PlacedFact(application, identity, digest_of(["erase", mark.owner, mark.until]), mark)


def deciding(links: Iterable[Linked]) -> list[Linked]:
    """Of the links of an alias those that decide, one a millisecond, in order of time."""
    last = {link.time: link for link in sorted(links, key=lambda one: one.order)}
    return sorted(last.values(), key=lambda one: one.time)


class Aliases:
    """Projects what lies in partitions of aliases, within a unit of work."""

    def __init__(
        self,
        unit: Unit,
        keys: ViewKeys,
        users: Sequence[Users],
        settings: Settings,
        bars: Bars,
        sweeps: Sweeps,
        budget: Budget,
    ) -> None:
        self._settings = settings
        self._unit = unit
        self._keys = keys
        self._users = users
        self._bars = bars
        self._sweeps = sweeps
        self._budget = budget

    def owner_at(self, alias: Identity, time: int) -> Identity | None:
        """The identity that a fact of an alias belongs to, or None: the alias is its own user."""
        state = self._unit.get(self._keys.links(alias))
        if state is None:
            return None
        if state["kind"] != MANY:
            return owner_in(state)
        link = self._last_link(alias, f"{padded(time)}#{LAST}") or self._earliest(alias)
        return link.owner_of(time) if link else None

    # --- facts of an alias ---

    def place(self, placed: PlacedFact, owner: Identity, *, gone: bool = False) -> None:
        """Put a copy of an alias's fact into its owner's partition, or mark the copy there as gone."""
        self._unit.place(msgspec.structs.replace(_copied_to(owner, placed), gone=gone), self._settings)

    # --- links ---

    def linked(self, alias: Identity, link: Linked) -> Iterator[None]:
        """An alias has one more link: facts that it tells the owner of move. Yields between moves."""
        key = self._keys.links(alias)
        state = self._unit.get(key)
        if state is None:
            yield from self._move(alias, 0, None, None, link.owner)
            self._unit.put({**_key_fields(key), "kind": link.owner.kind, "name": link.owner.name})
            self.note(link.owner, alias)
        elif state["kind"] == MANY:
            yield from self._one_of_many(alias, link)
        elif "owners" in state and self._sweeps.left(alias, "links"):
            self.keep(alias, link)
        elif owner_in(state) != link.owner:
            yield from self._become_many(alias, owner_in(state))

    def linked_to_erased(self, alias: Identity, link: Linked) -> Iterator[None]:
        """A late record links an alias to a user who is erased, at a time that is: what it tells the owner of goes."""
        state = self._unit.get(self._keys.links(alias))
        until = self._bars.until(link.owner)
        if state is None:
            self.erase(alias, link.owner)
            return
        if state["kind"] != MANY:
            if self._bars.cover(owner_in(state), link.time):
                return
            yield from self._become_many(alias, owner_in(state))
        if self._sweeps.left(alias, "links"):
            self.keep(alias, Linked(link.time, ERASED, until))
            return
        at_once = self._last_link(alias, f"{padded(link.time)}#{LAST}")
        if at_once is None or at_once.time < link.time or at_once.order < link.order:
            yield from self._one_of_many(alias, Linked(link.time, ERASED, until))

    def erase(self, alias: Identity, owner: Identity) -> None:
        """An alias was an erased user's: what it was to that user is to be erased."""
        mark = Erase(self._bars.until(owner), owner)
        self._unit.place(erasure(self._keys.application, alias, mark), Settings())

    def _become_many(self, alias: Identity, only: Identity) -> Iterator[None]:
        """The first link to somebody else: keep all links from now on, and move what they say differently."""
        links: list[Linked] = []
        for placed, link in self.links_told(alias):
            if not self._budget.take():
                self._sweeps.leave(alias, "links", Left(0, None, fact_key(placed).sk))
                return
            self.keep(alias, link, noted=link.owner == only)
            links.append(link)
            yield
        decided = deciding(links)
        for at, link in enumerate(decided):
            start = link.time if at else 0
            end = decided[at + 1].time if at + 1 < len(decided) else None
            if link.owner != only:
                yield from self._move(alias, start, end, only, link.owner)
        self.has_many(alias)

    def links_told(self, alias: Identity, from_key: str = "") -> Iterator[tuple[PlacedFact, Linked]]:
        """All links in an alias's partition of facts but those of erased users, from a sort key on."""
        facts = facts_between(
            self._unit.facts, self._keys.application, alias, "l", 0, None, page=LINKS_AT_ONCE, from_key=from_key
        )
        for placed in facts:
            link = links_of(placed.fact)
            if link and not self._bars.cover(link.owner, link.time):
                yield placed, link

    def has_many(self, alias: Identity) -> None:
        """From here on the stored links decide."""
        state = self._unit.get(self._keys.links(alias)) or {}
        owners = {"owners": state["owners"]} if "owners" in state else {}
        self._unit.put({**_key_fields(self._keys.links(alias)), "kind": MANY, **owners})

    def _one_of_many(self, alias: Identity, link: Linked) -> Iterator[None]:
        if self._unit.get(self._keys.link(alias, link.time, link.owner)):
            return
        at_or_before = self._last_link(alias, f"{padded(link.time)}#{LAST}")
        if at_or_before and at_or_before.time == link.time and at_or_before.order > link.order:
            self.keep(alias, link)
            return
        earliest = self._earliest(alias)
        before = at_or_before or earliest
        following = self._unit.first(self._keys.alias(alias), f"link#{padded(link.time)}#{LAST}", f"link#{LAST}")
        start = 0 if earliest is None or link.time <= earliest.time else link.time
        end = link_in(following).time if following else None
        if before and link.until is not None and (end is None or end > link.until + 1):
            # Whose the alias was known to be after the erasure, it still is.
            end = link.until + 1
            if before.owner != ERASED:
                self.keep(alias, Linked(end, before.owner))
        if before and before.owner != link.owner:
            yield from self._move(alias, start, end, None if before.owner == ERASED else before.owner, link.owner)
        self.keep(alias, link, noted=before is not None and before.owner == link.owner)

    def _move(
        self, alias: Identity, start: int, end: int | None, old: Identity | None, new: Identity
    ) -> Iterator[None]:
        """Facts of an alias with ``start <= time < end`` go from ``old`` (None: the alias itself) to ``new``; what is
        beyond the budget is left to a sweep.
        """
        if self._unit.get(self._keys.links(alias)) and self._sweeps.left(alias, "places"):
            self._sweeps.leave(alias, "places", Left(start, end))
            return
        for placed in self._unit.reader.movable(Owner(self._keys.application, alias), start, end):
            if self._bars.cover(alias, placed.fact.time):
                continue
            if not self._budget.take():
                self._sweeps.leave(alias, "places", Left(start, end, fact_key(placed).sk))
                return
            if old:
                self.place(placed, old, gone=True)
            else:
                self._withdraw(alias, placed)
            if not placed.gone:
                self._settle(placed, new)
            yield

    def place_anew(
        self, alias: Identity, facts: Sequence[PlacedFact], former: Iterable[Identity] = ()
    ) -> Iterator[PlacedFact | None]:
        """Place facts of an alias where its links say, and only there; yields after each, those that are its own.

        ``former`` are owners of whom no link is left.
        """
        others = self.owners(alias) | set(former)
        copies = [_copied_to(other, placed) for placed in facts for other in others]
        stored = self._unit.facts.get_many(map(fact_key, copies))
        held = {key for key, item in stored.items() if not item.get("gone")}
        for placed in facts:
            owner = self.owner_at(alias, placed.fact.time)
            for other in others if placed.gone else others - {owner}:
                if fact_key(_copied_to(other, placed)) in held:
                    self.place(placed, other, gone=True)
            if owner is None:
                yield None if placed.gone else placed
                continue
            self._withdraw(alias, placed)
            if not placed.gone:
                self._settle(placed, owner)
            yield None

    def owners(self, alias: Identity) -> set[Identity]:
        """Who may have copies of an alias's facts: whoever it was ever linked to."""
        state = self._unit.get(self._keys.links(alias))
        if state is None:
            return set()
        if state["kind"] != MANY:
            return {owner_in(state)}
        return {Identity(*owner.split("#", 1)) for owner in state.get("owners", {})}

    def _settle(self, placed: PlacedFact, owner: Identity) -> None:
        """A fact of an alias is its owner's now; what is erased of the owner is nobody's."""
        if owner == ERASED or self._bars.cover(owner, placed.fact.time):
            self._unit.remove(placed)
        else:
            self.place(placed, owner)

    def _withdraw(self, alias: Identity, placed: PlacedFact) -> None:
        """Take a fact from an alias that was its own user: all its facts go, so nothing is left to decide."""
        if isinstance(placed.fact, Event):
            for users in self._users:
                users.event_withdrawn(alias, placed.fact, placed.digest)
        elif isinstance(placed.fact, Interaction):
            for users in self._users:
                users.touch_withdrawn(alias, placed.fact, placed.digest)

    # --- the stored links ---

    def links(self, alias: Identity, after: str = "link#") -> Iterator[Linked]:
        """Links of an alias that are stored one by one, in order, those that come after a sort key."""
        items = self._unit.views.query(self._keys.alias(alias), f"{after}\x00", f"link#{LAST}", page=LINKS_AT_ONCE)
        return map(link_in, items)

    def sort_key(self, alias: Identity, link: Linked) -> str:
        """Where a link stands among the alias's."""
        return self._keys.link(alias, link.time, link.owner).sk

    def keep(self, alias: Identity, link: Linked, *, noted: bool = False) -> None:
        """Store one of an alias's links; ``noted``: its owner is known to have this alias."""
        if not self._add_owner(alias, link.owner):
            self._unit.count("CappedLinks")
            return
        key = self._keys.link(alias, link.time, link.owner)
        item = {**_key_fields(key), "time": link.time, "kind": link.owner.kind, "name": link.owner.name}
        self._unit.put(item if link.until is None else {**item, "until": link.until})
        if not noted:
            self.note(link.owner, alias)

    def _add_owner(self, alias: Identity, owner: Identity) -> bool:
        """Note that an alias has an owner; False where it has as many as it may have."""
        state = self._unit.get(self._keys.links(alias)) or _key_fields(self._keys.links(alias))
        owners, tag = state.get("owners", {}), f"{owner.kind}#{owner.name}"
        if owner == ERASED or tag in owners:
            return True
        if len(owners) >= MOST_OWNERS:
            return False
        self._unit.put({**state, "owners": {**owners, tag: True}})
        return True

    def forget_owner(self, alias: Identity, owner: Identity) -> None:
        """Whoever is erased is no longer among an alias's owners."""
        if state := self._unit.get(self._keys.links(alias)):
            owners = {tag: True for tag in state.get("owners", {}) if tag != f"{owner.kind}#{owner.name}"}
            self._unit.put({**state, "owners": owners})

    def drop(self, alias: Identity, link: Linked) -> None:
        """Forget one of an alias's links."""
        self._unit.delete(self._keys.link(alias, link.time, link.owner))

    def note(self, owner: Identity, alias: Identity) -> None:
        """Whoever erases a user must find the aliases."""
        if owner != ERASED:
            key = self._keys.alias_of(owner, alias)
            self._unit.put({**_key_fields(key), "kind": alias.kind, "name": alias.name})

    def _last_link(self, alias: Identity, high: str) -> Linked | None:
        item = self._unit.first(self._keys.alias(alias), "link#", f"link#{high}", descending=True)
        return link_in(item) if item else None

    def _earliest(self, alias: Identity) -> Linked | None:
        """The link that decides the alias's facts before all links: the greatest of the first millisecond."""
        first = self._unit.first(self._keys.alias(alias), "link#", f"link#{LAST}")
        return self._last_link(alias, f"{padded(link_in(first).time)}#{LAST}") if first else None


def _copied_to(owner: Identity, placed: PlacedFact) -> PlacedFact:
    """The copy of an alias's fact in its owner's partition."""
    return msgspec.structs.replace(placed, identity=owner, via=placed.identity.kind)


def _key_fields(key: Key) -> Item:
    return {"pk": key.pk, "sk": key.sk}


def owner_in(item: dict[str, Any]) -> Identity:
    """Whose an alias is by what is stored of it or of a link."""
    return Identity(item["kind"], item["name"])


def link_in(item: dict[str, Any]) -> Linked:
    """One of an alias's links, as it is stored."""
    return Linked(int(item["time"]), owner_in(item), int(item["until"]) if "until" in item else None)
