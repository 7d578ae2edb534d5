"""Rebuild: make all views of an application anew from its facts, while the old ones serve, and switch in one step.

It serves after a rule was mended, a setting was backdated, or a change record was lost. From the moment the settings
name a generation to build, the projection applies every change to it as well. Then a mark in each partition of facts
makes the projection of that partition's own shard fold in what was there before; so each user still has one writer.

Interrupted before the switch, it is run again, through all partitions and in the same generation, or is dropped. The
generation that is no longer served is kept in the settings (``retiring``) with the switch or the drop itself; whatever
interrupts its deletion, the next run finishes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from chalicelib.facts.items import expiring, to_item
from chalicelib.facts.model import Identity, PlacedFact, Rebuild
from chalicelib.keys import Key, ViewKeys, fact_key, parse_fact_key, parse_user_partition
from chalicelib.projection.generations import SEEN_FOR
from chalicelib.projection.views import Campaign, campaign_item
from chalicelib.settings.model import Retired, Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Conflict, Item, Table, to_wire
from chalicelib.times import MINUTE_MS, Clock

MARKED_AT_ONCE = 1_000
"""Partitions whose marks wait in the stream together, and with them what else is told."""

TOLD_AT_ONCE = 100
DELETED_AT_ONCE = 500

STALE_FOR = 15 * MINUTE_MS
"""A function that read the former settings has ended by then: Lambda gives none more time. Until then it may still
write to a generation that is retiring, so that it is looked through once more.
"""

T = TypeVar("T")


class NotRebuilding(Exception):
    """There is no rebuild of this application to drop, or to end: it was dropped."""


class Progress(NamedTuple):
    """Partitions of facts that are marked, and of those, those whose views are made."""

    marked: int
    built: int


class Rebuilder:
    """Rebuilds the views of applications.

    Parameters
    ----------
    wait
        Called between looks at how far the projection is.
    """

    def __init__(
        self, facts: Table, views: Table, settings: SettingsStore, clock: Clock, wait: Callable[[], None]
    ) -> None:
        self._facts = facts
        self._views = views
        self._settings = settings
        self._clock = clock
        self._wait = wait

    def rebuild(
        self, application: str, changed: Callable[[Settings], Settings] = lambda same: same
    ) -> Iterator[Progress]:
        """Make a new generation of views and serve it; yields now and then how far it is.

        ``changed`` is applied to the settings first, as for a backdated one.

        Raises
        ------
        NotRebuilding
            It was dropped meanwhile.
        """
        self.finish(application)
        settings = self._settings.change(application, lambda old: _begun(changed(old)))
        number, attempt = settings.building, uuid.uuid4().hex
        if number is None:
            raise AssertionError("a rebuild that has begun has a number")
        marked = 0
        for some in _pages(self._partitions(application), MARKED_AT_ONCE):
            marks = [PlacedFact(application, one, attempt, Rebuild(number, attempt)) for one in some]
            self._facts.put_many([to_item(mark, Settings()) for mark in marks])
            built, marked = marked, marked + len(marks)
            yield Progress(marked, built)
            waiting: Iterable[Key] = map(fact_key, marks)
            # Whoever has made the views of a partition removes its mark with them.
            while waiting := self._facts.get_many(waiting):
                yield Progress(marked, marked - len(waiting))
                self._wait()
        now = self._clock.now()
        if self._settings.change(application, lambda old: _switched(old, number, now)).generation < number:
            raise NotRebuilding(application)
        self.finish(application)
        yield Progress(marked, marked)

    def drop(self, application: str) -> None:
        """Give a rebuild up, and delete what it made; or go on with that, if it was interrupted.

        Raises
        ------
        NotRebuilding
            None is under way.
        """
        now, settings = self._clock.now(), self._settings.get(application)
        if settings.building is not None:
            settings = self._settings.change(application, lambda old: _dropped(old, now))
        if not any(one.generation > settings.generation for one in settings.retiring):
            raise NotRebuilding(application)
        self.finish(application)

    def finish(self, application: str) -> None:
        """Delete the views that are no longer served, and write what campaigns the last switch changed."""
        settings = self._settings.get(application)
        for one in settings.retiring:
            old, new = ViewKeys(application, one.generation), ViewKeys(application, settings.generation)
            if one.generation < settings.generation and not one.told:
                self._tell_campaigns(old, new, self._campaigns(new))
                self._tell_campaigns(old, new, self._campaigns(old), only_blank=True)
                self._change_retired(application, msgspec.structs.replace(one, told=True))
            for keys in _pages(self._views.scan_keys(old.prefix), DELETED_AT_ONCE):
                self._views.delete_many(keys)
            if self._clock.now() - one.since >= STALE_FOR:
                self._change_retired(application, one, is_gone=True)

    def _change_retired(self, application: str, one: Retired, *, is_gone: bool = False) -> None:
        def changed(old: Settings) -> Settings:
            others = tuple(other for other in old.retiring if other.generation != one.generation)
            return msgspec.structs.replace(old, retiring=others if is_gone else (*others, one))

        self._settings.change(application, changed)

    def _partitions(self, application: str) -> Iterator[Identity]:
        """Identities whose partitions hold facts: a scan of the table, which goes partition by partition."""
        last: Identity | None = None
        for key in self._facts.scan_keys(quote(application, safe="") + "#"):
            identity = parse_fact_key(key)[1]
            if identity != last:
                last = identity
                yield identity

    def _campaigns(self, keys: ViewKeys) -> Iterator[Identity]:
        """Users with a Cognito user name who have or had a campaign in a generation: a scan of the views."""
        for key in self._views.scan_keys(keys.prefix):
            if key.sk == "campaign" and (parsed := parse_user_partition(key.pk)) and parsed[2].kind == "n":
                yield parsed[2]

    def _tell_campaigns(
        self, old: ViewKeys, new: ViewKeys, users: Iterable[Identity], *, only_blank: bool = False
    ) -> None:
        """Write campaigns once more where the generations differ: what changed before the switch went unheard.

        ``only_blank``: of users of whom the new generation says nothing.
        """
        for some in _pages(users, TOLD_AT_ONCE):
            # In the opposite order of an erasure: of whom nothing is left here, nothing is found there.
            after = self._views.get_many(map(new.campaign, some))
            before = self._views.get_many(map(old.campaign, some))
            for user in some:
                former, present = before.get(old.campaign(user)), after.get(new.campaign(user))
                if _shown(former) != _shown(present) and not (only_blank and present):
                    self._tell_campaign(new, user, present)

    def _tell_campaign(self, keys: ViewKeys, user: Identity, present: Item | None) -> None:
        now = self._clock.now()
        blank = expiring(campaign_item(keys, user, Campaign(None, open=False)), (now + SEEN_FOR) // 1000)
        again = {**(present or blank), "told": now}
        # Lost: there is another campaign by now, and its own change is heard.
        with suppress(Conflict):
            self._views.transact([self._views.put_operation(again, _as_read(present))])


def _begun(settings: Settings) -> Settings:
    if settings.building is not None:
        return settings
    number = max(settings.newest_generation, settings.generation) + 1
    return msgspec.structs.replace(settings, building=number, newest_generation=number)


def _switched(settings: Settings, number: int, now: int) -> Settings:
    if settings.building != number:
        # Another process switched to it, or dropped it.
        return settings
    retiring = (*settings.retiring, Retired(settings.generation, now))
    return msgspec.structs.replace(
        settings, generation=number, building=None, recount_until=now + SEEN_FOR, retiring=retiring
    )


def _dropped(settings: Settings, now: int) -> Settings:
    if settings.building is None:
        return settings
    retiring = (*settings.retiring, Retired(settings.building, now))
    return msgspec.structs.replace(settings, building=None, retiring=retiring)


def _pages(some: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(some)
    while page := list(islice(rest, size)):
        yield page


def _as_read(item: Item | None) -> Mapping[str, object]:
    """The condition that nobody wrote a campaign meanwhile: whoever did was heard."""
    if item is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    touch = item.get("touch")
    return {
        "ConditionExpression": "#open = :open AND " + ("#touch = :touch" if touch else "attribute_not_exists(#touch)"),
        "ExpressionAttributeNames": {"#open": "open", "#touch": "touch"},
        "ExpressionAttributeValues": to_wire({":open": item["open"], **({":touch": touch} if touch else {})}),
    }


def _shown(item: Item | None) -> object:
    return (item.get("open"), (item.get("touch") or {}).get("journey")) if item else None
