"""Erasing: what a mark in a partition of facts makes its projection throw away.

A user's views have one writer, the projection of the shard in which the user's facts lie; so erasing is its work too.
What is known of the user goes without a word to the tallies, which name nobody and go on counting. Facts later than
the erasure are those of somebody new: their views are taken back before, and made again after.

An alias that was only this user's is erased like the user. Of an alias that others had too goes what was this user's:
facts within the times of the user's links, and the links' names. Every step may be done again, so a mark whose
projection is interrupted starts over and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chalicelib.attribution.stamps import stamp_of
from chalicelib.facts.items import expiring, facts_between, from_item, movable_between
from chalicelib.facts.model import ERASED, Erase, Event, Identity, Interaction, Link, PlacedFact, Send, Step
from chalicelib.keys import fact_key, fact_partition
from chalicelib.projection.aliases import MANY, Linked, deciding, erasure, links_of, owner_in
from chalicelib.projection.generations import SEEN_FOR
from chalicelib.projection.sweeps import KINDS
from chalicelib.projection.views import Campaign, campaign_item
from chalicelib.tables import key_of

if TYPE_CHECKING:
    from chalicelib.erasure.bars import Bars
    from chalicelib.projection.aliases import Aliases
    from chalicelib.projection.generations import Generation
    from chalicelib.projection.unit import Unit
    from chalicelib.settings.model import Settings

FACTS_AT_ONCE = 50
"""Facts of a shared alias whose copies at its other users are looked for together."""


class Span(NamedTuple):
    """Times ``start <= time < end`` (ms UTC; None: without end) that an alias was one user's, by the link at ``at``."""

    at: int
    start: int
    end: int | None


def spans_of(links: Iterable[Linked], owner: Identity, until: int) -> list[Span]:
    """When an alias was somebody's, by links that are erased; the first link decides what was before it, too (R6)."""
    decided = deciding(links)
    ends = [link.time for link in decided[1:]] + [None]
    return [
        Span(link.time, link.time if at else 0, end)
        for at, (link, end) in enumerate(zip(decided, ends, strict=True))
        if link.owner == owner and link.time <= until
    ]


class Erasing:
    """Erases identities of one application, within a unit of work."""

    def __init__(
        self,
        unit: Unit,
        application: str,
        generations: Sequence[Generation],
        aliases: Aliases,
        bars: Bars,
        settings: Settings,
        now: int,
    ) -> None:
        self._unit = unit
        self._application = application
        self._generations = generations
        self._keys = generations[0].keys
        self._aliases = aliases
        self._bars = bars
        self._settings = settings
        self._now = now

    def erase(self, placed: PlacedFact, mark: Erase) -> Iterator[bool | None]:
        """Do what a mark asks for; yields where the unit may be committed, True where it must be."""
        # From here on what is stored is all there is: queries do not see what only this unit knows.
        yield True
        who, owner = placed.identity, mark.owner
        state = self._unit.get(self._keys.links(who)) if who.is_alias else None
        if owner is None or state is None:
            yield from self._erase_all(who, mark.until, placed)
        elif state["kind"] != MANY:
            if owner_in(state) == owner:
                yield from self._erase_all(who, mark.until, placed)
        else:
            yield from self._erase_share(who, owner, mark.until)
            yield True
            left = self._aliases.links(who)
            if all(link.owner == ERASED for link in left):
                last = max((link.until or 0 for link in left), default=0)
                yield from self._erase_all(who, max(mark.until, last), placed)
        self._unit.remove(placed)

    # --- an identity that was nobody else's ---

    def _erase_all(self, who: Identity, until: int, mark: PlacedFact) -> Iterator[bool | None]:
        if self._bars.until(who) < until:
            self._unit.put(self._bars.item(who, until))
        for kind in KINDS:
            self._unit.delete(self._keys.sweep(who, kind))
        yield from self._take_back_later(who, until)
        yield from self._blank_campaigns(who)
        for generation in self._generations:
            yield from self._delete_views(generation, who)
        for item in self._unit.facts.query(fact_partition(self._application, who)):
            stored = from_item(item)
            if stored.fact.time <= until and fact_key(stored) != fact_key(mark):
                self._forget(stored)
                yield None
        yield from self._pass_on_to_aliases(who, until)
        if who.is_alias:
            yield from self._link_again(who, until)
        yield from self._make_later_again(who, until)

    def _later(self, who: Identity, until: int) -> Iterator[PlacedFact]:
        for cls in ("e", "i"):
            stored = facts_between(self._unit.facts, self._application, who, cls, until + 1, None)
            yield from (one for one in stored if not one.gone)

    def _take_back_later(self, who: Identity, until: int) -> Iterator[None]:
        """Take the views of later facts back, tallies included; all that may have decided them goes, too."""
        for placed in self._later(who, until):
            for generation in self._generations:
                if isinstance(placed.fact, Event):
                    generation.users.event_withdrawn(who, placed.fact, placed.digest)
                elif isinstance(placed.fact, Interaction):
                    generation.users.touch_withdrawn(who, placed.fact, placed.digest)
            yield

    def _make_later_again(self, who: Identity, until: int) -> Iterator[None]:
        for placed in self._later(who, until):
            if not who.is_alias or self._aliases.owner_at(who, placed.fact.time) is None:
                for generation in self._generations:
                    yield from generation.fact_added(placed)
            yield

    def _blank_campaigns(self, who: Identity) -> Iterator[bool]:
        """Blank the campaign before it is deleted: Cognito hears of changes, not of removals."""
        stored = [(one.keys, self._unit.get(one.keys.campaign(who))) for one in self._generations]
        shown = [keys for keys, item in stored if item and "touch" in item]
        for keys in shown:
            self._unit.put(campaign_item(keys, who, Campaign(None, open=False)))
        if shown:
            yield True

    def _delete_views(self, generation: Generation, who: Identity) -> Iterator[None]:
        built = generation.keys.built(who)
        for item in self._unit.views.query(generation.keys.user(who)):
            if key_of(item) == built and generation.number == self._settings.building:
                # The rebuild waits for it.
                self._unit.put(expiring(item, (self._now + SEEN_FOR) // 1000))
            else:
                self._unit.delete(key_of(item))
            yield

    def _forget(self, placed: PlacedFact) -> None:
        """Delete a fact, and where it waits for a name."""
        self._unit.remove(placed)
        for generation in self._generations:
            if interaction := generation.interaction_in(placed):
                self._unit.delete(
                    self._keys.waiting(interaction.journey, placed.identity, interaction.time, placed.digest)
                )
        if isinstance(placed.fact, Event) and (stamp := stamp_of(placed.fact)):
            self._unit.delete(self._keys.stamped_event(stamp, placed.identity, placed.fact.time, placed.digest))

    def _pass_on_to_aliases(self, who: Identity, until: int) -> Iterator[None]:
        for item in self._unit.views.query(self._keys.aliases(who)):
            alias = Identity(item["kind"], item["name"])
            self._unit.place(erasure(self._application, alias, Erase(until, who)), self._settings)
            self._unit.delete(key_of(item))
            yield

    def _link_again(self, alias: Identity, until: int) -> Iterator[None]:
        """Forget whose an alias was, but for what it is linked to later."""
        for item in self._unit.views.query(self._keys.alias(alias)):
            self._unit.delete(key_of(item))
            yield
        for placed in facts_between(self._unit.facts, self._application, alias, "l", until + 1, None):
            if isinstance(placed.fact, Link | Send | Step) and (link := links_of(placed.fact)):
                yield from self._aliases.linked(alias, link)

    # --- an alias that others had, too ---

    def _erase_share(self, alias: Identity, owner: Identity, until: int) -> Iterator[None]:
        links = self._aliases.links(alias)
        others = {link.owner for link in links} - {owner, ERASED}
        spans = spans_of(links, owner, until)
        if all(link.time <= until for link in links if link.owner == owner):
            self._aliases.forget_owner(alias, owner)
        for span in spans:
            yield from self._erase_span(alias, span, until, others)
        for placed in facts_between(self._unit.facts, self._application, alias, "l", 0, until + 1):
            link = links_of(placed.fact) if isinstance(placed.fact, Link | Send | Step) else None
            if link and link.owner == owner:
                self._forget(placed)
                yield
        deciding_at = {span.at for span in spans}
        for link in links:
            if link.owner == owner and link.time <= until:
                self._aliases.drop(alias, link)
                if link.time in deciding_at:
                    self._aliases.keep(alias, Linked(link.time, ERASED, until))
                yield

    def _erase_span(self, alias: Identity, span: Span, until: int, others: set[Identity]) -> Iterator[None]:
        last = until + 1 if span.end is None else min(span.end, until + 1)
        for placed in facts_between(self._unit.facts, self._application, alias, "r", span.start, last):
            self._forget(placed)
            yield
        movable = movable_between(self._unit.facts, self._application, alias, span.start, last)
        while chunk := list(islice(movable, FACTS_AT_ONCE)):
            yield from self._forget_copies(alias, chunk, others)
            for placed in chunk:
                self._forget(placed)
                yield
        if any(True for _ in movable_between(self._unit.facts, self._application, alias, last, span.end)):
            owner = next(link.owner for link in self._aliases.links(alias) if link.time == span.at)
            self._aliases.keep(alias, Linked(last, owner))
            yield

    def _forget_copies(self, alias: Identity, facts: Sequence[PlacedFact], others: set[Identity]) -> Iterator[None]:
        """Delete the copies that links moved on from the alias's other users; their own copy the erased user has."""
        copies = (
            msgspec.structs.replace(placed, identity=one, via=alias.kind, gone=True)
            for placed in facts
            for one in others
        )
        while some := {fact_key(one): one for one in islice(copies, FACTS_AT_ONCE)}:
            for key in self._unit.facts.get_many(some):
                self._forget(some[key])
                yield
