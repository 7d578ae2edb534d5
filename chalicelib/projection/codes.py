"""Short codes for what tallies count by: event types with their currencies, and stamps.

Clients choose them, so each generation of an application's tallies has a bounded number of codes, given to the first
that come; what comes later counts as ``other``. A code never changes, and what once counted as other always does: so
what is added under a code is taken away under the same. Event types that settings name have codes in reserve, from the
time on at which the settings that name them take effect: no event of that time was counted before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.attribution.currencies import OTHER
from chalicelib.keys import Key
from chalicelib.tables import unchanged, version_in

if TYPE_CHECKING:
    from chalicelib.keys import ViewKeys
    from chalicelib.projection.unit import Unit
    from chalicelib.settings.model import Settings
    from chalicelib.tables import Item

MOST_TYPES = 100
"""Event types with codes of their own that no settings name; an application has a few dozen."""

MOST_NAMED_TYPES = 150
"""The same with those that settings name: fifty are in reserve for them."""

MOST_CELLS = 800
"""Pairs of event type and currency with a code of their own: a day's item has up to four numbers for each."""

LARGEST_LIST = 75_000
"""Bytes of the list of pairs; a type may have 256."""

MOST_STAMPS = 500

NO_CURRENCY = ""
OTHER_STAMP = 0
"""The code of stamps that have none of their own."""


class Cell(NamedTuple):
    """Events that are counted together; the currency of those without value is empty."""

    currency: str
    event_type: str


def cells_in(item: Item | None) -> dict[int, Cell]:
    """The pairs of event type and currency by their codes."""
    return {code: Cell(one["currency"], one["type"]) for code, one in enumerate(_entries(item), 1)}


def stamp_codes_in(item: Item | None) -> dict[str, int]:
    """The codes of stamps by their hashes."""
    return {hashed: code for code, hashed in enumerate(_entries(item), 1)}


def hash_of_stamp(stamp: str) -> str:
    """Stands for a stamp, which may be long."""
    return hashlib.blake2b(stamp.encode(), digest_size=8).hexdigest()


class Codes:
    """The codes of one generation of an application's tallies, within a unit of work."""

    def __init__(self, unit: Unit, keys: ViewKeys, settings: Settings) -> None:
        self._unit = unit
        self._keys = keys
        self._settings = settings
        self._cells: tuple[int, dict[Cell, tuple[int, int]]] = (-1, {})
        self._stamps: tuple[int, dict[str, int]] = (-1, {})

    def of_event(self, event_type: str, currency: str, time: int) -> int:
        """The code of an event of a time (ms UTC); it gets one where there is one left."""
        key = self._keys.codes("events")
        item = self._unit.get(key)
        known = self._known_cells(item)
        cell = Cell(currency, event_type)
        if cell in known:
            code, since = known[cell]
            if time >= since:
                return code
        else:
            given = self._since(cell, known, time)
            if given is not None:
                return self._add(key, item, {"currency": currency, "type": event_type, "from": given})
        return self.of_event(OTHER, currency, time)

    def of_stamp(self, stamp: str) -> int:
        """The code of a stamp; it gets one where there is one left."""
        key = self._keys.codes("stamps")
        item = self._unit.get(key)
        if self._stamps[0] != version_in(item):
            self._stamps = (version_in(item), stamp_codes_in(item))
        known, hashed = self._stamps[1], hash_of_stamp(stamp)
        if hashed in known:
            return known[hashed]
        return self._add(key, item, hashed) if len(known) < MOST_STAMPS else OTHER_STAMP

    def is_capped(self, code: int, event_type: str, currency: str) -> bool:
        """Whether an event counts under a code that is not its type's own."""
        known = self._known_cells(self._unit.get(self._keys.codes("events")))
        return known.get(Cell(currency, event_type), (0, 0))[0] != code

    def _known_cells(self, item: Item | None) -> dict[Cell, tuple[int, int]]:
        """Code and beginning of each pair; they are looked through once after each change."""
        if self._cells[0] != version_in(item):
            numbered = enumerate(_entries(item), 1)
            known = {Cell(one["currency"], one["type"]): (code, int(one["from"])) for code, one in numbered}
            self._cells = (version_in(item), known)
        return self._cells[1]

    def _since(self, cell: Cell, known: Mapping[Cell, tuple[int, int]], time: int) -> int | None:
        """From which time of events on (ms UTC) a new pair may have a code; None: one of this time may not."""
        if cell.event_type == OTHER:
            return 0
        if len(known) >= MOST_CELLS or sum(map(_size, known)) + _size(cell) > LARGEST_LIST:
            return None
        types = {one.event_type: since for one, (_, since) in known.items()}
        since: int | None = 0
        if cell.event_type in types:
            since = types[cell.event_type]
        elif len(types) >= MOST_TYPES:
            since = self._settings.named_since(cell.event_type) if len(types) < MOST_NAMED_TYPES else None
        return since if since is not None and time >= since else None

    def _add(self, key: Key, item: Item | None, entry: str | Mapping[str, str | int]) -> int:
        entries = [*_entries(item), entry]
        changed = {"pk": key.pk, "sk": key.sk, "version": version_in(item) + 1, "entries": entries}
        self._unit.put_if(changed, unchanged(item))
        return len(entries)


def _size(cell: Cell) -> int:
    """Bytes of an entry of the list: its names and values, and what DynamoDB counts for each."""
    return len(cell.event_type.encode()) + len(cell.currency.encode()) + 25


def _entries(item: Item | None) -> list[Any]:
    return list(item["entries"]) if item else []
