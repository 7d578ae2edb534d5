"""Facts read ahead: what a batch of change records will ask for, asked at once instead of one after the other.

Reading early is as good as reading late. A change record is at hand, so all that was written before it is seen by a
strongly consistent read; what is written after it has a change record of its own still to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from chalicelib.facts.items import events_between, movable_between
from chalicelib.facts.model import Event, Identity, PlacedFact
from chalicelib.keys import Key
from chalicelib.tables import Item, Table

AT_ONCE = 8
"""Queries under way together."""

MOST_AHEAD = 100
"""Facts of one identity that are read ahead; who has more is read again when it is their turn."""


class Owner(NamedTuple):
    """Whose partition."""

    application: str
    identity: Identity


class _Ahead(NamedTuple):
    """All facts of an identity from ``start`` on, if there were not too many."""

    start: int
    found: list[PlacedFact]


class FactReader:
    """Reads events and interactions of identities, some of them ahead."""

    def __init__(self, facts: Table) -> None:
        self._facts = facts
        self._events: dict[Owner, _Ahead] = {}
        self._movable: dict[Owner, _Ahead] = {}
        self._by_key: dict[Key, Item | None] = {}

    def read_ahead(self, events: Mapping[Owner, int], movable: Iterable[Owner]) -> None:
        """Read the events of owners from a time on (ms UTC), and all that a link would move of others."""
        aliases = list(movable)
        if not events and not aliases:
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            of_users = pool.map(self._events_ahead, events, events.values())
            of_aliases = pool.map(self._movable_ahead, aliases)
            self._events.update({owner: ahead for owner, ahead in zip(events, of_users, strict=True) if ahead})
            self._movable.update({owner: ahead for owner, ahead in zip(aliases, of_aliases, strict=True) if ahead})

    def events(self, owner: Owner, start: int, end: int | None) -> Iterator[tuple[PlacedFact, Event]]:
        """Events with ``start <= time < end``, each once, without those that a link moved elsewhere."""
        ahead = self._events.get(owner)
        if ahead is None or start < ahead.start:
            page = MOST_AHEAD + 1
            yield from events_between(self._facts, owner.application, owner.identity, start, end, page=page)
            return
        for placed in ahead.found:
            if start <= placed.fact.time and (end is None or placed.fact.time < end) and isinstance(placed.fact, Event):
                yield placed, placed.fact

    def movable(self, owner: Owner, start: int, end: int | None) -> Iterator[PlacedFact]:
        """What a link of an alias moves: its events and interactions, those already gone included."""
        ahead = self._movable.get(owner)
        if ahead is None or (start, end) != (0, None):
            page = MOST_AHEAD + 1
            return movable_between(self._facts, owner.application, owner.identity, start, end, page=page)
        return iter(ahead.found)

    def read_facts(self, keys: Iterable[Key]) -> None:
        """Read facts by their keys in few calls, so that ``facts`` finds them."""
        wanted = [key for key in keys if key not in self._by_key]
        if wanted:
            found = self._facts.get_many(wanted)
            self._by_key.update({key: found.get(key) for key in wanted})

    def facts(self, keys: Iterable[Key]) -> list[Item]:
        """Those of some facts that there are."""
        wanted = list(keys)
        self.read_facts(wanted)
        return [item for key in wanted if (item := self._by_key[key])]

    def _events_ahead(self, owner: Owner, start: int) -> _Ahead | None:
        found = events_between(self._facts, owner.application, owner.identity, start, None, page=MOST_AHEAD + 1)
        return _unless_too_many(start, (placed for placed, _ in found))

    def _movable_ahead(self, owner: Owner) -> _Ahead | None:
        found = movable_between(self._facts, owner.application, owner.identity, 0, None, page=MOST_AHEAD + 1)
        return _unless_too_many(0, found)


def _unless_too_many(start: int, found: Iterator[PlacedFact]) -> _Ahead | None:
    some = list(islice(found, MOST_AHEAD + 1))
    return _Ahead(start, some) if len(some) <= MOST_AHEAD else None
