"""Settings documents in the views table, read strongly consistent:
what was saved holds for whatever is projected after.

Two numbers count: ``version`` every save, for races; ``revision`` what marketers changed, for them. A rebuild, which
saves its own state in the same document, neither takes a marketer's revision away nor loses what he saved meanwhile.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

import msgspec
from botocore.exceptions import ClientError

from chalicelib.keys import facts_seen_key, settings_change_key, settings_change_range, settings_key
from chalicelib.settings.document import Change
from chalicelib.settings.model import Settings, pruned
from chalicelib.settings.stored import LARGEST, SCHEMA, decoded, encoded, migrated
from chalicelib.tables import Conflict, Item, Table, to_wire, unchanged, version_in

_encoder = msgspec.json.Encoder(order="deterministic")

SAVE_RACES = 10

LARGEST_PAGE = 2_000_000
"""Bytes of the history after which a page of it ends; Lambda's answer takes 6 MB."""


class SettingsRace(Exception):
    """Somebody else kept saving the same settings first."""


class Outdated(Exception):
    """What was to be changed is of another revision by now."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"it is of revision {revision} by now")
        self.revision = revision


class TooLarge(Exception):
    """There would be more versions than a document holds (`LARGEST` bytes of them)."""


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


class History(NamedTuple):
    """Entries of the history, and whether there are more behind them."""

    entries: list[Entry]
    more: bool


_entries = msgspec.json.Decoder(Entry)


class Revision(NamedTuple):
    """What somebody makes of settings; nothing is saved where nothing is changed.

    Attributes
    ----------
    before_facts
        It may be saved only while the application has no facts; if it has some by then, it is to be made again.
    """

    settings: Settings
    effective_from: int
    changes: tuple[Change, ...]
    before_facts: bool = False


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
            kept = pruned(made.settings)
            saved = _item(application, item, kept, entry.revision)
            note = self._note(application, entry)
            if max(len(saved["document"]), len(note["entry"])) > LARGEST:
                raise TooLarge(application)
            operations = [self._views.put_operation(saved, unchanged(item)), self._views.put_operation(note)]
            if made.before_facts:
                operations.append(self._views.check_operation(facts_seen_key(application), unchanged(None)))
            try:
                self._views.transact(operations)
            except Conflict:
                continue
            return Saved(kept, entry.revision)
        raise SettingsRace(application)

    # --- whether there are facts ---

    def mark_facts(self, applications: Iterable[str], now: int) -> None:
        """Note that applications have facts, where that is not noted.

        Whoever is about to write an application's first facts notes it before it reads the settings by which it makes
        them: settings that are saved on the condition that there are no facts are then the ones that it reads.

        Parameters
        ----------
        now
            Milliseconds UTC.
        """
        for application in sorted(set(applications)):
            key = facts_seen_key(application)
            item = to_wire({"pk": key.pk, "sk": key.sk, "since": now})
            try:
                self._views.client.put_item(TableName=self._views.name, Item=item, **unchanged(None))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                    raise

    def has_facts(self, application: str) -> bool:
        """Whether an application has, or is about to have, facts."""
        return self._views.get(facts_seen_key(application)) is not None

    def _note(self, application: str, entry: Entry) -> Item:
        key = settings_change_key(application, entry.revision)
        return {"pk": key.pk, "sk": key.sk, "entry": zlib.compress(_encoder.encode(entry))}

    def history(self, application: str, limit: int, before: int | None = None) -> History:
        """Who changed what, newest first, of revisions before one if it is given: at most ``limit`` entries, and no
        further one once they have `LARGEST_PAGE` bytes.
        """
        pk, first, last = settings_change_range(application, before)
        found: list[Entry] = []
        size = 0
        for item in self._views.query(pk, first, last, descending=True, limit=limit + 1):
            if len(found) == limit or size >= LARGEST_PAGE:
                return History(found, more=True)
            stored = item["entry"]
            text = stored.encode() if isinstance(stored, str) else zlib.decompress(bytes(stored))
            size += len(text)
            found.append(_entries.decode(text))
        return History(found, more=False)


def _item(application: str, item: Item | None, settings: Settings, revision: int) -> Item:
    key = settings_key(application)
    return {
        "pk": key.pk,
        "sk": key.sk,
        "version": version_in(item) + 1,
        "revision": revision,
        "schema": SCHEMA,
        "document": encoded(settings),
    }


def _saved_in(item: Item | None) -> Saved:
    return Saved(_settings_in(item), int(item.get("revision", 0)) if item else 0)


def _settings_in(item: Item | None) -> Settings:
    """The settings in an item.

    Raises
    ------
    ValueError
        A later version of the application wrote it.
    """
    if item is None:
        return Settings()
    schema = int(item.get("schema", 1))
    if schema > SCHEMA:
        raise ValueError(f"settings of schema {schema}, which a later version wrote")
    return decoded(bytes(item["document"])) if schema == SCHEMA else migrated(item["document"], schema)


def _marketers(settings: Settings) -> Settings:
    """The part of the settings that is not a rebuild's or an erasure's own."""
    return msgspec.structs.replace(
        settings,
        generation=0,
        building=None,
        newest_generation=0,
        recount_until=0,
        has_erasures=False,
        retiring=(),
    )
