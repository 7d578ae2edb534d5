"""Erasure of a person: asked for here, done by the projection of each partition of facts that holds something.

Four steps, in an order in which each may be the last that happens, and the whole be asked for again: the secret of the
bars; the setting that makes the projection look at bars; the user's bar, from which on nothing told of the user at or
before its time is taken in; the mark in the user's partition of facts. The projection does the rest
(``projection/erasing.py``): it erases the partition, and passes the mark on to the user's aliases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from botocore.exceptions import ClientError

from chalicelib.erasure.bars import NEVER, Bars, made_secret, stored_secret
from chalicelib.facts.items import facts_between, to_item
from chalicelib.facts.model import Erase, Identity, IdentityKind
from chalicelib.keys import ViewKeys
from chalicelib.projection.aliases import MANY, erasure
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table, to_wire
from chalicelib.times import Clock

_KINDS: tuple[IdentityKind, ...] = ("n", "u", "p")

MOST_ALIASES = 200
"""Aliases that are looked at for facts whose time lies ahead; all are erased, however many there are."""


class HadSeveralUsers(Exception):
    """An endpoint or ``UserId`` that several users had: which of them is to be erased?"""


class Erased(NamedTuple):
    """An erasure that is under way.

    Attributes
    ----------
    until
        What is of this time (ms UTC) or earlier goes, and is not taken in again.
    aliases
        Endpoints and ``UserId`` that are known to have been this user's.
    """

    user: Identity
    until: int
    aliases: list[Identity]


class Eraser:
    """Erases users, and knows who is erased."""

    def __init__(self, facts: Table, views: Table, settings: SettingsStore, clock: Clock) -> None:
        self._facts = facts
        self._views = views
        self._settings = settings
        self._clock = clock

    def erase(self, application: str, user: Identity) -> Erased:
        """Begin to erase a user, or go on with it; asked again later it takes in what came since.

        Raises
        ------
        HadSeveralUsers
            ``user`` is an alias of several.
        """
        keys = ViewKeys(application, 0)
        if user.is_alias and (state := self._views.get(keys.links(user))) and state["kind"] == MANY:
            raise HadSeveralUsers(user.name)
        aliases = list(self._aliases(keys, user))
        mine = [one for one in aliases[:MOST_ALIASES] if self._is_only(keys, one)]
        until = max(self._clock.now(), *(self._newest(application, one) for one in (user, *mine)))
        bars = Bars(keys, self._views.get, made_secret(self._views))
        if not self._settings.get(application).has_erasures:
            self._settings.change(application, lambda old: msgspec.structs.replace(old, has_erasures=True))
        until = self._bar(bars, user, until)
        mark = to_item(erasure(application, user, Erase(until)), Settings())
        self._facts.client.put_item(TableName=self._facts.name, Item=to_wire(mark))
        return Erased(user, until, aliases)

    def barred(self, application: str, name: str) -> Identity | None:
        """Who was erased under a name: that user name, else that ``UserId``, else that endpoint id."""
        named = (Identity(kind, name) for kind in _KINDS)
        return next((one for one in named if self.until(application, one) != NEVER), None)

    def until(self, application: str, user: Identity) -> int:
        """The last millisecond (UTC) that is erased of a user; before all times where nothing is."""
        if not self._settings.get(application).has_erasures:
            return NEVER
        return Bars(ViewKeys(application, 0), self._views.get, stored_secret(self._views)).until(user)

    def _bar(self, bars: Bars, user: Identity, until: int) -> int:
        """Bar a user up to a time, unless another erasure has gone further; how far it is barred."""
        try:
            self._views.client.put_item(
                TableName=self._views.name,
                Item=to_wire(bars.item(user, until)),
                ConditionExpression="attribute_not_exists(pk) OR #u < :u",
                ExpressionAttributeNames={"#u": "until"},
                ExpressionAttributeValues={":u": {"N": str(until)}},
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
        return max(until, bars.until(user))

    def _aliases(self, keys: ViewKeys, user: Identity) -> Iterator[Identity]:
        """Aliases of a user, and of those that were only this user's, theirs."""
        found: set[Identity] = set()
        waiting = [user]
        while waiting:
            for item in self._views.query(keys.aliases(waiting.pop())):
                alias = Identity(item["kind"], item["name"])
                if alias not in found:
                    found.add(alias)
                    yield alias
                    if alias.kind == "u" and self._is_only(keys, alias):
                        waiting.append(alias)

    def _is_only(self, keys: ViewKeys, alias: Identity) -> bool:
        """Whether an alias was only ever one user's."""
        state = self._views.get(keys.links(alias))
        return state is not None and state["kind"] != MANY

    def _newest(self, application: str, identity: Identity) -> int:
        """Time of the newest fact: a device's clock may be ahead, by up to a day (R8)."""
        newest = NEVER
        for cls in ("e", "i", "l"):
            last = facts_between(self._facts, application, identity, cls, 0, None, descending=True, page=1)
            newest = max(newest, next((one.fact.time for one in last), NEVER))
        return newest
