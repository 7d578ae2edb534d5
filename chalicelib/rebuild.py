"""Rebuild: make all views of an application anew from its facts, while the old ones serve, and switch in one step.

It serves after a rule was mended, a setting was backdated, or a change record was lost. From the moment the settings
name a generation to build, the projection applies every change to it as well. Then a mark in each partition of facts
makes the projection of that partition's own shard fold in what was there before; so each user still has one writer.

Interrupted, it is run again, through all partitions and in the same generation, or is dropped.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from chalicelib.facts.items import to_item
from chalicelib.facts.model import Identity, PlacedFact, Rebuild
from chalicelib.keys import LAST, Key, ViewKeys, parse_fact_key
from chalicelib.projection.generations import SEEN_FOR
from chalicelib.projection.views import Campaign, campaign_item
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Conflict, Item, Operation, Table, to_wire
from chalicelib.times import Clock

MARKED_AT_ONCE = 100
DELETED_AT_ONCE = 50


class NotRebuilding(Exception):
    """There is no rebuild of this application to drop."""


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
        """Make a new generation of views and serve it; tells now and then how far it is.

        ``changed`` is applied to the settings first, as for a backdated one.
        """
        settings = self._settings.change(application, lambda old: _begun(changed(old)))
        number, attempt = settings.building, uuid.uuid4().hex
        if number is None:
            raise AssertionError("a rebuild that has begun has a number")
        keys = ViewKeys(application, number)
        marked: list[Identity] = []
        partitions = iter(self._partitions(application))
        while some := list(islice(partitions, MARKED_AT_ONCE)):
            marks = [PlacedFact(application, one, "rebuild", Rebuild(number, attempt)) for one in some]
            self._facts.put_many([to_item(mark, Settings()) for mark in marks])
            marked += some
            yield Progress(len(marked), 0)
        waiting = marked
        while waiting := self._unbuilt(keys, waiting, attempt):
            yield Progress(len(marked), len(marked) - len(waiting))
            self._wait()
        now = self._clock.now()
        self._settings.change(application, lambda old: _switched(old, number, now))
        self._tell_campaigns(ViewKeys(application, settings.generation), keys, marked)
        self._delete(ViewKeys(application, settings.generation), marked)
        yield Progress(len(marked), len(marked))

    def drop(self, application: str) -> None:
        """Give a rebuild up, and delete what it made.

        Raises
        ------
        NotRebuilding
            None is under way.
        """
        number = self._settings.get(application).building
        if number is None:
            raise NotRebuilding(application)
        self._settings.change(application, lambda old: msgspec.structs.replace(old, building=None))
        self._delete(ViewKeys(application, number), self._partitions(application))

    def _partitions(self, application: str) -> Iterator[Identity]:
        """Identities whose partitions hold facts: a scan of the table."""
        prefix = quote(application, safe="") + "#"
        seen: set[Identity] = set()
        for pk, sk in self._facts.scan_keys(prefix):
            identity = parse_fact_key(Key(pk, sk))[1]
            if identity not in seen:
                seen.add(identity)
                yield identity

    def _unbuilt(self, keys: ViewKeys, identities: list[Identity], attempt: str) -> list[Identity]:
        found = self._views.get_many(keys.built(one) for one in identities)
        built = {key for key, item in found.items() if item["attempt"] == attempt}
        return [one for one in identities if keys.built(one) not in built]

    def _tell_campaigns(self, old: ViewKeys, new: ViewKeys, identities: Iterable[Identity]) -> None:
        """Write campaigns once more where the generations differ: what changed before the switch went unheard."""
        users = [one for one in identities if one.kind == "n"]
        before = self._views.get_many(old.campaign(one) for one in users)
        after = self._views.get_many(new.campaign(one) for one in users)
        for user in users:
            stood, stands = before.get(old.campaign(user)), after.get(new.campaign(user))
            if _shown(stood) != _shown(stands):
                blank = campaign_item(new, user, Campaign(None, open=False))
                again = {**(stands or blank), "told": self._clock.now()}
                # Lost: another campaign stands there by now, and its own change is heard.
                with suppress(Conflict):
                    self._views.transact([self._views.put_operation(again, _as_read(stands))])

    def _delete(self, keys: ViewKeys, identities: Iterable[Identity]) -> None:
        for identity in identities:
            self._delete_partition(keys.user(identity))
        for partition in keys.tally_partitions():
            self._delete_partition(partition)

    def _delete_partition(self, partition: str) -> None:
        items = self._views.query(partition, "", LAST)
        while some := list(islice(items, DELETED_AT_ONCE)):
            operations: list[Operation] = [self._views.delete_operation(Key(one["pk"], one["sk"])) for one in some]
            self._views.transact(operations)


def _begun(settings: Settings) -> Settings:
    if settings.building is not None:
        return settings
    number = max(settings.newest_generation, settings.generation) + 1
    return msgspec.structs.replace(settings, building=number, newest_generation=number)


def _switched(settings: Settings, number: int, now: int) -> Settings:
    return msgspec.structs.replace(settings, generation=number, building=None, recount_until=now + SEEN_FOR)


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
