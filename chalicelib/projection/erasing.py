"""Erasing: what a mark in a partition of facts makes its projection delete, turn by turn.

A user's views have one writer, the projection of the shard in which the user's facts lie; so erasing is its work too.
What is known of the user goes without a change of the tallies that are served, which name nobody and go on counting; a
rebuild that is under way counts only who is there. Facts later than the erasure are those of somebody new: their views
are taken back before, and made again after. In between they are left alone: what comes of such facts is only counted,
and projected at the end.

An alias that was only this user's is erased like the user. Of an alias that others had too goes what was this user's:
facts within the times of the user's links, and the links' names.

An erasure goes through phases. A turn takes as many steps as the budget allows; the rest is left to the next one, whose
mark comes behind what else waits. Every step may be done again, so a turn that is interrupted begins again where the
turn before ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, get_args

import msgspec

from chalicelib.attribution.stamps import stamp_of
from chalicelib.facts.items import facts_between, movable_between
from chalicelib.facts.model import ERASED, Erase, Event, Identity, PlacedFact, Rebuild, SweepKind
from chalicelib.keys import fact_key
from chalicelib.projection.aliases import MANY, Linked, erasure, links_of, owner_in
from chalicelib.projection.generations import seen_at
from chalicelib.projection.sweeps import KINDS
from chalicelib.projection.views import Campaign, campaign_item
from chalicelib.settings.model import Settings
from chalicelib.tables import key_of

if TYPE_CHECKING:
    from chalicelib.erasure.bars import Bars
    from chalicelib.keys import ViewKeys
    from chalicelib.projection.aliases import Aliases
    from chalicelib.projection.budget import Budget
    from chalicelib.projection.generations import Generation
    from chalicelib.projection.sweeps import Sweeps
    from chalicelib.projection.unit import Unit
    from chalicelib.tables import Item

FACTS_AT_ONCE = 50
"""Facts whose views, or whose copies at other users, are read in one call."""

MOVES: tuple[SweepKind, ...] = ("links", "places")
"""Sweeps after which the facts of an alias lie where its links say."""

_OfShare = Literal["spans", "named", "links", "owner", "others"]
_OfAll = Literal["bar", "take back", "facts", "campaigns", "views", "aliases", "unlink", "link", "make again"]
Phase = _OfShare | _OfAll | Literal["done"]

OF_SHARE: tuple[Phase, ...] = get_args(_OfShare)
OF_ALL: tuple[Phase, ...] = get_args(_OfAll)
PHASES: tuple[Phase, ...] = (*OF_SHARE, *OF_ALL, "done")
"""In the order in which an erasure goes through them. What an alias was to others ends it after ``others``."""

T = TypeVar("T")


class Span(NamedTuple):
    """Times ``start <= time < end`` (ms UTC; None: without end) that an alias was one user's, by ``link``."""

    link: Linked
    start: int
    end: int | None


class Reached(msgspec.Struct, frozen=True):
    """How far an erasure is.

    Attributes
    ----------
    mark
        Digest of its mark.
    turn
        Of the mark for which it waits.
    until
        What is of this time (ms UTC) or earlier goes.
    phase, after
        In which phase it is, and the sort key of the last item there that is done with. Items that a phase deletes
        need none.
    """

    mark: str
    turn: int
    until: int
    phase: Phase
    after: str = ""

    def at(self, after: str) -> Reached:
        return msgspec.structs.replace(self, after=after)

    def in_phase(self, phase: Phase) -> Reached:
        return msgspec.structs.replace(self, phase=phase, after="")


Steps = Iterator[Reached | None]
"""Where each step leads to, and None where the unit may be committed within one."""


class Erasing:
    """Erases identities of one application, within a unit of work.

    Parameters
    ----------
    retired
        Keys of generations that are no longer served and not yet deleted.
    """

    def __init__(
        self,
        unit: Unit,
        application: str,
        generations: Sequence[Generation],
        retired: Sequence[ViewKeys],
        aliases: Aliases,
        bars: Bars,
        settings: Settings,
        sweeps: Sweeps,
        budget: Budget,
    ) -> None:
        self._unit = unit
        self._application = application
        self._generations = generations
        self._retired = retired
        self._keys = generations[0].keys
        self._aliases = aliases
        self._bars = bars
        self._settings = settings
        self._sweeps = sweeps
        self._budget = budget
        self._page = budget.limits.turn + 1

    # --- what else is projected meanwhile ---

    def defers_facts(self, who: Identity) -> bool:
        """Whether facts of an identity that are not erased are left to the end of its erasure."""
        return self._is_before(who, "make again")

    def defers_links(self, who: Identity) -> bool:
        """The same for the links of an alias."""
        return self._is_before(who, "link")

    def _is_before(self, who: Identity, phase: Phase) -> bool:
        if not self._bars.are_there or not self._bars.cover(who, 0):
            return False
        reached = self._reached(who)
        return reached is not None and reached.phase in OF_ALL[: OF_ALL.index(phase)]

    # --- turns ---

    def erase(self, placed: PlacedFact, mark: Erase) -> Iterator[bool | None]:
        """A turn of what a mark demands; yields where the unit may be committed, True where it must be."""
        yield self._has_changes
        who = placed.identity
        reached = self._reached(who)
        waits = mark.owner is not None and (reached is None or reached.phase in OF_SHARE)
        if reached is not None and reached.mark != placed.digest:
            # One erasure of an identity after the other.
            self._place_again(placed, mark, mark.turn + 1)
        elif reached is not None and reached.turn != mark.turn:
            # The mark was placed once more by a second request: the one for which the erasure waits is still to come.
            return
        elif waits and any(self._sweeps.left(who, of) for of in MOVES):
            if reached is None:
                self._place_again(placed, mark, mark.turn + 1)
            else:
                self._leave(placed, mark, reached)
        else:
            begun = Reached(placed.digest, mark.turn, mark.until, self._first(who, mark))
            yield from self._turn(placed, mark, reached or begun)

    def _turn(self, placed: PlacedFact, mark: Erase, reached: Reached) -> Iterator[bool | None]:
        who = placed.identity
        while reached.phase != "done":
            yield self._has_changes
            # From here on what is stored is all there is: queries do not see what only this unit knows.
            phase = reached.phase
            for step in self._steps(who, mark, reached):
                yield None
                if step is None:
                    continue
                reached = step
                self._budget.take()
                if self._budget.is_spent:
                    self._leave(placed, mark, reached)
                    return
            if reached.phase == phase:
                reached = reached.in_phase(PHASES[PHASES.index(phase) + 1])
        if self._reached(who):
            self._unit.delete(self._keys.erasing(who))
        self._unit.remove(placed)
        # A mark that is placed in the same transaction may be the same as this one, and nobody would notice it.
        yield True

    @property
    def _has_changes(self) -> bool:
        return self._unit.size > 1

    def _first(self, who: Identity, mark: Erase) -> Phase:
        """Where an erasure begins."""
        state = self._unit.get(self._keys.links(who)) if who.is_alias else None
        if mark.owner is None or state is None:
            return "bar"
        if state["kind"] == MANY:
            return "spans"
        return "bar" if owner_in(state) == mark.owner else "done"

    def _steps(self, who: Identity, mark: Erase, reached: Reached) -> Steps:
        of_owner: dict[Phase, Callable[[Identity, Identity, Reached], Steps]] = {
            "spans": self._erase_spans,
            "named": self._erase_named,
            "links": self._erase_links,
            "owner": self._erase_owner,
        }
        if mark.owner is not None and reached.phase in of_owner:
            return of_owner[reached.phase](who, mark.owner, reached)
        of_all: dict[Phase, Callable[[Identity, Reached], Steps]] = {
            "others": self._look_for_others,
            "bar": self._set_bar,
            "take back": self._take_back,
            "campaigns": self._blank_campaigns,
            "views": self._delete_views,
            "facts": self._delete_facts,
            "aliases": self._pass_on_to_aliases,
            "unlink": self._unlink,
            "link": self._link_again,
            "make again": lambda who, reached: self._make_again(who, mark.owner, reached),
        }
        return of_all[reached.phase](who, reached)

    def _reached(self, who: Identity) -> Reached | None:
        item = self._unit.get(self._keys.erasing(who))
        if item is None:
            return None
        return Reached(item["mark"], int(item["turn"]), int(item["until"]), item["phase"], item["after"])

    def _leave(self, placed: PlacedFact, mark: Erase, reached: Reached) -> None:
        """Save how far the erasure is, and place the mark for its next turn."""
        key = self._keys.erasing(placed.identity)
        reached = msgspec.structs.replace(reached, turn=mark.turn + 1)
        item: Item = {"pk": key.pk, "sk": key.sk, **msgspec.structs.asdict(reached)}
        self._unit.put(item)
        self._place_again(placed, mark, reached.turn)

    def _place_again(self, placed: PlacedFact, mark: Erase, turn: int) -> None:
        self._unit.place(msgspec.structs.replace(placed, fact=msgspec.structs.replace(mark, turn=turn)), Settings())

    # --- an identity that was nobody else's ---

    def _set_bar(self, who: Identity, reached: Reached) -> Steps:
        if self._bars.until(who) < reached.until:
            self._unit.put(self._bars.item(who, reached.until))
        for kind in KINDS:
            self._unit.delete(self._keys.sweep(who, kind))
        yield reached

    def _later(self, who: Identity, reached: Reached) -> Iterator[Sequence[PlacedFact]]:
        """Facts later than the erasure, some at a time whose views are read ahead; those that moved away included."""
        start, after = reached.until + 1, _beyond(reached.after)
        facts = movable_between(
            self._unit.facts, self._application, who, start, None, page=FACTS_AT_ONCE, from_key=after
        )
        while some := list(islice(facts, FACTS_AT_ONCE)):
            self._unit.prefetch(
                key for one in some for generation in self._generations for key in generation.own_keys(one)
            )
            yield some

    def _take_back(self, who: Identity, reached: Reached) -> Steps:
        """Take the views of later facts back, tallies included; all that may have decided them goes, too."""
        for some in self._later(who, reached):
            for placed in some:
                for generation in self._generations:
                    generation.fact_withdrawn(placed)
                yield reached.at(fact_key(placed).sk)

    def _blank_campaigns(self, who: Identity, reached: Reached) -> Steps:
        """Blank the campaign before it is deleted: Cognito hears of changes, not of removals."""
        stored = [(one.keys, self._unit.get(one.keys.campaign(who))) for one in self._generations]
        for keys in [keys for keys, item in stored if item and "touch" in item]:
            self._unit.put(campaign_item(keys, who, Campaign(None, open=False)))
        yield reached

    def _delete_views(self, who: Identity, reached: Reached) -> Steps:
        # A rebuild writes the campaigns in which retired and served views differ: so what is compared goes first.
        for keys in [*self._retired, *(one.keys for one in self._generations)]:
            for item in self._unit.views.query(keys.user(who), page=self._page):
                # That a later fact is in the tallies of a rebuild holds.
                if keys in self._retired or seen_at(item) <= reached.until:
                    self._unit.delete(key_of(item))
                    yield reached

    def _delete_facts(self, who: Identity, reached: Reached) -> Steps:
        for cls in ("b", "e", "i", "l", "r"):
            for stored in self._facts(who, cls, 0, reached.until + 1):
                if not self._is_under_way(stored, reached):
                    self._erase_fact(stored)
                    yield reached

    def _is_under_way(self, stored: PlacedFact, reached: Reached) -> bool:
        """Whether a fact is the erasure's own mark, or one whose end a rebuild waits for."""
        if isinstance(stored.fact, Rebuild):
            return stored.fact.generation == self._settings.building
        return stored.digest == reached.mark

    def _facts(self, who: Identity, cls: str, start: int, end: int | None, from_key: str = "") -> Iterator[PlacedFact]:
        return facts_between(
            self._unit.facts, self._application, who, cls, start, end, page=self._page, from_key=from_key
        )

    def _erase_fact(self, placed: PlacedFact) -> None:
        """Delete a fact of this partition; what is being built has nothing of it."""
        for generation in self._generations:
            generation.erased(placed)
        self._forget(placed)

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

    def _pass_on_to_aliases(self, who: Identity, reached: Reached) -> Steps:
        # Each once: an alias of later links is noted anew when its own erasure comes to its end.
        for item in self._unit.views.query(self._keys.aliases(who), _beyond(reached.after), page=self._page):
            alias = Identity(item["kind"], item["name"])
            self._unit.place(erasure(self._application, alias, Erase(reached.until, who)), Settings())
            self._unit.delete(key_of(item))
            yield reached.at(item["sk"])

    def _unlink(self, alias: Identity, reached: Reached) -> Steps:
        """Forget whose an alias was."""
        for item in self._unit.views.query(self._keys.alias(alias), page=self._page) if alias.is_alias else ():
            self._unit.delete(key_of(item))
            yield reached

    def _link_again(self, alias: Identity, reached: Reached) -> Steps:
        """What an alias is linked to later holds."""
        for placed in self._facts(alias, "l", reached.until + 1, None, _beyond(reached.after)):
            link = links_of(placed.fact)
            if link and not self._bars.cover(link.owner, link.time):
                yield from self._aliases.linked(alias, link)
            yield reached.at(fact_key(placed).sk)

    def _make_again(self, who: Identity, owner: Identity | None, reached: Reached) -> Steps:
        """Project later facts, as those of somebody new; what the erased user had of an alias's is no longer there."""
        for some in self._later(who, reached):
            own: Iterable[PlacedFact | None] = (None if one.gone else one for one in some)
            if who.is_alias:
                own = self._aliases.place_anew(who, some, [owner] if owner else ())
            for placed, held in zip(some, own, strict=True):
                for generation in self._generations if held else ():
                    yield from generation.fact_added(placed)
                yield reached.at(fact_key(placed).sk)

    # --- an alias that others had, too ---

    def _erase_spans(self, alias: Identity, owner: Identity, reached: Reached) -> Steps:
        """Erase the facts of the times that the alias was the user's."""
        others = self._aliases.owners(alias) - {owner}
        for span in self._spans(alias, reached):
            if span.link.owner == owner:
                for step in self._erase_span(alias, span, reached, others):
                    yield reached if step else None
            yield reached.at(self._aliases.sort_key(alias, span.link))

    def _spans(self, alias: Identity, reached: Reached) -> Iterator[Span]:
        """Times by the links of the erasure's time or before; the first link decides what was before it, too (R6)."""
        links = self._aliases.links(alias, reached.after or "link#")
        decided = (_last(same) for _, same in groupby(links, key=lambda link: link.time))
        for at, (link, following) in enumerate(_followed(decided)):
            if link.time > reached.until:
                return
            is_first = at == 0 and not reached.after
            yield Span(link, 0 if is_first else link.time, following.time if following else None)

    def _erase_span(self, alias: Identity, span: Span, reached: Reached, others: set[Identity]) -> Iterator[bool]:
        """Yields after each fact, True where one is erased."""
        last = reached.until + 1 if span.end is None else min(span.end, reached.until + 1)
        for placed in self._facts(alias, "r", span.start, last):
            self._forget(placed)
            yield True
        movable = movable_between(self._unit.facts, self._application, alias, span.start, last, page=self._page)
        while chunk := list(islice(movable, FACTS_AT_ONCE)):
            for _ in self._forget_copies(alias, chunk, others):
                yield False
            for placed in chunk:
                self._erase_fact(placed)
                yield True

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

    def _erase_named(self, alias: Identity, owner: Identity, reached: Reached) -> Steps:
        """Erase what names the user as the alias's owner."""
        for placed in self._facts(alias, "l", 0, reached.until + 1, _beyond(reached.after)):
            link = links_of(placed.fact)
            if link and link.owner == owner:
                self._erase_fact(placed)
            yield reached.at(fact_key(placed).sk)

    def _erase_links(self, alias: Identity, owner: Identity, reached: Reached) -> Steps:
        """Put links to nobody in place of the user's, where these decided."""
        for link, following in _followed(self._aliases.links(alias, reached.after or "link#")):
            if link.time > reached.until:
                return
            if link.owner == owner:
                self._aliases.drop(alias, link)
                if following is None or following.time != link.time:
                    self._aliases.keep(alias, Linked(link.time, ERASED, reached.until))
                    self._keep_later(alias, owner, following.time if following else None, reached.until)
            yield reached.at(self._aliases.sort_key(alias, link))

    def _keep_later(self, alias: Identity, owner: Identity, end: int | None, until: int) -> None:
        """Facts that are there already and later than the erasure stay whose they are, up to the next link."""
        if end is None or end > until + 1:
            where = (self._unit.facts, self._application, alias, until + 1, end)
            if any(True for _ in movable_between(*where, page=1)):
                self._aliases.keep(alias, Linked(until + 1, owner))

    def _erase_owner(self, alias: Identity, owner: Identity, reached: Reached) -> Steps:
        """The user is no longer among the alias's owners, nor the alias among the user's but by a later link."""
        after = reached.after or self._aliases.sort_key(alias, Linked(reached.until + 1, Identity("u", "")))
        for link in self._aliases.links(alias, after):
            if link.owner == owner:
                self._aliases.note(owner, alias)
                return
            yield reached.at(self._aliases.sort_key(alias, link))
        self._aliases.forget_owner(alias, owner)

    def _look_for_others(self, alias: Identity, reached: Reached) -> Steps:
        """An alias all of whose users are erased is erased itself."""
        for link in self._aliases.links(alias, reached.after or "link#"):
            if link.owner != ERASED:
                yield reached.in_phase("done")
                return
            until = max(reached.until, link.until or 0)
            reached = msgspec.structs.replace(reached, until=until, after=self._aliases.sort_key(alias, link))
            yield reached


def _beyond(sort_key: str) -> str:
    """The first sort key after one; before all where there is none."""
    return f"{sort_key}\x00" if sort_key else ""


def _last(some: Iterable[T]) -> T:
    *_, last = some
    return last


def _followed(some: Iterator[T]) -> Iterator[tuple[T, T | None]]:
    """Each with the one that comes next."""
    one = next(some, None)
    while one is not None:
        following = next(some, None)
        yield one, following
        one = following
