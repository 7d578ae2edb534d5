"""Turns of sweeps: what a mark in a partition of facts makes the projection go on with (`sweeps`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from chalicelib.facts.items import events_between, movable_between
from chalicelib.facts.model import Event, Identity, PlacedFact, SweepKind
from chalicelib.keys import fact_key
from chalicelib.projection.aliases import links_of
from chalicelib.projection.sweeps import Left

if TYPE_CHECKING:
    from chalicelib.projection.aliases import Aliases
    from chalicelib.projection.budget import Budget
    from chalicelib.projection.generations import Generation
    from chalicelib.projection.sweeps import Sweeps
    from chalicelib.projection.unit import Unit

OWNERS_A_STEP = 8

FACTS_AT_ONCE = 50
"""Facts whose views are read in one call."""


class Sweeping:
    """Goes on with the sweeps of one application, within a unit of work."""

    def __init__(
        self,
        unit: Unit,
        application: str,
        generations: Sequence[Generation],
        aliases: Aliases,
        sweeps: Sweeps,
        budget: Budget,
    ) -> None:
        self._unit = unit
        self._application = application
        self._generations = generations
        self._aliases = aliases
        self._sweeps = sweeps
        self._budget = budget

    def turn(self, identity: Identity, of: SweepKind) -> Iterator[bool | None]:
        """As many steps as the budget allows; yields where the unit may be committed, True where it must be.

        Interrupted, the turn is done again from where it began: every step is a diff against what is stored.
        """
        left = self._sweeps.left(identity, of)
        if left is None:
            self._sweeps.end(identity, of)
            yield True
            return
        # Queries do not see what only this unit knows.
        yield True
        facts = self._facts(identity, of, left)
        some: list[PlacedFact] = []
        following = next(facts, None)
        # Of a fact of an alias the copies at all its owners are looked at.
        steps = 1 + len(self._aliases.owners(identity)) // OWNERS_A_STEP if of == "places" else 1
        while following and self._budget.take(steps):
            some.append(following)
            following = next(facts, None)
        yield from self._steps(identity, of, some)
        if following:
            self._sweeps.go_on(identity, of, msgspec.structs.replace(left, first=fact_key(following).sk))
            return
        self._sweeps.end(identity, of)
        if of == "links":
            self._aliases.has_many(identity)
            self._sweeps.leave(identity, "places", Left(0))
        # A mark that is placed in the same transaction may be the same as this one, and nobody would notice it.
        yield True

    def _facts(self, identity: Identity, of: SweepKind, left: Left) -> Iterator[PlacedFact]:
        """What is left, in order."""
        page = self._budget.limits.turn + 1
        if of == "links":
            return (placed for placed, _ in self._aliases.links_told(identity, left.first))
        where = (self._unit.facts, self._application, identity, left.start, left.end)
        if of == "places":
            return movable_between(*where, page=page, from_key=left.first)
        events = (placed for placed, _ in events_between(*where, page=page, from_key=left.first))
        return (one for one in events if self._is_own(identity, one))

    def _steps(self, identity: Identity, of: SweepKind, facts: Iterable[PlacedFact]) -> Iterator[None]:
        rest = iter(facts)
        while some := list(islice(rest, FACTS_AT_ONCE)):
            if of == "links":
                yield from self._keep_links(identity, some)
            elif of == "places":
                yield from self._place(identity, some)
            else:
                yield from self._decide(identity, some)

    def _keep_links(self, alias: Identity, facts: Iterable[PlacedFact]) -> Iterator[None]:
        for placed in facts:
            if link := links_of(placed.fact):
                self._aliases.keep(alias, link)
            yield

    def _place(self, alias: Identity, facts: Sequence[PlacedFact]) -> Iterator[None]:
        for generation in self._generations:
            self._unit.prefetch(key for placed in facts for key in generation.own_keys(placed))
        for own in self._aliases.place_anew(alias, facts):
            if own:
                for generation in self._generations:
                    yield from generation.fact_added(own)
            yield

    def _decide(self, user: Identity, facts: Sequence[PlacedFact]) -> Iterator[None]:
        events = [(placed, placed.fact) for placed in facts if isinstance(placed.fact, Event)]
        for generation in self._generations:
            self._unit.prefetch(generation.keys.credit(user, event.time, one.digest) for one, event in events)
            for _ in generation.users.decide(user, events):
                yield

    def _is_own(self, identity: Identity, placed: PlacedFact) -> bool:
        return not identity.is_alias or self._aliases.owner_at(identity, placed.fact.time) is None
