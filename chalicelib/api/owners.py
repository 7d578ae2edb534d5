"""Whose an alias's facts are: for an endpoint or ``UserId`` that several users had (R6)."""

from __future__ import annotations

from chalicelib.facts.model import ERASED, Identity
from chalicelib.keys import LAST, ViewKeys
from chalicelib.projection.aliases import MANY, Linked, deciding, link_in, owner_in
from chalicelib.tables import Table


class Owners:
    """Answers from the stored links, each alias's read once."""

    def __init__(self, views: Table, keys: ViewKeys) -> None:
        self._views = views
        self._keys = keys
        self._links: dict[Identity, list[Linked]] = {}

    def owner_at(self, identity: Identity, time: int) -> Identity:
        """Whose a fact of an identity at a time (ms UTC) is; the identity itself where nobody else is known."""
        while identity.is_alias:
            links = self._links_of(identity)
            link = ([one for one in links if one.time <= time] or links[:1])[-1:]
            owner = link[0].owner_of(time) if link else None
            if owner is None or owner == ERASED:
                break
            identity = owner
        return identity

    def _links_of(self, alias: Identity) -> list[Linked]:
        if alias not in self._links:
            self._links[alias] = self._read(alias)
        return self._links[alias]

    def _read(self, alias: Identity) -> list[Linked]:
        state = self._views.get(self._keys.links(alias))
        if state is None:
            return []
        if state["kind"] != MANY:
            return [Linked(0, owner_in(state))]
        return deciding(link_in(one) for one in self._views.query(self._keys.alias(alias), "link#", f"link#{LAST}"))
