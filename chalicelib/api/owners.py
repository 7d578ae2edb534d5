"""Whose an alias's facts are: for an endpoint or ``UserId`` that several users had (R6)."""

from __future__ import annotations

from typing import NamedTuple

from chalicelib.facts.model import ERASED, Identity
from chalicelib.keys import LAST, ViewKeys, padded
from chalicelib.projection.aliases import MANY, Linked, link_in, owner_in
from chalicelib.tables import Table
from chalicelib.times import LAST_MS


class _Deciding(NamedTuple):
    """The link that decides facts with ``first <= time <= last`` (ms UTC); None: there is none."""

    first: int
    last: int
    link: Linked | None


class Owners:
    """Returns owners by the stored links.

    Asked for times in descending order, it reads each link once and none that decides no fact:
    an alias may have changed hands more often than an answer has time for.
    """

    def __init__(self, views: Table, keys: ViewKeys) -> None:
        self._views = views
        self._keys = keys
        self._deciding: dict[Identity, _Deciding] = {}

    def owner_at(self, identity: Identity, time: int) -> Identity:
        """Whose a fact of an identity at a time (ms UTC) is; the identity itself where nobody else is known."""
        while identity.is_alias:
            link = self._link_at(identity, time)
            owner = link.owner_of(time) if link else None
            if owner is None or owner == ERASED:
                break
            identity = owner
        return identity

    def _link_at(self, alias: Identity, time: int) -> Linked | None:
        known = self._deciding.get(alias)
        if known is None:
            state = self._views.get(self._keys.links(alias))
            if state is None or state["kind"] != MANY:
                only = Linked(0, owner_in(state)) if state else None
                known = self._deciding[alias] = _Deciding(0, LAST_MS, only)
        if known is None or not known.first <= time <= known.last:
            known = self._deciding[alias] = self._read(alias, time)
        return known.link

    def _read(self, alias: Identity, time: int) -> _Deciding:
        # Keys sort as links decide: by time, of one millisecond the greater name last.
        if link := self._last_until(alias, time):
            return _Deciding(link.time, time, link)
        earliest = self._views.query(self._keys.alias(alias), "link#", f"link#{LAST}", limit=1)
        first = next((link_in(one) for one in earliest), None)
        # Before all links the first one decides.
        return _Deciding(0, time, self._last_until(alias, first.time) if first else None)

    def _last_until(self, alias: Identity, time: int) -> Linked | None:
        """The last link with a time up to this one."""
        last = f"link#{padded(time)}#{LAST}"
        found = self._views.query(self._keys.alias(alias), "link#", last, descending=True, limit=1)
        return next((link_in(one) for one in found), None)
