"""Settings documents in the views table, read strongly consistent:
what was saved holds for whatever is projected after.

Two numbers count: ``version`` every save, for races; ``revision`` what marketers changed, for them. A rebuild, which
saves its own state in the same document, neither takes a marketer's revision away nor loses what he saved meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from chalicelib.keys import settings_change_key, settings_change_range, settings_key
from chalicelib.settings.document import Change
from chalicelib.settings.model import Settings
from chalicelib.tables import Conflict, Item, Operation, Table, to_wire, unchanged, version_in

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Settings)

SAVE_RACES = 10

SCHEMA = 2
"""Of documents. The first had ``value``, now the first of ``values``."""

LARGEST = 300_000
"""Bytes of a document; an item may have 400 KB."""


class SettingsRace(Exception):
    """Somebody else kept saving the same settings first."""


class Outdated(Exception):
    """What was to be changed is of another revision by now."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"it is of revision {revision} by now")
        self.revision = revision


class TooLarge(Exception):
    """There would be more versions than a document holds."""


class Saved(NamedTuple):
    """Settings and their revision; 0 where marketers never changed any."""

    settings: Settings
    revision: int


class Entry(msgspec.Struct, frozen=True):
    """Who changed what, and when. Times are ms UTC."""

    revision: int
    time: int
    by: str
    effective_from: int
    changes: tuple[Change, ...]


_entries = msgspec.json.Decoder(Entry)


class Revision(NamedTuple):
    """What somebody makes of settings; nothing is saved where nothing is changed."""

    settings: Settings
    effective_from: int
    changes: tuple[Change, ...]


class SettingsStore:
    """Reads and saves the settings of applications."""

    def __init__(self, views: Table) -> None:
        self._views = views

    def get(self, application: str) -> Settings:
        """An application's settings; the defaults where none were saved."""
        return _settings_in(self._views.get(settings_key(application)))

    def get_many(self, applications: Iterable[str]) -> dict[str, Settings]:
        """The settings of several applications in one call."""
        wanted = sorted(set(applications))
        found = self._views.get_many(settings_key(one) for one in wanted)
        return {one: _settings_in(found.get(settings_key(one))) for one in wanted}

    def get_saved(self, application: str) -> Saved:
        """An application's settings with their revision."""
        return _saved_in(self._views.get(settings_key(application)))

    def change(self, application: str, changed: Callable[[Settings], Settings]) -> Settings:
        """Save what ``changed`` makes of the settings, whoever else saves at the same time.

        Raises
        ------
        SettingsRace
            Lost the race time after time.
        """
        for _ in range(SAVE_RACES):
            item = self._views.get(settings_key(application))
            old = _saved_in(item)
            settings = changed(old.settings)
            # There is no history of it, but whoever read the former settings must not write over these.
            revision = old.revision + (_marketers(settings) != _marketers(old.settings))
            try:
                self._views.client.put_item(
                    TableName=self._views.name,
                    Item=to_wire(_item(application, item, settings, revision)),
                    **unchanged(item),
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                    raise
            else:
                return settings
        raise SettingsRace(application)

    def revise(
        self,
        application: str,
        revised: Callable[[Settings], Revision],
        by: str,
        now: int,
        expected: Collection[int] | None = None,
    ) -> Saved:
        """Save what somebody makes of the settings, and that he did, in one step.

        Parameters
        ----------
        by
            Who does, as his token names him.
        now
            Milliseconds UTC.
        expected
            Revisions that he may have seen; None: whatever there is.

        Raises
        ------
        Outdated
            The settings are of none of the revisions expected.
        TooLarge
            There are too many versions.
        SettingsRace
            Lost the race time after time.
        """
        for _ in range(SAVE_RACES):
            item = self._views.get(settings_key(application))
            old = _saved_in(item)
            if expected is not None and old.revision not in expected:
                raise Outdated(old.revision)
            made = revised(old.settings)
            if not made.changes:
                return old
            entry = Entry(old.revision + 1, now, by, made.effective_from, made.changes)
            saved = _item(application, item, made.settings, entry.revision)
            if len(saved["document"].encode()) > LARGEST:
                raise TooLarge(application)
            try:
                self._views.transact(
                    [self._views.put_operation(saved, unchanged(item)), self._note(application, entry)]
                )
            except Conflict:
                continue
            return Saved(made.settings, entry.revision)
        raise SettingsRace(application)

    def _note(self, application: str, entry: Entry) -> Operation:
        key = settings_change_key(application, entry.revision)
        return self._views.put_operation({"pk": key.pk, "sk": key.sk, "entry": _encoder.encode(entry).decode()})

    def history(self, application: str, limit: int, before: int | None = None) -> list[Entry]:
        """Who changed what, newest first, of revisions before one if it is given."""
        pk, first, last = settings_change_range(application, before)
        items = self._views.query(pk, first, last, descending=True, limit=limit)
        return [_entries.decode(item["entry"]) for item in items]


def _item(application: str, item: Item | None, settings: Settings, revision: int) -> Item:
    key = settings_key(application)
    return {
        "pk": key.pk,
        "sk": key.sk,
        "version": version_in(item) + 1,
        "revision": revision,
        "schema": SCHEMA,
        "document": _encoder.encode(settings).decode(),
    }


def _saved_in(item: Item | None) -> Saved:
    return Saved(_settings_in(item), int(item.get("revision", 0)) if item else 0)


def _settings_in(item: Item | None) -> Settings:
    if item is None:
        return Settings()
    if int(item.get("schema", 1)) == 1:
        return msgspec.convert(_migrated(msgspec.json.decode(item["document"])), Settings)
    return _decoder.decode(item["document"])


def _migrated(document: dict[str, Any]) -> dict[str, Any]:
    """A document of the first schema, where the value's settings had no versions."""
    return {**document, "values": [document["value"]]} if "value" in document else document


def _marketers(settings: Settings) -> Settings:
    """The part of the settings that is not a rebuild's or an erasure's own."""
    return msgspec.structs.replace(
        settings, generation=0, building=None, newest_generation=0, recount_until=0, has_erasures=False
    )
